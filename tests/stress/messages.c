// SPDX-License-Identifier: MIT
// Processes that put messages into queues and get them are killed at random moments, and replaced.
// No message is torn or delivered twice, none is lost but those in the hands of a killed process,
// and at the end no queue, piece or block is left.
//
// Each thread that works is a life, and numbers its messages. A ledger in shared memory records for
// each life which numbers were put and which were got. A consumer records a message after the get
// or the release has returned; so a message that is delivered again was not recorded before.
#include "../meeting.h"

#include "../foreign.h"
#include "../platform.h"
#include "../random.h"
#include "arena/family.h"
#include "base/atomic.h"
#include "memory/sweep.h"

enum {
    SMALL,
    LARGE, // messages may have bodies
    QUEUES,
    WORKERS = 4,
    LIVES = 16384,
    MESSAGES = 2048, // of each life and queue
    BATCH = 6,
    LARGEST = 20000,
    SMALL_CAPACITY = 16,
    LARGE_CAPACITY = 6,
};

static const size_t capacities[QUEUES] = { SMALL_CAPACITY, LARGE_CAPACITY };
static const size_t sizes[QUEUES] = { 200, LARGEST };

struct life {
    // Messages below `done` are in the queue or were; those from `begun` on are not.
    _Atomic uint32_t begun[QUEUES];
    _Atomic uint32_t done[QUEUES];
    _Atomic uint32_t in_hand; // how many messages the call may remove that it is in
    _Atomic uint64_t got[QUEUES][MESSAGES / 64];
};

struct ledger {
    struct life lives[LIVES];
};

// What a worker needs to know.
struct worker {
    brood_queue queues[QUEUES];
    brood_block ledger;
    uint64_t seed;
    uint32_t number;
    uint32_t life; // of its first thread; the other thread has the next one
};

// A thread that works.
struct hand {
    const struct worker *worker;
    struct ledger *ledger;
    struct life *life;
    uint32_t number; // of the life
    uint64_t random;
};

// Messages: a header, and bytes that depend on it.

struct message {
    uint32_t life;
    uint32_t number;
    uint32_t size;
    uint32_t sum;
    unsigned char bytes[LARGEST - 16];
};

enum { HEADER = offsetof(struct message, bytes) };

static uint32_t sum_of(const struct message *message)
{
    return message->life * UINT32_C(2654435761) ^ message->number * UINT32_C(40503) ^ message->size;
}

static void write_message(struct message *message, uint32_t life, uint32_t number, size_t size)
{
    message->life = life;
    message->number = number;
    message->size = (uint32_t)size;
    message->sum = sum_of(message);
    memset(message->bytes, (int)(message->sum & 0xff), size - HEADER);
}

static bool is_whole(const struct message *message, size_t size)
{
    const size_t length = size - HEADER;
    return size >= HEADER && message->size == size && message->sum == sum_of(message) &&
           (length == 0 || (message->bytes[0] == (message->sum & 0xff) &&
                            memcmp(message->bytes, message->bytes + 1, length - 1) == 0));
}

// The ledger

