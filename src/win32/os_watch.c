// SPDX-License-Identifier: MIT
// A watch has an event, under a name that each process of the family can derive, and which a ring
// sets. Up to DIRECT objects are waited for directly, beside the event. For more, and when a loop
// of the program's own waits for the event, each object has a registered wait, whose callback, in a
// thread of the system's pool, marks the object as fired and sets the event.
//
// A registered wait fires once. An object that has fired becomes hot: brood_os_watch_await checks
// it until it is no longer signalled, and then registers it again. A loop of the program's own
// finds the event set as long as an object is hot.
//
// The watch waits for duplicates of the program's handles: each is in the list of a wait once, and
// closing a handle of the program does no harm.
#include "os/os_watch.h"

#include "win32/ring.h"
#include "win32/win32.h"

#include "base/fail.h"
#include "os/os_error.h"

#include <stdlib.h>
#include <windows.h>

enum { DIRECT = MAXIMUM_WAIT_OBJECTS - 1 };

struct object {
    brood_os_watch *watch;
    intptr_t native;
    uint64_t key;
    HANDLE handle; // the duplicate
    HANDLE wait;   // NULL: not registered
    volatile LONG fired;
    bool hot; // to be checked by the next brood_os_watch_await; not registered
};

struct brood_os_watch {
    brood_os_watch_id id;
    HANDLE event;
    HANDLE timer;        // NULL until brood_os_watch_native
    bool is_registering; // objects have registered waits
    bool polls;          // some could not be registered
    bool keeps_ready;
    int64_t period;
    struct object **objects;
    size_t count;
    size_t room;
    size_t hot;  // objects that are hot
    size_t turn; // the object that the next report begins with
};

// Registered waits

static void CALLBACK fire(void *context, BOOLEAN timed_out)
{
    (void)timed_out;
    struct object *object = context;
    (void)InterlockedExchange(&object->fired, 1);
    (void)SetEvent(object->watch->event);
}

static void CALLBACK tick(void *event, BOOLEAN timed_out)
{
    (void)timed_out;
    (void)SetEvent(event);
}

static bool arm(struct object *object)
{
    object->fired = 0;
    return !broodi_win32_fault() &&
           RegisterWaitForSingleObject(&object->wait, object->handle, fire, object, INFINITE,
                                       WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE);
}

// Waits for a callback that runs.
static void disarm(struct object *object)
{
    if (object->wait)
        (void)UnregisterWaitEx(object->wait, INVALID_HANDLE_VALUE);
    object->wait = NULL;
}

static void set_hot(struct object *object, bool hot)
{
    if (hot != object->hot)
        object->watch->hot += hot ? 1 : (size_t)-1;
    object->hot = hot;
}

// From now on objects have registered waits, which the next brood_os_watch_await makes.
static void begin_registering(brood_os_watch *watch)
{
    if (watch->is_registering)
        return;
    watch->is_registering = true;
    for (size_t i = 0; i < watch->count; i++)
        set_hot(watch->objects[i], true);
}

// Lists of objects

// For a loop of the program's own: the event stays set until the next brood_os_watch_await.
static void set_event_if(const brood_os_watch *watch, bool ready)
{
    if (watch->timer && ready)
        (void)SetEvent(watch->event);
}

static bool make_room(brood_os_watch *watch)
{
    if (watch->count < watch->room)
        return true;
    const size_t room = watch->room ? watch->room * 2 : 8;
    struct object **grown =
        broodi_fault() ? NULL : realloc((void *)watch->objects, room * sizeof(struct object *));
    if (!grown)
        return false;
    watch->objects = grown;
    watch->room = room;
    return true;
}

static brood_status duplicate(intptr_t native, HANDLE *out)
{
    HANDLE self = GetCurrentProcess();
    if (!broodi_win32_fault() &&
        DuplicateHandle(self, (HANDLE)native, self, out, SYNCHRONIZE, FALSE, 0))
        return BROOD_OK;
    const DWORD code = GetLastError();
    if (code == ERROR_INVALID_HANDLE)
        return broodi_fail(BROOD_INVALID, "handle %lld is not open", (long long)native);
    return brood_os_error("DuplicateHandle", code);
}

static void free_object(struct object *object)
{
    disarm(object);
    set_hot(object, false);
    CloseHandle(object->handle);
    free(object);
}

