// SPDX-License-Identifier: MIT
#include "filled.h"
#include "meeting.h"

#include "../src/base/atomic.h"

enum { MIB = 1 << 20, COUNT = 1000 };

struct pair {
    brood_connection a;
    brood_connection b;
};

static struct pair made_pair(brood_direction direction)
{
    struct pair pair = { { 0 }, { 0 } };
    assert_status(brood_connection_pair(&pair.a, &pair.b, direction), BROOD_OK);
    assert_true(pair.a.id != 0 && pair.b.id != 0 && pair.a.id != pair.b.id);
    return pair;
}

static void destroy(struct pair pair)
{
    assert_status(brood_connection_destroy(pair.a), BROOD_OK);
}

static void send_text(brood_connection end, const char *text)
{
    assert_status(brood_connection_send(end, text, strlen(text), MEETING_PATIENCE), BROOD_OK);
}

static void assert_receives(brood_connection end, const char *text)
{
    char buffer[64];
    size_t size = SIZE_MAX;
    assert_status(brood_connection_receive(end, buffer, sizeof buffer, &size, MEETING_PATIENCE),
                  BROOD_OK);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(buffer, text, size);
}

static brood_status receive_status(brood_connection end, brood_duration timeout)
{
    char buffer[64];
    return brood_connection_receive(end, buffer, sizeof buffer, NULL, timeout);
}

// Messages

static void messages_never_merge(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    for (int turn = 0; turn < 2; turn++) {
        const brood_connection from = turn ? pair.b : pair.a;
        const brood_connection to = turn ? pair.a : pair.b;
        send_text(from, "a");
        send_text(from, "");
        send_text(from, "b");
        send_text(from, "cd");
        assert_receives(to, "a");
        assert_receives(to, "");
        assert_receives(to, "b");
        assert_receives(to, "cd");
        assert_status(receive_status(to, BROOD_NOW), BROOD_TIMEOUT);
        assert_last_error_names("brood_connection_receive");
    }
    destroy(pair);
}

static void parts_are_one_message(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    const brood_part parts[] = { { "he", 2 }, { NULL, 0 }, { "l", 1 }, { "lo", 2 }, { NULL, 0 } };
    assert_status(brood_connection_send_parts(pair.a, parts, 5, BROOD_NOW), BROOD_OK);
    assert_status(brood_connection_send_parts(pair.a, NULL, 0, BROOD_NOW), BROOD_OK);
    assert_receives(pair.b, "hello");
    assert_receives(pair.b, "");
    assert_status(brood_connection_send_parts(pair.a, NULL, 1, BROOD_NOW), BROOD_INVALID);
    const brood_part bad[] = { { "a", 1 }, { NULL, 1 } };
    assert_status(brood_connection_send_parts(pair.a, bad, 2, BROOD_NOW), BROOD_INVALID);
    const brood_part huge[] = { { "a", SIZE_MAX }, { "b", 1 } };
    assert_status(brood_connection_send_parts(pair.a, huge, 2, BROOD_NOW), BROOD_TOO_LARGE);
    assert_last_error_names("brood_connection_send_parts");
    destroy(pair);
}

static void large_parts_are_one_message(void **state)
{
    (void)state;
    enum { SIZE = 700000 };
    const struct pair pair = made_pair(BROOD_DUPLEX);
    unsigned char *data = malloc(SIZE);
    size_t size = 0;
    assert_non_null(data);
    fill(data, SIZE, 5);
    const brood_part parts[] = { { data, 10 }, { data + 10, 300001 }, { data + 300011, 399989 } };
    assert_status(brood_connection_send_parts(pair.b, parts, 3, BROOD_NOW), BROOD_OK);
    memset(data, 0, SIZE);
    assert_status(brood_connection_receive(pair.a, data, SIZE, &size, BROOD_NOW), BROOD_OK);
    assert_int_equal(size, SIZE);
    assert_true(is_filled(data, SIZE, 5));
    destroy(pair);
    free(data);
}

static void messages_of_any_size_come_out_as_they_went_in(void **state)
{
    static const size_t sizes[] = { 0,    1,    7,     8,     63,    64,     1000,       8183,
                                    8184, 8185, 30000, 65536, 65537, 524288, MIB - 8200, MIB };
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    unsigned char *data = malloc(MIB);
    assert_non_null(data);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = SIZE_MAX;
        fill(data, sizes[i], i);
        assert_status(brood_connection_send(pair.a, data, sizes[i], BROOD_NOW), BROOD_OK);
        memset(data, 0, MIB);
        assert_status(brood_connection_receive(pair.b, data, MIB, &size, BROOD_NOW), BROOD_OK);
        assert_int_equal(size, sizes[i]);
        assert_true(is_filled(data, size, i));
    }
    destroy(pair);
    free(data);
}

