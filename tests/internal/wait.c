// SPDX-License-Identifier: MIT
// Waiting and waking, with the provider that the program is linked with. The fallback poll of one
// second would hide a lost wake, so it is off here: a wait whose wake is lost lasts until its
// deadline, however slow the machine is.
#include "../meeting.h"

#include "../foreign.h"
#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/owner.h"
#include "arena/self.h"
#include "arena/thread_slot.h"
#include "arena/wait.h"
#include "base/deadline.h"
#include "os/os_thread.h"

#include "base/atomic.h"

#include <errno.h>
#include <signal.h>

// A wait that ends no earlier has missed its wake. Shorter than the patience of those who join.
#define LOST (MEETING_PATIENCE / 2)

// For this process.
static void turn_poll_off(void)
{
    broodi_longest_wait_set(2 * LOST);
}

// A word in the arena: the state word of a lock slot that nothing else uses.
static broodi_word *arena_word(uint32_t *out_index)
{
    assert_status(broodi_slot_allocate(BROODI_LOCK, 0, out_index), BROOD_OK);
    return broodi_slot(BROODI_LOCK, *out_index);
}

static void free_word(uint32_t index)
{
    const broodi_word *word = broodi_slot(BROODI_LOCK, index);
    assert_true(broodi_slot_free(BROODI_LOCK, index, atomic_load(&word->state)));
}

// Waits until the low half is `wanted`; false if a wake was lost.
static bool wait_for(broodi_word *word, uint32_t wanted)
{
    for (;;) {
        const uint64_t state = atomic_load(&word->state);
        if (broodi_low(state) == wanted)
            return true;
        const int64_t deadline = brood_clock() + LOST;
        broodi_wait(word, state, BROODI_NONE, deadline);
        if (brood_clock() >= deadline)
            return false;
    }
}

static void set_low(broodi_word *word, uint32_t low, uint32_t wakes)
{
    const uint64_t state = atomic_load(&word->state);
    // seq_cst: ordered before the wake.
    atomic_store(&word->state, broodi_state(broodi_generation(state), low));
    broodi_wake(word, wakes);
}

// A token is passed around: player number `own` of `count` waits for it and passes it on.

struct player {
    broodi_word *word; // NULL: in the arena, at `index`
    uint32_t index;
    uint32_t own;
    uint32_t count;
    uint32_t rounds;
    uint32_t wakes;
};

static int play(void *arg)
{
    const struct player *player = arg;
    broodi_word *word = player->word ? player->word : broodi_slot(BROODI_LOCK, player->index);
    turn_poll_off();
    for (uint32_t round = 0; round < player->rounds; round++) {
        CHECK(wait_for(word, round * player->count + player->own));
        set_low(word, round * player->count + player->own + 1, player->wakes);
    }
    return 0;
}

static void play_with_threads(broodi_word *word, uint32_t index, uint32_t count, uint32_t rounds)
{
    brood_thread *threads[8];
    for (uint32_t i = 0; i < count; i++) {
        const struct player player = { word, index, i, count, rounds, count > 2 ? BROODI_ALL : 1 };
        threads[i] = started_thread(play, &player, sizeof player);
    }
    for (uint32_t i = 0; i < count; i++)
        assert_thread_ends(threads[i], 0);
}

static uint32_t rounds(uint32_t many, uint32_t few)
{
    return foreign_is_slow() ? few : many;
}

static void two_threads_lose_no_wake_on_a_word_of_the_arena(void **state)
{
    (void)state;
    uint32_t index;
    broodi_word *word = arena_word(&index);
    play_with_threads(NULL, index, 2, rounds(100000, 3000));
    assert_int_equal(broodi_low(atomic_load(&word->state)), 2 * rounds(100000, 3000));
    free_word(index);
}

static void two_threads_lose_no_wake_on_a_word_of_their_own(void **state)
{
    (void)state;
    static broodi_word word;
    play_with_threads(&word, 0, 2, rounds(100000, 3000));
}

static void a_ring_of_threads_loses_no_wake(void **state)
{
    (void)state;
    static broodi_word word;
    uint32_t index;
    (void)arena_word(&index);
    play_with_threads(NULL, index, 6, rounds(4000, 200));
    play_with_threads(&word, 0, 6, rounds(4000, 200));
    free_word(index);
}

