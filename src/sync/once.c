// SPDX-License-Identifier: MIT
#include <brood/once.h>

#include "arena/blocking.h"
#include "arena/race.h"
#include "arena/self.h"
#include "os/os_process.h"
#include "os/os_thread.h"

enum { FRESH, DONE, RUNNING };

_Static_assert(sizeof(brood_once_flag) == sizeof(broodi_word), "a flag is a state word");

// RUNNING is stored with the id of the process in which the function runs. In a copy of that
// process made by a fork, the flag counts as FRESH.
static uint64_t running_here(void)
{
    return broodi_state((uint32_t)brood_os_process_id(), RUNNING);
}

static void wait_once(broodi_word *word)
{
    if (broodi_here.initialized)
        broodi_block_on(BROODI_WAITS_ONCE, 0, word, running_here(), BROODI_NONE, INT64_MAX);
    else
        brood_os_thread_yield();
}

// Returns the state that the word has then.
static uint64_t wait_for(broodi_word *word)
{
    uint64_t state = running_here();
    while (state == running_here()) {
        wait_once(word);
        state = atomic_load_explicit(&word->state, memory_order_acquire);
    }
    if (broodi_here.initialized)
        broodi_block_end(BROODI_WAITS_ONCE, 0);
    return state;
}

void brood_once(brood_once_flag *flag, void (*fn)(void))
{
    broodi_word *word = (broodi_word *)(void *)flag;
    uint64_t state = atomic_load_explicit(&word->state, memory_order_acquire);
    while (state != DONE) {
        if (state == running_here()) {
            state = wait_for(word);
        } else if (atomic_compare_exchange_weak_explicit(&word->state, &state, running_here(),
                                                         memory_order_acquire,
                                                         memory_order_acquire)) {
            const int before = brood_os_thread_protect(); // other threads wait for the end of fn
            fn();
            broodi_race_release(word);
            atomic_store_explicit(&word->state, DONE, memory_order_seq_cst);
            if (broodi_here.initialized)
                broodi_changed(BROODI_PRIVATE, word, BROODI_ALL);
            brood_os_thread_unprotect(before);
            return;
        }
    }
    broodi_race_acquire(word);
}