static void a_small_buffer_leaves_the_message(void **state)
{
    (void)state;
    char buffer[16];
    size_t size = 0;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    send_text(pair.a, "first");
    assert_status(brood_connection_receive(pair.b, buffer, 4, &size, BROOD_NOW), BROOD_TOO_SMALL);
    assert_int_equal(size, 5);
    assert_status(brood_connection_receive(pair.b, NULL, 0, &size, BROOD_NOW), BROOD_TOO_SMALL);
    assert_status(brood_connection_receive(pair.b, NULL, 5, &size, BROOD_NOW), BROOD_INVALID);
    assert_receives(pair.b, "first");
    destroy(pair);
}

static void a_sender_waits_while_too_much_is_on_its_way(void **state)
{
    (void)state;
    enum { SIZE = 1000 };
    static const char data[SIZE];
    const struct pair pair = made_pair(BROOD_DUPLEX);
    brood_status status;
    size_t sent = 0;
    while ((status = brood_connection_send(pair.a, data, SIZE, BROOD_NOW)) == BROOD_OK)
        sent++;
    assert_status(status, BROOD_TIMEOUT);
    assert_in_range(sent, 256, 2000);
    const int64_t before = brood_clock();
    assert_status(brood_connection_send(pair.a, data, SIZE, BROOD_MILLISECONDS(30)), BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    send_text(pair.b, "the other direction is free");
    for (size_t i = 0; i < sent; i++) {
        char buffer[SIZE];
        assert_status(brood_connection_receive(pair.b, buffer, SIZE, NULL, BROOD_NOW), BROOD_OK);
    }
    assert_status(receive_status(pair.b, BROOD_NOW), BROOD_TIMEOUT);
    destroy(pair);
}

static void a_receiver_waits_its_time(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    const int64_t before = brood_clock();
    assert_status(receive_status(pair.a, BROOD_MILLISECONDS(30)), BROOD_TIMEOUT);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    assert_status(brood_connection_poll(pair.a, BROOD_MILLISECONDS(30)), BROOD_TIMEOUT);
    assert_last_error_names("brood_connection_poll");
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(60));
    destroy(pair);
}

static void poll_leaves_the_message(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    assert_status(brood_connection_poll(pair.b, BROOD_NOW), BROOD_TIMEOUT);
    send_text(pair.a, "stays");
    for (int i = 0; i < 3; i++)
        assert_status(brood_connection_poll(pair.b, BROOD_NOW), BROOD_OK);
    assert_status(brood_connection_poll(pair.a, BROOD_NOW), BROOD_TIMEOUT);
    assert_receives(pair.b, "stays");
    assert_status(brood_connection_poll(pair.b, BROOD_NOW), BROOD_TIMEOUT);
    destroy(pair);
}

static void a_one_way_connection_has_one_direction(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_ONE_WAY);
    assert_status(brood_connection_send(pair.a, "x", 1, BROOD_NOW), BROOD_WRONG_STATE);
    assert_last_error_names("brood_connection_send");
    assert_status(receive_status(pair.b, BROOD_NOW), BROOD_WRONG_STATE);
    assert_status(brood_connection_poll(pair.b, BROOD_NOW), BROOD_WRONG_STATE);
    send_text(pair.b, "one way");
    assert_receives(pair.a, "one way");
    assert_status(brood_connection_close(pair.b), BROOD_OK);
    assert_status(receive_status(pair.a, MEETING_PATIENCE), BROOD_CLOSED);
    destroy(pair);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    brood_connection end;
    assert_status(brood_connection_pair(NULL, &end, BROOD_DUPLEX), BROOD_INVALID);
    assert_status(brood_connection_pair(&end, NULL, BROOD_DUPLEX), BROOD_INVALID);
    assert_status(brood_connection_pair(&end, &end, (brood_direction)2), BROOD_INVALID);
    assert_last_error_names("brood_connection_pair");
    assert_status(brood_connection_send(pair.a, NULL, 1, BROOD_NOW), BROOD_INVALID);
    assert_status(brood_connection_send((brood_connection){ 0 }, "x", 1, BROOD_NOW), BROOD_INVALID);
    destroy(pair);
}

