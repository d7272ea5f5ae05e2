// SPDX-License-Identifier: MIT
// The fault walk: each scenario is run with its first fault, its second, its third and so on,
// until it runs without one. Every failure must be a status that the header names, must leave
// nothing behind, and must not affect later runs.
#include "../meeting.h"

#include "../foreign.h"
#include "../platform.h"
#include "arena/family.h"
#include "arena/self.h"
#include "arena/space.h"
#include "base/fault.h"
#include "base/step.h"
#include "process/child.h"
#include "process/server.h"

#include <string.h>

// Tells a fresh image which of its own fault points fails.
#define VARIABLE "BROOD_TEST_FAULT"

// Tells a fresh image not to reach brood_init.
#define SILENT "BROOD_TEST_SILENT"

// A scenario may also survive a fault without a failure.
struct scenario {
    const char *name;
    brood_status (*run)(void);
    brood_status allowed[4]; // statuses of failures; ends with BROOD_OK
    bool cold;               // makes something that stays: handles are not compared
    unsigned others;         // number of processes that stay
};

struct holdings {
    size_t descriptors;
    size_t memory; // of the arena without its tables, which do not shrink
    uint32_t live[BROODI_KINDS];
};

static struct holdings take_stock(void)
{
    struct holdings now = { .descriptors = platform_descriptor_count(),
                            .memory = platform_memory_allocated(broodi_family.arena.object) };
    for (int kind = 1; kind < BROODI_KINDS; kind++) {
        now.live[kind] = atomic_load(&broodi_family.header->tables[kind].live);
        now.memory -= broodi_table_size((enum broodi_kind)kind);
    }
    now.live[BROODI_QUEUE_LOCK] = 0; // they stay with the slots of queues
    return now;
}

// Processes that no process waits for end a moment later.
static bool is_alone(unsigned with)
{
    enum { MOST_IMAGES = 16 };
    brood_pid images[MOST_IMAGES];
    const int64_t deadline = brood_clock() + BROOD_SECONDS(30);
    size_t count = platform_images(images, MOST_IMAGES);
    for (; count > 1 + with && brood_clock() < deadline;
         count = platform_images(images, MOST_IMAGES))
        brood_sleep(BROOD_MILLISECONDS(1));
    for (size_t i = 0; i < count && count > 1 + with; i++)
        print_message("process %d of %d\n", (int)images[i], (int)platform_parent_of(images[i]));
    return count <= 1 + with;
}

static void assert_same(const struct scenario *scenario, unsigned n, struct holdings before)
{
    if (!is_alone(scenario->others))
        fail_msg("%s, fault %u: a process is left", scenario->name, n);
    if (platform_has_child() || brood_active_children(NULL, 0) > 0)
        fail_msg("%s, fault %u: a child is left", scenario->name, n);
    const struct holdings after = take_stock();
    if (!scenario->cold && after.descriptors != before.descriptors)
        fail_msg("%s, fault %u: %u descriptors have become %u", scenario->name, n,
                 (unsigned)before.descriptors, (unsigned)after.descriptors);
    if (!scenario->cold && after.memory > before.memory)
        fail_msg("%s, fault %u: %u bytes of the arena beside its tables have become %u",
                 scenario->name, n, (unsigned)before.memory, (unsigned)after.memory);
    for (int kind = 1; kind < BROODI_KINDS; kind++)
        if (after.live[kind] != before.live[kind] && !scenario->cold)
            fail_msg("%s, fault %u: %u slots of kind %d have become %u", scenario->name, n,
                     (unsigned)before.live[kind], kind, (unsigned)after.live[kind]);
}

static void assert_allowed(const struct scenario *scenario, unsigned n, brood_status status)
{
    if (status == BROOD_OK)
        return;
    for (size_t i = 0; scenario->allowed[i] != BROOD_OK; i++)
        if (scenario->allowed[i] == status)
            return;
    fail_msg("%s, fault %u: %s (%s)", scenario->name, n, brood_status_name(status),
             brood_last_error());
}

// Cancels the fault; returns whether it had not been injected yet.
static bool is_pending(void)
{
    const bool pending = broodi_fault_left() > 0;
    broodi_fault_set(0);
    return pending;
}

enum { MOST = 400 };

// Reports a scenario and its faults up to the first one that was not reached.
static void conclude(const struct scenario *scenario, unsigned n, unsigned failures, bool pending)
{
    assert_true(pending);
    print_message("%s: %u faults, %u of them failures\n", scenario->name, n - 1, failures);
}

static void walk(const struct scenario *scenario)
{
    unsigned failures = 0;
    bool pending = false;
    unsigned n = 0;
    while (!pending && n < MOST) {
        const struct holdings before = take_stock();
        broodi_fault_set(++n);
        const brood_status status = scenario->run();
        pending = is_pending();
        assert_allowed(scenario, n, status);
        assert_same(scenario, n, before);
        failures += status != BROOD_OK;
    }
    assert_status(scenario->run(), BROOD_OK);
    conclude(scenario, n, failures, pending);
}

static void walk_twice(const struct scenario *scenario)
{
    struct scenario first = *scenario;
    first.cold = true;
    walk(&first);
    (void)broodi_self_take_slot(); // a join does this only for a child that still runs
    walk(scenario);
}

// Processes

// Every child is passed one resource.
static brood_resource handed = { .kind = BROOD_RESOURCE_DESCRIPTOR };

// And is a user of the second end.
static brood_connection ends_of_children[2];
static bool children_were_users;

