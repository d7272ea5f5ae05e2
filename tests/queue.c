// SPDX-License-Identifier: MIT
#include "filled.h"
#include "meeting.h"

#include "../src/base/atomic.h"

enum { LARGE = 1 << 20, COUNT = 1000 };

static brood_queue made_queue(size_t capacity, size_t message_size)
{
    brood_queue queue = { 0 };
    assert_status(brood_queue_create(&queue, capacity, message_size), BROOD_OK);
    return queue;
}

static size_t count_of(brood_queue queue)
{
    size_t count = SIZE_MAX;
    assert_status(brood_queue_count(queue, &count), BROOD_OK);
    return count;
}

static void put_number(brood_queue queue, uint64_t number)
{
    assert_status(brood_queue_put(queue, &number, sizeof number, MEETING_PATIENCE), BROOD_OK);
}

static uint64_t got_number(brood_queue queue)
{
    uint64_t number = 0;
    size_t size = 0;
    assert_status(brood_queue_get(queue, &number, sizeof number, &size, MEETING_PATIENCE),
                  BROOD_OK);
    assert_int_equal(size, sizeof number);
    return number;
}

static char got_byte(brood_queue queue)
{
    char byte = 0;
    assert_status(brood_queue_get(queue, &byte, 1, NULL, BROOD_NOW), BROOD_OK);
    return byte;
}

// One thread

