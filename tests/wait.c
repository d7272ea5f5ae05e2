// SPDX-License-Identifier: MIT
// Waiting for any of several things.
#include "children.h"
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"

enum { MANY = 200, WRITERS = 4, MESSAGES = 10 };

static brood_queue made_queue(size_t capacity)
{
    brood_queue queue = { 0 };
    assert_status(brood_queue_create(&queue, capacity, sizeof(uint64_t)), BROOD_OK);
    return queue;
}

static brood_event made_event(void)
{
    brood_event event = { 0 };
    assert_status(brood_event_create(&event), BROOD_OK);
    return event;
}

static brood_semaphore made_semaphore(uint32_t value)
{
    brood_semaphore semaphore = { 0 };
    assert_status(brood_semaphore_create(&semaphore, value, 0), BROOD_OK);
    return semaphore;
}

static void put_number(brood_queue queue, uint64_t number)
{
    assert_status(brood_queue_put(queue, &number, sizeof number, MEETING_PATIENCE), BROOD_OK);
}

static uint64_t got_number(brood_queue queue)
{
    uint64_t number = 0;
    assert_status(brood_queue_get(queue, &number, sizeof number, NULL, BROOD_NOW), BROOD_OK);
    return number;
}

// Expects that exactly the waitable at `expected` is ready, within the time.
static void expect_ready(const brood_waitable *waitables, size_t count, size_t expected,
                         brood_duration timeout)
{
    bool ready[MANY];
    assert_true(count <= MANY);
    memset(ready, 1, sizeof ready);
    assert_status(brood_wait_any(waitables, count, timeout, ready), BROOD_OK);
    for (size_t i = 0; i < count; i++)
        if (ready[i] != (i == expected))
            fail_msg("waitable %zu is%s ready", i, ready[i] ? "" : " not");
}

static void expect_none(const brood_waitable *waitables, size_t count)
{
    bool ready[MANY];
    assert_true(count <= MANY);
    memset(ready, 1, sizeof ready);
    assert_status(brood_wait_any(waitables, count, BROOD_NOW, ready), BROOD_TIMEOUT);
    for (size_t i = 0; i < count; i++)
        assert_false(ready[i]);
}

