// SPDX-License-Identifier: MIT
// Processes that send and receive at both ends of a connection are killed at random moments, and
// replaced. No message is torn or received twice, none is lost but that in the hands of a killed
// process, and at the end no queue, user, piece or block is left.
//
// Each worker is a life, and numbers its messages. A ledger in shared memory records for each life
// which numbers were sent and which were received. A number whose send has failed is used again: so
// if such a message is received after all, a number is received twice.
#include "../meeting.h"

#include "../foreign.h"
#include "../random.h"
#include "arena/family.h"
#include "arena/kinds.h"
#include "base/atomic.h"
#include "memory/sweep.h"

enum {
    WORKERS = 4, // at each end every other one
    LIVES = 8192,
    MESSAGES = 1024, // of each life
    LARGEST = 2 << 20,
};

struct life {
    // Messages below `done` were sent; those from `begun` on were not.
    _Atomic uint32_t begun;
    _Atomic uint32_t done;
    _Atomic uint32_t in_hand; // 1: a receive may be under way
    _Atomic uint64_t got[MESSAGES / 64];
};

struct ledger {
    struct life lives[LIVES];
};

struct worker {
    brood_connection ends[2];
    brood_block ledger;
    uint64_t seed;
    uint32_t number;
    uint32_t life;
};

// A worker in its process.
struct hand {
    const struct worker *worker;
    brood_connection end;
    struct ledger *ledger;
    struct life *life;
    uint64_t random;
};

struct message {
    uint32_t life;
    uint32_t number;
    uint32_t size;
    uint32_t sum;
    unsigned char bytes[LARGEST - 16];
};

enum { HEADER = offsetof(struct message, bytes) };

static struct message message; // of this process

static uint32_t sum_of_message(void)
{
    return message.life * UINT32_C(2654435761) ^ message.number * UINT32_C(40503) ^ message.size;
}

static void write_message(uint32_t life, uint32_t number, size_t size)
{
    message.life = life;
    message.number = number;
    message.size = (uint32_t)size;
    message.sum = sum_of_message();
    memset(message.bytes, (int)(message.sum & 0xff), size - HEADER);
}

static bool is_whole(size_t size)
{
    const size_t length = size - HEADER;
    return size >= HEADER && message.size == size && message.sum == sum_of_message() &&
           (length == 0 || (message.bytes[0] == (message.sum & 0xff) &&
                            memcmp(message.bytes, message.bytes + 1, length - 1) == 0));
}