// No child is left as a user.
static void assert_no_user(void)
{
    char byte;
    const unsigned left = broodi_fault_left();
    broodi_fault_set(0);
    const brood_status status =
        brood_connection_receive(ends_of_children[0], &byte, 1, NULL, BROOD_NOW);
    assert_true(status == BROOD_CLOSED || (status == BROOD_TIMEOUT && !children_were_users));
    broodi_fault_set(left);
}

static int read_argument(void *arg)
{
    return strcmp(arg, "an argument") == 0 ? 5 : 6;
}

static brood_status start_and_join(brood_start_method method)
{
    static const char *const environment[] = { "BROOD_TEST_A=1", "BROOD_TEST_B", NULL };
    const brood_process_options options = { .method = (int32_t)method,
                                            .directory = ".",
                                            .output = BROOD_OUTPUT_NULL,
                                            .error = BROOD_OUTPUT_RESOURCE,
                                            .error_resource = handed,
                                            .resources = &handed,
                                            .resource_count = 1,
                                            .environment = environment,
                                            .connections = &ends_of_children[1],
                                            .connection_count = 1 };
    brood_process *process = NULL;
    brood_exit ended = { .kind = BROOD_RUNNING };
    const brood_status status =
        brood_process_start(&process, read_argument, "an argument", sizeof "an argument", &options);
    children_were_users |= status == BROOD_OK;
    if (status != BROOD_OK) {
        assert_null(process);
        assert_no_user();
        return status;
    }
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    assert_int_equal(ended.kind, BROOD_EXITED);
    assert_int_equal(ended.code, 5);
    brood_process_drop(process);
    assert_no_user();
    assert_int_equal(brood_active_children(NULL, 0), 0);
    return BROOD_OK;
}

static brood_status spawn_and_join(void)
{
    return start_and_join(BROOD_START_SPAWN);
}

static brood_status fork_and_join(void)
{
    return start_and_join(BROOD_START_FORK);
}

static void a_spawn_that_fails_leaves_nothing(void **state)
{
    (void)state;
    walk_twice(
        &(struct scenario){ .name = "spawn",
                            .run = spawn_and_join,
                            .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM } });
}

static void a_fork_that_fails_leaves_nothing(void **state)
{
    (void)state;
    if (!platform_has_fork()) {
        assert_status(fork_and_join(), BROOD_UNSUPPORTED);
        return;
    }
    walk_twice(
        &(struct scenario){ .name = "fork",
                            .run = fork_and_join,
                            .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM } });
}

enum { SERVER_AND_SPARES = 3 };

static brood_status serve_and_join(void)
{
    return start_and_join(BROOD_START_FORKSERVER);
}

static brood_status serve_anew_and_join(void)
{
    const brood_status status = start_and_join(BROOD_START_FORKSERVER);
    broodi_server_close();
    return status;
}

static void a_start_from_the_server_that_fails_leaves_nothing(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { .name = "fork server, new",
          .run = serve_anew_and_join,
          .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM } },
        { .name = "fork server, running",
          .run = serve_and_join,
          .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM },
          .others = SERVER_AND_SPARES },
    };
    if (!platform_has_fork()) {
        assert_status(serve_and_join(), BROOD_UNSUPPORTED);
        return;
    }
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        walk_twice(&scenarios[i]);
    broodi_server_close();
}

// The child's side: faults of a fresh image, of the server, of a spare. A child that reaches its
// target reports whether its fault is still pending.

enum { PENDING = 5, INJECTED = 6 };

static int report_pending(void *arg)
{
    (void)arg;
    return broodi_fault_left() > 0 ? PENDING : INJECTED;
}

static brood_status start_and_ask(brood_start_method method, const char *variable, bool *pending)
{
    const char *const environment[] = { variable, NULL };
    const brood_process_options options = { .method = (int32_t)method,
                                            .directory = ".",
                                            .output = BROOD_OUTPUT_NULL,
                                            .error = BROOD_OUTPUT_RESOURCE,
                                            .error_resource = handed,
                                            .resources = &handed,
                                            .resource_count = 1,
                                            .environment = environment };
    brood_process *process = NULL;
    brood_exit ended = { .kind = BROOD_RUNNING };
    *pending = false;
    const brood_status status = brood_process_start(&process, report_pending, "an argument",
                                                    sizeof "an argument", &options);
    if (status != BROOD_OK) {
        assert_null(process);
        return status;
    }
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(process);
    assert_int_equal(ended.kind, BROOD_EXITED);
    assert_true(ended.code == PENDING || ended.code == INJECTED);
    *pending = ended.code == PENDING;
    return BROOD_OK;
}

static brood_status ask_fresh_image(unsigned n, bool *pending)
{
    char variable[64];
    (void)snprintf(variable, sizeof variable, VARIABLE "=%u", n);
    return start_and_ask(BROOD_START_SPAWN, variable, pending);
}

// Starts several children in turn, so that the server has done each of its tasks at least once.
// The server and its spares share a countdown.
static brood_status ask_server(unsigned n, bool *pending)
{
    enum { CHILDREN = 4 };
    char text[32];
    brood_status status = BROOD_OK;
    *pending = true;
    (void)snprintf(text, sizeof text, "%u", n);
    platform_environment_set(VARIABLE, text);
    for (int i = 0; i < CHILDREN && status == BROOD_OK && *pending; i++)
        status = start_and_ask(BROOD_START_FORKSERVER, NULL, pending);
    platform_environment_set(VARIABLE, NULL);
    broodi_server_close();
    return status;
}

