// SPDX-License-Identifier: MIT
// Processes that use every kind of shared object are killed at random moments, and replaced. The
// others continue, within their timeouts; at the end all objects work and can be destroyed, and
// nothing is left behind. The values of semaphores are not checked, because a killed process may
// have held units.
#include "../meeting.h"

#include "../foreign.h"
#include "../objects.h"
#include "../platform.h"
#include "../random.h"

enum { PAIRS = 2, WORKERS = 4, ROOM = 3, PARTIES = 2 };

// Only a few objects, so that several workers always use the same one.
struct things {
    brood_lock locks[PAIRS];
    brood_condition conditions[PAIRS]; // each used with the lock of the same index
    brood_semaphore semaphores[PAIRS];
    brood_event events[PAIRS];
    brood_barrier barriers[PAIRS];
};

struct worker {
    struct things things;
    uint64_t seed;
    int number;
};

// The operations of a worker. Each returns the line of the failed check, or 0.

static brood_duration some_time(uint64_t random)
{
    return BROOD_MICROSECONDS(random % 3000);
}

static int use_lock(const struct things *things, int i, uint64_t random)
{
    const brood_status status = brood_lock_acquire(things->locks[i], some_time(random));
    if (status == BROOD_TIMEOUT)
        return 0;
    CHECK(brood_status_acquired(status));
    if (random & 1 << 20)
        brood_sleep(BROOD_MICROSECONDS(random % 200));
    CHECK(brood_lock_release(things->locks[i]) == BROOD_OK);
    return 0;
}

// A killed process does not release its units, so each timeout also releases one.
static int use_semaphore(const struct things *things, int i, uint64_t random)
{
    const brood_status status = brood_semaphore_acquire(things->semaphores[i], some_time(random));
    CHECK(status == BROOD_OK || status == BROOD_TIMEOUT);
    const brood_status released = brood_semaphore_release(things->semaphores[i], 1);
    CHECK(released == BROOD_OK || released == BROOD_OVERFLOW);
    return 0;
}

static int use_event(const struct things *things, int i, uint64_t random)
{
    const brood_status status = brood_event_wait(things->events[i], some_time(random));
    CHECK(status == BROOD_OK || status == BROOD_TIMEOUT);
    CHECK((random & 1 << 20 ? brood_event_set(things->events[i])
                            : brood_event_clear(things->events[i])) == BROOD_OK);
    return 0;
}

static int wait_for_condition(const struct things *things, int i, uint64_t random)
{
    brood_status status = brood_lock_acquire(things->locks[i], some_time(random));
    if (status == BROOD_TIMEOUT)
        return 0;
    CHECK(brood_status_acquired(status));
    status = brood_condition_wait(things->conditions[i], things->locks[i], some_time(random));
    CHECK(status == BROOD_OK || status == BROOD_TIMEOUT || status == BROOD_OWNER_DIED);
    CHECK(brood_lock_release(things->locks[i]) == BROOD_OK);
    return 0;
}

static int notify(const struct things *things, int i, uint64_t random)
{
    CHECK((random & 1 << 20 ? brood_condition_notify(things->conditions[i], 1)
                            : brood_condition_notify_all(things->conditions[i])) == BROOD_OK);
    return 0;
}

static int meet(const struct things *things, int i, uint64_t random)
{
    const brood_status status = brood_barrier_wait(things->barriers[i], some_time(random), NULL);
    CHECK(status == BROOD_OK || status == BROOD_TIMEOUT || status == BROOD_BROKEN);
    if (status != BROOD_OK)
        CHECK(brood_barrier_reset(things->barriers[i]) == BROOD_OK);
    return 0;
}

static int come_and_go(const struct things *things, int i, uint64_t random)
{
    (void)things, (void)i;
    const int kind = (int)(random % OBJECT_KINDS);
    const uint64_t id = object_create(kind);
    CHECK(id != 0);
    CHECK(object_is_untouched(kind, id));
    CHECK(object_destroy(kind, id) == BROOD_OK);
    return 0;
}

// Replaces an object that all workers know. Other workers may do the same at the same time, or
// use the object.
static int replace(const struct things *things, int i, uint64_t random)
{
    (void)things, (void)i;
    char name[32];
    const int kind = (int)(random % OBJECT_KINDS);
    (void)snprintf(name, sizeof name, "passing %d", kind);
    const uint64_t old = noted(name);
    for (int n = 0; old && n < OPERATIONS; n++)
        if (operations[n].kind == kind && !operations[n].is_long)
            CHECK(operations[n].fn(old) != BROOD_INVALID);
    const uint64_t fresh = object_create(kind);
    CHECK(fresh != 0);
    note(name, fresh);
    if (!old)
        return 0;
    brood_status status = object_destroy(kind, old);
    for (int tries = 0; status == BROOD_BUSY && tries < 100; tries++)
        status = object_destroy(kind, old);
    CHECK(status == BROOD_OK || status == BROOD_STALE || status == BROOD_BUSY);
    return 0;
}

