// SPDX-License-Identifier: MIT
// The futex calls, in their form for shared memory. If the kernel has futex_waitv, a wait covers
// the holder's liveness word too.
#include "os/os_futex.h"

#include "base/atomic.h"
#include "posix/linux/futex.h"
#include "posix/linux/life.h"

#include "os/os_clock.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLICE_WITH_HOLDER 50000000 // ns between checks of a holder whose end cannot be waited for

// The kernel's struct futex_waitv, which older headers lack.
struct waitv {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

enum { WAITV_SIZE_U32 = 2, WAITV_NUMBER = 449 };

// The times that the two calls take, which differ on 32 bits; those of the C library may be
// either.
struct futex_time {
    long seconds;
    long nanoseconds;
};

struct waitv_time {
    int64_t seconds;
    int64_t nanoseconds;
};

static atomic_bool no_waitv;

static void wait_one(const uint32_t *word, uint32_t value, int64_t timeout)
{
    const struct futex_time relative = { (long)(timeout / 1000000000),
                                         (long)(timeout % 1000000000) };
    (void)syscall(SYS_futex, word, FUTEX_WAIT, value, &relative, NULL, 0);
}

// Returns the time when a wait of `timeout` that begins now ends, by the kernel's own clock: the
// C library's clock may have been shifted without the kernel (libfaketime).
static struct waitv_time end_of(int64_t timeout)
{
    struct futex_time now = { 0, 0 };
    (void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    const int64_t seconds = now.seconds + timeout / 1000000000;
    const int64_t nanoseconds = now.nanoseconds + timeout % 1000000000;
    return (struct waitv_time){ seconds + nanoseconds / 1000000000, nanoseconds % 1000000000 };
}

// Waits for both words; false if the kernel does not have the call.
static bool wait_two(const uint32_t *word, uint32_t value, const uint32_t *life,
                     uint32_t life_value, int64_t timeout)
{
    const struct waitv_time until = end_of(timeout);
    struct waitv both[] = {
        { .value = value, .address = (uint64_t)(uintptr_t)word, .flags = WAITV_SIZE_U32 },
        { .value = life_value, .address = (uint64_t)(uintptr_t)life, .flags = WAITV_SIZE_U32 },
    };
    const long woken = syscall(WAITV_NUMBER, both, 2, 0, &until, CLOCK_MONOTONIC);
    if (woken < 0 && (errno == ENOSYS || errno == EPERM))
        return false;
    if (woken == 1) // the holder has ended: the kernel woke one waiter, which wakes the others
        (void)brood_os_futex_wake(life, INT_MAX);
    return true;
}

brood_status brood_os_futex_wait(const uint32_t *word, uint32_t value, brood_os_life *holder,
                                 int64_t timeout)
{
    if (!holder) {
        wait_one(word, value, timeout);
        return BROOD_OK;
    }
    const uint32_t *life;
    uint32_t life_value;
    if (!broodi_life_watch(holder, &life, &life_value))
        return BROOD_OK;
    if (life && !atomic_load_explicit(&no_waitv, memory_order_relaxed)) {
        if (wait_two(word, value, life, life_value, timeout))
            return BROOD_OK;
        atomic_store_explicit(&no_waitv, true, memory_order_relaxed);
    }
    wait_one(word, value, timeout < SLICE_WITH_HOLDER ? timeout : SLICE_WITH_HOLDER);
    return BROOD_OK;
}

brood_status brood_os_futex_wake(const uint32_t *word, uint32_t count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, count > INT_MAX ? INT_MAX : (int)count, NULL, NULL,
                  0);
    return BROOD_OK;
}