static void walk_other_side(const struct scenario *scenario,
                            brood_status (*ask)(unsigned n, bool *pending))
{
    unsigned failures = 0;
    bool pending = false;
    unsigned n = 0;
    while (!pending && n < MOST) {
        const struct holdings before = take_stock();
        const brood_status status = ask(++n, &pending);
        assert_allowed(scenario, n, status);
        assert_same(scenario, n, before);
        failures += status != BROOD_OK;
    }
    conclude(scenario, n, failures, pending);
}

static void a_fresh_image_that_cannot_begin_says_why_and_is_gone(void **state)
{
    (void)state;
    bool pending;
    assert_status(ask_fresh_image(MOST * 10, &pending), BROOD_OK); // makes what is made only once
    assert_true(pending);
    walk_other_side(
        &(struct scenario){ .name = "fresh image",
                            .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM } },
        ask_fresh_image);
}

static void a_server_that_fails_is_replaced_or_says_why(void **state)
{
    (void)state;
    bool pending;
    if (!platform_has_fork())
        return; // no fork server
    assert_status(ask_server(MOST * 10, &pending), BROOD_OK);
    assert_true(pending);
    walk_other_side(
        &(struct scenario){ .name = "server and spares",
                            .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM } },
        ask_server);
}

static void a_child_that_never_answers_is_given_up(void **state)
{
    (void)state;
    const brood_duration usual = broodi_start_timeout;
    const struct scenario scenario = { .name = "silent child" };
    bool pending;
    assert_status(ask_fresh_image(MOST * 10, &pending), BROOD_OK); // makes what is made only once
    const struct holdings before = take_stock();
    broodi_start_timeout = BROOD_MILLISECONDS(100);
    assert_status(start_and_ask(BROOD_START_SPAWN, SILENT "=1", &pending), BROOD_TIMEOUT);
    broodi_start_timeout = usual;
    assert_same(&scenario, 0, before);
}

static int sit(void *unused)
{
    (void)unused;
    for (;;)
        brood_sleep(BROOD_SECONDS(1));
    return 0;
}

static void a_server_that_is_stopped_for_too_long_is_given_up_and_is_gone(void **state)
{
    enum { MOST_SPARES = 8 };
    (void)state;
    const brood_duration usual = broodi_start_timeout;
    brood_pid spares[MOST_SPARES];
    brood_process *process = NULL;
    if (!platform_has_fork())
        return; // no fork server
    broodi_server_close();
    const struct holdings before = take_stock();
    const brood_process_options served = { .method = BROOD_START_FORKSERVER };
    assert_status(brood_process_start(&process, sit, NULL, 0, &served), BROOD_OK);
    const brood_pid server = platform_parent_of(brood_process_pid(process));
    size_t count = 0;
    while ((count = platform_children_of(server, spares, MOST_SPARES)) < 3) // including the child
        brood_sleep(BROOD_MILLISECONDS(1));
    kill_process(process);
    assert_true(platform_process_stop(server));
    for (size_t i = 0; i < count; i++)
        (void)platform_process_stop(spares[i]);
    broodi_start_timeout = BROOD_MILLISECONDS(100);
    assert_status(brood_process_start(&process, sit, NULL, 0, &served), BROOD_TIMEOUT);
    broodi_start_timeout = usual;
    assert_last_error_names("fork server");
    assert_true(platform_process_ends(server));
    for (size_t i = 0; i < count; i++)
        assert_true(platform_process_ends(spares[i]));
    assert_same(&(struct scenario){ .name = "stopped server" }, 0, before);
}

// The main process

static const char main_scenario[] = "begin";

static int begin_main(void)
{
    brood_init();
    return broodi_fault_left() > 0 ? PENDING : INJECTED;
}

// The program must have printed nothing, or one line of the library.
static void assert_printed(const char *path, unsigned n, bool refused)
{
    char text[2048];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    (void)fclose(file);
    const char *end = strchr(text, '\n');
    if (refused ? strncmp(text, "brood: brood_init: ", 19) != 0 || !end || end[1] : text[0] != 0)
        fail_msg("main, fault %u: %s", n, text);
}

static void a_main_process_that_cannot_begin_says_why_in_one_line(void **state)
{
    enum { REFUSED = 70 };
    (void)state;
    unsigned n = 0;
    int code = 0;
    while (code != PENDING && n < MOST) {
        char path[512];
        char variable[64];
        foreign_file_name(path, sizeof path, "main");
        (void)snprintf(variable, sizeof variable, VARIABLE "=%u", ++n);
        const platform_program program = platform_program_start(main_scenario, variable, path);
        platform_program_close_input(program);
        code = platform_program_wait(program);
        assert_true(code == REFUSED || code == PENDING || code == INJECTED);
        assert_printed(path, n, code == REFUSED);
        foreign_file_remove(path);
    }
    assert_int_equal(code, PENDING);
    print_message("main: %u faults\n", n - 1);
}

// Runs a scenario in a thread that is new to brood. The test's own thread checks the result.

struct errand {
    brood_status (*run)(void);
    brood_status status;
};

static void run_errand(void *arg)
{
    struct errand *errand = arg;
    errand->status = errand->run();
}

static brood_status in_fresh_thread(brood_status (*run)(void))
{
    struct errand errand = { run, BROOD_OK };
    foreign_thread_join(foreign_thread_start(run_errand, &errand));
    return errand.status;
}