static void two_processes_lose_no_wake(void **state)
{
    (void)state;
    uint32_t index;
    (void)arena_word(&index);
    struct player player = { NULL, index, 1, 2, rounds(50000, 2000), 1 };
    brood_process *other = started_process(play, &player, sizeof player);
    player.own = 0;
    assert_int_equal(play(&player), 0);
    assert_process_ends(other, 0);
    free_word(index);
}

// Words that could be confused: private words at the same address in two processes, neighbours,
// halves of the same number.

static broodi_word twin;

static int wake_twin(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        broodi_wake(&twin, BROODI_ALL);
    static broodi_word word;
    brood_thread *threads[2];
    for (uint32_t i = 0; i < 2; i++) {
        const struct player player = { &word, 0, i, 2, rounds(2000, 200), 1 };
        CHECK(brood_thread_start(&threads[i], play, &player, sizeof player, NULL) == BROOD_OK);
    }
    for (int i = 0; i < 2; i++) {
        int code = -1;
        CHECK(brood_thread_join(threads[i], MEETING_PATIENCE, &code) == BROOD_OK);
        CHECK(code == 0);
        brood_thread_drop(threads[i]);
    }
    return 0;
}

static void private_words_of_two_processes_are_independent(void **state)
{
    (void)state;
    brood_process *other = started_process(wake_twin, NULL, 0);
    play_with_threads(&twin, 0, 2, rounds(2000, 200));
    assert_process_ends(other, 0);
}

// Numbers of wakes

enum { SLEEPERS = 6 };

static broodi_word bed;
static _Atomic unsigned asleep;
static _Atomic unsigned awake;

static int sleep_once(void *arg)
{
    const uint64_t *state = arg;
    const int64_t deadline = brood_clock() + LOST;
    atomic_fetch_add(&asleep, 1);
    broodi_wait(&bed, *state, BROODI_NONE, deadline);
    atomic_fetch_add(&awake, 1);
    return brood_clock() >= deadline;
}

// True if the wake woke two of the six. A longer `pause` makes it more likely that all six sleep at
// the moment of the wake.
static bool wake_two_of_six(brood_duration pause)
{
    brood_thread *threads[SLEEPERS];
    atomic_store(&asleep, 0);
    atomic_store(&awake, 0);
    const uint64_t state = atomic_load(&bed.state);
    for (int i = 0; i < SLEEPERS; i++)
        threads[i] = started_thread(sleep_once, &state, sizeof state);
    while (atomic_load(&asleep) < SLEEPERS)
        brood_sleep(BROOD_MILLISECONDS(1));
    brood_sleep(pause);
    broodi_wake(&bed, 2);
    const int64_t limit = brood_clock() + BROOD_MILLISECONDS(300);
    while (atomic_load(&awake) < 2 && brood_clock() < limit)
        brood_sleep(BROOD_MILLISECONDS(1));
    brood_sleep(BROOD_MILLISECONDS(100)); // time in which a third may wake
    const unsigned woken = atomic_load(&awake);
    set_low(&bed, broodi_low(state) + 1, BROODI_ALL); // also for those who have yet to sleep
    for (int i = 0; i < SLEEPERS; i++)
        assert_thread_ends(threads[i], 0);
    return woken == 2;
}

static void a_wake_wakes_the_given_number(void **state)
{
    (void)state;
    enum { FIRST = 50, MORE = 15, MOST = 400 };
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    int pause = FIRST;
    while (!wake_two_of_six(BROOD_MILLISECONDS(pause))) {
        assert_true(brood_clock() < deadline);
        pause = pause < MOST ? pause + MORE : FIRST;
    }
}

// The keys of threads behind the first slots lie in a part of their table that is committed later.

static _Atomic int with_slot;

static int wait_for_one(void *arg)
{
    CHECK(broodi_self_slot() != BROODI_NONE);
    atomic_fetch_add(&with_slot, 1);
    broodi_word *word = broodi_slot(BROODI_LOCK, *(uint32_t *)arg);
    CHECK(wait_for(word, 1));
    return 0;
}

