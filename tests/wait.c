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
    brood_waitable later = brood_waitable_event(event);
    later.reserved = 1;
    const brood_waitable wrong[] = {
        later,
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

enum { QUEUE, ROOM, EVENT, SEMAPHORE, STOP, KINDS };

// One thing of each kind of shared object, none of which is ready.
struct things {
    brood_queue empty;
    brood_queue full;
    brood_event event;
    brood_semaphore semaphore;
    brood_waitable all[KINDS];
};

static struct things made_things(void)
{
    struct things things = {
        made_queue(2), made_queue(1), made_event(), made_semaphore(0), { { 0 } }
    };
    put_number(things.full, 1);
    things.all[QUEUE] = brood_waitable_queue(things.empty);
    things.all[ROOM] = brood_waitable_queue_room(things.full);
    things.all[EVENT] = brood_waitable_event(things.event);
    things.all[SEMAPHORE] = brood_waitable_semaphore(things.semaphore);
    things.all[STOP] = brood_waitable_stop();
    return things;
}

static void destroy_things(const struct things *things)
{
    assert_status(brood_queue_destroy(things->empty), BROOD_OK);
    assert_status(brood_queue_destroy(things->full), BROOD_OK);
    assert_status(brood_event_destroy(things->event), BROOD_OK);
    assert_status(brood_semaphore_destroy(things->semaphore), BROOD_OK);
}

static void each_kind_is_ready_when_its_call_would_not_wait(void **state)
{
    (void)state;
    const struct things things = made_things();
    expect_none(things.all, KINDS);
    put_number(things.empty, 7);
    expect_ready(things.all, KINDS, QUEUE, BROOD_NOW);
    expect_ready(things.all, KINDS, QUEUE, BROOD_FOREVER); // nothing is taken
    assert_int_equal(got_number(things.empty), 7);
    expect_none(things.all, KINDS);
    assert_int_equal(got_number(things.full), 1);
    expect_ready(things.all, KINDS, ROOM, BROOD_FOREVER);
    put_number(things.full, 1);
    assert_status(brood_event_set(things.event), BROOD_OK);
    expect_ready(things.all, KINDS, EVENT, BROOD_FOREVER);
    assert_status(brood_event_clear(things.event), BROOD_OK);
    expect_none(things.all, KINDS);
    assert_status(brood_semaphore_release(things.semaphore, 1), BROOD_OK);
    expect_ready(things.all, KINDS, SEMAPHORE, BROOD_FOREVER);
    assert_status(brood_semaphore_acquire(things.semaphore, BROOD_NOW), BROOD_OK);
    expect_none(things.all, KINDS);
    destroy_things(&things);
}

static void what_is_closed_or_destroyed_is_ready(void **state)
{
    (void)state;
    bool ready[KINDS] = { false };
    const struct things things = made_things();
    assert_status(brood_queue_close(things.empty), BROOD_OK);
    expect_ready(things.all, KINDS, QUEUE, BROOD_FOREVER);
    destroy_things(&things);
    assert_status(brood_wait_any(things.all, KINDS, BROOD_NOW, ready), BROOD_OK);
    for (size_t i = 0; i < STOP; i++)
        assert_true(ready[i]);
    assert_false(ready[STOP]);
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

// Round trips between two processes. Each wait that no ring ended would take a second.

enum { TRIPS = 300 };

struct trips {
    brood_queue there;
    brood_queue back;
    bool by_pollers;
};

static int answer_by_poller(const struct trips *trips, brood_poller *poller)
{
    uint64_t number = 0;
    brood_ready ready;
    CHECK(brood_poller_add(poller, brood_waitable_queue(trips->there), NULL) == BROOD_OK);
    while (number < TRIPS) {
        CHECK(brood_poller_wait(poller, &ready, 1, NULL, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_queue_get(trips->there, &number, sizeof number, NULL, BROOD_NOW) == BROOD_OK);
        CHECK(brood_queue_put(trips->back, &number, sizeof number, BROOD_NOW) == BROOD_OK);
    }
    return 0;
}

static int answer(void *arg)
{
    const struct trips *trips = arg;
    const brood_waitable waitable = brood_waitable_queue(trips->there);
    uint64_t number = 0;
    if (trips->by_pollers) {
        brood_poller *poller;
        CHECK(brood_poller_create(&poller) == BROOD_OK);
        const int failed = answer_by_poller(trips, poller);
        brood_poller_destroy(poller);
        return failed;
    }
    while (number < TRIPS) {
        CHECK(brood_wait_any(&waitable, 1, MEETING_PATIENCE, NULL) == BROOD_OK);
        CHECK(brood_queue_get(trips->there, &number, sizeof number, NULL, BROOD_NOW) == BROOD_OK);
        CHECK(brood_queue_put(trips->back, &number, sizeof number, BROOD_NOW) == BROOD_OK);
    }
    return 0;
}

// With pollers, this process waits for the other one too, in one call.
static void expect_round_trips(bool by_pollers)
{
    const struct trips trips = { made_queue(1), made_queue(1), by_pollers };
    brood_process *process = started_process(answer, &trips, sizeof trips);
    const brood_waitable all[] = { brood_waitable_queue(trips.back),
                                   brood_waitable_process(process) };
    const int64_t before = brood_clock();
    for (uint64_t number = 1; number <= TRIPS; number++) {
        put_number(trips.there, number);
        assert_status(brood_wait_any(all, by_pollers ? 2 : 1, MEETING_PATIENCE, NULL), BROOD_OK);
        assert_int_equal(got_number(trips.back), number);
    }
    assert_true(foreign_is_slow() || brood_clock() - before < BROOD_SECONDS(60));
    assert_process_ends(process, 0);
    assert_status(brood_queue_destroy(trips.there), BROOD_OK);
    assert_status(brood_queue_destroy(trips.back), BROOD_OK);
}

static void round_trips_wait_for_no_second(void **state)
{
    (void)state;
    expect_round_trips(false);
    expect_round_trips(true);
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

// Processes

static void expect_the_end_of(int32_t method, bool killed)
{
    const brood_event event = made_event();
    note("leave", 0);
    brood_process *process = started_by(method, stay, NULL, 0);
    const brood_waitable all[] = { brood_waitable_event(event), brood_waitable_process(process) };
    expect_none(all, 2);
    assert_status(brood_wait_any(all, 2, BROOD_MILLISECONDS(10), NULL), BROOD_TIMEOUT);
    // A change of a word is seen while a process is waited for.
    const struct change change = { .what = SET, .event = event };
    brood_thread *thread = started_thread(make_change, &change, sizeof change);
    expect_ready(all, 2, 0, MEETING_PATIENCE);
    assert_thread_ends(thread, 0);
    assert_status(brood_event_clear(event), BROOD_OK);
    if (killed)
        assert_status(brood_process_kill(process), BROOD_OK);
    else
        note("leave", 1);
    expect_ready(all, 2, 1, MEETING_PATIENCE);
    brood_exit ended = { .kind = BROOD_RUNNING };
    assert_status(brood_process_report(process, &ended), BROOD_OK);
    assert_int_equal(ended.kind, killed ? BROOD_TERMINATED : BROOD_EXITED);
    expect_ready(all, 2, 1, BROOD_NOW);
    brood_process_drop(process);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static void the_end_of_a_child_ends_the_wait(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        expect_the_end_of(methods[i], false);
        expect_the_end_of(methods[i], true);
    }
}

static int start_a_survivor(void *arg)
{
    const brood_process_options options = { .survive_parent = true };
    (void)arg;
    CHECK(brood_process_start(NULL, stay, NULL, 0, &options) == BROOD_OK);
    note("has child", 1);
    (void)await_note("never", 1);
    return 0;
}

static void a_grandchild_that_lives_on_does_not_delay_the_end(void **state)
{
    (void)state;
    note("leave", 0);
    note("has child", 0);
    brood_process *process = started_process(start_a_survivor, NULL, 0);
    const brood_waitable waitable = brood_waitable_process(process);
    assert_true(await_note("has child", 1));
    assert_status(brood_process_kill(process), BROOD_OK);
    expect_ready(&waitable, 1, 0, MEETING_PATIENCE);
    brood_process_drop(process);
    note("leave", 1);
}

static int wait_for_the_parent(void *arg)
{
    const brood_event event = *(brood_event *)arg;
    const brood_waitable all[] = { brood_waitable_event(event), brood_waitable_parent() };
    bool ready[2];
    CHECK(brood_wait_any(all, 2, BROOD_NOW, ready) == BROOD_TIMEOUT);
    CHECK(brood_wait_any(all, 2, BROOD_MILLISECONDS(10), ready) == BROOD_TIMEOUT);
    note("orphan waits", 1);
    const brood_status status = brood_wait_any(all, 2, MEETING_PATIENCE, ready);
    note("orphan saw", status == BROOD_OK && !ready[0] && ready[1] ? 1 : 2);
    return 0;
}

static int start_an_orphan(void *arg)
{
    const brood_process_options options = { .survive_parent = true };
    CHECK(brood_process_start(NULL, wait_for_the_parent, arg, sizeof(brood_event), &options) ==
          BROOD_OK);
    (void)await_note("never", 1);
    return 0;
}

static void the_end_of_the_parent_ends_the_wait(void **state)
{
    (void)state;
    const brood_event event = made_event();
    const brood_waitable parent = brood_waitable_parent();
    assert_status(brood_wait_any(&parent, 1, BROOD_NOW, NULL), BROOD_WRONG_STATE);
    note("orphan waits", 0);
    note("orphan saw", 0);
    brood_process *process = started_process(start_an_orphan, &event, sizeof event);
    assert_true(await_note("orphan waits", 1));
    kill_process(process);
    assert_true(await_note("orphan saw", 1));
    assert_int_equal(noted("orphan saw"), 1);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

// The thing of the set that is ready is the one whose `user` is this.
static void expect_report(brood_poller *poller, const void *user)
{
    size_t found = 0;
    brood_ready ready[2];
    assert_status(brood_poller_wait(poller, ready, 2, &found, MEETING_PATIENCE), BROOD_OK);
    assert_true(found == 1 && ready[0].user == user);
}

static void many_children_are_waited_for_at_once(void **state)
{
    (void)state;
    // More than WaitForMultipleObjects takes.
    enum { CHILDREN = 70 };
    static brood_process *processes[CHILDREN];
    static brood_waitable all[CHILDREN + 1];
    const size_t count = foreign_is_slow() ? CHILDREN / 4 : CHILDREN;
    const brood_event event = made_event();
    brood_poller *poller = NULL;
    brood_ready ready;
    note("leave", 0);
    for (size_t i = 0; i < count; i++) {
        processes[i] = started_process(stay, NULL, 0);
        all[i] = brood_waitable_process(processes[i]);
    }
    all[count] = brood_waitable_event(event);
    expect_none(all, count + 1);
    kill_process(processes[count - 1]);
    processes[count - 1] = started_process(stay, NULL, 0);
    all[count - 1] = brood_waitable_process(processes[count - 1]);
    assert_status(brood_poller_create(&poller), BROOD_OK);
    for (size_t i = 0; i <= count; i++)
        assert_status(brood_poller_add(poller, all[i], &all[i]), BROOD_OK);
    assert_status(brood_poller_wait(poller, &ready, 1, NULL, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_process_kill(processes[count / 2]), BROOD_OK);
    expect_ready(all, count + 1, count / 2, MEETING_PATIENCE);
    expect_report(poller, &all[count / 2]);
    // The last of them, with the first one out of the set.
    assert_status(brood_poller_remove(poller, all[count / 2]), BROOD_OK);
    assert_status(brood_process_kill(processes[count - 1]), BROOD_OK);
    expect_report(poller, &all[count - 1]);
    brood_poller_destroy(poller);
    note("leave", 1);
    for (size_t i = 0; i < count; i++) {
        assert_status(brood_process_join(processes[i], MEETING_PATIENCE, NULL), BROOD_OK);
        brood_process_drop(processes[i]);
    }
    assert_status(brood_event_destroy(event), BROOD_OK);
}

// Connections

static int send_to_end(void *arg)
{
    brood_sleep(BROOD_MILLISECONDS(30));
    return (int)brood_connection_send(*(brood_connection *)arg, "abc", 3, MEETING_PATIENCE);
}

static int send_and_stay(void *arg)
{
    CHECK(send_to_end(arg) == BROOD_OK);
    return stay_for_ever(NULL);
}

// The other end sends a message; then it ends in order, or is killed.
static void expect_message_and_end(bool killed)
{
    char text[3];
    brood_connection ends[2];
    assert_status(brood_connection_pair(&ends[0], &ends[1], BROOD_DUPLEX), BROOD_OK);
    const brood_waitable receives = brood_waitable_connection(ends[0]);
    const brood_waitable sends = brood_waitable_connection_room(ends[0]);
    expect_none(&receives, 1);
    expect_ready(&sends, 1, 0, BROOD_NOW);
    note("stays", 0);
    brood_process *process =
        started_process(killed ? send_and_stay : send_to_end, &ends[1], sizeof ends[1]);
    expect_ready(&receives, 1, 0, MEETING_PATIENCE);
    assert_status(brood_connection_receive(ends[0], text, 3, NULL, BROOD_NOW), BROOD_OK);
    if (killed) {
        assert_true(await_note("stays", 1));
        expect_none(&receives, 1);
        assert_status(brood_process_kill(process), BROOD_OK);
    }
    expect_ready(&receives, 1, 0, MEETING_PATIENCE);
    assert_status(brood_connection_receive(ends[0], text, 3, NULL, BROOD_NOW),
                  killed ? BROOD_PEER_DIED : BROOD_CLOSED);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
    assert_status(brood_connection_destroy(ends[0]), BROOD_OK);
    expect_ready(&receives, 1, 0, BROOD_NOW);
    expect_ready(&sends, 1, 0, BROOD_NOW);
}

static void an_end_is_ready_for_a_message_and_for_the_end(void **state)
{
    (void)state;
    expect_message_and_end(false);
    expect_message_and_end(true);
}

static void a_direction_that_an_end_lacks_is_refused(void **state)
{
    (void)state;
    brood_connection ends[2];
    assert_status(brood_connection_pair(&ends[0], &ends[1], BROOD_ONE_WAY), BROOD_OK);
    const brood_waitable wrong[] = { brood_waitable_connection_room(ends[0]),
                                     brood_waitable_connection(ends[1]) };
    assert_status(brood_wait_any(&wrong[0], 1, BROOD_NOW, NULL), BROOD_WRONG_STATE);
    assert_status(brood_wait_any(&wrong[1], 1, BROOD_NOW, NULL), BROOD_WRONG_STATE);
    assert_status(brood_connection_destroy(ends[0]), BROOD_OK);
}

static int fill_until_full(void *arg)
{
    static char data[100000];
    return (int)brood_connection_send(*(brood_connection *)arg, data, sizeof data, BROOD_NOW);
}

static void an_end_is_ready_to_send_when_there_is_room(void **state)
{
    (void)state;
    static char data[100000];
    brood_connection ends[2];
    assert_status(brood_connection_pair(&ends[0], &ends[1], BROOD_DUPLEX), BROOD_OK);
    const brood_waitable sends = brood_waitable_connection_room(ends[1]);
    while (fill_until_full(&ends[1]) == BROOD_OK)
        continue;
    expect_none(&sends, 1);
    while (brood_wait_any(&sends, 1, BROOD_NOW, NULL) == BROOD_TIMEOUT)
        assert_status(brood_connection_receive(ends[0], data, sizeof data, NULL, BROOD_NOW),
                      BROOD_OK);
    assert_status(brood_connection_destroy(ends[0]), BROOD_OK);
}

// Native objects

static intptr_t native_of(brood_process *process)
{
    intptr_t native = -1;
    assert_status(brood_process_native(process, &native), BROOD_OK);
    return native;
}

static void a_native_object_is_waited_for(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(1);
    note("leave", 0);
    brood_process *process = started_process(stay, NULL, 0);
    const brood_waitable all[] = { brood_waitable_queue(queue),
                                   brood_waitable_native(native_of(process)),
                                   brood_waitable_native(native_of(process)) };
    bool ready[3] = { false };
    expect_none(all, 3);
    put_number(queue, 1);
    expect_ready(all, 3, 0, BROOD_NOW);
    (void)got_number(queue);
    note("leave", 1);
    assert_status(brood_wait_any(all, 3, MEETING_PATIENCE, ready), BROOD_OK);
    assert_true(!ready[0] && ready[1] && ready[2]);
    put_number(queue, 1);
    assert_status(brood_wait_any(all, 3, BROOD_NOW, ready), BROOD_OK);
    assert_true(ready[0] && ready[1] && ready[2]);
    assert_process_ends(process, 0);
    const brood_waitable none = brood_waitable_native(-1);
    assert_status(brood_wait_any(&none, 1, BROOD_NOW, NULL), BROOD_INVALID);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void a_pipe_is_ready_while_it_has_data(void **state)
{
    (void)state;
    intptr_t ends[2];
    char byte;
    if (!platform_has_fork()) {
        print_message("a pipe of this system cannot be waited for\n");
        skip();
    }
    platform_pipe(ends);
    const brood_waitable waitable = brood_waitable_native(ends[0]);
    expect_none(&waitable, 1);
    platform_write(ends[1], "x");
    expect_ready(&waitable, 1, 0, MEETING_PATIENCE);
    expect_ready(&waitable, 1, 0, MEETING_PATIENCE);
    assert_int_equal(platform_read(ends[0], &byte, 1), 1);
    expect_none(&waitable, 1);
    platform_close(ends[1]);
    expect_ready(&waitable, 1, 0, MEETING_PATIENCE);
    platform_close(ends[0]);
    assert_status(brood_wait_any(&waitable, 1, BROOD_NOW, NULL), BROOD_INVALID);
}

// A family in which a watcher has been rung: the first wait of each new one hears that.
static void ring_once(void)
{
    const brood_event event = made_event();
    brood_poller *poller = NULL;
    assert_status(brood_poller_create(&poller), BROOD_OK);
    assert_status(brood_poller_add(poller, brood_waitable_event(event), NULL), BROOD_OK);
    assert_status(brood_event_set(event), BROOD_OK);
    brood_poller_destroy(poller);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static void a_ring_hides_no_native_object(void **state)
{
    (void)state;
    enum { MOST = 20 };
    platform_native natives[MOST];
    brood_waitable all[MOST];
    ring_once();
    for (int i = 0; i < MOST; i++) {
        natives[i] = platform_native_create();
        platform_native_set(&natives[i], true);
        all[i] = brood_waitable_native(natives[i].object);
    }
    for (size_t count = 1; count <= MOST; count++) {
        bool ready[MOST] = { false };
        assert_status(brood_wait_any(all, count, BROOD_NOW, ready), BROOD_OK);
        for (size_t i = 0; i < count; i++)
            assert_true(ready[i]);
    }
    for (int i = 0; i < MOST; i++)
        platform_native_destroy(&natives[i]);
}

// Pollers

static brood_poller *made_poller(void)
{
    brood_poller *poller = NULL;
    assert_status(brood_poller_create(&poller), BROOD_OK);
    assert_non_null(poller);
    return poller;
}

// The `user` of the only thing that the poller reports within the time; NULL: nothing.
static void *reported(brood_poller *poller, brood_duration timeout)
{
    brood_ready ready[4];
    size_t count = 99;
    const brood_status status = brood_poller_wait(poller, ready, 4, &count, timeout);
    assert_int_equal(status, count ? BROOD_OK : BROOD_TIMEOUT);
    assert_true(count <= 1);
    return count ? ready[0].user : NULL;
}

static void bad_arguments_of_pollers_are_refused(void **state)
{
    (void)state;
    brood_ready ready;
    intptr_t native;
    size_t count = 9;
    const brood_event event = made_event();
    const brood_waitable waitable = brood_waitable_event(event);
    assert_status(brood_poller_create(NULL), BROOD_INVALID);
    assert_status(brood_poller_add(NULL, waitable, NULL), BROOD_INVALID);
    assert_last_error_names("brood_poller_add");
    assert_status(brood_poller_remove(NULL, waitable), BROOD_INVALID);
    assert_status(brood_poller_wait(NULL, &ready, 1, &count, BROOD_NOW), BROOD_INVALID);
    assert_int_equal(count, 0);
    assert_status(brood_poller_native(NULL, &native), BROOD_INVALID);
    brood_poller_destroy(NULL);
    brood_poller *poller = made_poller();
    assert_status(brood_poller_wait(poller, NULL, 1, NULL, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_poller_wait(poller, &ready, 0, NULL, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_poller_native(poller, NULL), BROOD_INVALID);
    assert_status(brood_poller_add(poller, (brood_waitable){ 0 }, NULL), BROOD_INVALID);
    assert_status(brood_poller_add(poller, brood_waitable_thread(NULL), NULL), BROOD_INVALID);
    assert_status(brood_poller_remove(poller, waitable), BROOD_NOT_FOUND);
    assert_status(brood_poller_add(poller, waitable, NULL), BROOD_OK);
    assert_status(brood_poller_add(poller, waitable, NULL), BROOD_INVALID);
    assert_status(brood_poller_remove(poller, waitable), BROOD_OK);
    assert_status(brood_poller_remove(poller, waitable), BROOD_NOT_FOUND);
    assert_status(brood_poller_wait(poller, &ready, 1, &count, BROOD_NOW), BROOD_TIMEOUT);
    brood_poller_destroy(poller);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static void a_poller_reports_what_is_ready(void **state)
{
    (void)state;
    int users[KINDS];
    const struct things things = made_things();
    brood_poller *poller = made_poller();
    for (int i = 0; i < KINDS; i++)
        assert_status(brood_poller_add(poller, things.all[i], &users[i]), BROOD_OK);
    assert_null(reported(poller, BROOD_NOW));
    for (int what = PUT; what <= RELEASE; what++) {
        static const int places[] = { QUEUE, ROOM, EVENT, EVENT, SEMAPHORE };
        const struct change change = { .what = (enum what)what,
                                       .queue = what == GET ? things.full : things.empty,
                                       .event = things.event,
                                       .semaphore = things.semaphore };
        brood_process *process = started_process(make_change, &change, sizeof change);
        assert_ptr_equal(reported(poller, MEETING_PATIENCE), &users[places[what]]);
        assert_process_ends(process, 0);
        if (what != PULSE) // which is reported once
            assert_ptr_equal(reported(poller, BROOD_NOW), &users[places[what]]);
        if (what == PUT)
            (void)got_number(things.empty);
        if (what == GET)
            put_number(things.full, 1);
        if (what == RELEASE)
            assert_status(brood_semaphore_acquire(things.semaphore, BROOD_NOW), BROOD_OK);
        assert_status(brood_event_clear(things.event), BROOD_OK);
        assert_null(reported(poller, BROOD_NOW));
    }
    assert_status(brood_semaphore_release(things.semaphore, 1), BROOD_OK);
    assert_status(brood_poller_remove(poller, things.all[SEMAPHORE]), BROOD_OK);
    assert_null(reported(poller, BROOD_NOW));
    brood_poller_destroy(poller);
    destroy_things(&things);
}

static void a_poller_remembers_a_pulse_between_its_calls(void **state)
{
    (void)state;
    int user;
    const brood_event event = made_event();
    brood_poller *poller = made_poller();
    assert_status(brood_poller_add(poller, brood_waitable_event(event), &user), BROOD_OK);
    for (int i = 0; i < 3; i++) {
        assert_null(reported(poller, BROOD_NOW));
        assert_status(brood_event_set(event), BROOD_OK);
        assert_status(brood_event_clear(event), BROOD_OK);
        assert_ptr_equal(reported(poller, BROOD_NOW), &user);
    }
    brood_poller_destroy(poller);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static void no_ready_thing_of_a_poller_starves(void **state)
{
    (void)state;
    enum { THINGS = 100, AT_ONCE = 7 };
    static brood_semaphore semaphores[THINGS];
    static int turns[THINGS];
    brood_poller *poller = made_poller();
    for (int i = 0; i < THINGS; i++) {
        turns[i] = 0;
        semaphores[i] = made_semaphore(1);
        assert_status(brood_poller_add(poller, brood_waitable_semaphore(semaphores[i]), &turns[i]),
                      BROOD_OK);
    }
    for (int i = 0; i < 3 * THINGS; i++) {
        brood_ready ready[AT_ONCE];
        size_t count = 0;
        assert_status(brood_poller_wait(poller, ready, AT_ONCE, &count, BROOD_NOW), BROOD_OK);
        assert_int_equal(count, AT_ONCE);
        for (size_t n = 0; n < count; n++)
            ++*(int *)ready[n].user;
    }
    for (int i = 0; i < THINGS; i++) {
        assert_int_equal(turns[i], 3 * AT_ONCE);
        assert_status(brood_semaphore_destroy(semaphores[i]), BROOD_OK);
    }
    brood_poller_destroy(poller);
}

// Returns how many different things of the poller are reported by calls for one at a time.
static int reported_in_turn(brood_poller *poller, int calls)
{
    int different = 0;
    for (int i = 0; i < calls; i++) {
        brood_ready ready;
        if (brood_poller_wait(poller, &ready, 1, NULL, BROOD_NOW) == BROOD_OK)
            different += ++*(int *)ready.user == 1;
    }
    return different;
}

static void no_native_object_of_a_poller_starves(void **state)
{
    (void)state;
    enum { OBJECTS = 128 };
    static platform_native natives[OBJECTS];
    static int turns[OBJECTS];
    brood_poller *poller = made_poller();
    for (int i = 0; i < OBJECTS; i++) {
        natives[i] = platform_native_create();
        platform_native_set(&natives[i], true);
        assert_status(brood_poller_add(poller, brood_waitable_native(natives[i].object), &turns[i]),
                      BROOD_OK);
    }
    assert_int_equal(reported_in_turn(poller, OBJECTS), OBJECTS);
    brood_poller_destroy(poller);
    for (int i = 0; i < OBJECTS; i++)
        platform_native_destroy(&natives[i]);
}

// The poller waits for `count` objects, which the wait resets, and for a semaphore that is ready.
static void expect_no_lost_signal(int count)
{
    enum { MOST = 80 };
    static platform_native natives[MOST];
    static int turns[MOST + 1];
    const brood_semaphore semaphore = made_semaphore(1);
    brood_poller *poller = made_poller();
    assert_status(brood_poller_add(poller, brood_waitable_semaphore(semaphore), &turns[MOST]),
                  BROOD_OK);
    turns[MOST] = 0;
    for (int i = 0; i < count; i++) {
        turns[i] = 0;
        natives[i] = platform_native_create_reset();
        platform_native_set(&natives[i], true);
        assert_status(brood_poller_add(poller, brood_waitable_native(natives[i].object), &turns[i]),
                      BROOD_OK);
    }
    assert_int_equal(reported_in_turn(poller, 3 * count + 3), count + 1);
    for (int i = 0; i < count; i++)
        assert_int_equal(turns[i], 1);
    brood_poller_destroy(poller);
    for (int i = 0; i < count; i++)
        platform_native_destroy(&natives[i]);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
}

static void a_signal_that_a_wait_resets_is_reported_once(void **state)
{
    (void)state;
    if (platform_has_fork()) {
        print_message("no object of this system is reset by a wait\n");
        skip();
    }
    expect_no_lost_signal(2);
    expect_no_lost_signal(80);
}

static void a_poller_does_not_undo_a_leave(void **state)
{
    (void)state;
    char text[3];
    brood_connection ends[2];
    brood_poller *poller = made_poller();
    assert_status(brood_connection_pair(&ends[0], &ends[1], BROOD_DUPLEX), BROOD_OK);
    assert_status(brood_poller_add(poller, brood_waitable_connection(ends[1]), NULL), BROOD_OK);
    assert_status(brood_connection_receive(ends[0], text, 3, NULL, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_connection_leave(ends[1]), BROOD_OK);
    assert_null(reported(poller, BROOD_NOW));
    assert_status(brood_connection_receive(ends[0], text, 3, NULL, BROOD_NOW), BROOD_CLOSED);
    brood_poller_destroy(poller);
    assert_status(brood_connection_destroy(ends[0]), BROOD_OK);
}

// As another loop does, which waits for the native object of the poller.
static void another_loop_waits_for_a_poller(void **state)
{
    (void)state;
    int users[2];
    intptr_t native = -1;
    const brood_queue queue = made_queue(2);
    note("leave", 0);
    brood_process *child = started_process(stay, NULL, 0);
    brood_poller *poller = made_poller();
    assert_status(brood_poller_add(poller, brood_waitable_queue(queue), &users[0]), BROOD_OK);
    assert_status(brood_poller_add(poller, brood_waitable_process(child), &users[1]), BROOD_OK);
    assert_status(brood_poller_native(poller, &native), BROOD_OK);
    assert_null(reported(poller, BROOD_NOW));
    for (int i = 0; i < 5; i++) {
        const struct change change = { .what = PUT, .queue = queue };
        brood_process *process = started_process(make_change, &change, sizeof change);
        void *user = NULL;
        while (!user) {
            assert_true(platform_is_ready(native, MEETING_PATIENCE));
            user = reported(poller, BROOD_NOW);
        }
        assert_ptr_equal(user, &users[0]);
        // It stays ready until the message is got and the poller has seen that.
        assert_true(platform_is_ready(native, BROOD_NOW));
        (void)got_number(queue);
        assert_null(reported(poller, BROOD_NOW));
        assert_process_ends(process, 0);
    }
    note("leave", 1);
    void *user = NULL;
    while (!user) {
        assert_true(platform_is_ready(native, MEETING_PATIENCE));
        user = reported(poller, BROOD_NOW);
    }
    assert_ptr_equal(user, &users[1]);
    assert_process_ends(child, 0);
    brood_poller_destroy(poller);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// What is ready when it is added makes the native object ready.
static void a_poller_is_ready_for_what_was_ready_before(void **state)
{
    (void)state;
    int user;
    intptr_t native = -1;
    const brood_semaphore semaphore = made_semaphore(1);
    brood_poller *poller = made_poller();
    assert_status(brood_poller_native(poller, &native), BROOD_OK);
    assert_null(reported(poller, BROOD_NOW));
    assert_status(brood_poller_add(poller, brood_waitable_semaphore(semaphore), &user), BROOD_OK);
    assert_true(platform_is_ready(native, BROOD_NOW));
    assert_ptr_equal(reported(poller, BROOD_NOW), &user);
    assert_true(platform_is_ready(native, BROOD_NOW));
    brood_poller_destroy(poller);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
}

static void a_poller_holds_a_thread_that_was_dropped(void **state)
{
    (void)state;
    int code = 3;
    brood_thread *thread = started_thread(end_after_a_pause, &code, sizeof code);
    brood_poller *poller = made_poller();
    assert_status(brood_poller_add(poller, brood_waitable_thread(thread), &code), BROOD_OK);
    brood_thread_drop(thread);
    assert_ptr_equal(reported(poller, MEETING_PATIENCE), &code);
    brood_poller_destroy(poller);
}

static int use_in_copy(void *arg)
{
    brood_poller *poller = *(brood_poller **)arg;
    brood_ready ready;
    CHECK(brood_poller_wait(poller, &ready, 1, NULL, BROOD_NOW) == BROOD_WRONG_STATE);
    brood_poller_destroy(poller);
    return 0;
}

// Runs before the tests that leave a thread to be reaped: a process with threads is not copied.
static void a_poller_belongs_to_its_process(void **state)
{
    (void)state;
    int user;
    const brood_event event = made_event();
    brood_poller *poller = made_poller();
    if (platform_has_fork()) {
        assert_status(brood_poller_add(poller, brood_waitable_event(event), &user), BROOD_OK);
        assert_process_ends(started_by(BROOD_START_FORK, use_in_copy, &poller, sizeof poller), 0);
        assert_status(brood_event_set(event), BROOD_OK);
        assert_ptr_equal(reported(poller, MEETING_PATIENCE), &user);
    }
    brood_poller_destroy(poller);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

static int wait_in_poller(void *arg)
{
    brood_ready ready;
    brood_status status;
    note("in poller", 1);
    do // the test may be in a call of its own
        status = brood_poller_wait(arg, &ready, 1, NULL, MEETING_PATIENCE);
    while (status == BROOD_BUSY);
    return (int)status;
}

static void a_poller_is_used_by_one_thread_at_a_time(void **state)
{
    (void)state;
    brood_ready ready;
    const brood_event event = made_event();
    brood_poller *poller = made_poller();
    assert_status(brood_poller_add(poller, brood_waitable_event(event), NULL), BROOD_OK);
    note("in poller", 0);
    brood_thread *thread = started_thread(wait_in_poller, poller, 0);
    assert_true(await_note("in poller", 1));
    while (brood_poller_wait(poller, &ready, 1, NULL, BROOD_NOW) != BROOD_BUSY)
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_status(brood_event_set(event), BROOD_OK);
    assert_thread_ends(thread, BROOD_OK);
    brood_poller_destroy(poller);
    assert_status(brood_event_destroy(event), BROOD_OK);
}

// Slots and descriptors of waits are freed, also those of a killed process.
static void waits_leave_nothing_open(void **state)
{
    (void)state;
    note("leave", 0);
    brood_process *process = started_process(stay, NULL, 0);
    const brood_waitable waitable = brood_waitable_process(process);
    for (int round = 0; round < 2; round++) {
        const size_t before = platform_descriptor_count();
        for (int i = 0; i < 100; i++) {
            assert_status(brood_wait_any(&waitable, 1, BROOD_MICROSECONDS(10), NULL),
                          BROOD_TIMEOUT);
            brood_poller *poller = made_poller();
            assert_status(brood_poller_add(poller, waitable, NULL), BROOD_OK);
            brood_poller_destroy(poller);
        }
        if (round > 0)
            assert_true(platform_descriptor_count() <= before);
    }
    end_stayer(process);
}

// The last test: from then on pollers of the family check every few milliseconds.
static int change_without_descriptors(void *arg)
{
    const struct trips *trips = arg;
    uint64_t number;
    platform_descriptors_close();
    for (int i = 0; i < 5; i++) {
        CHECK(brood_queue_get(trips->there, &number, sizeof number, NULL, MEETING_PATIENCE) ==
              BROOD_OK);
        CHECK(brood_queue_put(trips->back, &number, sizeof number, BROOD_NOW) == BROOD_OK);
    }
    return (int)brood_queue_get(trips->there, &number, sizeof number, NULL, MEETING_PATIENCE);
}

static void a_process_that_has_closed_its_descriptors_is_noticed(void **state)
{
    (void)state;
    if (!platform_has_fork()) {
        print_message("rings need no descriptor on this system\n");
        skip();
    }
    const struct trips trips = { made_queue(1), made_queue(1), true };
    brood_process *process = started_process(change_without_descriptors, &trips, sizeof trips);
    const brood_waitable all[] = { brood_waitable_queue(trips.back),
                                   brood_waitable_process(process) };
    for (uint64_t number = 1; number <= 5; number++) {
        put_number(trips.there, number);
        expect_ready(all, 2, 0, MEETING_PATIENCE);
        assert_int_equal(got_number(trips.back), number);
    }
    put_number(trips.there, 0);
    expect_ready(all, 2, 1, MEETING_PATIENCE);
    assert_process_ends(process, 0);
    assert_status(brood_queue_destroy(trips.there), BROOD_OK);
    assert_status(brood_queue_destroy(trips.back), BROOD_OK);
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

// Also beside something that is always ready.
static void what_is_ready_hides_nothing_that_the_dead_leave(void **state)
{
    (void)state;
    int users[2] = { 0 };
    const brood_queue queue = made_queue(1);
    const brood_semaphore semaphore = made_semaphore(1);
    brood_poller *poller = made_poller();
    assert_status(brood_poller_add(poller, brood_waitable_semaphore(semaphore), &users[0]),
                  BROOD_OK);
    assert_status(brood_poller_add(poller, brood_waitable_queue(queue), &users[1]), BROOD_OK);
    put_number(queue, 3);
    note("stays", 0);
    brood_process *process = started_process(take_and_stay, &queue, sizeof queue);
    assert_true(await_note("stays", 1));
    kill_process(process);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    for (size_t count = 1; count < 2 && brood_clock() < deadline;) {
        brood_ready ready[2];
        assert_status(brood_poller_wait(poller, ready, 2, &count, BROOD_NOW), BROOD_OK);
        for (size_t i = 0; i < count; i++)
            ++*(int *)ready[i].user;
    }
    assert_true(users[0] > 0 && users[1] > 0);
    assert_int_equal(reported_in_turn(poller, 2), 0);
    assert_true(users[1] > 1); // while it is there
    const brood_waitable all[] = { brood_waitable_semaphore(semaphore),
                                   brood_waitable_queue(queue) };
    bool ready[2] = { false };
    while (!ready[1] && brood_clock() < deadline)
        assert_status(brood_wait_any(all, 2, BROOD_NOW, ready), BROOD_OK);
    assert_true(ready[0] && ready[1]);
    brood_poller_destroy(poller);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    assert_status(brood_semaphore_destroy(semaphore), BROOD_OK);
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
        cmocka_unit_test(what_is_closed_or_destroyed_is_ready),
        cmocka_unit_test(the_same_thing_may_occur_twice),
        cmocka_unit_test(a_slot_that_is_used_again_does_not_confuse),
        cmocka_unit_test(a_change_by_another_thread_ends_the_wait),
        cmocka_unit_test(a_change_by_another_process_ends_the_wait),
        cmocka_unit_test(round_trips_wait_for_no_second),
        cmocka_unit_test(two_hundred_things_are_waited_for_at_once),
        cmocka_unit_test(messages_of_several_writers_are_collected),
        cmocka_unit_test(a_watcher_takes_no_wake_from_a_taker),
        cmocka_unit_test(the_end_of_a_thread_ends_the_wait),
        cmocka_unit_test(a_request_to_stop_ends_the_wait),
        cmocka_unit_test(the_end_of_a_child_ends_the_wait),
        cmocka_unit_test(a_grandchild_that_lives_on_does_not_delay_the_end),
        cmocka_unit_test(the_end_of_the_parent_ends_the_wait),
        cmocka_unit_test(many_children_are_waited_for_at_once),
        cmocka_unit_test(an_end_is_ready_for_a_message_and_for_the_end),
        cmocka_unit_test(a_direction_that_an_end_lacks_is_refused),
        cmocka_unit_test(an_end_is_ready_to_send_when_there_is_room),
        cmocka_unit_test(a_native_object_is_waited_for),
        cmocka_unit_test(a_pipe_is_ready_while_it_has_data),
        cmocka_unit_test(a_ring_hides_no_native_object),
        cmocka_unit_test(bad_arguments_of_pollers_are_refused),
        cmocka_unit_test(a_poller_belongs_to_its_process),
        cmocka_unit_test(a_poller_reports_what_is_ready),
        cmocka_unit_test(a_poller_remembers_a_pulse_between_its_calls),
        cmocka_unit_test(no_ready_thing_of_a_poller_starves),
        cmocka_unit_test(no_native_object_of_a_poller_starves),
        cmocka_unit_test(a_signal_that_a_wait_resets_is_reported_once),
        cmocka_unit_test(what_is_ready_hides_nothing_that_the_dead_leave),
        cmocka_unit_test(a_poller_does_not_undo_a_leave),
        cmocka_unit_test(another_loop_waits_for_a_poller),
        cmocka_unit_test(a_poller_is_ready_for_what_was_ready_before),
        cmocka_unit_test(a_poller_holds_a_thread_that_was_dropped),
        cmocka_unit_test(a_poller_is_used_by_one_thread_at_a_time),
        cmocka_unit_test(waits_leave_nothing_open),
        cmocka_unit_test(killed_watchers_do_no_harm),
        cmocka_unit_test(what_the_dead_leave_is_ready),
        cmocka_unit_test(the_dump_shows_the_wait),
        cmocka_unit_test(a_process_that_has_closed_its_descriptors_is_noticed),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
