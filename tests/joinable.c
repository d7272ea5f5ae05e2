// SPDX-License-Identifier: MIT
// Joinable queues: what is done, and what is lost with a process that ends.
#include "meeting.h"

enum { LARGE = 30000 };

static brood_queue made_queue(size_t capacity, size_t message_size)
{
    brood_queue queue = { 0 };
    assert_status(brood_queue_create_joinable(&queue, capacity, message_size), BROOD_OK);
    return queue;
}

static void put_numbers(brood_queue queue, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        assert_status(brood_queue_put(queue, &i, sizeof i, BROOD_NOW), BROOD_OK);
}

static void get_number(brood_queue queue)
{
    uint64_t number;
    assert_status(brood_queue_get(queue, &number, sizeof number, NULL, MEETING_PATIENCE), BROOD_OK);
}

static void assert_joined(brood_queue queue)
{
    assert_status(brood_queue_join(queue, BROOD_NOW), BROOD_OK);
}

static void assert_not_joined(brood_queue queue)
{
    assert_status(brood_queue_join(queue, BROOD_NOW), BROOD_TIMEOUT);
}

static void a_queue_is_finished_when_each_message_is_done(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(10, LARGE);
    static unsigned char large[LARGE];
    assert_joined(queue);
    put_numbers(queue, 2);
    assert_status(brood_queue_put(queue, large, sizeof large, BROOD_NOW), BROOD_OK);
    assert_not_joined(queue);
    get_number(queue);
    get_number(queue);
    assert_status(brood_queue_task_done(queue), BROOD_OK);
    assert_status(brood_queue_task_done(queue), BROOD_OK);
    assert_not_joined(queue);
    assert_status(brood_queue_get(queue, large, sizeof large, NULL, BROOD_NOW), BROOD_OK);
    assert_not_joined(queue);
    const int64_t before = brood_clock();
    assert_status(brood_queue_join(queue, BROOD_MILLISECONDS(30)), BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    assert_last_error_names("brood_queue_join");
    assert_status(brood_queue_task_done(queue), BROOD_OK);
    assert_joined(queue);
    assert_joined(queue);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void no_more_is_done_than_was_got(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(10, 8);
    assert_status(brood_queue_task_done(queue), BROOD_INVALID);
    assert_last_error_names("brood_queue_task_done");
    put_numbers(queue, 2);
    assert_status(brood_queue_task_done(queue), BROOD_INVALID);
    get_number(queue);
    assert_status(brood_queue_task_done(queue), BROOD_OK);
    assert_status(brood_queue_task_done(queue), BROOD_INVALID);
    assert_not_joined(queue);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void only_a_joinable_queue_is_joined(void **state)
{
    (void)state;
    brood_queue queue = { 0 };
    const brood_queue none = { 0 };
    assert_status(brood_queue_create_joinable(NULL, 1, 1), BROOD_INVALID);
    assert_status(brood_queue_create_joinable(&queue, 0, 1), BROOD_INVALID);
    assert_status(brood_queue_task_done(none), BROOD_INVALID);
    assert_status(brood_queue_join(none, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_queue_create(&queue, 10, 8), BROOD_OK);
    put_numbers(queue, 1);
    get_number(queue);
    assert_status(brood_queue_task_done(queue), BROOD_WRONG_STATE);
    assert_status(brood_queue_join(queue, BROOD_FOREVER), BROOD_WRONG_STATE);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    queue = made_queue(10, 8);
    put_numbers(queue, 1);
    get_number(queue);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    assert_status(brood_queue_task_done(queue), BROOD_STALE);
    assert_status(brood_queue_join(queue, BROOD_FOREVER), BROOD_STALE);
}

static void a_batch_counts_each_of_its_messages(void **state)
{
    (void)state;
    uint64_t numbers[8];
    size_t count = 0;
    const brood_queue queue = made_queue(10, 8);
    put_numbers(queue, 5);
    assert_status(brood_queue_get_many(queue, numbers, 8, 8, NULL, &count, BROOD_NOW), BROOD_OK);
    assert_int_equal(count, 5);
    for (int i = 0; i < 5; i++) {
        assert_not_joined(queue);
        assert_status(brood_queue_task_done(queue), BROOD_OK);
    }
    assert_joined(queue);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void a_message_in_place_is_done_before_or_after_its_release(void **state)
{
    (void)state;
    brood_message message;
    const brood_queue queue = made_queue(10, LARGE);
    for (int i = 0; i < 4; i++) {
        static unsigned char data[LARGE];
        assert_status(brood_queue_put(queue, data, i < 2 ? 8 : LARGE, BROOD_NOW), BROOD_OK);
        assert_status(brood_queue_take(queue, &message, BROOD_NOW), BROOD_OK);
        assert_not_joined(queue);
        if (i % 2)
            brood_queue_release(queue, &message);
        assert_not_joined(queue);
        assert_status(brood_queue_task_done(queue), BROOD_OK);
        assert_joined(queue);
        brood_queue_release(queue, &message);
        assert_joined(queue);
        assert_status(brood_queue_task_done(queue), BROOD_INVALID);
    }
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// Joiners that wait

static int join_queue(void *arg)
{
    const brood_queue queue = *(brood_queue *)arg;
    return (int)brood_queue_join(queue, MEETING_PATIENCE);
}

// Two threads and a process that join.
struct joiners {
    brood_thread *threads[2];
    brood_process *process;
};

static struct joiners started_joiners(brood_queue queue)
{
    struct joiners joiners;
    joiners.threads[0] = started_thread(join_queue, &queue, sizeof queue);
    joiners.threads[1] = started_thread(join_queue, &queue, sizeof queue);
    joiners.process = started_process(join_queue, &queue, sizeof queue);
    brood_sleep(BROOD_MILLISECONDS(50)); // most of them wait by then
    return joiners;
}

static void assert_joiners_end(struct joiners joiners, brood_status status)
{
    assert_thread_ends(joiners.threads[0], (int)status);
    assert_thread_ends(joiners.threads[1], (int)status);
    assert_process_ends(joiners.process, (int)status);
}

static void the_last_message_done_wakes_all_that_join(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(10, 8);
    put_numbers(queue, 2);
    get_number(queue);
    const struct joiners joiners = started_joiners(queue);
    assert_status(brood_queue_close(queue), BROOD_OK); // they go on waiting
    assert_status(brood_queue_task_done(queue), BROOD_OK);
    get_number(queue);
    brood_sleep(BROOD_MILLISECONDS(10));
    assert_true(brood_thread_is_alive(joiners.threads[0]));
    assert_status(brood_queue_task_done(queue), BROOD_OK);
    assert_joiners_end(joiners, BROOD_OK);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void what_is_thrown_away_is_done(void **state)
{
    (void)state;
    size_t count = 0;
    const brood_queue queue = made_queue(10, 8);
    put_numbers(queue, 3);
    get_number(queue);
    const struct joiners joiners = started_joiners(queue);
    assert_status(brood_queue_task_done(queue), BROOD_OK);
    assert_status(brood_queue_clear(queue, &count), BROOD_OK);
    assert_int_equal(count, 2);
    assert_joiners_end(joiners, BROOD_OK);
    assert_status(brood_queue_task_done(queue), BROOD_INVALID);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void destroying_wakes_all_that_join(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(10, 8);
    put_numbers(queue, 1);
    const struct joiners joiners = started_joiners(queue);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    assert_joiners_end(joiners, BROOD_STALE);
}

// Consumers that end

struct consumer {
    brood_queue queue;
    uint64_t gets;
    uint64_t done;
    uint64_t takes; // and does not release
    bool returns;   // else waits to be killed
};

static int consume(void *arg)
{
    const struct consumer *consumer = arg;
    uint64_t number;
    brood_message message;
    for (uint64_t i = 0; i < consumer->gets; i++)
        CHECK(brood_queue_get(consumer->queue, &number, sizeof number, NULL, MEETING_PATIENCE) ==
              BROOD_OK);
    for (uint64_t i = 0; i < consumer->done; i++)
        CHECK(brood_queue_task_done(consumer->queue) == BROOD_OK);
    for (uint64_t i = 0; i < consumer->takes; i++)
        CHECK(brood_queue_take(consumer->queue, &message, MEETING_PATIENCE) == BROOD_OK);
    note("consumed", 1);
    if (!consumer->returns)
        brood_sleep(MEETING_PATIENCE);
    return 0;
}

static brood_process *started_consumer(const struct consumer *consumer)
{
    note("consumed", 0);
    brood_process *process = started_process(consume, consumer, sizeof *consumer);
    assert_true(await_note("consumed", 1));
    return process;
}

static void what_a_killed_consumer_had_not_done_is_lost_and_reported_once(void **state)
{
    (void)state;
    const struct consumer consumer = { made_queue(10, 8), 3, 1, 0, false };
    put_numbers(consumer.queue, 4);
    brood_process *process = started_consumer(&consumer);
    brood_thread *joiner = started_thread(join_queue, &consumer.queue, sizeof consumer.queue);
    brood_sleep(BROOD_MILLISECONDS(50));
    kill_process(process);
    assert_thread_ends(joiner, BROOD_PEER_DIED);
    assert_not_joined(consumer.queue); // one message is in the queue
    get_number(consumer.queue);
    assert_not_joined(consumer.queue);
    assert_status(brood_queue_task_done(consumer.queue), BROOD_OK);
    assert_joined(consumer.queue);
    assert_status(brood_queue_destroy(consumer.queue), BROOD_OK);
}

static void a_killed_consumer_that_had_done_all_is_no_loss(void **state)
{
    (void)state;
    const struct consumer consumer = { made_queue(10, 8), 2, 2, 0, false };
    put_numbers(consumer.queue, 2);
    kill_process(started_consumer(&consumer));
    assert_joined(consumer.queue);
    assert_status(brood_queue_destroy(consumer.queue), BROOD_OK);
}

static void what_a_consumer_had_not_done_when_it_returned_is_lost(void **state)
{
    (void)state;
    const struct consumer consumer = { made_queue(10, 8), 2, 1, 0, true };
    put_numbers(consumer.queue, 2);
    assert_process_ends(started_consumer(&consumer), 0);
    assert_status(brood_queue_join(consumer.queue, MEETING_PATIENCE), BROOD_PEER_DIED);
    assert_joined(consumer.queue);
    assert_status(brood_queue_destroy(consumer.queue), BROOD_OK);
}

static void what_a_dead_consumer_had_taken_is_delivered_again_and_not_lost(void **state)
{
    (void)state;
    for (int returns = 0; returns < 2; returns++) {
        const struct consumer consumer = { made_queue(10, 8), 1, 1, 2, returns };
        put_numbers(consumer.queue, 3);
        brood_process *process = started_consumer(&consumer);
        if (returns)
            assert_process_ends(process, 0);
        else
            kill_process(process);
        for (int i = 0; i < 2; i++) {
            assert_not_joined(consumer.queue);
            get_number(consumer.queue);
            assert_not_joined(consumer.queue);
            assert_status(brood_queue_task_done(consumer.queue), BROOD_OK);
        }
        assert_joined(consumer.queue);
        assert_status(brood_queue_destroy(consumer.queue), BROOD_OK);
    }
}

static void a_loss_is_reported_beside_what_is_delivered_again(void **state)
{
    (void)state;
    const struct consumer consumer = { made_queue(10, 8), 1, 0, 1, false };
    put_numbers(consumer.queue, 2);
    kill_process(started_consumer(&consumer));
    assert_status(brood_queue_join(consumer.queue, MEETING_PATIENCE), BROOD_PEER_DIED);
    assert_not_joined(consumer.queue);
    get_number(consumer.queue);
    assert_status(brood_queue_task_done(consumer.queue), BROOD_OK);
    assert_joined(consumer.queue);
    assert_status(brood_queue_destroy(consumer.queue), BROOD_OK);
}

static int take_and_return(void *arg)
{
    brood_message message;
    return (int)brood_queue_take(*(brood_queue *)arg, &message, BROOD_NOW);
}

static void what_an_ended_thread_had_taken_is_done_after_its_next_delivery(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(10, 8);
    put_numbers(queue, 1);
    assert_thread_ends(started_thread(take_and_return, &queue, sizeof queue), BROOD_OK);
    assert_not_joined(queue);
    get_number(queue);
    assert_status(brood_queue_task_done(queue), BROOD_OK);
    assert_status(brood_queue_task_done(queue), BROOD_INVALID);
    assert_joined(queue);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// Workers

enum { WORKERS = 4, TASKS = 500 };

static int work(void *arg)
{
    const brood_queue *queues = arg;
    uint64_t number;
    brood_message message;
    for (;;) {
        brood_status status = brood_queue_take(queues[0], &message, MEETING_PATIENCE);
        if (status == BROOD_CLOSED)
            return 0;
        CHECK(status == BROOD_OK && message.size == sizeof number);
        memcpy(&number, message.data, sizeof number);
        brood_queue_release(queues[0], &message);
        CHECK(brood_queue_put(queues[1], &number, sizeof number, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_queue_task_done(queues[0]) == BROOD_OK);
        status = brood_queue_get(queues[0], &number, sizeof number, NULL, BROOD_MILLISECONDS(5));
        if (status == BROOD_TIMEOUT || status == BROOD_CLOSED)
            continue;
        CHECK(status == BROOD_OK);
        CHECK(brood_queue_put(queues[1], &number, sizeof number, MEETING_PATIENCE) == BROOD_OK);
        CHECK(brood_queue_task_done(queues[0]) == BROOD_OK);
    }
}

static void a_join_waits_for_the_work_of_many(void **state)
{
    (void)state;
    brood_queue queues[2] = { made_queue(20, 8) };
    brood_process *processes[WORKERS];
    brood_thread *thread;
    assert_status(brood_queue_create(&queues[1], (size_t)2 * TASKS, 8), BROOD_OK);
    for (int i = 0; i < WORKERS; i++)
        processes[i] = started_process(work, queues, sizeof queues);
    thread = started_thread(work, queues, sizeof queues);
    for (uint64_t round = 1; round <= 2; round++) {
        size_t count = 0;
        for (uint64_t i = 0; i < TASKS; i++)
            assert_status(brood_queue_put(queues[0], &i, sizeof i, MEETING_PATIENCE), BROOD_OK);
        assert_status(brood_queue_join(queues[0], MEETING_PATIENCE), BROOD_OK);
        assert_status(brood_queue_count(queues[1], &count), BROOD_OK);
        assert_int_equal(count, round * TASKS);
    }
    assert_status(brood_queue_close(queues[0]), BROOD_OK);
    for (int i = 0; i < WORKERS; i++)
        assert_process_ends(processes[i], 0);
    assert_thread_ends(thread, 0);
    assert_joined(queues[0]);
    assert_status(brood_queue_destroy(queues[0]), BROOD_OK);
    assert_status(brood_queue_destroy(queues[1]), BROOD_OK);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_is_finished_when_each_message_is_done),
        cmocka_unit_test(no_more_is_done_than_was_got),
        cmocka_unit_test(only_a_joinable_queue_is_joined),
        cmocka_unit_test(a_batch_counts_each_of_its_messages),
        cmocka_unit_test(a_message_in_place_is_done_before_or_after_its_release),
        cmocka_unit_test(the_last_message_done_wakes_all_that_join),
        cmocka_unit_test(what_is_thrown_away_is_done),
        cmocka_unit_test(destroying_wakes_all_that_join),
        cmocka_unit_test(what_a_killed_consumer_had_not_done_is_lost_and_reported_once),
        cmocka_unit_test(a_killed_consumer_that_had_done_all_is_no_loss),
        cmocka_unit_test(what_a_consumer_had_not_done_when_it_returned_is_lost),
        cmocka_unit_test(what_a_dead_consumer_had_taken_is_delivered_again_and_not_lost),
        cmocka_unit_test(a_loss_is_reported_beside_what_is_delivered_again),
        cmocka_unit_test(what_an_ended_thread_had_taken_is_done_after_its_next_delivery),
        cmocka_unit_test(a_join_waits_for_the_work_of_many),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