static brood_status start_elsewhere(void)
{
    static const brood_process_options options = { .method = BROOD_START_SPAWN };
    brood_process *process = NULL;
    const brood_status status =
        brood_process_start(&process, read_argument, "an argument", sizeof "an argument", &options);
    if (status != BROOD_OK)
        return status;
    (void)brood_process_join(process, MEETING_PATIENCE, NULL);
    brood_process_drop(process);
    return BROOD_OK;
}

static brood_status spawn_in_fresh_thread(void)
{
    return in_fresh_thread(start_elsewhere);
}

static void a_spawn_by_a_new_thread_that_fails_leaves_nothing(void **state)
{
    (void)state;
    walk_twice(
        &(struct scenario){ .name = "spawn by a new thread",
                            .run = spawn_in_fresh_thread,
                            .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM } });
}

// Threads

static int use_lock_and_local(void *arg)
{
    brood_local local;
    brood_lock lock;
    memcpy(&lock, arg, sizeof lock);
    if (brood_lock_acquire(lock, MEETING_PATIENCE) == BROOD_OK &&
        brood_lock_release(lock) != BROOD_OK)
        return 1;
    if (brood_local_create(&local, free) != BROOD_OK)
        return 0;
    void *value = malloc(8);
    if (!value || brood_local_set(local, value) != BROOD_OK)
        free(value);
    brood_local_destroy(local); // its value has no owner any more
    if (brood_local_get(local))
        return 2;
    return 0;
}

static int use_lock(void *arg)
{
    brood_lock lock;
    memcpy(&lock, arg, sizeof lock);
    if (brood_lock_acquire(lock, MEETING_PATIENCE) != BROOD_OK)
        return 0;
    return brood_lock_release(lock) != BROOD_OK;
}

static brood_lock shared_lock;

static brood_status thread_and_join(void)
{
    brood_thread *thread = NULL;
    int code = -1;
    const brood_status status =
        brood_thread_start(&thread, use_lock, &shared_lock, sizeof shared_lock, NULL);
    if (status != BROOD_OK) {
        assert_null(thread);
        return status;
    }
    assert_status(brood_thread_join(thread, MEETING_PATIENCE, &code), BROOD_OK);
    assert_int_equal(code, 0);
    brood_thread_drop(thread);
    return BROOD_OK;
}

static void a_thread_that_fails_leaves_nothing(void **state)
{
    (void)state;
    assert_status(brood_lock_create(&shared_lock), BROOD_OK);
    walk_twice(&(struct scenario){ .name = "thread",
                                   .run = thread_and_join,
                                   .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES } });
    assert_status(brood_lock_destroy(shared_lock), BROOD_OK);
}

// Locks

static brood_status acquire_and_release(void)
{
    const brood_status status = brood_lock_acquire(shared_lock, MEETING_PATIENCE);
    return status == BROOD_OK ? brood_lock_release(shared_lock) : status;
}

static brood_status acquire_in_fresh_thread(void)
{
    return in_fresh_thread(acquire_and_release);
}

static void an_acquire_by_a_new_thread_that_fails_leaves_the_lock_free(void **state)
{
    (void)state;
    assert_status(brood_lock_create(&shared_lock), BROOD_OK);
    walk_twice(&(struct scenario){ .name = "acquire by a new thread",
                                   .run = acquire_in_fresh_thread,
                                   .allowed = { BROOD_NO_RESOURCES } });
    assert_status(brood_lock_acquire(shared_lock, BROOD_NOW), BROOD_OK);
    assert_status(brood_lock_release(shared_lock), BROOD_OK);
    assert_status(brood_lock_destroy(shared_lock), BROOD_OK);
}

enum { HOARD = 20000 };

static brood_lock hoard[HOARD];
static size_t hoarded;

// Continues where a failure stopped it, so that the table must grow repeatedly.
static brood_status hoard_locks(void)
{
    for (size_t i = 0; i < 3000 && hoarded < HOARD; i++) {
        const brood_status status = brood_lock_create(&hoard[hoarded]);
        if (status != BROOD_OK)
            return status;
        hoarded++;
    }
    return BROOD_OK;
}

static void a_table_that_cannot_grow_stays_whole(void **state)
{
    (void)state;
    walk(&(struct scenario){ .name = "growth of a table",
                             .run = hoard_locks,
                             .allowed = { BROOD_NO_MEMORY },
                             .cold = true });
    broodi_fault_set(1);
    while (hoarded < HOARD && hoard_locks() == BROOD_OK)
        continue;
    broodi_fault_set(0);
    for (size_t i = 0; i < hoarded; i++) {
        assert_status(brood_lock_acquire(hoard[i], BROOD_NOW), BROOD_OK);
        assert_status(brood_lock_release(hoard[i]), BROOD_OK);
        assert_status(brood_lock_destroy(hoard[i]), BROOD_OK);
    }
}

// Blocks

enum { BLOCKS = 3 };

// Makes more blocks than the spare memory holds; checks that all are zero and writable.
static brood_status make_blocks(brood_status (*create)(brood_block *, size_t), size_t size,
                                unsigned count)
{
    brood_block blocks[100];
    brood_status status = BROOD_OK;
    unsigned made = 0;
    for (; made < count && status == BROOD_OK; made += status == BROOD_OK) {
        blocks[made].id = 77;
        status = create(&blocks[made], size);
        if (status != BROOD_OK) {
            assert_int_equal(blocks[made].id, 77);
            continue;
        }
        unsigned char *data = brood_block_data(blocks[made]);
        assert_non_null(data);
        assert_true(data[0] == 0 && data[size - 1] == 0);
        data[0] = data[size - 1] = 1;
    }
    while (made > 0)
        assert_status(brood_block_destroy(blocks[--made]), BROOD_OK);
    return status;
}