static uint32_t load(_Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static void store(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

// Records the message that was received. Returns the line of the failed check, or 0.
static int record(struct ledger *ledger, size_t size)
{
    CHECK(is_whole(size));
    CHECK(message.life < LIVES && message.number < MESSAGES);
    struct life *life = &ledger->lives[message.life];
    const uint64_t bit = UINT64_C(1) << (message.number % 64);
    CHECK(message.number < load(&life->begun));
    CHECK(!(atomic_fetch_or_explicit(&life->got[message.number / 64], bit, memory_order_acq_rel) &
            bit));
    return 0;
}

// Deeds. Each returns the line of the failed check, or 0.

// While a worker is being replaced, the other end may have no user.
static bool is_fit(brood_status status)
{
    return status == BROOD_OK || status == BROOD_TIMEOUT || status == BROOD_CLOSED ||
           status == BROOD_PEER_DIED;
}

static brood_duration some_time(const struct hand *hand)
{
    const uint64_t random = hand->random >> 40;
    return BROOD_MICROSECONDS(random % 16 == 0 ? random & 0x3fff : random & 0xff);
}

// Few messages are large, and fewer pass in fragments.
static size_t some_size(const struct hand *hand)
{
    static const size_t limits[] = { 200, 200, 200, 4000, 20000, 300000, 20000, LARGEST };
    const size_t limit = limits[hand->random >> 8 & 7];
    return HEADER + (size_t)(hand->random >> 20 & 0xffffff) % (limit - HEADER);
}

static brood_status send_in_parts(const struct hand *hand, size_t size)
{
    const size_t first = size / 3;
    const brood_part parts[] = { { &message, first },
                                 { NULL, 0 },
                                 { (const unsigned char *)&message + first, size - first } };
    return brood_connection_send_parts(hand->end, parts, 3, some_time(hand));
}

static int send(struct hand *hand)
{
    const size_t size = some_size(hand);
    const uint32_t number = load(&hand->life->done);
    if (number >= MESSAGES)
        return 0;
    store(&hand->life->begun, number + 1);
    write_message(hand->worker->life, number, size);
    const brood_status status =
        hand->random & 1 << 19 ? send_in_parts(hand, size)
                               : brood_connection_send(hand->end, &message, size, some_time(hand));
    CHECK(is_fit(status));
    store(&hand->life->done, number + (status == BROOD_OK));
    return 0;
}

static int receive(struct hand *hand)
{
    size_t size;
    int line = 0;
    store(&hand->life->in_hand, 1);
    const brood_status status =
        brood_connection_receive(hand->end, &message, sizeof message, &size, some_time(hand));
    CHECK(is_fit(status));
    if (status == BROOD_OK)
        line = record(hand->ledger, size);
    store(&hand->life->in_hand, 0);
    return line;
}

static int receive_too_small(struct hand *hand)
{
    size_t size = 0;
    const brood_status status =
        brood_connection_receive(hand->end, &message, HEADER - 1, &size, BROOD_NOW);
    CHECK(status == BROOD_TOO_SMALL ? size >= HEADER : status != BROOD_OK && is_fit(status));
    return 0;
}

static int poll_or_leave(struct hand *hand)
{
    if (hand->random & 3 << 18)
        CHECK(is_fit(brood_connection_poll(hand->end, some_time(hand))));
    else
        CHECK(brood_connection_leave(hand->end) == BROOD_OK);
    return 0;
}

static int (*const deeds[])(struct hand *hand) = { send,    receive, send,
                                                   receive, receive, receive_too_small,
                                                   send,    receive, poll_or_leave };

enum { DEEDS = sizeof deeds / sizeof deeds[0], DEEDS_AT_ONCE = 8 };

static int work(void *arg)
{
    const struct worker *worker = arg;
    uint64_t seed = worker->seed;
    int line = 0;
    struct ledger *ledger = brood_block_data(worker->ledger);
    CHECK(ledger);
    struct hand hand = { worker, worker->ends[worker->number % 2], ledger,
                         &ledger->lives[worker->life], 0 };
    while (line == 0 && noted("over") == 0) {
        for (int i = 0; line == 0 && i < DEEDS_AT_ONCE; i++) {
            const uint64_t random = next_random(&seed);
            hand.random = next_random(&seed);
            line = deeds[(random >> 33) % DEEDS](&hand);
        }
        note_of("progress", worker->number, noted_of("progress", worker->number) + 1);
    }
    return line;
}

// The test's side

static uint64_t state_of_random;

struct crew {
    struct worker worker; // the next one
    brood_process *processes[WORKERS];
    uint64_t progress[WORKERS]; // at the last check
    int64_t seen_at[WORKERS];
};

static void start_worker(struct crew *crew, uint32_t number)
{
    const bool enters = next_random(&state_of_random) >> 40 & 1;
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES,
                                            .connections = &crew->worker.ends[number % 2],
                                            .connection_count = enters };
    struct worker *worker = &crew->worker;
    worker->seed = next_random(&state_of_random);
    worker->number = number;
    assert_status(
        brood_process_start(&crew->processes[number], work, worker, sizeof *worker, &options),
        BROOD_OK);
    worker->life++;
    crew->seen_at[number] = brood_clock();
}

static void kill_worker(const struct crew *crew, uint32_t number)
{
    brood_exit ended;
    assert_status(brood_process_kill(crew->processes[number]), BROOD_OK);
    assert_status(brood_process_join(crew->processes[number], MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(crew->processes[number]);
    if (ended.kind == BROOD_EXITED && ended.code != 0)
        fail_msg("worker %u: the check in line %d failed", number, (int)ended.code);
    if (ended.kind != BROOD_TERMINATED)
        fail_msg("worker %u ended by itself", number);
}

// Checks that every worker that was not just killed has made progress.
static void watch(struct crew *crew)
{
    const int64_t now = brood_clock();
    for (uint32_t i = 0; i < WORKERS; i++) {
        const uint64_t progress = noted_of("progress", i);
        if (progress != crew->progress[i])
            crew->seen_at[i] = now;
        crew->progress[i] = progress;
        if (now - crew->seen_at[i] > MEETING_PATIENCE)
            fail_msg("worker %u is stuck", i);
    }
}

static int run_and_kill(struct crew *crew, brood_duration how_long)
{
    int kills = 0;
    for (const int64_t end = brood_clock() + how_long;
         brood_clock() < end && crew->worker.life < LIVES; kills++) {
        brood_sleep(BROOD_MICROSECONDS(next_random(&state_of_random) %
                                       (foreign_is_slow() ? 100000 : 10000)));
        const uint32_t victim = (uint32_t)(next_random(&state_of_random) >> 33) % WORKERS;
        kill_worker(crew, victim);
        start_worker(crew, victim);
        watch(crew);
    }
    return kills;
}

static void drain(const struct crew *crew, brood_connection end)
{
    size_t size;
    brood_status status;
    struct ledger *ledger = brood_block_data(crew->worker.ledger);
    assert_non_null(ledger);
    while ((status = brood_connection_receive(end, &message, sizeof message, &size,
                                              BROOD_MILLISECONDS(10))) == BROOD_OK)
        assert_int_equal(record(ledger, size), 0);
    assert_true(is_fit(status));
}

static void expect_sums_to_be_right(const struct crew *crew)
{
    uint32_t sent = 0;
    uint32_t lost = 0;
    uint32_t may_be_lost = 0;
    struct ledger *ledger = brood_block_data(crew->worker.ledger);
    assert_non_null(ledger);
    for (uint32_t i = 0; i < crew->worker.life; i++) {
        struct life *life = &ledger->lives[i];
        const uint32_t done = load(&life->done);
        may_be_lost += load(&life->in_hand);
        sent += done;
        for (uint32_t number = 0; number < done; number++)
            lost += !(atomic_load_explicit(&life->got[number / 64], memory_order_acquire) >>
                          (number % 64) &
                      1);
    }
    print_message("%u messages; %u lost with a killed process, of at most %u\n", sent, lost,
                  may_be_lost);
    assert_true(sent > 0);
    assert_in_range(lost, 0, may_be_lost);
}

static void begin_crew(struct crew *crew)
{
    memset(crew, 0, sizeof *crew);
    assert_status(brood_connection_pair(&crew->worker.ends[0], &crew->worker.ends[1], BROOD_DUPLEX),
                  BROOD_OK);
    assert_status(brood_block_create(&crew->worker.ledger, sizeof(struct ledger)), BROOD_OK);
    note("over", 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        start_worker(crew, i);
}

static void end_crew(const struct crew *crew)
{
    note("over", 1);
    for (int i = 0; i < WORKERS; i++)
        assert_process_ends(crew->processes[i], 0);
    for (int i = 0; i < 2; i++)
        drain(crew, crew->worker.ends[i]);
    expect_sums_to_be_right(crew);
    assert_status(brood_connection_destroy(crew->worker.ends[0]), BROOD_OK);
    assert_status(brood_block_destroy(crew->worker.ledger), BROOD_OK);
    (void)broodi_memory_sweep();
    broodi_kind_sweep(BROODI_USER);
}

// What is left

static const enum broodi_kind counted[] = { BROODI_CONNECTION, BROODI_QUEUE, BROODI_USER,
                                            BROODI_PIECE, BROODI_BLOCK };

enum { COUNTED = sizeof counted / sizeof counted[0] };

static void count_live(uint32_t live[COUNTED])
{
    for (int i = 0; i < COUNTED; i++) {
        const uint32_t limit = broodi_slot_limit(counted[i]);
        live[i] = 0;
        for (uint32_t index = 0; index < limit; index++)
            live[i] += broodi_slot_is_live(broodi_word_load(broodi_slot(counted[i], index)));
    }
}

static int soak(brood_duration how_long)
{
    static struct crew crew;
    begin_crew(&crew);
    const int kills = run_and_kill(&crew, how_long);
    end_crew(&crew);
    return kills;
}

// The first run makes what stays: the fork server, and slots for threads.
static void connections_outlive_processes_that_are_killed_and_nothing_is_left(void **state)
{
    uint32_t before[COUNTED];
    uint32_t after[COUNTED];
    (void)state;
    state_of_random = soak_seed();
    (void)soak(BROOD_MILLISECONDS(300));
    count_live(before);
    const int kills = soak(BROOD_SECONDS(soak_amount(3, 90)));
    count_live(after);
    print_message("%d processes killed\n", kills);
    for (int i = 0; i < COUNTED; i++)
        assert_int_equal(after[i], before[i]);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_outlive_processes_that_are_killed_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