static void threads_behind_the_first_slots_lose_no_wake(void **state)
{
    (void)state;
    enum { THREADS = BROODI_FIRST + 6 };
    brood_thread *threads[THREADS];
    uint32_t index;
    broodi_word *word = arena_word(&index);
    atomic_store(&with_slot, 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = started_thread(wait_for_one, &index, sizeof index);
    while (atomic_load(&with_slot) < THREADS)
        brood_sleep(BROOD_MILLISECONDS(1));
    brood_sleep(BROOD_MILLISECONDS(20)); // makes it likely that they wait
    set_low(word, 1, BROODI_ALL);
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
    assert_true(broodi_slot_end(BROODI_THREAD) >= THREADS);
    free_word(index);
}

// Ends of waits

static void a_wait_for_a_word_that_has_changed_does_not_block(void **state)
{
    (void)state;
    static broodi_word word;
    atomic_store(&word.state, broodi_state(1, 7));
    const int64_t before = brood_clock();
    for (int i = 0; i < 100; i++)
        broodi_wait(&word, broodi_state(1, 6), BROODI_NONE, INT64_MAX);
    assert_true(brood_clock() - before < BROOD_SECONDS(20)); // a hundred fallback polls take longer
}

static void a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    static broodi_word word;
    const int64_t begin = brood_clock();
    broodi_wait(&word, 0, BROODI_NONE, 0);
    broodi_wait(&word, 0, BROODI_NONE, begin);
    const int64_t deadline = begin + BROOD_MILLISECONDS(50);
    while (brood_clock() < deadline)
        broodi_wait(&word, 0, BROODI_NONE, deadline);
    assert_true(brood_clock() - begin < BROOD_SECONDS(20));
    // The fallback poll: a wait without a deadline returns.
    broodi_longest_wait_set(BROOD_SECONDS(1));
    broodi_wait(&word, 0, BROODI_NONE, INT64_MAX);
    turn_poll_off();
    assert_true(brood_clock() - begin < LOST);
}

// Dead holders

struct mortal {
    brood_lock lock;
};

// Ends with the lock held, so that the lock names the thread's slot, which therefore stays.
static int die_holding(void *arg)
{
    const struct mortal *self = arg;
    CHECK(brood_lock_acquire(self->lock, BROOD_NOW) == BROOD_OK);
    note("slot", (uint64_t)broodi_self_slot() + 1);
    CHECK(await_note("die", 1));
    return 0;
}

static int die_slowly(void *arg)
{
    const struct mortal *self = arg;
    CHECK(brood_lock_acquire(self->lock, BROOD_NOW) == BROOD_OK);
    note("slot", (uint64_t)broodi_self_slot() + 1);
    brood_sleep(MEETING_PATIENCE);
    return 0;
}

static struct mortal made_mortal(void)
{
    struct mortal mortal = { { 0 } };
    assert_status(brood_lock_create(&mortal.lock), BROOD_OK);
    note("slot", 0);
    note("die", 0);
    return mortal;
}

static uint32_t slot_of_mortal(void)
{
    assert_true(await_note("slot", 1));
    return (uint32_t)noted("slot") - 1;
}

static void bury(struct mortal mortal)
{
    assert_status(brood_lock_acquire(mortal.lock, BROOD_SECONDS(10)), BROOD_OWNER_DIED);
    assert_status(brood_lock_release(mortal.lock), BROOD_OK);
    assert_status(brood_lock_destroy(mortal.lock), BROOD_OK);
}

static bool is_over(uint32_t thread)
{
    return broodi_owner_state(broodi_owner_at(BROODI_THREAD, thread)) == BROODI_OWNER_DEAD;
}

// A wait may return early, but not so often that it spins.
static void assert_wait_blocks(uint32_t holder)
{
    static broodi_word word;
    const int64_t deadline = brood_clock() + BROOD_MILLISECONDS(60);
    unsigned waits = 0;
    while (brood_clock() < deadline) {
        broodi_wait(&word, 0, holder, deadline);
        waits++;
    }
    assert_true(waits < 60);
    assert_false(is_over(holder));
}

static void assert_wait_returns(uint32_t holder)
{
    static broodi_word word;
    const int64_t deadline = brood_clock() + LOST;
    while (!is_over(holder) && brood_clock() < deadline)
        broodi_wait(&word, 0, holder, deadline);
    broodi_wait(&word, 0, holder, deadline); // the thread is dead already
    assert_true(brood_clock() < deadline);
    assert_true(is_over(holder));
}