static brood_status make_small_ones(void)
{
    return make_blocks(brood_block_create, 30000, 50);
}

static brood_status make_medium_ones(void)
{
    return make_blocks(brood_block_create, 100 << 10, 12);
}

static brood_status make_runs(void)
{
    return make_blocks(brood_block_create, 1 << 20, BLOCKS);
}

static brood_status make_large_ones(void)
{
    return make_blocks(brood_block_create, 3 << 20, BLOCKS);
}

static brood_status make_lazy_ones(void)
{
    return make_blocks(brood_block_create_lazy, 3 << 20, BLOCKS);
}

static brood_status make_one_elsewhere(void)
{
    return in_fresh_thread(make_large_ones);
}

static void a_block_that_fails_leaves_nothing(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { .name = "small blocks", .run = make_small_ones, .allowed = { BROOD_NO_MEMORY } },
        { .name = "medium blocks", .run = make_medium_ones, .allowed = { BROOD_NO_MEMORY } },
        { .name = "runs of chunks", .run = make_runs, .allowed = { BROOD_NO_MEMORY } },
        { .name = "large blocks",
          .run = make_large_ones,
          .allowed = { BROOD_NO_MEMORY, BROOD_NOT_FOUND } },
        { .name = "lazy blocks",
          .run = make_lazy_ones,
          .allowed = { BROOD_NO_MEMORY, BROOD_NOT_FOUND } },
        { .name = "large blocks of a new thread",
          .run = make_one_elsewhere,
          .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_NOT_FOUND } },
    };
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        walk_twice(&scenarios[i]);
}

// In a child: maps the block with the first fault, the second and so on, until that succeeds.
static int map_block(void *arg)
{
    const brood_block block = *(const brood_block *)arg;
    size_t before = 0;
    bool pending = false;
    for (unsigned n = 1; !pending; n++) {
        CHECK(n < MOST);
        broodi_fault_set(n);
        const unsigned char *data = brood_block_data(block);
        if (n == 1) // the first use of a lock may make the system keep a descriptor
            before = platform_descriptor_count();
        pending = is_pending();
        CHECK(data || !pending);
        if (!data) {
            CHECK(strstr(brood_last_error(), "brood_block_data"));
            CHECK(platform_descriptor_count() == before);
        } else {
            CHECK(data[0] == 5 && data[brood_block_size(block) - 1] == 6);
            pending = true; // once it is mapped nothing can fail
        }
    }
    CHECK(brood_block_data(block));
    CHECK(platform_descriptor_count() == before);
    return 0;
}

static void a_block_that_cannot_be_mapped_can_be_later(void **state)
{
    (void)state;
    enum { SIZE = 3 << 20 };
    brood_block block;
    assert_status(brood_block_create(&block, SIZE), BROOD_OK);
    unsigned char *data = brood_block_data(block);
    data[0] = 5;
    data[SIZE - 1] = 6;
    assert_process_ends(started_process(map_block, &block, sizeof block), 0);
    assert_status(brood_block_destroy(block), BROOD_OK);
}

// Queues

enum { MESSAGE = 3 << 20 };

static brood_status put_and_get(brood_queue queue, unsigned char *data, size_t size)
{
    size_t got = 0;
    data[0] = data[size - 1] = 7;
    brood_status status = brood_queue_put(queue, data, size, BROOD_NOW);
    if (status != BROOD_OK)
        return status;
    memset(data, 0, size);
    status = brood_queue_get(queue, data, size, &got, BROOD_NOW);
    if (status != BROOD_OK) // then the message is still there
        assert_status(brood_queue_get(queue, data, size, &got, BROOD_NOW), BROOD_OK);
    assert_true(got == size && data[0] == 7 && data[size - 1] == 7);
    return status;
}

static brood_status pass_in_place(brood_queue queue, size_t size)
{
    brood_message message = { 0 };
    brood_status status = brood_queue_reserve(queue, size, &message, BROOD_NOW);
    if (status != BROOD_OK)
        return status;
    status = brood_queue_commit(queue, &message, size);
    brood_queue_abort(queue, &message);
    if (status == BROOD_OK)
        status = brood_queue_take(queue, &message, BROOD_NOW);
    brood_queue_release(queue, &message);
    return status;
}

static brood_status take_small(brood_queue queue)
{
    brood_message message = { 0 };
    brood_status status = brood_queue_put(queue, "small", 5, BROOD_NOW);
    if (status != BROOD_OK)
        return status;
    status = brood_queue_take(queue, &message, BROOD_NOW);
    if (status != BROOD_OK)
        assert_status(brood_queue_take(queue, &message, BROOD_NOW), BROOD_OK);
    assert_memory_equal(message.data, "small", 5);
    brood_queue_release(queue, &message);
    return status;
}

static brood_status use_queue_of_a_kind(bool joinable)
{
    static unsigned char data[MESSAGE];
    static const size_t sizes[] = { 100, 100000, sizeof data };
    brood_queue queue = { 0 };
    brood_status status = joinable ? brood_queue_create_joinable(&queue, 10, sizeof data)
                                   : brood_queue_create(&queue, 10, sizeof data);
    if (status != BROOD_OK)
        return status;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && status == BROOD_OK; i++) {
        status = put_and_get(queue, data, sizes[i]);
        if (status == BROOD_OK)
            status = pass_in_place(queue, sizes[i]);
    }
    if (status == BROOD_OK)
        status = take_small(queue);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    return status;
}

