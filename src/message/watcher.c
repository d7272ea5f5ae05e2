// SPDX-License-Identifier: MIT
#include "message/watcher.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/owner.h"
#include "arena/process_slot.h"
#include "arena/self.h"
#include "arena/watch.h"
#include "base/fail.h"
#include "base/step.h"
#include "os/os_thread.h"

enum { OWNER_BITS = 32 };

static struct broodi_poller_slot *slot_at(uint32_t index)
{
    return broodi_slot(BROODI_POLLER, index);
}

static void free_slot(uint32_t index, uint64_t state)
{
    (void)broodi_slot_free(BROODI_POLLER, index, state);
}

brood_status broodi_watcher_open(struct broodi_watcher *out)
{
    const uint32_t process = broodi_self_process();
    if (process == BROODI_NONE)
        return BROOD_NO_RESOURCES;
    const broodi_owner self = broodi_owner_at(BROODI_PROCESS, process);
    const uint32_t low = (uint32_t)broodi_owner_shorten(self, OWNER_BITS);
    brood_status status = broodi_slot_allocate(BROODI_POLLER, low, &out->slot);
    if (status != BROOD_OK)
        return status;
    out->state = broodi_word_load(&slot_at(out->slot)->state);
    out->period = BROOD_OS_WATCH_PERIOD;
    broodi_watcher_set_mask(out, 0);
    const brood_os_watch_id id = broodi_watch_id(out->slot, out->state);
    const int before = brood_os_thread_protect();
    status = brood_os_watch_create(&id, &out->watch);
    brood_os_thread_unprotect(before);
    if (status != BROOD_OK)
        free_slot(out->slot, out->state);
    return status;
}

void broodi_watcher_close(struct broodi_watcher *watcher)
{
    broodi_watcher_set_mask(watcher, 0);
    broodi_watcher_forget(watcher);
    free_slot(watcher->slot, watcher->state);
}

void broodi_watcher_forget(struct broodi_watcher *watcher)
{
    const int before = brood_os_thread_protect();
    brood_os_watch_destroy(watcher->watch);
    brood_os_thread_unprotect(before);
}

void broodi_watcher_set_mask(const struct broodi_watcher *watcher, uint64_t mask)
{
    atomic_store_explicit(&slot_at(watcher->slot)->mask, mask, memory_order_seq_cst);
    broodi_step(BROODI_STEP_WATCH_MASKED);
}

brood_status broodi_watcher_add(const struct broodi_watcher *watcher,
                                struct broodi_waiting *waiting, uint64_t key)
{
    if (waiting->native == -1)
        return BROOD_OK;
    const brood_status status = brood_os_watch_add(watcher->watch, waiting->native, key);
    if (status != BROOD_INVALID || waiting->waitable.kind == BROODI_WAITABLE_NATIVE)
        return status;
    waiting->native = -1;
    waiting->polled = true;
    return BROOD_OK;
}

void broodi_watcher_remove(const struct broodi_watcher *watcher,
                           const struct broodi_waiting *waiting, uint64_t key)
{
    if (waiting->native != -1)
        (void)brood_os_watch_remove(watcher->watch, waiting->native, key);
}

static void set_os_period(const struct broodi_watcher *watcher, bool slices)
{
    brood_os_watch_set_period(watcher->watch, slices ? BROOD_OS_WATCH_SLICE : watcher->period);
}

brood_status broodi_watcher_native(struct broodi_watcher *watcher, intptr_t *out)
{
    const brood_status status = brood_os_watch_native(watcher->watch, out);
    if (status != BROOD_OK)
        return status;
    watcher->period = BROOD_OS_WATCH_PERIOD / 2;
    set_os_period(watcher, broodi_watch_is_deaf());
    return BROOD_OK;
}

static void clear_signals(struct broodi_waiting *waiting, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!brood_os_watch_resets() || waiting[i].waitable.kind != BROODI_WAITABLE_NATIVE)
            waiting[i].signalled = false;
}

brood_status broodi_watcher_await(const struct broodi_watcher *watcher,
                                  struct broodi_waiting *waiting, size_t count, uint64_t *keys,
                                  int64_t timeout)
{
    size_t found = 0;
    clear_signals(waiting, count);
    set_os_period(watcher, broodi_watch_is_deaf() || broodi_waiting_is_polled(waiting, count));
    const brood_status status = brood_os_watch_await(watcher->watch, keys, count, timeout, &found);
    for (size_t i = 0; status == BROOD_OK && i < found; i++)
        if (keys[i] < count)
            waiting[keys[i]].signalled = true;
    return status;
}

// A slot whose process has ended, or has none any more.
void broodi_watchers_sweep(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_POLLER);
    for (uint32_t index = 0; index < limit; index++) {
        const uint64_t state = broodi_word_load(&slot_at(index)->state);
        if (!broodi_slot_is_live(state))
            continue;
        const broodi_owner owner =
            broodi_owner_complete(BROODI_PROCESS, broodi_low(state), OWNER_BITS);
        if (!owner || broodi_process_state(owner) != BROODI_OWNER_LIVES)
            free_slot(index, state);
    }
}