// The end of an end

static void a_closed_end_is_drained_by_the_other_one(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    send_text(pair.a, "one");
    send_text(pair.a, "two");
    send_text(pair.b, "is lost");
    assert_status(brood_connection_close(pair.a), BROOD_OK);
    assert_status(brood_connection_close(pair.a), BROOD_OK);
    assert_status(brood_connection_send(pair.a, "x", 1, BROOD_NOW), BROOD_CLOSED);
    assert_status(receive_status(pair.a, MEETING_PATIENCE), BROOD_CLOSED);
    assert_status(brood_connection_poll(pair.a, MEETING_PATIENCE), BROOD_CLOSED);
    assert_status(brood_connection_send(pair.b, "x", 1, MEETING_PATIENCE), BROOD_CLOSED);
    assert_receives(pair.b, "one");
    assert_status(brood_connection_poll(pair.b, BROOD_NOW), BROOD_OK);
    assert_receives(pair.b, "two");
    assert_status(receive_status(pair.b, MEETING_PATIENCE), BROOD_CLOSED);
    assert_status(brood_connection_poll(pair.b, MEETING_PATIENCE), BROOD_OK);
    destroy(pair);
}

static void both_ends_closed_are_stale(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    send_text(pair.a, "nobody receives it");
    assert_status(brood_connection_close(pair.a), BROOD_OK);
    assert_status(brood_connection_close(pair.b), BROOD_OK);
    assert_status(brood_connection_close(pair.a), BROOD_STALE);
    assert_status(receive_status(pair.b, BROOD_NOW), BROOD_STALE);
    assert_status(brood_connection_destroy(pair.b), BROOD_STALE);
}

static void a_destroyed_connection_is_stale(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    send_text(pair.a, "nobody receives it");
    assert_status(brood_connection_destroy(pair.b), BROOD_OK);
    assert_status(brood_connection_destroy(pair.b), BROOD_STALE);
    assert_status(brood_connection_destroy(pair.a), BROOD_STALE);
    assert_status(brood_connection_send(pair.a, "x", 1, BROOD_NOW), BROOD_STALE);
    assert_status(receive_status(pair.b, BROOD_NOW), BROOD_STALE);
    assert_status(brood_connection_poll(pair.b, BROOD_NOW), BROOD_STALE);
    assert_status(brood_connection_leave(pair.b), BROOD_STALE);
    assert_status(brood_connection_close(pair.b), BROOD_STALE);
    assert_last_error_names("brood_connection_close");
}

static int receive_once(void *arg)
{
    return (int)receive_status(*(brood_connection *)arg, MEETING_PATIENCE);
}

static int send_until_refused(void *arg)
{
    static const char data[100000];
    brood_status status = BROOD_OK;
    while (status == BROOD_OK)
        status =
            brood_connection_send(*(brood_connection *)arg, data, sizeof data, MEETING_PATIENCE);
    return (int)status;
}

// A receiver and a sender of the same end wait while `act` is called for the other one.
static void assert_waiters_get(brood_status (*act)(brood_connection), brood_status expected)
{
    const struct pair pair = made_pair(BROOD_DUPLEX);
    brood_thread *receiver = started_thread(receive_once, &pair.a, sizeof pair.a);
    brood_thread *sender = started_thread(send_until_refused, &pair.a, sizeof pair.a);
    brood_sleep(BROOD_MILLISECONDS(20));
    assert_status(act(pair.b), BROOD_OK);
    assert_thread_ends(receiver, (int)expected);
    assert_thread_ends(sender, (int)expected);
    (void)brood_connection_destroy(pair.a);
}

static void waiters_notice_a_close(void **state)
{
    (void)state;
    assert_waiters_get(brood_connection_close, BROOD_CLOSED);
}

static void waiters_notice_a_destruction(void **state)
{
    (void)state;
    assert_waiters_get(brood_connection_destroy, BROOD_STALE);
}

static void waiters_notice_a_close_of_their_own_end(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    brood_thread *receiver = started_thread(receive_once, &pair.a, sizeof pair.a);
    brood_thread *sender = started_thread(send_until_refused, &pair.a, sizeof pair.a);
    brood_sleep(BROOD_MILLISECONDS(20));
    assert_status(brood_connection_close(pair.a), BROOD_OK);
    assert_thread_ends(receiver, BROOD_CLOSED);
    assert_thread_ends(sender, BROOD_CLOSED);
    destroy(pair);
}