// Arguments

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    bool ready[2] = { true, true };
    const brood_waitable nothing_at_all = { 0 };
    const brood_waitable unknown = { .kind = 99 };
    assert_status(brood_wait_any(NULL, 1, BROOD_NOW, NULL), BROOD_INVALID);
    assert_last_error_names("brood_wait_any");
    assert_status(brood_wait_any(&nothing_at_all, 1, BROOD_NOW, NULL), BROOD_INVALID);
    assert_status(brood_wait_any(&unknown, 1, BROOD_NOW, NULL), BROOD_INVALID);
    const brood_event event = made_event();
    const brood_waitable wrong[] = {
        brood_waitable_event((brood_event){ 0 }),
        brood_waitable_semaphore((brood_semaphore){ event.id }),
        brood_waitable_queue((brood_queue){ event.id }),
        brood_waitable_queue_room((brood_queue){ event.id }),
        brood_waitable_thread(NULL),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const brood_waitable both[] = { brood_waitable_event(event), wrong[i] };
        ready[0] = ready[1] = true;
        assert_status(brood_event_set(event), BROOD_OK);
        assert_status(brood_wait_any(both, 2, BROOD_NOW, ready), BROOD_INVALID);
        assert_false(ready[0] || ready[1]);
    }
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static void a_wait_for_nothing_sleeps(void **state)
{
    (void)state;
    assert_status(brood_wait_any(NULL, 0, BROOD_NOW, NULL), BROOD_INVALID);
    assert_status(brood_wait_any(NULL, 0, BROOD_FOREVER, NULL), BROOD_INVALID);
    const int64_t before = brood_clock();
    assert_status(brood_wait_any(NULL, 0, BROOD_MILLISECONDS(30), NULL), BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
}

static void a_wait_lasts_at_least_its_timeout(void **state)
{
    (void)state;
    const brood_event event = made_event();
    const brood_waitable waitable = brood_waitable_event(event);
    const int64_t before = brood_clock();
    assert_status(brood_wait_any(&waitable, 1, BROOD_MILLISECONDS(30), NULL), BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    assert_last_error_names("brood_wait_any");
    assert_status(brood_event_destroy(event), BROOD_OK);
}

// Levels

static void each_kind_is_ready_when_its_call_would_not_wait(void **state)
{
    (void)state;
    const brood_queue empty = made_queue(2);
    const brood_queue full = made_queue(1);
    const brood_event event = made_event();
    const brood_semaphore semaphore = made_semaphore(0);
    put_number(full, 1);
    const brood_waitable all[] = { brood_waitable_queue(empty), brood_waitable_queue_room(full),
                                   brood_waitable_event(event), brood_waitable_semaphore(semaphore),
                                   brood_waitable_stop() };
    enum { ALL = sizeof all / sizeof all[0] };
    expect_none(all, ALL);
    put_number(empty, 7);
    expect_ready(all, ALL, 0, BROOD_NOW);
    expect_ready(all, ALL, 0, BROOD_FOREVER); // nothing is taken
    assert_int_equal(got_number(empty), 7);
    expect_none(all, ALL);
    assert_int_equal(got_number(full), 1);
    expect_ready(all, ALL, 1, BROOD_FOREVER);
    put_number(full, 1);
    assert_status(brood_event_set(event), BROOD_OK);
    expect_ready(all, ALL, 2, BROOD_FOREVER);
    assert_status(brood_event_clear(event), BROOD_OK);
    expect_none(all, ALL);
    assert_status(brood_semaphore_release(semaphore, 1), BROOD_OK);
    expect_ready(all, ALL, 3, BROOD_FOREVER);
    assert_status(brood_semaphore_acquire(semaphore, BROOD_NOW), BROOD_OK);
    expect_none(all, ALL);
    assert_status(brood_queue_close(empty), BROOD_OK);
    expect_ready(all, ALL, 0, BROOD_FOREVER);
    assert_status(brood_queue_destroy(empty), BROOD_OK);
    expect_ready(all, ALL, 0, BROOD_FOREVER);
    assert_status(brood_queue_destroy(full), BROOD_OK);
    assert_status(brood_event_destroy(event), BROOD_OK);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
    bool ready[ALL] = { false };
    assert_status(brood_wait_any(all, ALL, BROOD_NOW, ready), BROOD_OK);
    for (size_t i = 0; i + 1 < ALL; i++)
        assert_true(ready[i]);
    assert_false(ready[ALL - 1]);
}

static void the_same_thing_may_occur_twice(void **state)
{
    (void)state;
    bool ready[3] = { false, true, false };
    const brood_event event = made_event();
    const brood_event other = made_event();
    const brood_waitable twice[] = { brood_waitable_event(event), brood_waitable_event(other),
                                     brood_waitable_event(event) };
    assert_status(brood_event_set(event), BROOD_OK);
    assert_status(brood_wait_any(twice, 3, BROOD_NOW, ready), BROOD_OK);
    assert_true(ready[0] && !ready[1] && ready[2]);
    assert_status(brood_event_destroy(event), BROOD_OK);
    assert_status(brood_event_destroy(other), BROOD_OK);
}

// A stale handle is ready, whatever is in its slot by now.
static void a_slot_that_is_used_again_does_not_confuse(void **state)
{
    (void)state;
    const brood_event first = made_event();
    const brood_waitable waitable = brood_waitable_event(first);
    assert_status(brood_event_destroy(first), BROOD_OK);
    for (int i = 0; i < 5000; i++)
        assert_status(brood_event_destroy(made_event()), BROOD_OK);
    expect_ready(&waitable, 1, 0, BROOD_NOW);
}

// Waiting

enum what { PUT, GET, SET, PULSE, RELEASE, CLOSE, DESTROY, DESTROY_EVENT, DESTROY_SEMAPHORE };

// A change that another thread or process makes, after a pause.
struct change {
    enum what what;
    brood_queue queue;
    brood_event event;
    brood_semaphore semaphore;
};

static int make_change(void *arg)
{
    const struct change *change = arg;
    uint64_t number = 5;
    brood_sleep(BROOD_MILLISECONDS(30));
    switch (change->what) {
    case PUT:
        return (int)brood_queue_put(change->queue, &number, sizeof number, BROOD_NOW);
    case GET:
        return (int)brood_queue_get(change->queue, &number, sizeof number, NULL, BROOD_NOW);
    case SET:
        return (int)brood_event_set(change->event);
    case PULSE:
        return (int)(brood_event_set(change->event) + brood_event_clear(change->event));
    case RELEASE:
        return (int)brood_semaphore_release(change->semaphore, 1);
    case CLOSE:
        return (int)brood_queue_close(change->queue);
    case DESTROY:
        return (int)brood_queue_destroy(change->queue);
    case DESTROY_EVENT:
        return (int)brood_event_destroy(change->event);
    default:
        return (int)brood_semaphore_destroy(change->semaphore);
    }
}

// Waits among others for what the change makes ready. Well below the second after which a wait
// checks by itself, unless the machine is slow.
static void expect_change(enum what what, bool by_process)
{
    const brood_queue idle = made_queue(1);
    const struct change change = {
        .what = what, .queue = made_queue(1), .event = made_event(), .semaphore = made_semaphore(0)
    };
    if (what == GET)
        put_number(change.queue, 1);
    const brood_waitable all[] = { brood_waitable_queue(idle),
                                   what == GET ? brood_waitable_queue_room(change.queue)
                                               : brood_waitable_queue(change.queue),
                                   brood_waitable_event(change.event),
                                   brood_waitable_semaphore(change.semaphore) };
    static const size_t places[] = { [PUT] = 1,     [GET] = 1,           [SET] = 2,
                                     [PULSE] = 2,   [RELEASE] = 3,       [CLOSE] = 1,
                                     [DESTROY] = 1, [DESTROY_EVENT] = 2, [DESTROY_SEMAPHORE] = 3 };
    brood_process *process =
        by_process ? started_process(make_change, &change, sizeof change) : NULL;
    brood_thread *thread = by_process ? NULL : started_thread(make_change, &change, sizeof change);
    expect_ready(all, 4, places[what], MEETING_PATIENCE);
    if (process)
        assert_process_ends(process, 0);
    if (thread)
        assert_thread_ends(thread, 0);
    assert_status(brood_queue_destroy(idle), BROOD_OK);
    (void)!brood_queue_destroy(change.queue);
    (void)!brood_event_destroy(change.event);
    (void)!brood_semaphore_destroy(change.semaphore);
}

static void a_change_by_another_thread_ends_the_wait(void **state)
{
    (void)state;
    for (enum what what = PUT; what <= DESTROY_SEMAPHORE; what++)
        expect_change(what, false);
}

static void a_change_by_another_process_ends_the_wait(void **state)
{
    (void)state;
    expect_change(PUT, true);
    expect_change(PULSE, true);
    expect_change(RELEASE, true);
}

// Each wait that no ring ended would take a second.
static int answer(void *arg)
{
    const brood_queue *queues = arg;
    uint64_t number = 0;
    while (number < 1000) {
        const brood_waitable waitable = brood_waitable_queue(queues[0]);
        CHECK(brood_wait_any(&waitable, 1, MEETING_PATIENCE, NULL) == BROOD_OK);
        CHECK(brood_queue_get(queues[0], &number, sizeof number, NULL, BROOD_NOW) == BROOD_OK);
        CHECK(brood_queue_put(queues[1], &number, sizeof number, BROOD_NOW) == BROOD_OK);
    }
    return 0;
}

static void a_thousand_round_trips_wait_for_no_second(void **state)
{
    (void)state;
    const brood_queue queues[] = { made_queue(1), made_queue(1) };
    brood_process *process = started_process(answer, queues, sizeof queues);
    const brood_waitable waitable = brood_waitable_queue(queues[1]);
    const int64_t before = brood_clock();
    for (uint64_t number = 1; number <= 1000; number++) {
        put_number(queues[0], number);
        expect_ready(&waitable, 1, 0, MEETING_PATIENCE);
        assert_int_equal(got_number(queues[1]), number);
    }
    assert_true(foreign_is_slow() || brood_clock() - before < BROOD_SECONDS(60));
    assert_process_ends(process, 0);
    for (int i = 0; i < 2; i++)
        assert_status(brood_queue_destroy(queues[i]), BROOD_OK);
}

static void two_hundred_things_are_waited_for_at_once(void **state)
{
    (void)state;
    static brood_waitable all[MANY];
    static brood_queue queues[MANY];
    for (int i = 0; i < MANY; i++) {
        queues[i] = made_queue(1);
        all[i] = brood_waitable_queue(queues[i]);
    }
    expect_none(all, MANY);
    for (size_t i = 0; i < MANY; i += 33) {
        const struct change change = { .what = PUT, .queue = queues[i] };
        brood_thread *thread = started_thread(make_change, &change, sizeof change);
        expect_ready(all, MANY, i, MEETING_PATIENCE);
        assert_int_equal(got_number(queues[i]), 5);
        assert_thread_ends(thread, 0);
    }
    for (int i = 0; i < MANY; i++)
        assert_status(brood_queue_destroy(queues[i]), BROOD_OK);
}

struct writer {
    brood_queue queue;
    uint64_t first;
};

static int write_messages(void *arg)
{
    const struct writer *writer = arg;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        const uint64_t number = writer->first + i;
        CHECK(brood_queue_put(writer->queue, &number, sizeof number, MEETING_PATIENCE) == BROOD_OK);
        if (i % 3 == 0)
            brood_sleep(BROOD_MILLISECONDS(1));
    }
    CHECK(brood_queue_close(writer->queue) == BROOD_OK);
    return 0;
}

static void messages_of_several_writers_are_collected(void **state)
{
    (void)state;
    struct writer writers[WRITERS];
    brood_process *processes[WRITERS];
    brood_waitable open[WRITERS];
    uint64_t sum = 0;
    size_t left = WRITERS;
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ made_queue(2), i * MESSAGES };
        open[i] = brood_waitable_queue(writers[i].queue);
        processes[i] = started_process(write_messages, &writers[i], sizeof writers[i]);
    }
    while (left > 0) {
        bool ready[WRITERS];
        assert_status(brood_wait_any(open, left, MEETING_PATIENCE, ready), BROOD_OK);
        for (size_t i = left; i-- > 0;) {
            uint64_t number = 0;
            if (!ready[i])
                continue;
            const brood_status status = brood_queue_get((brood_queue){ open[i].id }, &number,
                                                        sizeof number, NULL, BROOD_NOW);
            sum += number;
            if (status == BROOD_CLOSED)
                open[i] = open[--left];
            else
                assert_status(status, BROOD_OK);
        }
    }
    assert_int_equal(sum, WRITERS * MESSAGES * (WRITERS * MESSAGES - 1) / 2);
    for (size_t i = 0; i < WRITERS; i++) {
        assert_process_ends(processes[i], 0);
        assert_status(brood_queue_destroy(writers[i].queue), BROOD_OK);
    }
}

