// SPDX-License-Identifier: MIT
// macOS has no robust mutexes. A thread of a living process ends in an orderly way, also by
// cancellation, and clears its word; all others end with their process, which is identified by
// its pid and start time. A process that executes another program keeps both: its former threads
// count as alive until that program ends. The doorbell is a futex word.
#include "os/os_life.h"

#include "base/fault.h"
#include "os/os_error.h"
#include "os/os_futex.h"
#include "os/os_process.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

struct life {
    _Atomic int64_t pid; // of the thread's process; 0: it has ended
    _Atomic uint64_t birth;
    _Atomic uint32_t bell; // counts the rings
    uint32_t heard;        // used by the owner only: rings it has received
};

_Static_assert(sizeof(struct life) <= sizeof(brood_os_life), "a life fits into its place");
_Static_assert(_Alignof(struct life) <= _Alignof(brood_os_life), "and is aligned there");

static struct life *in(brood_os_life *life)
{
    return (struct life *)(void *)life->opaque;
}

brood_status brood_os_life_begin(brood_os_life *life, const brood_os_life_id *id)
{
    (void)id;
    struct life *own = in(life);
    if (broodi_fault())
        return brood_os_error("sysctl", ENOMEM);
    atomic_store_explicit(&own->birth, brood_os_process_birth(getpid()), memory_order_relaxed);
    atomic_store_explicit(&own->pid, getpid(),
                          memory_order_release); // pairs with the load in brood_os_life_is_over
    own->heard = atomic_load_explicit(&own->bell, memory_order_relaxed);
    return BROOD_OK;
}

void brood_os_life_end(brood_os_life *life)
{
    atomic_store_explicit(&in(life)->pid, 0, memory_order_release);
}

// Returns false if that cannot be determined: the caller checks again.
bool brood_os_life_is_over(brood_os_life *life, const brood_os_life_id *id)
{
    (void)id;
    const int64_t pid = atomic_load_explicit(&in(life)->pid, memory_order_acquire);
    if (pid == 0 || pid == getpid())
        return pid == 0;
    const uint64_t birth = atomic_load_explicit(&in(life)->birth, memory_order_relaxed);
    const uint64_t now = brood_os_process_birth(pid);
    return now == 0 ||
           (now != birth && now != BROOD_OS_BIRTH_UNKNOWN && birth != BROOD_OS_BIRTH_UNKNOWN);
}

void brood_os_life_forget(const brood_os_life_id *id)
{
    (void)id; // this port opens nothing
}

static const uint32_t *bell_of(struct life *life)
{
    return (const uint32_t *)(uintptr_t)&life->bell;
}

void brood_os_bell_ring(brood_os_life *life, const brood_os_life_id *id)
{
    (void)id;
    struct life *of = in(life);
    atomic_fetch_add_explicit(&of->bell, 1,
                              memory_order_release); // pairs with the load in brood_os_bell_await
    (void)brood_os_futex_wake(bell_of(of), 1);
}

void brood_os_bell_await(brood_os_life *own, brood_os_life *holder,
                         const brood_os_life_id *holder_id, int64_t timeout)
{
    (void)holder_id;
    struct life *mine = in(own);
    if (atomic_load_explicit(&mine->bell, memory_order_acquire) == mine->heard)
        (void)brood_os_futex_wait(bell_of(mine), mine->heard, holder, timeout);
    mine->heard = atomic_load_explicit(&mine->bell, memory_order_acquire);
}
