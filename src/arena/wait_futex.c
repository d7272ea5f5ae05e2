// SPDX-License-Identifier: MIT
// Waiting with the kernel's futexes, which work between processes: the kernel identifies a word
// by its page, so nothing but the word is needed.
#include "arena/wait.h"

#include "arena/family.h"
#include "base/deadline.h"
#include "os/os_clock.h"
#include "os/os_futex.h"

#include <errno.h>

// The half of the state that is the futex word.
static const uint32_t *low_half(const broodi_word *word)
{
    const uint32_t one = 1;
    const unsigned little_endian = *(const unsigned char *)&one;
    return (const uint32_t *)(const void *)word + (1 - little_endian);
}

void broodi_wait(broodi_word *word, uint64_t expected, uint32_t holder, int64_t deadline)
{
    const int64_t now = brood_os_clock();
    const int64_t until = broodi_until(deadline, now, broodi_longest_wait());
    brood_os_life *life = NULL;
    if (holder != BROODI_NONE)
        life = &((struct broodi_thread_slot *)broodi_slot(BROODI_THREAD, holder))->life;
    const int error = errno;
    if (until > now && atomic_load_explicit(&word->state, memory_order_relaxed) == expected)
        (void)brood_os_futex_wait(low_half(word), broodi_low(expected), life, until - now);
    errno = error;
}

void broodi_wake(broodi_word *word, uint32_t count)
{
    const int error = errno;
    (void)brood_os_futex_wake(low_half(word), count);
    errno = error;
}

// The kernel does not keep a wake for a thread that has died; the limit of a second in
// broodi_wait covers that.
void broodi_wait_bury(uint32_t thread)
{
    (void)thread;
}