static brood_status append(brood_os_watch *watch, intptr_t native, uint64_t key)
{
    struct object *object = make_room(watch) ? broodi_alloc(sizeof *object) : NULL;
    if (!object)
        return brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
    *object = (struct object){ .watch = watch, .native = native, .key = key };
    const brood_status status = duplicate(native, &object->handle);
    if (status == BROOD_OK)
        watch->objects[watch->count++] = object;
    else
        free(object);
    return status;
}

brood_status brood_os_watch_add(brood_os_watch *watch, intptr_t native, uint64_t key)
{
    if (native == (intptr_t)watch->event)
        return broodi_fail(BROOD_INVALID, "handle %lld is the watch itself", (long long)native);
    const brood_status status = append(watch, native, key);
    if (status != BROOD_OK)
        return status;
    if (watch->count > DIRECT)
        begin_registering(watch);
    if (watch->is_registering)
        set_hot(watch->objects[watch->count - 1], true);
    set_event_if(watch, watch->hot > 0);
    return BROOD_OK;
}

bool brood_os_watch_remove(brood_os_watch *watch, intptr_t native, uint64_t key)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct object *object = watch->objects[i];
        if (object->native != native || object->key != key)
            continue;
        free_object(object);
        watch->objects[i] = watch->objects[--watch->count];
        return true;
    }
    return false;
}

// The life of a watch

brood_status brood_os_watch_create(const brood_os_watch_id *id, brood_os_watch **out)
{
    wchar_t name[WIN32_NAME];
    brood_os_watch *watch = broodi_alloc(sizeof *watch);
    if (!watch)
        return brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
    *watch = (brood_os_watch){ .id = *id, .period = BROOD_OS_WATCH_PERIOD };
    broodi_win32_name(name, id->family, id->number, L'w');
    SetLastError(ERROR_SUCCESS);
    watch->event = broodi_win32_fault() ? NULL : CreateEventW(NULL, TRUE, FALSE, name);
    if (broodi_win32_is_new(watch->event)) {
        *out = watch;
        return BROOD_OK;
    }
    const brood_status status = brood_os_error("CreateEventW", GetLastError());
    if (watch->event)
        CloseHandle(watch->event);
    free(watch);
    return status;
}

// Waits for a callback that runs.
static void end_timer(brood_os_watch *watch)
{
    if (watch->timer)
        (void)DeleteTimerQueueTimer(NULL, watch->timer, INVALID_HANDLE_VALUE);
    watch->timer = NULL;
}

void brood_os_watch_destroy(brood_os_watch *watch)
{
    if (!watch)
        return;
    end_timer(watch);
    for (size_t i = 0; i < watch->count; i++)
        free_object(watch->objects[i]);
    broodi_ring_forget(watch->id.number);
    CloseHandle(watch->event);
    free((void *)watch->objects);
    free(watch);
}

// The object for the program's own loops

static bool begin_timer(brood_os_watch *watch)
{
    const DWORD period = broodi_win32_milliseconds(watch->period);
    return !broodi_win32_fault() && CreateTimerQueueTimer(&watch->timer, NULL, tick, watch->event,
                                                          period, period, WT_EXECUTEINTIMERTHREAD);
}

brood_status brood_os_watch_native(brood_os_watch *watch, intptr_t *out)
{
    begin_registering(watch);
    if (!watch->timer && !begin_timer(watch))
        return brood_os_error("CreateTimerQueueTimer", GetLastError());
    set_event_if(watch, watch->keeps_ready || watch->hot > 0);
    *out = (intptr_t)watch->event;
    return BROOD_OK;
}

// brood_os_watch_await has reset the event: if it is set now, that is a ring, or an object.
void brood_os_watch_keep_ready(brood_os_watch *watch, bool ready)
{
    watch->keeps_ready = ready;
    set_event_if(watch, ready);
}

void brood_os_watch_set_period(brood_os_watch *watch, int64_t period)
{
    if (period == watch->period)
        return;
    const DWORD duration = broodi_win32_milliseconds(period);
    watch->period = period;
    if (watch->timer)
        (void)ChangeTimerQueueTimer(NULL, watch->timer, duration, duration);
}

// Waiting

// What the current call has reported.
struct report {
    uint64_t *keys;
    size_t capacity;
    size_t count;
};

static void put(struct report *report, const struct object *object)
{
    report->keys[report->count++] = object->key;
}

// A wait that fails is for something that cannot be waited for: it is always ready.
static bool is_signalled(const struct object *object)
{
    return WaitForSingleObject(object->handle, 0) != WAIT_TIMEOUT;
}

