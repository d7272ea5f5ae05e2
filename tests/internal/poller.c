// SPDX-License-Identifier: MIT
// What a killed process leaves of its pollers.
#include "../meeting.h"

#include "arena/family.h"
#include "arena/self.h"
#include "arena/wait.h"
#include "arena/watch.h"
#include "message/watcher.h"

enum { POLLERS = 50 };

static uint32_t live(void)
{
    return atomic_load_explicit(&broodi_family.header->tables[BROODI_POLLER].live,
                                memory_order_relaxed);
}

static int keep_pollers(void *arg)
{
    const brood_event event = *(brood_event *)arg;
    for (int i = 0; i < POLLERS; i++) {
        brood_poller *poller;
        CHECK(brood_poller_create(&poller) == BROOD_OK);
        CHECK(brood_poller_add(poller, brood_waitable_event(event), NULL) == BROOD_OK);
    }
    note("pollers", POLLERS);
    (void)await_note("never", 1);
    return 0;
}

static void a_sweep_frees_the_pollers_of_dead_processes_only(void **state)
{
    (void)state;
    brood_event event;
    brood_ready ready;
    brood_poller *own = NULL;
    assert_status(brood_event_create(&event), BROOD_OK);
    assert_status(brood_poller_create(&own), BROOD_OK);
    assert_status(brood_poller_add(own, brood_waitable_event(event), NULL), BROOD_OK);
    const uint32_t before = live();
    note("pollers", 0);
    brood_process *process = started_process(keep_pollers, &event, sizeof event);
    assert_true(await_note("pollers", POLLERS));
    broodi_watchers_sweep();
    assert_int_equal(live(), before + POLLERS);
    kill_process(process);
    // The masks of the dead do no harm.
    assert_status(brood_event_set(event), BROOD_OK);
    assert_status(brood_poller_wait(own, &ready, 1, NULL, MEETING_PATIENCE), BROOD_OK);
    broodi_watchers_sweep();
    assert_int_equal(live(), before);
    brood_poller_destroy(own);
    assert_int_equal(live(), before - 1);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

// A mark that no watcher needs any more is removed by the next change.
static void a_mark_stays_until_the_next_change(void **state)
{
    (void)state;
    brood_event event;
    assert_status(brood_event_create(&event), BROOD_OK);
    const uint32_t index = broodi_handle_unpack(event.id).slot;
    struct broodi_event_slot *slot = broodi_slot(BROODI_EVENT, index);
    const brood_waitable waitable = brood_waitable_event(event);
    assert_int_equal(atomic_load(&slot->watched), 0);
    assert_status(brood_wait_any(&waitable, 1, BROOD_NOW, NULL), BROOD_TIMEOUT);
    assert_int_equal(atomic_load(&slot->watched), 0); // a call that does not wait marks nothing
    assert_status(brood_wait_any(&waitable, 1, BROOD_MILLISECONDS(5), NULL), BROOD_TIMEOUT);
    assert_int_equal(atomic_load(&slot->watched), BROODI_WATCHED_BY_THREADS);
    assert_status(brood_event_set(event), BROOD_OK);
    assert_int_equal(atomic_load(&slot->watched), 0);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

// A wait for a lock, between the marks and the wait for the bell, hears no ring in their place.
static void a_wait_for_a_word_takes_no_ring_of_a_watcher(void **state)
{
    (void)state;
    brood_event event;
    broodi_word other;
    assert_status(brood_event_create(&event), BROOD_OK);
    const uint32_t index = broodi_handle_unpack(event.id).slot;
    broodi_word *word = &((struct broodi_event_slot *)broodi_slot(BROODI_EVENT, index))->state;
    const uint32_t self = broodi_self_slot();
    atomic_init(&other.state, 7);
    assert_status(broodi_watch_begin(self, broodi_watch_bit(word)), BROOD_OK);
    broodi_watch_await(self, BROOD_MILLISECONDS(1)); // an earlier ring
    for (int i = 0; i < 3; i++) {
        broodi_watch_mark(word, BROODI_WATCHED_BY_THREADS);
        broodi_watch_marked();
        broodi_watch_notify(word);
        broodi_wait(&other, 7, BROODI_NONE, brood_clock() + BROOD_MILLISECONDS(1));
        const int64_t before = brood_clock();
        broodi_watch_await(self, MEETING_PATIENCE);
        assert_true(brood_clock() - before < MEETING_PATIENCE / 2);
    }
    broodi_watch_end(self);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sweep_frees_the_pollers_of_dead_processes_only),
        cmocka_unit_test(a_mark_stays_until_the_next_change),
        cmocka_unit_test(a_wait_for_a_word_takes_no_ring_of_a_watcher),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