// Users

static brood_status use_and_leave(brood_connection end)
{
    const brood_status status = brood_connection_poll(end, BROOD_NOW);
    return status == BROOD_OK || status == BROOD_TIMEOUT ? brood_connection_leave(end) : status;
}

static void waiters_notice_that_the_last_user_has_left(void **state)
{
    (void)state;
    assert_waiters_get(use_and_leave, BROOD_CLOSED);
}

static void an_end_that_was_left_may_be_used_again(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    send_text(pair.a, "before the first user");
    assert_receives(pair.b, "before the first user");
    send_text(pair.b, "before the leave");
    assert_status(brood_connection_leave(pair.b), BROOD_OK);
    assert_status(brood_connection_leave(pair.b), BROOD_OK);
    assert_status(brood_connection_send(pair.a, "x", 1, MEETING_PATIENCE), BROOD_CLOSED);
    assert_receives(pair.a, "before the leave");
    assert_status(receive_status(pair.a, MEETING_PATIENCE), BROOD_CLOSED);
    assert_status(receive_status(pair.b, BROOD_NOW), BROOD_TIMEOUT);
    send_text(pair.a, "again");
    assert_receives(pair.b, "again");
    assert_status(receive_status(pair.a, BROOD_NOW), BROOD_TIMEOUT);
    destroy(pair);
}

static int echo_once(void *arg)
{
    char buffer[64];
    size_t size;
    const brood_connection end = *(brood_connection *)arg;
    CHECK(brood_connection_receive(end, buffer, sizeof buffer, &size, MEETING_PATIENCE) ==
          BROOD_OK);
    CHECK(brood_connection_send(end, buffer, size, MEETING_PATIENCE) == BROOD_OK);
    return 0;
}

static void the_other_end_notices_an_orderly_end(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    brood_process *process = started_process(echo_once, &pair.b, sizeof pair.b);
    send_text(pair.a, "hello");
    assert_receives(pair.a, "hello");
    assert_status(receive_status(pair.a, MEETING_PATIENCE), BROOD_CLOSED);
    assert_process_ends(process, 0);
    assert_status(brood_connection_send(pair.a, "x", 1, MEETING_PATIENCE), BROOD_CLOSED);
    // A server that is started again takes up the end.
    process = started_process(echo_once, &pair.b, sizeof pair.b);
    brood_status status = BROOD_CLOSED;
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (status == BROOD_CLOSED && brood_clock() < deadline) {
        status = brood_connection_send(pair.a, "again", 5, MEETING_PATIENCE);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    assert_status(status, BROOD_OK);
    assert_receives(pair.a, "again");
    assert_process_ends(process, 0);
    destroy(pair);
}

static int echo_for_ever(void *arg)
{
    while (echo_once(arg) == 0)
        continue;
    return 1;
}

static void the_other_end_notices_a_kill(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    for (int turn = 0; turn < 3; turn++) {
        brood_process *process = started_process(echo_for_ever, &pair.b, sizeof pair.b);
        // The last server is known to have died until this one uses the end.
        brood_status status = BROOD_PEER_DIED;
        const int64_t deadline = brood_clock() + MEETING_PATIENCE;
        while (status == BROOD_PEER_DIED && brood_clock() < deadline) {
            status = brood_connection_send(pair.a, "hello", 5, MEETING_PATIENCE);
            brood_sleep(BROOD_MILLISECONDS(1));
        }
        assert_status(status, BROOD_OK);
        assert_receives(pair.a, "hello");
        assert_status(brood_process_kill(process), BROOD_OK);
        assert_status(receive_status(pair.a, MEETING_PATIENCE), BROOD_PEER_DIED);
        assert_status(brood_connection_send(pair.a, "x", 1, MEETING_PATIENCE), BROOD_PEER_DIED);
        assert_status(brood_connection_poll(pair.a, MEETING_PATIENCE), BROOD_OK);
        assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
        brood_process_drop(process);
    }
    destroy(pair);
}

static int send_and_stay(void *arg)
{
    const brood_connection end = *(brood_connection *)arg;
    CHECK(brood_connection_send(end, "last words", 10, MEETING_PATIENCE) == BROOD_OK);
    note("said", 1);
    brood_sleep(MEETING_PATIENCE);
    return 0;
}

static void what_a_dead_sender_has_sent_is_received(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    note("said", 0);
    brood_process *process = started_process(send_and_stay, &pair.b, sizeof pair.b);
    assert_true(await_note("said", 1));
    kill_process(process);
    assert_receives(pair.a, "last words");
    assert_status(receive_status(pair.a, MEETING_PATIENCE), BROOD_PEER_DIED);
    destroy(pair);
}

// Several threads and processes at each end

enum { MEMBERS = 3, MESSAGES = 300 };

struct message {
    uint64_t sender;
    uint64_t number;
    unsigned char data[20000];
};

static size_t size_of(uint64_t number)
{
    return offsetof(struct message, data) + (size_t)(number * 977 % (number % 7 ? 300 : 20000));
}

struct member {
    brood_connection end;
    uint64_t number;
};

static int send_many(void *arg)
{
    const struct member *member = arg;
    struct message *message = malloc(sizeof *message);
    CHECK(message);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        message->sender = member->number;
        message->number = i;
        fill(message->data, size_of(i) - offsetof(struct message, data), i);
        const brood_status status =
            brood_connection_send(member->end, message, size_of(i), MEETING_PATIENCE);
        if (status != BROOD_OK)
            print_error("message %llu: %s: %s\n", (unsigned long long)i, brood_status_name(status),
                        brood_last_error());
        CHECK(status == BROOD_OK);
    }
    free(message);
    return 0;
}