static void a_wait_ends_with_the_thread_that_it_watches(void **state)
{
    (void)state;
    const struct mortal mortal = made_mortal();
    brood_thread *thread = started_thread(die_holding, &mortal, sizeof mortal);
    const uint32_t slot = slot_of_mortal();
    assert_wait_blocks(slot);
    note("die", 1);
    assert_wait_returns(slot);
    assert_thread_ends(thread, 0);
    assert_wait_returns(slot);
    bury(mortal);
}

static void a_wait_ends_with_the_process_that_it_watches(void **state)
{
    (void)state;
    const struct mortal mortal = made_mortal();
    brood_process *process = started_process(die_slowly, &mortal, sizeof mortal);
    const uint32_t slot = slot_of_mortal();
    assert_wait_blocks(slot);
    assert_status(brood_process_kill(process), BROOD_OK);
    assert_wait_returns(slot);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
    assert_wait_returns(slot);
    bury(mortal);
}

static broodi_word watched_word;
static _Atomic unsigned watchers_done;

static int watch(void *arg)
{
    const uint32_t holder = *(uint32_t *)arg;
    const int64_t deadline = brood_clock() + LOST;
    while (!is_over(holder) && brood_clock() < deadline)
        broodi_wait(&watched_word, 0, holder, deadline);
    CHECK(brood_clock() < deadline);
    atomic_fetch_add(&watchers_done, 1);
    return 0;
}

static void all_watchers_of_a_thread_notice_its_end(void **state)
{
    (void)state;
    enum { WATCHERS = 5 };
    brood_thread *watchers[WATCHERS];
    const struct mortal mortal = made_mortal();
    brood_process *process = started_process(die_slowly, &mortal, sizeof mortal);
    const uint32_t slot = slot_of_mortal();
    atomic_store(&watchers_done, 0);
    for (int i = 0; i < WATCHERS; i++)
        watchers[i] = started_thread(watch, &slot, sizeof slot);
    brood_sleep(BROOD_MILLISECONDS(30));
    assert_int_equal(atomic_load(&watchers_done), 0);
    kill_process(process);
    for (int i = 0; i < WATCHERS; i++)
        assert_thread_ends(watchers[i], 0);
    bury(mortal);
}

// What a process keeps open to watch a thread may be closed while another thread waits with it.
static void a_wait_ends_with_a_thread_that_is_forgotten_meanwhile(void **state)
{
    (void)state;
    const struct mortal mortal = made_mortal();
    brood_process *process = started_process(die_slowly, &mortal, sizeof mortal);
    const uint32_t slot = slot_of_mortal();
    const brood_os_life_id id = broodi_owner_life_id(broodi_owner_at(BROODI_THREAD, slot));
    atomic_store(&watchers_done, 0);
    assert_false(is_over(slot)); // this opens what the watcher uses
    brood_thread *watcher = started_thread(watch, &slot, sizeof slot);
    brood_sleep(BROOD_MILLISECONDS(30)); // makes it likely that it waits
    brood_os_life_forget(&id);
    assert_false(is_over(slot));
    assert_int_equal(atomic_load(&watchers_done), 0);
    kill_process(process);
    assert_thread_ends(watcher, 0);
    bury(mortal);
}

// Burial

// Only the portable provider keeps wakes.
static bool keeps_wakes(void)
{
#if defined(BROOD_TESTING_PORTABLE)
    return true;
#else
    return false;
#endif
}

static _Atomic uint32_t napper;

static int nap(void *arg)
{
    (void)arg;
    static broodi_word word;
    const int64_t deadline = brood_clock() + LOST;
    atomic_store(&napper, broodi_self_slot());
    broodi_wait(&word, 0, BROODI_NONE, deadline);
    return brood_clock() >= deadline;
}

static struct broodi_key *key_slot(uint32_t thread)
{
    return broodi_slot(BROODI_KEY, thread);
}

// The key of the thread; 0 if it has none, as with futexes.
static uint64_t key_at(uint32_t thread)
{
    return thread < broodi_slot_limit(BROODI_KEY) ? atomic_load(&key_slot(thread)->value) : 0;
}

// The slot of a thread in quarantine, which no thread has.
static uint32_t dead_thread(void)
{
    uint32_t index;
    const uint32_t dead = broodi_thread_low(BROODI_THREAD_DEAD, broodi_self_process());
    assert_status(broodi_slot_allocate(BROODI_THREAD, dead, &index), BROOD_OK);
    return index;
}