// Takers and watchers

static int take_one(void *arg)
{
    uint64_t number;
    return (int)brood_queue_get(*(brood_queue *)arg, &number, sizeof number, NULL,
                                MEETING_PATIENCE);
}

static int watch_until_closed(void *arg)
{
    const brood_queue queue = *(brood_queue *)arg;
    const brood_waitable waitable = brood_waitable_queue(queue);
    uint64_t number;
    for (;;) {
        CHECK(brood_wait_any(&waitable, 1, MEETING_PATIENCE, NULL) == BROOD_OK);
        // Never takes anything: it only watches. A closed queue stays ready.
        const brood_status status = brood_queue_get(queue, &number, 0, NULL, BROOD_NOW);
        if (status == BROOD_CLOSED)
            return 0;
        CHECK(status == BROOD_TOO_SMALL || status == BROOD_TIMEOUT);
    }
}

// Each message wakes a taker, however many watch.
static void a_watcher_takes_no_wake_from_a_taker(void **state)
{
    (void)state;
    enum { TAKERS = 4, WATCHERS = 3 };
    brood_queue queue = made_queue(TAKERS);
    brood_thread *watchers[WATCHERS];
    for (int i = 0; i < WATCHERS; i++)
        watchers[i] = started_thread(watch_until_closed, &queue, sizeof queue);
    for (int round = 0; round < 20; round++) {
        brood_thread *takers[TAKERS];
        for (int i = 0; i < TAKERS; i++)
            takers[i] = started_thread(take_one, &queue, sizeof queue);
        brood_sleep(BROOD_MILLISECONDS(1));
        for (uint64_t i = 0; i < TAKERS; i++)
            put_number(queue, i);
        for (int i = 0; i < TAKERS; i++)
            assert_thread_ends(takers[i], BROOD_OK);
    }
    assert_status(brood_queue_close(queue), BROOD_OK);
    for (int i = 0; i < WATCHERS; i++)
        assert_thread_ends(watchers[i], 0);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// Threads and requests to stop

static int end_after_a_pause(void *arg)
{
    brood_sleep(BROOD_MILLISECONDS(30));
    return *(int *)arg;
}

static void the_end_of_a_thread_ends_the_wait(void **state)
{
    (void)state;
    int code = 17;
    const brood_event event = made_event();
    brood_thread *thread = started_thread(end_after_a_pause, &code, sizeof code);
    const brood_waitable all[] = { brood_waitable_event(event), brood_waitable_thread(thread) };
    expect_ready(all, 2, 1, MEETING_PATIENCE);
    expect_ready(all, 2, 1, BROOD_NOW);
    int ended = 0;
    assert_status(brood_thread_join(thread, BROOD_NOW, &ended), BROOD_OK);
    assert_int_equal(ended, 17);
    expect_ready(all, 2, 1, BROOD_NOW);
    brood_thread_drop(thread);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static int wait_to_stop(void *arg)
{
    const brood_event event = *(brood_event *)arg;
    const brood_waitable all[] = { brood_waitable_event(event), brood_waitable_stop() };
    bool ready[2];
    note("waits to stop", 1);
    CHECK(brood_wait_any(all, 2, MEETING_PATIENCE, ready) == BROOD_OK);
    CHECK(!ready[0] && ready[1]);
    return 0;
}

static void a_request_to_stop_ends_the_wait(void **state)
{
    (void)state;
    const brood_event event = made_event();
    note("waits to stop", 0);
    brood_thread *thread = started_thread(wait_to_stop, &event, sizeof event);
    assert_true(await_note("waits to stop", 1));
    assert_status(brood_thread_request_stop(thread), BROOD_OK);
    assert_thread_ends(thread, 0);
    note("waits to stop", 0);
    brood_process *process = started_process(wait_to_stop, &event, sizeof event);
    assert_true(await_note("waits to stop", 1));
    assert_status(brood_process_request_stop(process), BROOD_OK);
    assert_process_ends(process, 0);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

// Deaths

static int wait_for_ever(void *arg)
{
    const brood_waitable waitable = brood_waitable_queue(*(brood_queue *)arg);
    note("waits for ever", 1);
    return (int)brood_wait_any(&waitable, 1, BROOD_FOREVER, NULL);
}

static void killed_watchers_do_no_harm(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(1);
    const brood_waitable waitable = brood_waitable_queue(queue);
    for (int i = 0; i < 5; i++) {
        note("waits for ever", 0);
        brood_process *process = started_process(wait_for_ever, &queue, sizeof queue);
        assert_true(await_note("waits for ever", 1));
        brood_sleep(BROOD_MILLISECONDS(5));
        kill_process(process);
        const struct change change = { .what = PUT, .queue = queue };
        brood_thread *thread = started_thread(make_change, &change, sizeof change);
        expect_ready(&waitable, 1, 0, MEETING_PATIENCE);
        assert_int_equal(got_number(queue), 5);
        assert_thread_ends(thread, 0);
    }
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static int take_and_stay(void *arg)
{
    brood_message message;
    CHECK(brood_queue_take(*(brood_queue *)arg, &message, MEETING_PATIENCE) == BROOD_OK);
    return stay_for_ever(NULL);
}

static int reserve_and_stay(void *arg)
{
    brood_message message;
    CHECK(brood_queue_reserve(*(brood_queue *)arg, 8, &message, MEETING_PATIENCE) == BROOD_OK);
    return stay_for_ever(NULL);
}

// What a dead process has left of a queue is found, though nobody announces it.
static void what_the_dead_leave_is_ready(void **state)
{
    (void)state;
    static const brood_target targets[] = { take_and_stay, reserve_and_stay };
    for (int i = 0; i < 2; i++) {
        const brood_queue queue = made_queue(1);
        const brood_waitable waitable =
            i == 0 ? brood_waitable_queue(queue) : brood_waitable_queue_room(queue);
        if (i == 0)
            put_number(queue, 3);
        note("stays", 0);
        brood_process *process = started_process(targets[i], &queue, sizeof queue);
        assert_true(await_note("stays", 1));
        expect_none(&waitable, 1);
        kill_process(process);
        expect_ready(&waitable, 1, 0, MEETING_PATIENCE);
        expect_ready(&waitable, 1, 0, BROOD_NOW);
        assert_status(brood_queue_destroy(queue), BROOD_OK);
    }
}

// What brood_dump prints

static void find_wait(const char *text, void *user)
{
    if (strstr(text, "waits for any of 1"))
        *(bool *)user = true;
}

static void the_dump_shows_the_wait(void **state)
{
    (void)state;
    brood_queue queue = made_queue(1);
    note("waits for ever", 0);
    brood_thread *thread = started_thread(wait_for_ever, &queue, sizeof queue);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    bool found = false;
    while (!found && brood_clock() < deadline) {
        assert_status(brood_dump(find_wait, &found), BROOD_OK);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    assert_true(found);
    put_number(queue, 1);
    assert_thread_ends(thread, BROOD_OK);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_wait_for_nothing_sleeps),
        cmocka_unit_test(a_wait_lasts_at_least_its_timeout),
        cmocka_unit_test(each_kind_is_ready_when_its_call_would_not_wait),
        cmocka_unit_test(the_same_thing_may_occur_twice),
        cmocka_unit_test(a_slot_that_is_used_again_does_not_confuse),
        cmocka_unit_test(a_change_by_another_thread_ends_the_wait),
        cmocka_unit_test(a_change_by_another_process_ends_the_wait),
        cmocka_unit_test(a_thousand_round_trips_wait_for_no_second),
        cmocka_unit_test(two_hundred_things_are_waited_for_at_once),
        cmocka_unit_test(messages_of_several_writers_are_collected),
        cmocka_unit_test(a_watcher_takes_no_wake_from_a_taker),
        cmocka_unit_test(the_end_of_a_thread_ends_the_wait),
        cmocka_unit_test(a_request_to_stop_ends_the_wait),
        cmocka_unit_test(killed_watchers_do_no_harm),
        cmocka_unit_test(what_the_dead_leave_is_ready),
        cmocka_unit_test(the_dump_shows_the_wait),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