static uint32_t load(_Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static void store(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

// Records a message. Returns the line of the failed check, or 0.
static int record(struct ledger *ledger, int queue, const struct message *message, size_t size)
{
    CHECK(is_whole(message, size));
    CHECK(message->life < LIVES && message->number < MESSAGES);
    struct life *life = &ledger->lives[message->life];
    const uint64_t bit = UINT64_C(1) << (message->number % 64);
    CHECK(message->number < load(&life->begun[queue]));
    CHECK(!(atomic_fetch_or_explicit(&life->got[queue][message->number / 64], bit,
                                     memory_order_acq_rel) &
            bit));
    return 0;
}

static bool is_got(struct life *life, int queue, uint32_t number)
{
    return atomic_load_explicit(&life->got[queue][number / 64], memory_order_acquire) >>
               (number % 64) &
           1;
}

// Deeds. Each returns the line of the failed check, or 0.

// Short ones mostly, so that the workers are busy when they are killed.
static brood_duration some_time(const struct hand *hand)
{
    const uint64_t random = hand->random >> 40;
    return BROOD_MICROSECONDS(random % 16 == 0 ? random & 0xfff : random & 0x3f);
}

static size_t some_size(const struct hand *hand, int queue)
{
    return HEADER + (size_t)(hand->random >> 20 & 0xfffff) % (sizes[queue] - HEADER);
}

static bool is_put_or_not(brood_status status)
{
    return status == BROOD_OK || status == BROOD_TIMEOUT;
}

// The number of the next message, of which `count` will be put.
static uint32_t begin_put(struct hand *hand, int queue, uint32_t count)
{
    const uint32_t number = load(&hand->life->done[queue]);
    if (load(&hand->life->begun[queue]) < number + count)
        store(&hand->life->begun[queue], number + count);
    return number;
}

static bool may_put(struct hand *hand, int queue)
{
    return load(&hand->life->done[queue]) + BATCH <= MESSAGES;
}

static void end_put(struct hand *hand, int queue, uint32_t count)
{
    store(&hand->life->done[queue], load(&hand->life->done[queue]) + count);
}

static int put(struct hand *hand, int queue)
{
    struct message message;
    const size_t size = some_size(hand, queue);
    if (!may_put(hand, queue))
        return 0;
    write_message(&message, hand->number, begin_put(hand, queue, 1), size);
    const brood_status status =
        brood_queue_put(hand->worker->queues[queue], &message, size, some_time(hand));
    CHECK(is_put_or_not(status));
    end_put(hand, queue, status == BROOD_OK);
    return 0;
}

// All messages of one call have one size.
static int put_many(struct hand *hand, int queue)
{
    static _Thread_local unsigned char data[BATCH * LARGEST];
    const size_t size = some_size(hand, queue);
    size_t count = SIZE_MAX;
    if (!may_put(hand, queue))
        return 0;
    const uint32_t number = begin_put(hand, queue, BATCH);
    for (uint32_t i = 0; i < BATCH; i++) {
        struct message message;
        write_message(&message, hand->number, number + i, size);
        memcpy(data + i * size, &message, size);
    }
    const brood_status status = brood_queue_put_many(hand->worker->queues[queue], data, size, BATCH,
                                                     &count, some_time(hand));
    CHECK(is_put_or_not(status));
    CHECK(count <= BATCH && (status != BROOD_OK || count == BATCH));
    end_put(hand, queue, (uint32_t)count);
    return 0;
}

static int reserve(struct hand *hand, int queue)
{
    brood_message place;
    const size_t size = some_size(hand, queue);
    if (!may_put(hand, queue))
        return 0;
    const brood_status status =
        brood_queue_reserve(hand->worker->queues[queue], size, &place, some_time(hand));
    CHECK(is_put_or_not(status));
    if (status != BROOD_OK)
        return 0;
    write_message(place.data, hand->number, begin_put(hand, queue, 1), size);
    if (hand->random & 1 << 19) {
        brood_queue_abort(hand->worker->queues[queue], &place);
        return 0;
    }
    CHECK(brood_queue_commit(hand->worker->queues[queue], &place, size) == BROOD_OK);
    end_put(hand, queue, 1);
    return 0;
}

static int get(struct hand *hand, int queue)
{
    struct message message;
    size_t size;
    int line = 0;
    store(&hand->life->in_hand, 1);
    const brood_status status = brood_queue_get(hand->worker->queues[queue], &message,
                                                sizeof message, &size, some_time(hand));
    CHECK(is_put_or_not(status));
    if (status == BROOD_OK)
        line = record(hand->ledger, queue, &message, size);
    store(&hand->life->in_hand, 0);
    return line;
}

static int get_many(struct hand *hand, int queue)
{
    static _Thread_local struct message messages[BATCH];
    size_t lengths[BATCH];
    size_t count;
    int line = 0;
    store(&hand->life->in_hand, BATCH);
    const brood_status status =
        brood_queue_get_many(hand->worker->queues[queue], messages, sizeof messages[0], BATCH,
                             lengths, &count, some_time(hand));
    CHECK(is_put_or_not(status));
    CHECK(status == BROOD_OK ? count > 0 && count <= BATCH : count == 0);
    for (size_t i = 0; i < count && line == 0; i++)
        line = record(hand->ledger, queue, &messages[i], lengths[i]);
    store(&hand->life->in_hand, 0);
    return line;
}

// A message that is taken and not released is delivered again, so it is recorded afterwards.
static int take(struct hand *hand, int queue)
{
    brood_message place;
    struct message message;
    const brood_status status =
        brood_queue_take(hand->worker->queues[queue], &place, some_time(hand));
    CHECK(is_put_or_not(status));
    if (status != BROOD_OK)
        return 0;
    const size_t size = place.size;
    CHECK(size >= HEADER && size <= sizes[queue]);
    memcpy(&message, place.data, size);
    if (hand->random & 1 << 19)
        brood_sleep(BROOD_MICROSECONDS(hand->random >> 30 & 0xff));
    store(&hand->life->in_hand, 1);
    brood_queue_release(hand->worker->queues[queue], &place);
    const int line = record(hand->ledger, queue, &message, size);
    store(&hand->life->in_hand, 0);
    return line;
}

static int count(struct hand *hand, int queue)
{
    size_t messages;
    CHECK(brood_queue_count(hand->worker->queues[queue], &messages) == BROOD_OK);
    CHECK(messages <= capacities[queue]);
    return 0;
}

// A queue that other workers use, close and destroy meanwhile; its messages are in no ledger.

static bool is_passing_status(brood_status status)
{
    return is_put_or_not(status) || status == BROOD_CLOSED || status == BROOD_STALE;
}

static int use_passing(struct hand *hand, int unused)
{
    struct message message;
    size_t size = some_size(hand, LARGE);
    const brood_queue passing = { noted("passing") };
    (void)unused;
    write_message(&message, hand->number, 0, size);
    CHECK(is_passing_status(brood_queue_put(passing, &message, size, some_time(hand))));
    const brood_status status =
        brood_queue_get(passing, &message, sizeof message, &size, some_time(hand));
    CHECK(is_passing_status(status));
    CHECK(status != BROOD_OK || size == 0 || is_whole(&message, size));
    return 0;
}

// Touches no message, since the memory may be that of another one if the queue was destroyed.
static int use_passing_in_place(struct hand *hand, int unused)
{
    brood_message place;
    const brood_queue passing = { noted("passing") };
    const size_t size = some_size(hand, LARGE);
    (void)unused;
    brood_status status = brood_queue_reserve(passing, size, &place, some_time(hand));
    CHECK(is_passing_status(status));
    if (status == BROOD_OK)
        CHECK(is_passing_status(brood_queue_commit(passing, &place, 0)));
    status = brood_queue_take(passing, &place, some_time(hand));
    CHECK(is_passing_status(status));
    if (status == BROOD_OK)
        brood_queue_release(passing, &place);
    return 0;
}

static int end_passing(struct hand *hand, int unused)
{
    const brood_queue passing = { noted("passing") };
    (void)unused;
    if (hand->random & 1 << 18)
        CHECK(is_passing_status(brood_queue_clear(passing, NULL)));
    if (hand->random & 1 << 17)
        CHECK(is_passing_status(brood_queue_close(passing)));
    if ((hand->random & 7 << 20) == 0)
        CHECK(is_passing_status(brood_queue_destroy(passing)));
    return 0;
}

static int wait_any(struct hand *hand, int queue)
{
    enum { THINGS = 4 };
    const brood_waitable things[THINGS] = {
        brood_waitable_queue(hand->worker->queues[SMALL]),
        brood_waitable_queue(hand->worker->queues[LARGE]),
        brood_waitable_queue_room(hand->worker->queues[queue]),
        brood_waitable_queue((brood_queue){ noted("passing") }),
    };
    bool ready[THINGS];
    const brood_status status = brood_wait_any(things, THINGS, some_time(hand), ready);
    CHECK(is_put_or_not(status));
    CHECK((ready[0] || ready[1] || ready[2] || ready[3]) == (status == BROOD_OK));
    return 0;
}

static int (*const deeds[])(struct hand *hand, int queue) = {
    put,
    put_many,
    reserve,
    put,
    get,
    get_many,
    take,
    get,
    count,
    use_passing,
    use_passing_in_place,
    end_passing,
    wait_any,
};

enum { DEEDS = sizeof deeds / sizeof deeds[0], DEEDS_AT_ONCE = 8 };

// Workers

static int go_on(struct hand *hand, bool shows_progress)
{
    int line = 0;
    uint64_t seed = hand->worker->seed ^ hand->number * UINT64_C(0x9e3779b97f4a7c15);
    while (line == 0 && noted("over") == 0) {
        for (int i = 0; line == 0 && i < DEEDS_AT_ONCE; i++) {
            const uint64_t random = next_random(&seed);
            hand->random = next_random(&seed);
            line = deeds[random % DEEDS](hand, (int)(random >> 32 & 0xff) % QUEUES);
        }
        if (shows_progress)
            note_of("progress", hand->worker->number,
                    noted_of("progress", hand->worker->number) + 1);
    }
    return line;
}

static int live(const struct worker *worker, uint32_t number)
{
    struct ledger *ledger = brood_block_data(worker->ledger);
    CHECK(ledger);
    struct hand hand = { worker, ledger, &ledger->lives[number], number, 0 };
    return go_on(&hand, number == worker->life);
}

static int work_beside(void *arg)
{
    const struct worker *worker = arg;
    return live(worker, worker->life + 1);
}

static int work(void *arg)
{
    struct worker *worker = arg;
    int line = 0;
    brood_thread *thread = NULL;
    if (worker->number % 2 == 0 && platform_copy_may_start_threads())
        CHECK(brood_thread_start(&thread, work_beside, worker, sizeof *worker, NULL) == BROOD_OK);
    const int own_line = live(worker, worker->life);
    if (thread)
        CHECK(brood_thread_join(thread, MEETING_PATIENCE, &line) == BROOD_OK);
    brood_thread_drop(thread);
    return own_line ? own_line : line;
}

// The test's side

static uint64_t state_of_random;

struct crew {
    struct worker worker; // the next one
    brood_process *processes[WORKERS];
    uint64_t progress[WORKERS]; // at the last check
    int64_t seen_at[WORKERS];
};

// A daemon, so that it does not outlive a failed test.
static void start_worker(struct crew *crew, uint32_t number)
{
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES };
    struct worker *worker = &crew->worker;
    worker->seed = next_random(&state_of_random);
    worker->number = number;
    assert_status(
        brood_process_start(&crew->processes[number], work, worker, sizeof *worker, &options),
        BROOD_OK);
    worker->life += 2;
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

// This process creates all queues, because a worker that is killed before it has told the handle
// would leave the queue behind.
static void renew_passing(void)
{
    brood_queue passing = { noted("passing") };
    if (passing.id && next_random(&state_of_random) % 2)
        (void)brood_queue_destroy(passing);
    if (passing.id && brood_queue_count(passing, &(size_t){ 0 }) != BROOD_STALE)
        return;
    assert_status(brood_queue_create(&passing, LARGE_CAPACITY, LARGEST), BROOD_OK);
    note("passing", passing.id);
}

static int run_and_kill(struct crew *crew, brood_duration how_long)
{
    int kills = 0;
    for (const int64_t end = brood_clock() + how_long;
         brood_clock() < end && crew->worker.life + 2 <= LIVES; kills++) {
        brood_sleep(BROOD_MICROSECONDS(next_random(&state_of_random) %
                                       (foreign_is_slow() ? 100000 : 10000)));
        const uint32_t victim = (uint32_t)(next_random(&state_of_random) % WORKERS);
        kill_worker(crew, victim);
        start_worker(crew, victim);
        renew_passing();
        watch(crew);
    }
    return kills;
}

static void begin_crew(struct crew *crew)
{
    memset(crew, 0, sizeof *crew);
    for (int i = 0; i < QUEUES; i++)
        assert_status(brood_queue_create(&crew->worker.queues[i], capacities[i], sizes[i]),
                      BROOD_OK);
    assert_status(brood_block_create(&crew->worker.ledger, sizeof(struct ledger)), BROOD_OK);
    note("passing", 0);
    note("over", 0);
    renew_passing();
    for (uint32_t i = 0; i < WORKERS; i++)
        start_worker(crew, i);
}

static void end_workers(const struct crew *crew)
{
    note("over", 1);
    for (int i = 0; i < WORKERS; i++)
        assert_process_ends(crew->processes[i], 0);
}

static void drain(const struct crew *crew, int queue)
{
    struct message message;
    size_t size;
    brood_status status;
    struct ledger *ledger = brood_block_data(crew->worker.ledger);
    assert_non_null(ledger);
    while ((status = brood_queue_get(crew->worker.queues[queue], &message, sizeof message, &size,
                                     BROOD_NOW)) == BROOD_OK)
        assert_int_equal(record(ledger, queue, &message, size), 0);
    assert_status(status, BROOD_TIMEOUT);
}

struct sums {
    uint32_t put;
    uint32_t lost;
    uint32_t may_be_lost;
};

static void add_life(struct sums *sums, struct life *life)
{
    sums->may_be_lost += load(&life->in_hand);
    for (int queue = 0; queue < QUEUES; queue++) {
        sums->put += load(&life->done[queue]);
        for (uint32_t number = 0; number < load(&life->done[queue]); number++)
            sums->lost += !is_got(life, queue, number);
    }
}

static void expect_sums_to_be_right(const struct crew *crew)
{
    struct sums sums = { 0 };
    struct ledger *ledger = brood_block_data(crew->worker.ledger);
    assert_non_null(ledger);
    for (uint32_t i = 0; i < crew->worker.life; i++)
        add_life(&sums, &ledger->lives[i]);
    print_message("%u messages; %u lost with a killed process, of at most %u\n", sums.put,
                  sums.lost, sums.may_be_lost);
    assert_true(sums.put > 0);
    assert_in_range(sums.lost, 0, sums.may_be_lost);
}

// All room has come back.
static void expect_queue_to_work(brood_queue queue, size_t capacity)
{
    size_t messages;
    for (size_t i = 0; i < capacity; i++)
        assert_status(brood_queue_put(queue, "x", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_queue_put(queue, "x", 1, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_queue_clear(queue, &messages), BROOD_OK);
    assert_int_equal(messages, capacity);
}

// What is left

static const enum broodi_kind counted[] = { BROODI_QUEUE, BROODI_PIECE, BROODI_BLOCK };

enum { COUNTED = sizeof counted / sizeof counted[0] };

static uint32_t live_of(enum broodi_kind kind)
{
    uint32_t live = 0;
    const uint32_t limit = broodi_slot_limit(kind);
    for (uint32_t index = 0; index < limit; index++)
        live += broodi_slot_is_live(broodi_word_load(broodi_slot(kind, index)));
    return live;
}

static void count_live(uint32_t live[COUNTED])
{
    for (int i = 0; i < COUNTED; i++)
        live[i] = live_of(counted[i]);
}

// Empty queues have a segment each, and nothing of those that were killed.
static void expect_memory_to_be_free(void)
{
    (void)broodi_memory_sweep();
    assert_in_range(live_of(BROODI_PIECE), 0, QUEUES);
}

static void end_crew(const struct crew *crew)
{
    end_workers(crew);
    for (int i = 0; i < QUEUES; i++)
        drain(crew, i);
    expect_sums_to_be_right(crew);
    (void)brood_queue_destroy((brood_queue){ noted("passing") });
    for (int i = 0; i < QUEUES; i++)
        expect_queue_to_work(crew->worker.queues[i], capacities[i]);
    expect_memory_to_be_free();
    for (int i = 0; i < QUEUES; i++)
        assert_status(brood_queue_destroy(crew->worker.queues[i]), BROOD_OK);
    assert_status(brood_block_destroy(crew->worker.ledger), BROOD_OK);
    (void)broodi_memory_sweep();
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
static void messages_outlive_processes_that_are_killed_and_nothing_is_left(void **state)
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
    assert_memory_equal(after, before, sizeof before);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_outlive_processes_that_are_killed_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
