// SPDX-License-Identifier: MIT
// Events of one process, by WaitForMultipleObjects, which takes 64 at most.
#include "../any.h"

#include <stddef.h>
#include <windows.h>

static struct {
    int count;
    HANDLE events[2][ANY_SOME];
} events;

static bool make(int count)
{
    for (events.count = 0; events.count < count; events.count++)
        for (int party = 0; party < 2; party++) {
            HANDLE event = CreateEventW(NULL, FALSE, FALSE, NULL);
            if (!event)
                return false;
            events.events[party][events.count] = event;
        }
    return SetEvent(events.events[0][0]);
}

static bool make_few(void *object, int parties)
{
    (void)object, (void)parties;
    return make(ANY_FEW);
}

static bool make_some(void *object, int parties)
{
    (void)object, (void)parties;
    return make(ANY_SOME);
}

static void destroy(void *object)
{
    (void)object;
    for (int i = 0; i < events.count; i++)
        for (int party = 0; party < 2; party++)
            CloseHandle(events.events[party][i]);
}

static bool step(void *object, const struct visit *visit)
{
    (void)object;
    return WaitForMultipleObjects((DWORD)events.count, events.events[visit->party], FALSE,
                                  INFINITE) < (DWORD)events.count &&
           SetEvent(events.events[1 - visit->party][any_next(events.count)]);
}

static const struct variant few = { "WaitForMultipleObjects, events", make_few, destroy,
                                    .step = step, .within_process = true };
static const struct variant some = { "WaitForMultipleObjects, events", make_some, destroy,
                                     .step = step, .within_process = true };

const struct variant *const *any_of_system(enum kind kind)
{
    static const struct variant *const all[][2] = { { &few }, { &some }, { NULL } };
    return all[kind - KIND_ANY_FEW];
}