// Receives until the end, and checks that those of each sender come in order.
static int receive_many(void *arg)
{
    const struct member *member = arg;
    struct message *message = malloc(sizeof *message);
    uint64_t next[MEMBERS] = { 0 };
    uint64_t count = 0;
    size_t size;
    brood_status status;
    CHECK(message);
    while ((status = brood_connection_receive(member->end, message, sizeof *message, &size,
                                              MEETING_PATIENCE)) == BROOD_OK) {
        CHECK(message->sender < MEMBERS && message->number >= next[message->sender]);
        CHECK(size == size_of(message->number));
        CHECK(is_filled(message->data, size - offsetof(struct message, data), message->number));
        next[message->sender] = message->number + 1;
        count++;
    }
    CHECK(status == BROOD_CLOSED);
    note_of("received", (unsigned)member->number, count);
    free(message);
    return 0;
}

static void several_processes_share_an_end(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    brood_process *processes[2][MEMBERS - 1];
    brood_thread *threads[2];
    // From now on this process is a user of the end that sends: so the receivers do not see an end
    // when one sender has gone before the next has begun.
    assert_status(brood_connection_poll(pair.a, BROOD_NOW), BROOD_TIMEOUT);
    for (int side = 0; side < 2; side++) {
        struct member member = { .end = side ? pair.b : pair.a };
        for (; member.number < MEMBERS - 1; member.number++)
            processes[side][member.number] =
                started_process(side ? receive_many : send_many, &member, sizeof member);
        threads[side] = started_thread(side ? receive_many : send_many, &member, sizeof member);
    }
    for (int i = 0; i < MEMBERS - 1; i++)
        assert_process_ends(processes[0][i], 0);
    assert_thread_ends(threads[0], 0);
    assert_status(brood_connection_close(pair.a), BROOD_OK);
    for (int i = 0; i < MEMBERS - 1; i++)
        assert_process_ends(processes[1][i], 0);
    assert_thread_ends(threads[1], 0);
    uint64_t received = 0;
    for (unsigned i = 0; i < MEMBERS; i++)
        received += noted_of("received", i);
    assert_int_equal(received, (uint64_t)MEMBERS * MESSAGES);
    destroy(pair);
}

// Large messages

enum { BULK = 16 * MIB };

static int exchange(void *arg)
{
    const struct member *member = arg;
    unsigned char *data = malloc(BULK);
    size_t size = 0;
    CHECK(data);
    for (uint64_t turn = 0; turn < 2; turn++) {
        fill(data, BULK, turn);
        if (turn == member->number)
            CHECK(brood_connection_send(member->end, data, BULK, MEETING_PATIENCE) == BROOD_OK);
        memset(data, 0, BULK);
        if (turn != member->number) {
            CHECK(brood_connection_receive(member->end, data, BULK, &size, MEETING_PATIENCE) ==
                  BROOD_OK);
            CHECK(size == BULK && is_filled(data, BULK, turn));
        }
    }
    free(data);
    return 0;
}