static brood_status use_queue(void)
{
    return use_queue_of_a_kind(false);
}

static brood_status use_joinable_queue(void)
{
    return use_queue_of_a_kind(true);
}

static brood_status use_queue_elsewhere(void)
{
    return in_fresh_thread(use_queue);
}

static void a_queue_that_fails_leaves_nothing(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { .name = "queues", .run = use_queue, .allowed = { BROOD_NO_MEMORY } },
        { .name = "joinable queues", .run = use_joinable_queue, .allowed = { BROOD_NO_MEMORY } },
        { .name = "queues of a new thread",
          .run = use_queue_elsewhere,
          .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES } },
    };
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        walk_twice(&scenarios[i]);
}

enum { CLEARED = 3 };

// In a child: clears the queue with the first fault, the second and so on, until that succeeds.
// What is not thrown away stays.
static int clear_queue(void *arg)
{
    const brood_queue queue = *(const brood_queue *)arg;
    size_t left = CLEARED;
    brood_status status;
    bool pending;
    unsigned n = 0;
    do {
        size_t cleared = 0;
        size_t count = 0;
        CHECK(++n < MOST);
        broodi_fault_set(n);
        status = brood_queue_clear(queue, &cleared);
        pending = is_pending();
        CHECK(status == BROOD_OK || (status == BROOD_NO_MEMORY && !pending));
        left -= cleared;
        CHECK(brood_queue_count(queue, &count) == BROOD_OK && count == left);
    } while (status != BROOD_OK);
    CHECK(left == 0);
    return 0;
}

static void messages_that_cannot_be_cleared_stay(void **state)
{
    (void)state;
    static unsigned char data[MESSAGE];
    brood_queue queue;
    assert_status(brood_queue_create(&queue, CLEARED, sizeof data), BROOD_OK);
    for (size_t i = 0; i < CLEARED; i++)
        assert_status(brood_queue_put(queue, data, i == 0 ? 1 : sizeof data, BROOD_NOW), BROOD_OK);
    assert_process_ends(started_process(clear_queue, &queue, sizeof queue), 0);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static brood_status send_and_receive(brood_connection from, brood_connection to,
                                     unsigned char *data, size_t size)
{
    size_t got = 0;
    memset(data, 7, size);
    brood_status status = brood_connection_send(from, data, size, BROOD_NOW);
    if (status != BROOD_OK)
        return status;
    memset(data, 0, size);
    status = brood_connection_receive(to, data, size, &got, BROOD_NOW);
    if (status != BROOD_OK)
        assert_status(brood_connection_receive(to, data, size, &got, BROOD_NOW), BROOD_OK);
    assert_true(got == size && data[0] == 7 && data[size - 1] == 7);
    return status;
}

static brood_status use_connection(void)
{
    static unsigned char data[MESSAGE];
    static const size_t sizes[] = { 100, 100000, 1 << 20 };
    brood_connection ends[2];
    brood_status status = brood_connection_pair(&ends[0], &ends[1], BROOD_DUPLEX);
    if (status != BROOD_OK)
        return status;
    for (int i = 0; i < 6 && status == BROOD_OK; i++)
        status = send_and_receive(ends[i % 2], ends[!(i % 2)], data, sizes[i / 2]);
    const brood_status destroyed = brood_connection_destroy(ends[0]);
    assert_true(destroyed == BROOD_OK);
    return status;
}

static brood_status use_connection_elsewhere(void)
{
    return in_fresh_thread(use_connection);
}

static void a_connection_that_fails_leaves_nothing(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { .name = "connections", .run = use_connection, .allowed = { BROOD_NO_MEMORY } },
        { .name = "connections of a new thread",
          .run = use_connection_elsewhere,
          .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES } },
    };
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        walk_twice(&scenarios[i]);
}

// Waits for more than fit the stack.
static brood_status wait_for_many(void)
{
    enum { COUNT = 20 };
    brood_waitable waitables[COUNT];
    bool ready[COUNT];
    brood_event event = { 0 };
    brood_status status = brood_event_create(&event);
    if (status != BROOD_OK)
        return status;
    for (int i = 0; i < COUNT; i++)
        waitables[i] = brood_waitable_event(event);
    status = brood_wait_any(waitables, COUNT, BROOD_MILLISECONDS(1), ready);
    if (status == BROOD_TIMEOUT)
        status = BROOD_OK;
    if (status == BROOD_OK)
        status = brood_event_set(event);
    if (status == BROOD_OK)
        status = brood_wait_any(waitables, COUNT, BROOD_FOREVER, ready);
    assert_true(ready[0] == (status == BROOD_OK));
    assert_status(brood_event_destroy(event), BROOD_OK);
    return status;
}

// Waits for a native object, in a call and in a poller that must grow.
static brood_status add_many(brood_poller *poller, brood_waitable waitable, brood_event *events,
                             int count)
{
    brood_status status = brood_poller_add(poller, waitable, NULL);
    for (int i = 0; status == BROOD_OK && i < count; i++)
        status = brood_poller_add(poller, brood_waitable_event(events[i]), NULL);
    return status;
}

