// SPDX-License-Identifier: MIT
// os_sync_wait_on_address, in its form for shared memory, which the system has since version 14.4
// and which is looked up at run time. Before that version a wait checks the word again every
// millisecond, and a wake does nothing. The end of a holder cannot be waited for beside the word.
#include "os/os_futex.h"

#include "os/os_clock.h"
#include "os/os_thread.h"

#include <dlfcn.h>
#include <stddef.h>

#define SLICE_WITH_HOLDER 50000000 // ns between checks of a holder
#define SLICE_WITHOUT_CALL 1000000 // ns between checks of a word

// As in <os/os_sync_wait_on_address.h>, which older systems lack.
enum { SHARED = 1, CLOCK_OF_TIMEOUT = 32 };
typedef int wait_call(void *word, uint64_t value, size_t size, uint32_t flags, uint32_t clock,
                      uint64_t timeout);
typedef int wake_call(void *word, size_t size, uint32_t flags);

static struct {
    wait_call *wait;
    wake_call *wake_one;
    wake_call *wake_all;
} calls;

// Runs before main, so that a wake in a signal handler finds the calls.
__attribute__((constructor)) static void find_calls(void)
{
    wait_call *wait = (wait_call *)dlsym(RTLD_DEFAULT, "os_sync_wait_on_address_with_timeout");
    calls.wake_one = (wake_call *)dlsym(RTLD_DEFAULT, "os_sync_wake_by_address_any");
    calls.wake_all = (wake_call *)dlsym(RTLD_DEFAULT, "os_sync_wake_by_address_all");
    calls.wait = calls.wake_one && calls.wake_all ? wait : NULL;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

brood_status brood_os_futex_wait(const uint32_t *word, uint32_t value, brood_os_life *holder,
                                 int64_t timeout)
{
    if (holder)
        timeout = least(timeout, SLICE_WITH_HOLDER);
    if (timeout <= 0)
        return BROOD_OK;
    const int before = brood_os_thread_protect(); // a wait for a word is no cancellation point
    if (calls.wait)
        (void)calls.wait((void *)(uintptr_t)word, value, sizeof *word, SHARED, CLOCK_OF_TIMEOUT,
                         (uint64_t)timeout);
    else if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
        brood_os_sleep_until(brood_os_clock() + least(timeout, SLICE_WITHOUT_CALL));
    brood_os_thread_unprotect(before);
    return BROOD_OK;
}

brood_status brood_os_futex_wake(const uint32_t *word, uint32_t count)
{
    void *address = (void *)(uintptr_t)word;
    if (calls.wait && count == UINT32_MAX)
        (void)calls.wake_all(address, sizeof *word, SHARED);
    // Wakes one after the other, until no waiter is left.
    for (uint32_t woken = 0; calls.wait && count < UINT32_MAX && woken < count; woken++)
        if (calls.wake_one(address, sizeof *word, SHARED) != 0)
            break;
    return BROOD_OK;
}