// Whether an object is ready that has a registered wait, or is to get one. If the system has no
// registered wait for it now, it is checked again by the next calls.
static bool check(struct object *object)
{
    const bool fired = object->wait && InterlockedExchange(&object->fired, 0);
    if (object->wait && !fired)
        return false;
    disarm(object);
    const bool ready = fired || is_signalled(object);
    set_hot(object, ready);
    if (!ready && !arm(object))
        object->watch->polls = true;
    return ready;
}

static void collect_registered(brood_os_watch *watch, struct report *report)
{
    const size_t turn = watch->turn;
    watch->polls = false;
    for (size_t i = 0; i < watch->count && report->count < report->capacity; i++) {
        const size_t at = (turn + i) % watch->count;
        if (!check(watch->objects[at]))
            continue;
        put(report, watch->objects[at]);
        watch->turn = at + 1;
    }
}

// Waits for the event and resets it; false if it was not set within the time, in ms.
static bool hear(const brood_os_watch *watch, DWORD timeout)
{
    return WaitForSingleObject(watch->event, timeout) == WAIT_OBJECT_0 && ResetEvent(watch->event);
}

// An object that is hot, or has fired beyond the capacity of the call before, is reported without a
// wait, and so is one that could not be registered. If none of them is ready, waits.
static void await_registered(brood_os_watch *watch, struct report *report, DWORD timeout)
{
    const bool checks = watch->hot > 0 || watch->polls;
    const bool heard = hear(watch, checks ? 0 : timeout);
    collect_registered(watch, report);
    if (heard || report->count > 0 || !checks)
        return;
    const DWORD slice = broodi_win32_milliseconds(BROOD_OS_WATCH_SLICE);
    (void)hear(watch, watch->polls && timeout > slice ? slice : timeout);
    collect_registered(watch, report);
}

// The index of the first object of a list that is signalled; NONE; FAILED if the system cannot wait
// for one of them.
enum { NONE = MAXIMUM_WAIT_OBJECTS, FAILED };

static size_t first_of(const HANDLE *list, size_t count, DWORD timeout)
{
    const DWORD answer = WaitForMultipleObjects((DWORD)count, list, FALSE, timeout);
    if (answer < count) // WAIT_OBJECT_0 is 0
        return answer;
    if (answer >= WAIT_ABANDONED_0 && answer - WAIT_ABANDONED_0 < count)
        return answer - WAIT_ABANDONED_0;
    return answer == WAIT_TIMEOUT ? NONE : FAILED;
}

// The objects in the order of their turn, behind the event.
static void make_list(const brood_os_watch *watch, HANDLE list[DIRECT + 1])
{
    list[0] = watch->event;
    for (size_t i = 0; i < watch->count; i++)
        list[1 + i] = watch->objects[(watch->turn + i) % watch->count]->handle;
}

// Reports the signalled objects of the list from the index `from` on, of which the first is known
// to be signalled if `is_known`.
static void collect_direct(brood_os_watch *watch, const HANDLE *list, size_t from, bool is_known,
                           struct report *report)
{
    const size_t turn = watch->turn;
    while (from <= watch->count && report->count < report->capacity) {
        size_t next = is_known ? 0 : first_of(list + from, watch->count + 1 - from, 0);
        is_known = false;
        if (next == NONE)
            return;
        if (next == FAILED)
            next = WaitForSingleObject(list[from], 0) == WAIT_TIMEOUT ? NONE : 0;
        if (next != NONE) {
            from += next;
            const size_t at = (turn + from - 1) % watch->count;
            put(report, watch->objects[at]);
            watch->turn = at + 1;
        }
        from++;
    }
}

static void await_direct(brood_os_watch *watch, struct report *report, DWORD timeout)
{
    HANDLE list[DIRECT + 1];
    make_list(watch, list);
    const size_t first = first_of(list, watch->count + 1, timeout);
    if (first == 0)
        (void)ResetEvent(watch->event);
    const bool is_object = first > 0 && first < NONE;
    if (first != NONE)
        collect_direct(watch, list, is_object ? first : 1, is_object, report);
}

bool brood_os_watch_resets(void)
{
    return true;
}

brood_status brood_os_watch_await(brood_os_watch *watch, uint64_t *keys, size_t capacity,
                                  int64_t timeout, size_t *out_count)
{
    struct report report = { .keys = keys, .capacity = capacity };
    const DWORD limit =
        broodi_win32_milliseconds(timeout < watch->period ? timeout : watch->period);
    if (watch->is_registering)
        await_registered(watch, &report, limit);
    else
        await_direct(watch, &report, limit);
    set_event_if(watch, watch->hot > 0);
    *out_count = report.count;
    return BROOD_OK;
}