static void sixteen_mebibytes_pass_both_ways(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    struct member here = { pair.a, 0 };
    const struct member there = { pair.b, 1 };
    brood_process *process = started_process(exchange, &there, sizeof there);
    assert_int_equal(exchange(&here), 0);
    assert_process_ends(process, 0);
    destroy(pair);
}

static unsigned char *made_data(size_t size, uint64_t message)
{
    unsigned char *data = malloc(size);
    assert_non_null(data);
    fill(data, size, message);
    return data;
}

static void a_large_message_that_times_out_never_appears(void **state)
{
    (void)state;
    enum { SIZE = 3 * MIB };
    const struct pair pair = made_pair(BROOD_DUPLEX);
    unsigned char *data = made_data(SIZE, 1);
    for (int i = 0; i < 3; i++)
        assert_status(brood_connection_send(pair.a, data, SIZE, BROOD_MILLISECONDS(i ? 10 : 0)),
                      BROOD_TIMEOUT);
    assert_status(brood_connection_receive(pair.b, data, SIZE, NULL, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_connection_poll(pair.b, BROOD_NOW), BROOD_TIMEOUT);
    send_text(pair.a, "next");
    assert_receives(pair.b, "next");
    destroy(pair);
    free(data);
}

struct bulk {
    brood_connection end;
    size_t size;
    uint64_t message;
};

static int send_bulk(void *arg)
{
    const struct bulk *bulk = arg;
    unsigned char *data = malloc(bulk->size);
    CHECK(data);
    fill(data, bulk->size, bulk->message);
    const brood_status status =
        brood_connection_send(bulk->end, data, bulk->size, MEETING_PATIENCE);
    free(data);
    return (int)status;
}

static void a_small_buffer_leaves_a_large_message(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    const struct bulk bulk = { pair.a, 3 * MIB, 7 };
    brood_process *process = started_process(send_bulk, &bulk, sizeof bulk);
    unsigned char *data = malloc(bulk.size);
    size_t size = 0;
    assert_non_null(data);
    assert_status(brood_connection_poll(pair.b, MEETING_PATIENCE), BROOD_OK);
    assert_status(brood_connection_receive(pair.b, data, MIB, &size, MEETING_PATIENCE),
                  BROOD_TOO_SMALL);
    assert_int_equal(size, bulk.size);
    assert_status(brood_connection_receive(pair.b, data, bulk.size, &size, MEETING_PATIENCE),
                  BROOD_OK);
    assert_true(size == bulk.size && is_filled(data, size, bulk.message));
    assert_process_ends(process, 0);
    destroy(pair);
    free(data);
}

// The receiver's time is over again and again.
static void a_receiver_whose_time_is_over_loses_nothing(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    unsigned char *data = malloc(BULK);
    assert_non_null(data);
    for (uint64_t message = 0; message < 3; message++) {
        const struct bulk bulk = { pair.a, BULK, message };
        brood_thread *thread = started_thread(send_bulk, &bulk, sizeof bulk);
        brood_status status;
        size_t size = 0;
        unsigned times = 0;
        do {
            memset(data, 0, BULK);
            status = brood_connection_receive(pair.b, data, BULK, &size, BROOD_MICROSECONDS(1));
            times++;
        } while (status == BROOD_TIMEOUT);
        assert_status(status, BROOD_OK);
        assert_true(size == BULK && is_filled(data, BULK, message));
        assert_thread_ends(thread, 0);
        print_message("%u calls\n", times);
    }
    destroy(pair);
    free(data);
}

static int begin_bulk(void *arg)
{
    const struct bulk *bulk = arg;
    unsigned char *data = malloc(bulk->size);
    CHECK(data);
    fill(data, bulk->size, bulk->message);
    note("sends", 1);
    (void)!brood_connection_send(bulk->end, data, bulk->size, MEETING_PATIENCE);
    return 1; // the other end does not receive all of it
}

static void a_large_message_of_a_dead_sender_is_forgotten(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    const struct bulk bulk = { pair.a, BULK, 7 };
    unsigned char *data = malloc(BULK);
    size_t size = 0;
    assert_non_null(data);
    brood_process *process = started_process(begin_bulk, &bulk, sizeof bulk);
    // A part of it is received.
    while (brood_connection_receive(pair.b, data, MIB, &size, MEETING_PATIENCE) != BROOD_TOO_SMALL)
        continue;
    assert_int_equal(size, BULK);
    assert_status(brood_process_kill(process), BROOD_OK);
    const brood_status status =
        brood_connection_receive(pair.b, data, BULK, &size, MEETING_PATIENCE);
    assert_status(status, BROOD_PEER_DIED);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
    send_text(pair.a, "next");
    assert_receives(pair.b, "next");
    destroy(pair);
    free(data);
}

static int receive_and_stay(void *arg)
{
    const struct bulk *bulk = arg;
    unsigned char *data = malloc(bulk->size);
    CHECK(data);
    (void)!brood_connection_receive(bulk->end, data, bulk->size, NULL, MEETING_PATIENCE);
    return 1;
}

// The sender is told of the death, and the message is not received in part.
static void a_large_message_to_a_dead_receiver_is_lost(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_DUPLEX);
    const struct bulk bulk = { pair.b, 3 * BULK, 7 };
    brood_process *process = started_process(receive_and_stay, &bulk, sizeof bulk);
    const struct bulk endless = { pair.a, 2 * BULK, 7 };
    brood_thread *thread = started_thread(send_bulk, &endless, sizeof endless);
    kill_process(process);
    // Whether the process had become a user, and how far it came, is not known.
    unsigned char *data = malloc(2 * BULK);
    size_t size = 0;
    assert_non_null(data);
    int code = -1;
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (brood_thread_join(thread, BROOD_NOW, &code) == BROOD_TIMEOUT) {
        assert_true(brood_clock() < deadline);
        if (brood_connection_receive(pair.b, data, 2 * BULK, &size, BROOD_MILLISECONDS(100)) ==
            BROOD_OK)
            assert_true(size == 2 * BULK && is_filled(data, size, 7));
    }
    brood_thread_drop(thread);
    assert_true(code == BROOD_OK || code == BROOD_PEER_DIED);
    while (brood_connection_receive(pair.b, data, 2 * BULK, &size, BROOD_NOW) == BROOD_OK)
        continue;
    send_text(pair.a, "next");
    assert_receives(pair.b, "next");
    destroy(pair);
    free(data);
}