static brood_status wait_for_native(brood_waitable native, brood_event *events, int count)
{
    brood_ready ready;
    intptr_t loop;
    brood_poller *poller = NULL;
    brood_status status = brood_wait_any(&native, 1, BROOD_MILLISECONDS(1), NULL);
    if (status != BROOD_TIMEOUT)
        return status;
    status = brood_poller_create(&poller);
    if (status == BROOD_OK)
        status = add_many(poller, native, events, count);
    if (status == BROOD_OK)
        status = brood_poller_native(poller, &loop);
    if (status == BROOD_OK)
        status = brood_poller_wait(poller, &ready, 1, NULL, BROOD_MILLISECONDS(1));
    brood_poller_destroy(poller);
    return status == BROOD_TIMEOUT ? BROOD_OK : status;
}

static brood_waitable awaited; // by the scenario; never ready

static brood_status wait_for_natives(void)
{
    enum { COUNT = 20 };
    int made = 0;
    brood_event events[COUNT];
    brood_status status = BROOD_OK;
    while (made < COUNT && (status = brood_event_create(&events[made])) == BROOD_OK)
        made++;
    if (status == BROOD_OK)
        status = wait_for_native(awaited, events, COUNT);
    while (made > 0)
        assert_status(brood_event_destroy(events[--made]), BROOD_OK);
    return status;
}

static brood_status wait_for_natives_elsewhere(void)
{
    return in_fresh_thread(wait_for_natives);
}

static brood_status wait_for_many_elsewhere(void)
{
    return in_fresh_thread(wait_for_many);
}

static void a_wait_for_many_that_fails_leaves_nothing(void **state)
{
    (void)state;
    const struct scenario scenarios[] = {
        { .name = "waits for many", .run = wait_for_many, .allowed = { BROOD_NO_MEMORY } },
        { .name = "waits for many of a new thread",
          .run = wait_for_many_elsewhere,
          .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES } },
        { .name = "waits for a descriptor",
          .run = wait_for_natives,
          .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES } },
        { .name = "waits for a descriptor of a new thread",
          .run = wait_for_natives_elsewhere,
          .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES } },
    };
    intptr_t ends[2];
    platform_pipe(ends);
    awaited = brood_waitable_native(ends[0]);
    // A pipe of Windows cannot be waited for.
    const size_t count = sizeof scenarios / sizeof scenarios[0] - (platform_has_fork() ? 0 : 2);
    for (size_t i = 0; i < count; i++)
        walk_twice(&scenarios[i]);
    platform_close(ends[0]);
    platform_close(ends[1]);
}

// In a child: calls with the first fault, the second and so on, until one succeeds.
static int get_with_faults(void *arg)
{
    static unsigned char data[MESSAGE];
    const brood_queue queue = *(const brood_queue *)arg;
    size_t size = 0;
    brood_status status = BROOD_NO_MEMORY;
    for (unsigned n = 1; status != BROOD_OK && n < MOST; n++) {
        broodi_fault_set(n);
        status = brood_queue_get(queue, data, sizeof data, &size, BROOD_NOW);
        broodi_fault_set(0);
        CHECK(status == BROOD_OK || status == BROOD_NO_MEMORY || status == BROOD_NO_RESOURCES);
    }
    CHECK(status == BROOD_OK && size == sizeof data && data[0] == 1 && data[size - 1] == 1);
    return 0;
}