static void free_thread(uint32_t index)
{
    const struct broodi_thread_slot *slot = broodi_slot(BROODI_THREAD, index);
    assert_true(broodi_slot_free(BROODI_THREAD, index, atomic_load(&slot->state.state)));
}

// Waits until the thread waits, and returns its key.
static uint64_t key_of_napper(void)
{
    const int64_t deadline = brood_clock() + LOST;
    for (;;) {
        const uint32_t slot = atomic_load(&napper);
        const uint64_t key = slot == BROODI_NONE ? 0 : key_at(slot);
        if (key != 0)
            return key;
        assert_true(brood_clock() < deadline);
    }
}

// A wake that was given to a thread that died passes to the next waiter.
static void a_wake_of_the_dead_is_passed_on(void **state)
{
    (void)state;
    enum { CLAIMED_BIT = 63 };
    if (!keeps_wakes())
        skip();
    atomic_store(&napper, BROODI_NONE);
    brood_thread *thread = started_thread(nap, NULL, 0);
    const uint64_t key = key_of_napper();
    const uint32_t dead = dead_thread();
    atomic_store(&key_slot(dead)->value, key | UINT64_C(1) << CLAIMED_BIT);
    broodi_wait_bury(dead);
    assert_thread_ends(thread, 0);
    assert_true(key_at(dead) == 0);
    free_thread(dead);
}

// Two processes wait for a word, and the first to be woken dies unclaimed. Its slot must not take
// any later wake.

static int await_change(void *arg)
{
    broodi_word *word = broodi_slot(BROODI_LOCK, *(uint32_t *)arg);
    turn_poll_off();
    note("slot", (uint64_t)broodi_self_slot() + 1);
    CHECK(wait_for(word, 1));
    return 0;
}

// Waits until the thread waits. With futexes this does not show; then waits a while.
static void await_key(uint32_t slot)
{
    const int64_t limit = brood_clock() + (keeps_wakes() ? LOST : BROOD_MILLISECONDS(200));
    while (key_at(slot) == 0 && brood_clock() < limit)
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_true(!keeps_wakes() || key_at(slot) != 0);
}

static void a_slot_whose_thread_died_waiting_takes_no_wake(void **state)
{
    (void)state;
    uint32_t index;
    broodi_word *word = arena_word(&index);
    note("slot", 0);
    brood_process *dead = started_process(await_change, &index, sizeof index);
    await_key(slot_of_mortal());
    note("slot", 0);
    brood_process *other = started_process(await_change, &index, sizeof index);
    await_key(slot_of_mortal());
    kill_process(dead);
    set_low(word, 1, 1);
    assert_process_ends(other, 0); // it missed no wake
    free_word(index);
}

static int stay_once_woken(void *arg)
{
    const uint32_t index = *(uint32_t *)arg;
    (void)await_change(arg);
    note("woken", index + 1);
    brood_sleep(MEETING_PATIENCE);
    return 0;
}

// The woken thread may have returned from its wait without having loaded the word: only its
// burial can tell that it did not pass its wake on.
static void a_wake_is_kept_until_the_burial_of_its_receiver(void **state)
{
    (void)state;
    uint32_t index;
    broodi_word *word = arena_word(&index);
    note("slot", 0);
    note("woken", 0);
    brood_process *process = started_process(stay_once_woken, &index, sizeof index);
    const uint32_t slot = slot_of_mortal();
    await_key(slot);
    set_low(word, 1, 1);
    assert_true(await_note("woken", index + 1));
    const uint64_t kept = key_at(slot);
    kill_process(process);
    free_word(index);
    if (!keeps_wakes())
        skip();
    assert_true(kept != 0);
    assert_int_equal(key_at(slot), 0);
}

// Signal handlers in threads that are new to brood

static struct {
    brood_event event;
    brood_semaphore semaphore; // with a maximum of one
    brood_event stale_event;
    brood_semaphore stale_semaphore;
} handled;

static volatile sig_atomic_t wrong_line;

#define EXPECT_IN_HANDLER(call, expected)          \
    do {                                           \
        errno = 4711;                              \
        if ((call) != (expected) || errno != 4711) \
            wrong_line = __LINE__;                 \
    } while (0)