static void messages_leave_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(COUNT, sizeof(uint64_t));
    for (uint64_t round = 0; round < 5; round++) {
        for (uint64_t i = 0; i < COUNT; i++)
            put_number(queue, round * COUNT + i);
        assert_int_equal(count_of(queue), COUNT);
        for (uint64_t i = 0; i < COUNT; i++)
            assert_int_equal(got_number(queue), round * COUNT + i);
    }
    assert_int_equal(count_of(queue), 0);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void a_full_queue_takes_no_more(void **state)
{
    (void)state;
    uint64_t number = 0;
    const brood_queue queue = made_queue(6, sizeof number);
    for (number = 0; number < 6; number++)
        assert_status(brood_queue_put(queue, &number, sizeof number, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_put(queue, &number, sizeof number, BROOD_NOW), BROOD_TIMEOUT);
    assert_last_error_names("brood_queue_put");
    const int64_t before = brood_clock();
    assert_status(brood_queue_put(queue, &number, sizeof number, BROOD_MILLISECONDS(30)),
                  BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    assert_int_equal(count_of(queue), 6);
    assert_int_equal(got_number(queue), 0);
    assert_status(brood_queue_put(queue, &number, sizeof number, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void an_empty_queue_lets_a_consumer_wait_its_time(void **state)
{
    (void)state;
    uint64_t number;
    const brood_queue queue = made_queue(6, sizeof number);
    assert_status(brood_queue_get(queue, &number, sizeof number, NULL, BROOD_NOW), BROOD_TIMEOUT);
    const int64_t before = brood_clock();
    assert_status(brood_queue_get(queue, &number, sizeof number, NULL, BROOD_MILLISECONDS(30)),
                  BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    assert_last_error_names("brood_queue_get");
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// Sizes around those at which messages are stored in another way.
static void messages_of_any_size_come_out_as_they_went_in(void **state)
{
    static const size_t sizes[] = { 0,         1,     7,         8,        9,      63,
                                    64,        1000,  8183,      8184,     8185,   8192,
                                    30000,     65535, 65536,     65537,    100000, 524288,
                                    LARGE - 1, LARGE, LARGE + 1, 3 * LARGE };
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    (void)state;
    unsigned char *data = malloc(3 * LARGE);
    assert_non_null(data);
    const brood_queue queue = made_queue(2 * SIZES, 3 * LARGE);
    for (size_t i = 0; i < 2 * SIZES; i++) {
        fill(data, sizes[i % SIZES], i);
        assert_status(brood_queue_put(queue, data, sizes[i % SIZES], BROOD_NOW), BROOD_OK);
    }
    for (size_t i = 0; i < 2 * SIZES; i++) {
        size_t size = SIZE_MAX;
        memset(data, 0, 3 * LARGE);
        assert_status(brood_queue_get(queue, data, 3 * LARGE, &size, BROOD_NOW), BROOD_OK);
        assert_int_equal(size, sizes[i % SIZES]);
        assert_true(is_filled(data, size, i));
    }
    assert_int_equal(count_of(queue), 0);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    free(data);
}

static void empty_messages_are_counted(void **state)
{
    (void)state;
    size_t size = SIZE_MAX;
    const brood_queue queue = made_queue(3, 0);
    for (int i = 0; i < 3; i++)
        assert_status(brood_queue_put(queue, NULL, 0, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_put(queue, NULL, 0, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_queue_put(queue, "x", 1, BROOD_NOW), BROOD_TOO_LARGE);
    assert_int_equal(count_of(queue), 3);
    for (int i = 0; i < 3; i++) {
        assert_status(brood_queue_get(queue, NULL, 0, &size, BROOD_NOW), BROOD_OK);
        assert_int_equal(size, 0);
    }
    assert_status(brood_queue_get(queue, NULL, 0, NULL, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void a_message_that_is_too_large_for_the_buffer_stays(void **state)
{
    static const size_t sizes[] = { 100, 20000 };
    static unsigned char data[20000];
    (void)state;
    const brood_queue queue = made_queue(4, sizeof data);
    for (size_t i = 0; i < 2; i++) {
        size_t size = 0;
        fill(data, sizes[i], i);
        assert_status(brood_queue_put(queue, data, sizes[i], BROOD_NOW), BROOD_OK);
        assert_status(brood_queue_get(queue, data, sizes[i] - 1, &size, BROOD_NOW),
                      BROOD_TOO_SMALL);
        assert_int_equal(size, sizes[i]);
        assert_int_equal(count_of(queue), 1);
        memset(data, 0, sizeof data);
        assert_status(brood_queue_get(queue, data, sizes[i], &size, BROOD_NOW), BROOD_OK);
        assert_true(is_filled(data, size, i));
    }
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    brood_queue queue = { 0 };
    size_t count;
    char byte = 0;
    assert_status(brood_queue_create(NULL, 1, 1), BROOD_INVALID);
    assert_status(brood_queue_create(&queue, 0, 1), BROOD_INVALID);
    assert_status(brood_queue_create(&queue, (size_t)BROOD_QUEUE_CAPACITY_MAX + 1, 1),
                  BROOD_INVALID);
    assert_status(brood_queue_create(&queue, 1, SIZE_MAX), BROOD_TOO_LARGE);
    queue = made_queue(1, 10);
    assert_status(brood_queue_put(queue, NULL, 1, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_queue_put(queue, "12345678901", 11, BROOD_NOW), BROOD_TOO_LARGE);
    assert_status(brood_queue_get(queue, NULL, 1, NULL, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_queue_get_many(queue, &byte, 1, 0, NULL, NULL, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_queue_count(queue, NULL), BROOD_INVALID);
    assert_status(brood_queue_reserve(queue, 1, NULL, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_queue_take(queue, NULL, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    const brood_queue none = { 0 };
    assert_status(brood_queue_put(none, "", 0, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_queue_get(none, &byte, 1, NULL, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_queue_count(none, &count), BROOD_INVALID);
    assert_status(brood_queue_close(none), BROOD_INVALID);
    assert_status(brood_queue_clear(none, NULL), BROOD_INVALID);
    assert_status(brood_queue_destroy(none), BROOD_INVALID);
}

static void the_largest_capacity_is_a_bound_and_no_reservation(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(BROOD_QUEUE_CAPACITY_MAX, sizeof(uint64_t));
    for (uint64_t i = 0; i < 3 * COUNT; i++)
        put_number(queue, i);
    assert_int_equal(count_of(queue), 3 * COUNT);
    for (uint64_t i = 0; i < 3 * COUNT; i++)
        assert_int_equal(got_number(queue), i);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void a_changed_reservation_is_refused(void **state)
{
    (void)state;
    brood_message message = { 0 };
    const brood_queue queue = made_queue(2, 100);
    assert_status(brood_queue_reserve(queue, 10, &message, BROOD_NOW), BROOD_OK);
    brood_message changed = message;
    changed.size = 100;
    assert_status(brood_queue_commit(queue, &changed, 100), BROOD_INVALID);
    for (int bit = 0; bit < 64; bit++) {
        changed = message;
        changed.internal[0] ^= UINT64_C(1) << bit;
        assert_status(brood_queue_commit(queue, &changed, 1), BROOD_INVALID);
        brood_queue_release(queue, &changed);
    }
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_put(queue, "b", 1, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_queue_commit(queue, &message, 10), BROOD_OK);
    assert_int_equal(count_of(queue), 2);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void a_destroyed_queue_stays_stale(void **state)
{
    (void)state;
    size_t count;
    char byte;
    const brood_queue queue = made_queue(10, 1);
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    // Goes through all slots, so that another queue has reused the first one's.
    for (int i = 0; i < 2000; i++)
        assert_status(brood_queue_destroy(made_queue(1, 1)), BROOD_OK);
    assert_status(brood_queue_put(queue, "a", 1, BROOD_FOREVER), BROOD_STALE);
    assert_status(brood_queue_get(queue, &byte, 1, NULL, BROOD_FOREVER), BROOD_STALE);
    assert_status(brood_queue_count(queue, &count), BROOD_STALE);
    assert_status(brood_queue_close(queue), BROOD_STALE);
    assert_status(brood_queue_clear(queue, NULL), BROOD_STALE);
    assert_status(brood_queue_destroy(queue), BROOD_STALE);
}

static void a_closed_queue_is_drained_first(void **state)
{
    (void)state;
    uint64_t number = 0;
    const brood_queue queue = made_queue(5, sizeof number);
    put_number(queue, 1);
    put_number(queue, 2);
    assert_status(brood_queue_close(queue), BROOD_OK);
    assert_status(brood_queue_close(queue), BROOD_OK);
    assert_status(brood_queue_put(queue, &number, sizeof number, BROOD_FOREVER), BROOD_CLOSED);
    assert_last_error_names("brood_queue_put");
    assert_int_equal(got_number(queue), 1);
    assert_int_equal(got_number(queue), 2);
    assert_status(brood_queue_get(queue, &number, sizeof number, NULL, BROOD_FOREVER),
                  BROOD_CLOSED);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void clearing_throws_away_what_is_there(void **state)
{
    (void)state;
    static unsigned char data[20000];
    size_t cleared = 0;
    const brood_queue queue = made_queue(100, sizeof data);
    for (size_t i = 0; i < 100; i++)
        assert_status(brood_queue_put(queue, data, i % 2 ? sizeof data : i, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_clear(queue, &cleared), BROOD_OK);
    assert_int_equal(cleared, 100);
    assert_int_equal(count_of(queue), 0);
    assert_status(brood_queue_clear(queue, &cleared), BROOD_OK);
    assert_int_equal(cleared, 0);
    assert_status(brood_queue_put(queue, data, 5, BROOD_NOW), BROOD_OK);
    assert_int_equal(count_of(queue), 1);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// Several at once

static void a_batch_is_put_as_far_as_there_is_room(void **state)
{
    (void)state;
    uint32_t numbers[10];
    uint32_t out[10];
    size_t count = 0;
    const brood_queue queue = made_queue(7, sizeof numbers[0]);
    for (uint32_t i = 0; i < 10; i++)
        numbers[i] = i;
    assert_status(brood_queue_put_many(queue, numbers, sizeof numbers[0], 10, &count, BROOD_NOW),
                  BROOD_TIMEOUT);
    assert_int_equal(count, 7);
    size_t sizes[10];
    assert_status(brood_queue_get_many(queue, out, sizeof out[0], 5, sizes, &count, BROOD_NOW),
                  BROOD_OK);
    assert_int_equal(count, 5);
    assert_status(
        brood_queue_get_many(queue, out + 5, sizeof out[0], 5, sizes + 5, &count, BROOD_NOW),
        BROOD_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(numbers, out, 7 * sizeof numbers[0]);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(sizes[i], sizeof numbers[0]);
    assert_status(brood_queue_get_many(queue, out, sizeof out[0], 5, NULL, &count, BROOD_NOW),
                  BROOD_TIMEOUT);
    assert_int_equal(count, 0);
    assert_status(brood_queue_put_many(queue, NULL, 4, 0, &count, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_queue_put_many(queue, numbers, 4, 0, &count, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void a_batch_ends_before_a_message_that_does_not_fit(void **state)
{
    (void)state;
    char out[4][8];
    size_t sizes[4];
    size_t count = 0;
    const brood_queue queue = made_queue(10, 100);
    assert_status(brood_queue_put(queue, "one", 3, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_put(queue, "two", 3, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_put(queue, "three and more", 14, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_get_many(queue, out, 8, 4, sizes, &count, BROOD_NOW), BROOD_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(out[1], "two", 3);
    assert_status(brood_queue_get_many(queue, out, 8, 4, sizes, &count, BROOD_NOW),
                  BROOD_TOO_SMALL);
    assert_int_equal(count, 0);
    assert_int_equal(count_of(queue), 1);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// In place

static void a_message_is_written_and_read_in_place(void **state)
{
    static const size_t sizes[] = { 0, 10, 5000, 100000, 2 * LARGE };
    (void)state;
    const brood_queue queue = made_queue(2, 2 * LARGE);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        brood_message message = { 0 };
        assert_status(brood_queue_reserve(queue, sizes[i], &message, BROOD_NOW), BROOD_OK);
        assert_non_null(message.data);
        assert_int_equal((uintptr_t)message.data % 64, 0);
        fill(message.data, sizes[i], i);
        assert_int_equal(count_of(queue), 0);
        assert_status(brood_queue_commit(queue, &message, sizes[i]), BROOD_OK);
        assert_null(message.data);
        assert_int_equal(count_of(queue), 1);
        assert_status(brood_queue_take(queue, &message, BROOD_NOW), BROOD_OK);
        assert_int_equal(message.size, sizes[i]);
        assert_true(is_filled(message.data, message.size, i));
        assert_int_equal(count_of(queue), 0);
        brood_queue_release(queue, &message);
        assert_null(message.data);
        brood_queue_release(queue, &message);
    }
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void a_reservation_counts_until_it_is_given_up(void **state)
{
    (void)state;
    brood_message first = { 0 };
    brood_message second = { 0 };
    const brood_queue queue = made_queue(2, 100);
    assert_status(brood_queue_reserve(queue, 10, &first, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_put(queue, "b", 1, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_queue_reserve(queue, 10, &second, BROOD_NOW), BROOD_TIMEOUT);
    brood_queue_abort(queue, &first);
    assert_null(first.data);
    brood_queue_abort(queue, &first);
    assert_status(brood_queue_put(queue, "b", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_commit(queue, &second, 0), BROOD_INVALID);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// What the other side's calls are given by mistake stays as it is, and usable.
static void a_reservation_and_a_taken_message_are_not_mistaken(void **state)
{
    (void)state;
    brood_message reserved = { 0 };
    brood_message taken = { 0 };
    const brood_queue queue = made_queue(2, 100);
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_take(queue, &taken, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_reserve(queue, 100, &reserved, BROOD_NOW), BROOD_OK);
    brood_queue_release(queue, &reserved);
    assert_non_null(reserved.data);
    brood_queue_abort(queue, &taken);
    assert_non_null(taken.data);
    assert_status(brood_queue_commit(queue, &taken, 1), BROOD_INVALID);
    // These free what was given up: with one reservation there is room for one message.
    assert_status(brood_queue_put(queue, "b", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_put(queue, "c", 1, BROOD_NOW), BROOD_TIMEOUT);
    assert_int_equal(got_byte(queue), 'b');
    fill(reserved.data, 100, 1);
    assert_memory_equal(taken.data, "a", 1);
    assert_status(brood_queue_commit(queue, &reserved, 100), BROOD_OK);
    brood_queue_release(queue, &taken);
    assert_null(taken.data);
    assert_status(brood_queue_take(queue, &taken, BROOD_NOW), BROOD_OK);
    assert_true(taken.size == 100 && is_filled(taken.data, 100, 1));
    brood_queue_release(queue, &taken);
    assert_int_equal(count_of(queue), 0);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// A message in place, and what another thread is given of it.
struct in_place {
    brood_queue queue;
    brood_message reserved;
    brood_message taken;
};

// Returns 0 if none of the calls has any effect.
static int end_messages_of_another(void *arg)
{
    const struct in_place *in_place = arg;
    for (int turn = 0; turn < 2; turn++) {
        struct in_place own = *in_place;
        CHECK(brood_queue_commit(own.queue, &own.reserved, 100) == BROOD_INVALID);
        CHECK(strstr(brood_last_error(), "brood_queue_commit"));
        CHECK(brood_queue_commit(own.queue, &own.taken, 1) == BROOD_INVALID);
        brood_queue_abort(own.queue, &own.reserved);
        brood_queue_abort(own.queue, &own.taken);
        brood_queue_release(own.queue, &own.taken);
        brood_queue_release(own.queue, &own.reserved);
        CHECK(memcmp(&own, in_place, sizeof own) == 0);
        // The thread is not new to brood in the second turn.
        CHECK(brood_queue_put(own.queue, "x", 1, BROOD_NOW) == BROOD_TIMEOUT);
    }
    return 0;
}

static void expect_own(bool by_process)
{
    static unsigned char data[100];
    struct in_place in_place = { made_queue(1, sizeof data), { 0 }, { 0 } };
    size_t size = 0;
    fill(data, sizeof data, 2);
    assert_status(brood_queue_put(in_place.queue, data, sizeof data, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_take(in_place.queue, &in_place.taken, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_reserve(in_place.queue, 100, &in_place.reserved, BROOD_NOW),
                  BROOD_OK);
    if (by_process)
        assert_process_ends(started_process(end_messages_of_another, &in_place, sizeof in_place),
                            0);
    else
        assert_thread_ends(started_thread(end_messages_of_another, &in_place, sizeof in_place), 0);
    assert_true(is_filled(in_place.taken.data, sizeof data, 2));
    fill(in_place.reserved.data, 100, 3);
    assert_status(brood_queue_commit(in_place.queue, &in_place.reserved, 100), BROOD_OK);
    brood_queue_release(in_place.queue, &in_place.taken);
    assert_status(brood_queue_get(in_place.queue, data, sizeof data, &size, BROOD_NOW), BROOD_OK);
    assert_true(size == 100 && is_filled(data, size, 3));
    assert_status(brood_queue_get(in_place.queue, data, sizeof data, NULL, BROOD_NOW),
                  BROOD_TIMEOUT);
    assert_status(brood_queue_destroy(in_place.queue), BROOD_OK);
}

static void a_message_in_place_is_ended_by_its_thread_only(void **state)
{
    (void)state;
    expect_own(false);
    expect_own(true);
}

static void a_commit_may_be_smaller_than_the_reservation(void **state)
{
    (void)state;
    char out[10];
    size_t size = 0;
    brood_message message = { 0 };
    const brood_queue queue = made_queue(2, 100);
    assert_status(brood_queue_reserve(queue, 50, &message, BROOD_NOW), BROOD_OK);
    memcpy(message.data, "short", 5);
    assert_status(brood_queue_commit(queue, &message, 51), BROOD_INVALID);
    assert_status(brood_queue_commit(queue, &message, 5), BROOD_OK);
    assert_status(brood_queue_get(queue, out, sizeof out, &size, BROOD_NOW), BROOD_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(out, "short", 5);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void a_commit_after_the_close_is_refused(void **state)
{
    (void)state;
    brood_message message = { 0 };
    const brood_queue queue = made_queue(2, 100);
    assert_status(brood_queue_reserve(queue, 50, &message, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_close(queue), BROOD_OK);
    assert_status(brood_queue_commit(queue, &message, 50), BROOD_CLOSED);
    assert_null(message.data);
    assert_status(brood_queue_take(queue, &message, BROOD_FOREVER), BROOD_CLOSED);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// Processes

struct sender {
    brood_queue queue;
    uint64_t first;
    uint64_t count;
};

static int send_numbers(void *arg)
{
    const struct sender *sender = arg;
    for (uint64_t i = 0; i < sender->count; i++) {
        const uint64_t number = sender->first + i;
        CHECK(brood_queue_put(sender->queue, &number, sizeof number, MEETING_PATIENCE) == BROOD_OK);
    }
    return 0;
}

static void numbers_follow_those_that_were_put_before_the_start(void **state)
{
    (void)state;
    const struct sender sender = { made_queue(20, sizeof(uint64_t)), 10, 10 };
    for (uint64_t i = 0; i < 10; i++)
        put_number(sender.queue, i);
    assert_process_ends(started_process(send_numbers, &sender, sizeof sender), 0);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(got_number(sender.queue), i);
    assert_status(brood_queue_destroy(sender.queue), BROOD_OK);
}

static int send_large(void *arg)
{
    const brood_queue queue = *(brood_queue *)arg;
    unsigned char *data = malloc(LARGE);
    CHECK(data);
    fill(data, LARGE, 42);
    CHECK(brood_queue_put(queue, data, LARGE, BROOD_NOW) == BROOD_OK);
    free(data);
    return 0;
}

static void a_message_outlives_its_producer(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(1, LARGE);
    unsigned char *data = malloc(LARGE);
    size_t size = 0;
    assert_non_null(data);
    assert_process_ends(started_process(send_large, &queue, sizeof queue), 0);
    assert_status(brood_queue_get(queue, data, LARGE, &size, BROOD_NOW), BROOD_OK);
    assert_int_equal(size, LARGE);
    assert_true(is_filled(data, LARGE, 42));
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    free(data);
}

// Producers and consumers of both sorts, and messages of all sizes. The queue is small, so that
// both sides wait often.

enum { PRODUCERS = 4, CONSUMERS = 4, MESSAGES = 400 };

struct message {
    uint64_t producer;
    uint64_t number;
    unsigned char data[20000];
};

static size_t size_of(uint64_t number)
{
    return offsetof(struct message, data) + (size_t)(number * 977 % (number % 7 ? 300 : 20000));
}

struct party {
    brood_queue queue;
    uint64_t number;
    bool in_place;
};

static int produce(void *arg)
{
    const struct party *party = arg;
    struct message *message = malloc(sizeof *message);
    CHECK(message);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        brood_message place = { .data = message };
        const size_t size = size_of(i);
        const bool in_place = party->in_place && i % 3 == 0;
        if (in_place)
            CHECK(brood_queue_reserve(party->queue, size, &place, MEETING_PATIENCE) == BROOD_OK);
        struct message *out = place.data;
        out->producer = party->number;
        out->number = i;
        fill(out->data, size - offsetof(struct message, data), party->number * MESSAGES + i);
        if (in_place)
            CHECK(brood_queue_commit(party->queue, &place, size) == BROOD_OK);
        else
            CHECK(brood_queue_put(party->queue, out, size, MEETING_PATIENCE) == BROOD_OK);
    }
    free(message);
    return 0;
}

// Checks a message; `last` are the numbers of the last message of each producer, plus one.
static int check_message(const struct message *in, size_t size, uint64_t last[PRODUCERS])
{
    CHECK(in->producer < PRODUCERS && in->number < MESSAGES);
    CHECK(in->number >= last[in->producer]);
    last[in->producer] = in->number + 1;
    CHECK(size == size_of(in->number));
    CHECK(is_filled(in->data, size - offsetof(struct message, data),
                    in->producer * MESSAGES + in->number));
    return 0;
}

static int consume(void *arg)
{
    const struct party *party = arg;
    struct message *message = malloc(sizeof *message);
    uint64_t last[PRODUCERS] = { 0 };
    uint64_t got = 0;
    brood_status status;
    CHECK(message);
    do {
        brood_message place = { .data = message };
        if (party->in_place && got % 2)
            status = brood_queue_take(party->queue, &place, MEETING_PATIENCE);
        else
            status = brood_queue_get(party->queue, message, sizeof *message, &place.size,
                                     MEETING_PATIENCE);
        CHECK(status == BROOD_OK || status == BROOD_CLOSED);
        const int line = status == BROOD_OK ? check_message(place.data, place.size, last) : 0;
        if (line)
            return line;
        if (place.data != message)
            brood_queue_release(party->queue, &place);
        got += status == BROOD_OK;
    } while (status == BROOD_OK);
    free(message);
    note_of("got", (unsigned)party->number, got);
    return 0;
}

static void many_producers_and_consumers_lose_no_message(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(5, sizeof(struct message));
    brood_process *processes[2 * PRODUCERS] = { NULL };
    brood_thread *threads[2 * PRODUCERS] = { NULL };
    for (unsigned i = 0; i < 2 * PRODUCERS; i++) {
        const brood_target target = i < PRODUCERS ? produce : consume;
        const struct party party = { queue, i % PRODUCERS, i % 4 < 2 };
        if (i % 2)
            processes[i] = started_process(target, &party, sizeof party);
        else
            threads[i] = started_thread(target, &party, sizeof party);
    }
    for (unsigned i = 0; i < 2 * PRODUCERS; i++) {
        if (i == PRODUCERS)
            assert_status(brood_queue_close(queue), BROOD_OK);
        if (processes[i])
            assert_process_ends(processes[i], 0);
        else
            assert_thread_ends(threads[i], 0);
    }
    uint64_t got = 0;
    for (unsigned i = 0; i < CONSUMERS; i++)
        got += noted_of("got", i);
    assert_int_equal(got, PRODUCERS * MESSAGES);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static int wait_for_message(void *arg)
{
    char byte;
    return (int)brood_queue_get(*(brood_queue *)arg, &byte, 1, NULL, MEETING_PATIENCE);
}

static int wait_for_room(void *arg)
{
    return (int)brood_queue_put(*(brood_queue *)arg, "b", 1, MEETING_PATIENCE);
}

static void end_waiters(brood_status (*end)(brood_queue), brood_status expected)
{
    const brood_queue empty = made_queue(1, 1);
    const brood_queue full = made_queue(1, 1);
    assert_status(brood_queue_put(full, "a", 1, BROOD_NOW), BROOD_OK);
    brood_process *process = started_process(wait_for_message, &empty, sizeof empty);
    brood_thread *threads[3];
    threads[0] = started_thread(wait_for_message, &empty, sizeof empty);
    threads[1] = started_thread(wait_for_room, &full, sizeof full);
    threads[2] = started_thread(wait_for_room, &full, sizeof full);
    brood_sleep(BROOD_MILLISECONDS(50)); // most of them wait by then
    assert_status(end(empty), BROOD_OK);
    assert_status(end(full), BROOD_OK);
    for (int i = 0; i < 3; i++)
        assert_thread_ends(threads[i], (int)expected);
    assert_process_ends(process, (int)expected);
    if (expected == BROOD_CLOSED) {
        assert_status(brood_queue_destroy(empty), BROOD_OK);
        assert_status(brood_queue_destroy(full), BROOD_OK);
    }
}

static void closing_wakes_all_waiters(void **state)
{
    (void)state;
    end_waiters(brood_queue_close, BROOD_CLOSED);
}

static void destroying_wakes_all_waiters(void **state)
{
    (void)state;
    end_waiters(brood_queue_destroy, BROOD_STALE);
}

// Deaths

static int take_and_wait(void *arg)
{
    const brood_queue queue = *(brood_queue *)arg;
    brood_message message;
    CHECK(brood_queue_take(queue, &message, MEETING_PATIENCE) == BROOD_OK);
    note("taken", 1);
    brood_sleep(MEETING_PATIENCE);
    return 0;
}

static void what_a_killed_consumer_had_taken_is_delivered_again(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(10, 30000);
    static unsigned char data[30000];
    for (uint64_t i = 0; i < 2; i++) {
        const size_t size = i ? sizeof data : 100;
        size_t got = 0;
        note("taken", 0);
        fill(data, size, i);
        assert_status(brood_queue_put(queue, data, size, BROOD_NOW), BROOD_OK);
        brood_process *consumer = started_process(take_and_wait, &queue, sizeof queue);
        assert_true(await_note("taken", 1));
        assert_int_equal(count_of(queue), 0);
        assert_status(brood_queue_get(queue, data, sizeof data, &got, BROOD_NOW), BROOD_TIMEOUT);
        kill_process(consumer);
        memset(data, 0, sizeof data);
        assert_status(brood_queue_get(queue, data, sizeof data, &got, BROOD_SECONDS(10)), BROOD_OK);
        assert_int_equal(got, size);
        assert_true(is_filled(data, size, i));
    }
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static int reserve_and_wait(void *arg)
{
    const brood_queue queue = *(brood_queue *)arg;
    brood_message message;
    CHECK(brood_queue_reserve(queue, 100, &message, MEETING_PATIENCE) == BROOD_OK);
    note("reserved", 1);
    brood_sleep(MEETING_PATIENCE);
    return 0;
}

static void what_a_killed_producer_had_reserved_is_free_again(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(1, 100);
    note("reserved", 0);
    brood_process *producer = started_process(reserve_and_wait, &queue, sizeof queue);
    assert_true(await_note("reserved", 1));
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_TIMEOUT);
    kill_process(producer);
    assert_status(brood_queue_put(queue, "a", 1, BROOD_SECONDS(10)), BROOD_OK);
    assert_int_equal(count_of(queue), 1);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// A thread that returns

static int take_and_return(void *arg)
{
    brood_message message;
    return (int)brood_queue_take(*(brood_queue *)arg, &message, BROOD_NOW);
}

static void what_an_ended_thread_had_taken_stays_first_until_it_is_got(void **state)
{
    static const size_t sizes[] = { 100, 30000 };
    static unsigned char data[30000];
    (void)state;
    const brood_queue queue = made_queue(3, sizeof data);
    for (size_t i = 0; i < 2; i++) {
        size_t size = 0;
        fill(data, sizes[i], i);
        assert_status(brood_queue_put(queue, data, sizes[i], BROOD_NOW), BROOD_OK);
        assert_thread_ends(started_thread(take_and_return, &queue, sizeof queue), BROOD_OK);
        for (int again = 0; again < 2; again++)
            assert_status(brood_queue_get(queue, data, sizes[i] - 1, &size, BROOD_NOW),
                          BROOD_TOO_SMALL);
        assert_int_equal(size, sizes[i]);
        memset(data, 0, sizeof data);
        assert_status(brood_queue_get(queue, data, sizeof data, &size, BROOD_NOW), BROOD_OK);
        assert_true(size == sizes[i] && is_filled(data, size, i));
        assert_status(brood_queue_get(queue, data, sizeof data, &size, BROOD_NOW), BROOD_TIMEOUT);
    }
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void end_after_take(brood_queue queue, const char *data)
{
    assert_status(brood_queue_put(queue, data, 1, BROOD_NOW), BROOD_OK);
    assert_thread_ends(started_thread(take_and_return, &queue, sizeof queue), BROOD_OK);
}

// The queue is not empty until then. A consumer has looked in vain before.
static void what_an_ended_thread_had_taken_comes_before_a_queue_is_empty(void **state)
{
    (void)state;
    char got = 0;
    brood_message own;
    const brood_queue queue = made_queue(3, 1);
    assert_status(brood_queue_put(queue, "c", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_take(queue, &own, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_get(queue, &got, 1, NULL, BROOD_NOW), BROOD_TIMEOUT);
    end_after_take(queue, "a");
    assert_status(brood_queue_put(queue, "b", 1, BROOD_NOW), BROOD_OK);
    for (int64_t end = brood_clock() + BROOD_SECONDS(10); got != 'a' && brood_clock() < end;) {
        assert_status(brood_queue_put(queue, "b", 1, BROOD_NOW), BROOD_OK);
        assert_status(brood_queue_get(queue, &got, 1, NULL, BROOD_NOW), BROOD_OK);
    }
    assert_int_equal(got, 'a');
    assert_int_equal(count_of(queue), 2);
    brood_queue_release(queue, &own);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void clearing_throws_away_what_an_ended_thread_had_taken(void **state)
{
    (void)state;
    char got;
    size_t cleared = 0;
    brood_queue queue;
    assert_status(brood_queue_create_joinable(&queue, 3, 1), BROOD_OK);
    end_after_take(queue, "a");
    assert_status(brood_queue_put(queue, "b", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_close(queue), BROOD_OK);
    assert_status(brood_queue_clear(queue, &cleared), BROOD_OK);
    assert_int_equal(cleared, 2);
    assert_status(brood_queue_get(queue, &got, 1, NULL, BROOD_NOW), BROOD_CLOSED);
    assert_status(brood_queue_join(queue, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static int reserve_and_return(void *arg)
{
    brood_message message;
    return (int)brood_queue_reserve(*(brood_queue *)arg, 1, &message, BROOD_NOW);
}

static void what_an_ended_thread_had_reserved_is_free_again(void **state)
{
    (void)state;
    const brood_queue queue = made_queue(1, 1);
    assert_thread_ends(started_thread(reserve_and_return, &queue, sizeof queue), BROOD_OK);
    assert_status(brood_queue_put(queue, "a", 1, BROOD_NOW), BROOD_OK);
    assert_int_equal(count_of(queue), 1);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static int produce_for_ever(void *arg)
{
    static unsigned char data[10000];
    const brood_queue queue = *(brood_queue *)arg;
    for (uint64_t i = 0;; i++) {
        const size_t size = i % 3 ? 100 : sizeof data;
        fill(data, size, size);
        CHECK(brood_queue_put(queue, data, size, MEETING_PATIENCE) == BROOD_OK);
    }
}

// Each round kills a producer at a random moment. What it has put is whole, and another producer's
// messages arrive.
static void a_killed_producer_leaves_whole_messages(void **state)
{
    static unsigned char data[10000];
    (void)state;
    for (int round = 0; round < 20; round++) {
        const brood_queue queue = made_queue(8, sizeof data);
        brood_process *producer = started_process(produce_for_ever, &queue, sizeof queue);
        for (int i = 0; i < 50 + round * 7; i++)
            assert_status(brood_queue_get(queue, data, sizeof data, NULL, MEETING_PATIENCE),
                          BROOD_OK);
        assert_status(brood_process_kill(producer), BROOD_OK);
        size_t size;
        while (brood_queue_get(queue, data, sizeof data, &size, BROOD_MILLISECONDS(20)) == BROOD_OK)
            assert_true(is_filled(data, size, size));
        assert_status(brood_process_join(producer, MEETING_PATIENCE, NULL), BROOD_OK);
        brood_process_drop(producer);
        assert_status(brood_queue_put(queue, "x", 1, BROOD_SECONDS(10)), BROOD_OK);
        do
            assert_status(brood_queue_get(queue, data, sizeof data, &size, BROOD_SECONDS(10)),
                          BROOD_OK);
        while (size != 1);
        assert_status(brood_queue_destroy(queue), BROOD_OK);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_leave_in_the_order_in_which_they_came),
        cmocka_unit_test(a_full_queue_takes_no_more),
        cmocka_unit_test(an_empty_queue_lets_a_consumer_wait_its_time),
        cmocka_unit_test(messages_of_any_size_come_out_as_they_went_in),
        cmocka_unit_test(empty_messages_are_counted),
        cmocka_unit_test(a_message_that_is_too_large_for_the_buffer_stays),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(the_largest_capacity_is_a_bound_and_no_reservation),
        cmocka_unit_test(a_changed_reservation_is_refused),
        cmocka_unit_test(a_destroyed_queue_stays_stale),
        cmocka_unit_test(a_closed_queue_is_drained_first),
        cmocka_unit_test(clearing_throws_away_what_is_there),
        cmocka_unit_test(a_batch_is_put_as_far_as_there_is_room),
        cmocka_unit_test(a_batch_ends_before_a_message_that_does_not_fit),
        cmocka_unit_test(a_message_is_written_and_read_in_place),
        cmocka_unit_test(a_reservation_counts_until_it_is_given_up),
        cmocka_unit_test(a_reservation_and_a_taken_message_are_not_mistaken),
        cmocka_unit_test(a_message_in_place_is_ended_by_its_thread_only),
        cmocka_unit_test(a_commit_may_be_smaller_than_the_reservation),
        cmocka_unit_test(a_commit_after_the_close_is_refused),
        cmocka_unit_test(numbers_follow_those_that_were_put_before_the_start),
        cmocka_unit_test(a_message_outlives_its_producer),
        cmocka_unit_test(many_producers_and_consumers_lose_no_message),
        cmocka_unit_test(closing_wakes_all_waiters),
        cmocka_unit_test(destroying_wakes_all_waiters),
        cmocka_unit_test(what_a_killed_consumer_had_taken_is_delivered_again),
        cmocka_unit_test(what_a_killed_producer_had_reserved_is_free_again),
        cmocka_unit_test(what_an_ended_thread_had_taken_stays_first_until_it_is_got),
        cmocka_unit_test(what_an_ended_thread_had_reserved_is_free_again),
        cmocka_unit_test(what_an_ended_thread_had_taken_comes_before_a_queue_is_empty),
        cmocka_unit_test(clearing_throws_away_what_an_ended_thread_had_taken),
        cmocka_unit_test(a_killed_producer_leaves_whole_messages),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