static void a_message_that_cannot_be_mapped_stays(void **state)
{
    static unsigned char data[MESSAGE];
    (void)state;
    brood_queue queue;
    assert_status(brood_queue_create(&queue, 1, sizeof data), BROOD_OK);
    data[0] = data[sizeof data - 1] = 1;
    assert_status(brood_queue_put(queue, data, sizeof data, BROOD_NOW), BROOD_OK);
    assert_process_ends(started_process(get_with_faults, &queue, sizeof queue), 0);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void die_when_published(enum broodi_step step)
{
    if (step == BROODI_STEP_QUEUE_PUBLISHED)
        platform_process_kill(brood_self_pid());
}

static int put_and_die(void *arg)
{
    static const unsigned char data[100000] = { 1 };
    broodi_step_hook = die_when_published;
    return (int)brood_queue_put(*(brood_queue *)arg, data, sizeof data, BROOD_NOW);
}

static int put_small_with_faults(void *arg)
{
    const brood_queue queue = *(const brood_queue *)arg;
    const unsigned char byte = 2;
    brood_status status = BROOD_NO_MEMORY;
    for (unsigned n = 1; status != BROOD_OK && n < MOST; n++) {
        broodi_fault_set(n);
        status = brood_queue_put(queue, &byte, 1, BROOD_NOW);
        broodi_fault_set(0);
        CHECK(status == BROOD_OK || status == BROOD_NO_MEMORY || status == BROOD_NO_RESOURCES);
    }
    return (int)status;
}

static void an_heir_that_cannot_repair_leaves_that_to_the_next(void **state)
{
    static unsigned char data[100000];
    (void)state;
    brood_queue queue;
    assert_status(brood_queue_create(&queue, 2, sizeof data), BROOD_OK);
    brood_process *process = started_process(put_and_die, &queue, sizeof queue);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
    assert_process_ends(started_process(put_small_with_faults, &queue, sizeof queue), BROOD_OK);
    for (unsigned char i = 1; i <= 2; i++) {
        assert_status(brood_queue_get(queue, data, sizeof data, NULL, BROOD_NOW), BROOD_OK);
        assert_int_equal(data[0], i);
    }
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

// Locals

enum { LOCALS = 100 };

// Needs a new chunk of locals in its first run, and a new array of values in each.
static brood_status use_locals(void)
{
    brood_local locals[LOCALS];
    static int value;
    brood_status status = BROOD_OK;
    size_t count = 0;
    for (; count < LOCALS && status == BROOD_OK; count += status == BROOD_OK)
        status = brood_local_create(&locals[count], NULL);
    for (size_t i = 0; i < count && status == BROOD_OK; i++)
        status = brood_local_set(locals[i], &value);
    for (size_t i = 0; i < count && status == BROOD_OK; i++)
        if (brood_local_get(locals[i]) != &value)
            status = BROOD_BROKEN;
    for (size_t i = 0; i < count; i++)
        brood_local_destroy(locals[i]);
    return status;
}

static brood_status use_locals_in_fresh_thread(void)
{
    return in_fresh_thread(use_locals);
}

static void locals_that_fail_leave_nothing(void **state)
{
    (void)state;
    walk_twice(
        &(struct scenario){ .name = "locals", .run = use_locals, .allowed = { BROOD_NO_MEMORY } });
    walk_twice(&(struct scenario){ .name = "locals in a new thread",
                                   .run = use_locals_in_fresh_thread,
                                   .allowed = { BROOD_NO_MEMORY } });
    assert_int_equal(use_lock_and_local(&(brood_lock){ 0 }), 0);
}

// The registry, and handlers

static brood_status set_and_remove(void)
{
    uint64_t value = 0;
    brood_status status = brood_registry_set("faults", 9);
    if (status == BROOD_OK)
        status = brood_registry_get("faults", &value);
    if (status == BROOD_OK && value != 9)
        return BROOD_BROKEN;
    const brood_status removed = brood_registry_set("faults", 0);
    return status == BROOD_OK ? removed : status;
}

static brood_status set_in_fresh_thread(void)
{
    return in_fresh_thread(set_and_remove);
}

static void the_registry_fails_as_documented(void **state)
{
    (void)state;
    const struct scenario scenario = { .name = "registry",
                                       .run = set_in_fresh_thread,
                                       .allowed = { BROOD_NO_MEMORY, BROOD_NO_RESOURCES } };
    walk_twice(&scenario);
    assert_status(brood_registry_set("faults", 0), BROOD_OK);
}

static unsigned handled;

static void handle(void *arg)
{
    handled += *(unsigned *)arg;
}

static brood_status add_handler(void)
{
    static unsigned one = 1;
    return brood_at_exit(handle, &one);
}

static void a_handler_is_registered_or_is_not(void **state)
{
    (void)state;
    walk(&(struct scenario){
        .name = "at_exit", .run = add_handler, .allowed = { BROOD_NO_MEMORY } });
}

// So that each start passes a handler on, and each failure may have lines.
static void drop_line(brood_log_level level, const char *process, const char *text, void *user)
{
    (void)level, (void)process, (void)text, (void)user;
}

int main(int argc, char **argv)
{
    const char *fault = getenv(VARIABLE);
    broodi_fault_share(platform_memory_shared(sizeof(unsigned)));
    if (fault)
        broodi_fault_set((unsigned)strtoul(fault, NULL, 10));
    while (getenv(SILENT))
        brood_sleep(BROOD_SECONDS(1));
    if (argc > 1 && strcmp(argv[1], main_scenario) == 0)
        return begin_main();
    brood_init();
    brood_log_set_handler(drop_line, BROOD_LOG_DEBUG, NULL);
    intptr_t ends[2];
    platform_pipe(ends);
    handed.value = ends[0];
    if (brood_connection_pair(&ends_of_children[0], &ends_of_children[1], BROOD_DUPLEX) != BROOD_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spawn_that_fails_leaves_nothing),
        cmocka_unit_test(a_fork_that_fails_leaves_nothing),
        cmocka_unit_test(a_start_from_the_server_that_fails_leaves_nothing),
        cmocka_unit_test(a_fresh_image_that_cannot_begin_says_why_and_is_gone),
        cmocka_unit_test(a_child_that_never_answers_is_given_up),
        cmocka_unit_test(a_server_that_is_stopped_for_too_long_is_given_up_and_is_gone),
        cmocka_unit_test(a_server_that_fails_is_replaced_or_says_why),
        cmocka_unit_test(a_main_process_that_cannot_begin_says_why_in_one_line),
        cmocka_unit_test(a_spawn_by_a_new_thread_that_fails_leaves_nothing),
        cmocka_unit_test(a_thread_that_fails_leaves_nothing),
        cmocka_unit_test(an_acquire_by_a_new_thread_that_fails_leaves_the_lock_free),
        cmocka_unit_test(a_table_that_cannot_grow_stays_whole),
        cmocka_unit_test(a_block_that_fails_leaves_nothing),
        cmocka_unit_test(a_block_that_cannot_be_mapped_can_be_later),
        cmocka_unit_test(a_queue_that_fails_leaves_nothing),
        cmocka_unit_test(messages_that_cannot_be_cleared_stay),
        cmocka_unit_test(a_connection_that_fails_leaves_nothing),
        cmocka_unit_test(a_wait_for_many_that_fails_leaves_nothing),
        cmocka_unit_test(a_message_that_cannot_be_mapped_stays),
        cmocka_unit_test(an_heir_that_cannot_repair_leaves_that_to_the_next),
        cmocka_unit_test(locals_that_fail_leave_nothing),
        cmocka_unit_test(the_registry_fails_as_documented),
        cmocka_unit_test(a_handler_is_registered_or_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