// Sizes from a few bytes to a section.
static int use_block(const struct things *things, int i, uint64_t random)
{
    brood_block block;
    const size_t most = random % 8 == 0 ? 2 << 20 : random % 4 == 0 ? 200000 : 2000;
    const size_t size = 1 + (size_t)((random >> 8) % most);
    (void)things, (void)i;
    CHECK(brood_block_create(&block, size) == BROOD_OK);
    unsigned char *data = brood_block_data(block);
    CHECK(data && data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
    memset(data, 1, size);
    CHECK(brood_block_destroy(block) == BROOD_OK);
    return 0;
}

static int (*const deeds[])(const struct things *things, int i, uint64_t random) = {
    use_lock, use_semaphore, use_event, wait_for_condition, notify,
    meet,     come_and_go,   replace,   use_block,
};

enum { DEEDS = sizeof deeds / sizeof deeds[0], DEEDS_AT_ONCE = 16 };

static void name_progress(char name[32], int number)
{
    (void)snprintf(name, 32, "progress %d", number);
}

static int go_on(struct worker *worker, const char *name)
{
    int line = 0;
    while (line == 0 && noted("over") == 0) {
        for (int i = 0; line == 0 && i < DEEDS_AT_ONCE; i++) {
            const uint64_t random = next_random(&worker->seed);
            line =
                deeds[random % DEEDS](&worker->things, (int)((random >> 8) % PAIRS), random >> 16);
        }
        if (name)
            note(name, noted(name) + 1);
    }
    return line;
}

static int work_beside(void *arg)
{
    struct worker worker = *(struct worker *)arg;
    worker.seed ^= UINT64_C(0x5555555555555555);
    return go_on(&worker, NULL);
}

static int work(void *arg)
{
    struct worker *worker = arg;
    char name[32];
    int line = 0;
    brood_thread *thread = NULL;
    name_progress(name, worker->number);
    if (worker->number % 2 == 0 && platform_copy_may_start_threads())
        CHECK(brood_thread_start(&thread, work_beside, worker, sizeof *worker, NULL) == BROOD_OK);
    const int own_line = go_on(worker, name);
    if (thread)
        CHECK(brood_thread_join(thread, MEETING_PATIENCE, &line) == BROOD_OK);
    brood_thread_drop(thread);
    return own_line ? own_line : line;
}

// The test's side

static uint64_t state_of_random;

struct crew {
    struct things things;
    brood_process *processes[WORKERS];
    uint64_t progress[WORKERS]; // at the last check
    int64_t seen_at[WORKERS];
};

static void make_things(struct things *things)
{
    for (int i = 0; i < PAIRS; i++) {
        assert_status(brood_lock_create(&things->locks[i]), BROOD_OK);
        assert_status(brood_condition_create(&things->conditions[i]), BROOD_OK);
        assert_status(brood_semaphore_create(&things->semaphores[i], ROOM, ROOM), BROOD_OK);
        assert_status(brood_event_create(&things->events[i]), BROOD_OK);
        assert_status(brood_barrier_create(&things->barriers[i], PARTIES), BROOD_OK);
    }
}

// A daemon, so that it does not outlive a failed test.
static void start_worker(struct crew *crew, int number)
{
    const brood_process_options options = { .daemon = BROOD_DAEMON_YES };
    const struct worker worker = { crew->things, next_random(&state_of_random), number };
    assert_status(
        brood_process_start(&crew->processes[number], work, &worker, sizeof worker, &options),
        BROOD_OK);
    crew->seen_at[number] = brood_clock();
}

static void kill_worker(struct crew *crew, int number)
{
    brood_exit ended;
    assert_status(brood_process_kill(crew->processes[number]), BROOD_OK);
    assert_status(brood_process_join(crew->processes[number], MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(crew->processes[number]);
    if (ended.kind == BROOD_EXITED && ended.code != 0)
        fail_msg("worker %d: the check in line %d failed", number, (int)ended.code);
}

// Checks that every worker that was not just killed has made progress.
static void watch(struct crew *crew)
{
    const int64_t now = brood_clock();
    for (int i = 0; i < WORKERS; i++) {
        char name[32];
        name_progress(name, i);
        const uint64_t progress = noted(name);
        if (progress != crew->progress[i])
            crew->seen_at[i] = now;
        crew->progress[i] = progress;
        if (now - crew->seen_at[i] > MEETING_PATIENCE)
            fail_msg("worker %d is stuck", i);
    }
}

static int run_and_kill(struct crew *crew, brood_duration how_long)
{
    int kills = 0;
    for (const int64_t end = brood_clock() + how_long; brood_clock() < end; kills++) {
        brood_sleep(BROOD_MICROSECONDS(next_random(&state_of_random) %
                                       (foreign_is_slow() ? 200000 : 40000)));
        const int victim = (int)(next_random(&state_of_random) % WORKERS);
        kill_worker(crew, victim);
        start_worker(crew, victim);
        watch(crew);
    }
    return kills;
}

static void begin_crew(struct crew *crew)
{
    make_things(&crew->things);
    note("over", 0);
    for (int i = 0; i < WORKERS; i++)
        start_worker(crew, i);
}

static void end_crew(const struct crew *crew)
{
    note("over", 1);
    for (int i = 0; i < WORKERS; i++)
        assert_process_ends(crew->processes[i], 0);
}

static void expect_lock_and_condition_to_work(brood_lock lock, brood_condition condition)
{
    assert_true(brood_status_acquired(brood_lock_acquire(lock, BROOD_SECONDS(10))));
    assert_status(brood_condition_notify_all(condition), BROOD_OK);
    assert_status(brood_condition_wait(condition, lock, BROOD_MILLISECONDS(1)), BROOD_TIMEOUT);
    assert_status(brood_lock_release(lock), BROOD_OK);
    assert_status(brood_lock_acquire(lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_release(lock), BROOD_OK);
}

static int pass(void *arg)
{
    return (int)brood_barrier_wait(*(brood_barrier *)arg, MEETING_PATIENCE, NULL);
}

static void expect_barrier_to_work(brood_barrier barrier)
{
    assert_status(brood_barrier_reset(barrier), BROOD_OK);
    brood_thread *other = started_thread(pass, &barrier, sizeof barrier);
    assert_int_equal(pass(&barrier), BROOD_OK);
    assert_thread_ends(other, BROOD_OK);
}

static void expect_semaphore_and_event_to_work(brood_semaphore semaphore, brood_event event)
{
    uint32_t value = UINT32_MAX;
    assert_status(brood_semaphore_value(semaphore, &value), BROOD_OK);
    assert_in_range(value, 0, ROOM);
    for (; value > 0; value--)
        assert_status(brood_semaphore_acquire(semaphore, BROOD_NOW), BROOD_OK);
    assert_status(brood_semaphore_acquire(semaphore, BROOD_MILLISECONDS(1)), BROOD_TIMEOUT);
    assert_status(brood_semaphore_release(semaphore, ROOM), BROOD_OK);
    assert_status(brood_event_set(event), BROOD_OK);
    assert_status(brood_event_wait(event, BROOD_NOW), BROOD_OK);
    assert_status(brood_event_clear(event), BROOD_OK);
    assert_status(brood_event_wait(event, BROOD_MILLISECONDS(1)), BROOD_TIMEOUT);
}

static void expect_all_to_work(const struct things *things)
{
    for (int i = 0; i < PAIRS; i++) {
        expect_lock_and_condition_to_work(things->locks[i], things->conditions[i]);
        expect_semaphore_and_event_to_work(things->semaphores[i], things->events[i]);
        expect_barrier_to_work(things->barriers[i]);
    }
}

static void destroy_all(const struct things *things)
{
    for (int i = 0; i < PAIRS; i++) {
        assert_status(brood_lock_destroy(things->locks[i]), BROOD_OK);
        assert_status(brood_condition_destroy(things->conditions[i]), BROOD_OK);
        assert_status(brood_semaphore_destroy(things->semaphores[i]), BROOD_OK);
        assert_status(brood_event_destroy(things->events[i]), BROOD_OK);
        assert_status(brood_barrier_destroy(things->barriers[i]), BROOD_OK);
    }
}

static int soak(brood_duration how_long)
{
    static struct crew crew;
    begin_crew(&crew);
    const int kills = run_and_kill(&crew, how_long);
    end_crew(&crew);
    expect_all_to_work(&crew.things);
    destroy_all(&crew.things);
    return kills;
}

// More processes may be alive at once in the second run than in the first: then the tables of
// threads, and those beside it, grow by a step, which is one mapping each.
enum { GROWTH = 6 };

// The first run makes what stays: the fork server, and slots for threads.
static void workers_continue_when_others_are_killed_and_nothing_is_left(void **state)
{
    (void)state;
    state_of_random = soak_seed();
    (void)soak(BROOD_MILLISECONDS(300));
    const size_t descriptors = platform_descriptor_count();
    const size_t mappings = platform_mapping_count();
    const size_t files = platform_shared_file_count();
    const int kills = soak(BROOD_SECONDS(soak_amount(3, 90)));
    print_message("%d processes killed; descriptors %d, then %d; mappings %d, then %d\n", kills,
                  (int)descriptors, (int)platform_descriptor_count(), (int)mappings,
                  (int)platform_mapping_count());
    assert_in_range(platform_descriptor_count(), 0,
                    descriptors + platform_descriptors_kept((size_t)kills));
    assert_in_range(platform_mapping_count(), 0, mappings + GROWTH);
    assert_in_range(platform_shared_file_count(), 0, files);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_continue_when_others_are_killed_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