static int close_other(void *arg)
{
    const struct bulk *bulk = arg;
    return (int)brood_connection_close(bulk->end);
}

static void a_close_gets_through_while_a_large_message_waits(void **state)
{
    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        const struct pair pair = made_pair(BROOD_DUPLEX);
        const struct bulk bulk = { pair.a, BULK, 7 };
        const struct bulk other = { turn ? pair.b : pair.a, 0, 0 };
        brood_thread *sender = started_thread(send_bulk, &bulk, sizeof bulk);
        assert_status(brood_connection_poll(pair.b, MEETING_PATIENCE), BROOD_OK);
        brood_sleep(BROOD_MILLISECONDS(5));
        if (turn < 2) {
            assert_thread_ends(started_thread(close_other, &other, sizeof other), 0);
            assert_thread_ends(sender, BROOD_CLOSED);
            if (turn == 0)
                assert_status(receive_status(pair.b, MEETING_PATIENCE), BROOD_CLOSED);
        }
        destroy(pair);
        if (turn == 2)
            assert_thread_ends(sender, BROOD_STALE);
    }
}

// Large and small messages of several senders to several receivers.
static int send_mixture(void *arg)
{
    struct bulk bulk = *(struct bulk *)arg;
    unsigned char *data = malloc(3 * MIB);
    CHECK(data);
    for (uint64_t i = 0; i < 12; i++) {
        const size_t size = 8 + (i % 3 ? (size_t)i * 1000 : 2 * MIB + (size_t)i * 777);
        const uint64_t message = bulk.message * 100 + i;
        memcpy(data, &message, 8);
        fill(data + 8, size - 8, message);
        CHECK(brood_connection_send(bulk.end, data, size, MEETING_PATIENCE) == BROOD_OK);
    }
    free(data);
    return 0;
}