static void set_and_release(int signal_number)
{
    (void)signal_number;
    EXPECT_IN_HANDLER(brood_event_set(handled.event), BROOD_OK);
    EXPECT_IN_HANDLER(brood_semaphore_release(handled.semaphore, 1), BROOD_OK);
    EXPECT_IN_HANDLER(brood_semaphore_release(handled.semaphore, 2), BROOD_OVERFLOW);
    EXPECT_IN_HANDLER(brood_semaphore_release(handled.semaphore, 0), BROOD_INVALID);
    EXPECT_IN_HANDLER(brood_semaphore_release(handled.stale_semaphore, 1), BROOD_STALE);
    EXPECT_IN_HANDLER(brood_semaphore_release((brood_semaphore){ 0 }, 1), BROOD_INVALID);
    EXPECT_IN_HANDLER(brood_event_set(handled.stale_event), BROOD_STALE);
    EXPECT_IN_HANDLER(brood_event_clear(handled.stale_event), BROOD_STALE);
    EXPECT_IN_HANDLER(brood_event_set((brood_event){ 0 }), BROOD_INVALID);
}

static void be_interrupted(void *arg)
{
    bool *untouched = arg;
    if (raise(SIGINT) != 0)
        abort();
    *untouched = !brood_os_self_get() && strcmp(brood_last_error(), "") == 0;
}

static int await_event(void *arg)
{
    (void)arg;
    return (int)brood_event_wait(handled.event, MEETING_PATIENCE);
}

static int acquire_one(void *arg)
{
    (void)arg;
    return (int)brood_semaphore_acquire(handled.semaphore, MEETING_PATIENCE);
}

static void make_handled(void)
{
    assert_status(brood_event_create(&handled.event), BROOD_OK);
    assert_status(brood_semaphore_create(&handled.semaphore, 0, 1), BROOD_OK);
    assert_status(brood_event_create(&handled.stale_event), BROOD_OK);
    assert_status(brood_semaphore_create(&handled.stale_semaphore, 0, 1), BROOD_OK);
    assert_status(brood_event_destroy(handled.stale_event), BROOD_OK);
    assert_status(brood_semaphore_destroy(handled.stale_semaphore), BROOD_OK);
}

// A handler touches nothing of the interrupted thread for the first time, because that might
// allocate; and it releases the waiters.
static void a_handler_in_a_new_thread_leaves_no_trace_in_it(void **state)
{
    (void)state;
    bool untouched = false;
    make_handled();
    brood_thread *waiters[] = { started_thread(await_event, NULL, 0),
                                started_thread(acquire_one, NULL, 0) };
    brood_sleep(
        BROOD_MILLISECONDS(50)); // makes it likely that they wait; the test does not depend on it
    wrong_line = 0;
    void (*before)(int) = signal(SIGINT, set_and_release);
    foreign_thread_join(foreign_thread_start(be_interrupted, &untouched));
    (void)signal(SIGINT, before);
    assert_int_equal(wrong_line, 0);
    assert_true(untouched);
    for (int i = 0; i < 2; i++)
        assert_thread_ends(waiters[i], BROOD_OK);
    assert_status(brood_event_destroy(handled.event), BROOD_OK);
    assert_status(brood_semaphore_destroy(handled.semaphore), BROOD_OK);
}

int main(void)
{
    brood_init();
    turn_poll_off();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads_lose_no_wake_on_a_word_of_the_arena),
        cmocka_unit_test(two_threads_lose_no_wake_on_a_word_of_their_own),
        cmocka_unit_test(a_ring_of_threads_loses_no_wake),
        cmocka_unit_test(two_processes_lose_no_wake),
        cmocka_unit_test(private_words_of_two_processes_are_independent),
        cmocka_unit_test(a_wake_wakes_the_given_number),
        cmocka_unit_test(threads_behind_the_first_slots_lose_no_wake),
        cmocka_unit_test(a_wait_for_a_word_that_has_changed_does_not_block),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_wait_ends_with_the_thread_that_it_watches),
        cmocka_unit_test(a_wait_ends_with_the_process_that_it_watches),
        cmocka_unit_test(all_watchers_of_a_thread_notice_its_end),
        cmocka_unit_test(a_wait_ends_with_a_thread_that_is_forgotten_meanwhile),
        cmocka_unit_test(a_wake_of_the_dead_is_passed_on),
        cmocka_unit_test(a_slot_whose_thread_died_waiting_takes_no_wake),
        cmocka_unit_test(a_wake_is_kept_until_the_burial_of_its_receiver),
        cmocka_unit_test(a_handler_in_a_new_thread_leaves_no_trace_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