static int receive_mixture(void *arg)
{
    const struct bulk *bulk = arg;
    unsigned char *data = malloc(3 * MIB);
    uint64_t message;
    uint64_t count = 0;
    size_t size;
    brood_status status;
    CHECK(data);
    while ((status = brood_connection_receive(
                bulk->end, data, 3 * MIB, &size,
                bulk->message % 2 ? MEETING_PATIENCE : BROOD_MILLISECONDS(1))) == BROOD_OK ||
           status == BROOD_TIMEOUT) {
        if (status == BROOD_TIMEOUT)
            continue;
        memcpy(&message, data, 8);
        CHECK(is_filled(data + 8, size - 8, message));
        note_of("mixed", (unsigned)bulk->message, ++count);
    }
    CHECK(status == BROOD_CLOSED);
    free(data);
    return 0;
}

static uint64_t received_of_mixture(void)
{
    return noted_of("mixed", 0) + noted_of("mixed", 1) + noted_of("mixed", 2);
}

// Beside busy processes of a higher priority all of it may take minutes. So what must not take
// MEETING_PATIENCE is the next message.
static void await_mixture(uint64_t all)
{
    uint64_t last = 0;
    int64_t since = brood_clock();
    while (last < all) {
        const uint64_t now = received_of_mixture();
        if (now != last)
            since = brood_clock();
        last = now;
        assert_true(brood_clock() - since < MEETING_PATIENCE);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
}

static void large_and_small_messages_mix(void **state)
{
    (void)state;
    const struct pair pair = made_pair(BROOD_ONE_WAY);
    brood_process *processes[2][2];
    brood_thread *threads[2];
    // This process stays a sender: otherwise receivers may see the last sender go before another
    // one has begun, and end.
    const uint64_t first = 300;
    assert_status(brood_connection_send(pair.b, &first, sizeof first, MEETING_PATIENCE), BROOD_OK);
    for (int side = 0; side < 2; side++) {
        struct bulk bulk = { side ? pair.a : pair.b, 0, 0 };
        for (; bulk.message < 2; bulk.message++)
            processes[side][bulk.message] =
                started_process(side ? receive_mixture : send_mixture, &bulk, sizeof bulk);
        threads[side] = started_thread(side ? receive_mixture : send_mixture, &bulk, sizeof bulk);
    }
    await_mixture(37);
    for (int i = 0; i < 2; i++)
        assert_process_ends(processes[0][i], 0);
    assert_thread_ends(threads[0], 0);
    assert_status(brood_connection_close(pair.b), BROOD_OK);
    for (int i = 0; i < 2; i++)
        assert_process_ends(processes[1][i], 0);
    assert_thread_ends(threads[1], 0);
    assert_int_equal(received_of_mixture(), 37);
    destroy(pair);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_never_merge),
        cmocka_unit_test(parts_are_one_message),
        cmocka_unit_test(large_parts_are_one_message),
        cmocka_unit_test(messages_of_any_size_come_out_as_they_went_in),
        cmocka_unit_test(a_small_buffer_leaves_the_message),
        cmocka_unit_test(a_sender_waits_while_too_much_is_on_its_way),
        cmocka_unit_test(a_receiver_waits_its_time),
        cmocka_unit_test(poll_leaves_the_message),
        cmocka_unit_test(a_one_way_connection_has_one_direction),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_closed_end_is_drained_by_the_other_one),
        cmocka_unit_test(both_ends_closed_are_stale),
        cmocka_unit_test(a_destroyed_connection_is_stale),
        cmocka_unit_test(waiters_notice_a_close),
        cmocka_unit_test(waiters_notice_a_destruction),
        cmocka_unit_test(waiters_notice_a_close_of_their_own_end),
        cmocka_unit_test(waiters_notice_that_the_last_user_has_left),
        cmocka_unit_test(an_end_that_was_left_may_be_used_again),
        cmocka_unit_test(the_other_end_notices_an_orderly_end),
        cmocka_unit_test(the_other_end_notices_a_kill),
        cmocka_unit_test(what_a_dead_sender_has_sent_is_received),
        cmocka_unit_test(several_processes_share_an_end),
        cmocka_unit_test(sixteen_mebibytes_pass_both_ways),
        cmocka_unit_test(a_large_message_that_times_out_never_appears),
        cmocka_unit_test(a_small_buffer_leaves_a_large_message),
        cmocka_unit_test(a_receiver_whose_time_is_over_loses_nothing),
        cmocka_unit_test(a_large_message_of_a_dead_sender_is_forgotten),
        cmocka_unit_test(a_large_message_to_a_dead_receiver_is_lost),
        cmocka_unit_test(a_close_gets_through_while_a_large_message_waits),
        cmocka_unit_test(large_and_small_messages_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
