// SPDX-License-Identifier: MIT
// The limits that Linux sets to memory: each is reported by a status, and no process is killed.
// And where the arena is visible.
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64 // makes rlim_t as wide
#include "../meeting.h"

#include "../foreign.h"
#include "../platform.h"
#include "arena/family.h"
#include "arena/self.h"
#include "arena/space.h"
#include "sync/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <unistd.h>

enum { MIB = 1 << 20, CHUNK = BROODI_HEAP_CHUNK };

// `resource` is RLIMIT_FSIZE or RLIMIT_AS, whose type differs between C libraries.
static bool set_limit(int resource, uint64_t value)
{
    const struct rlimit limit = { (rlim_t)value, (rlim_t)value };
    return setrlimit(resource == RLIMIT_FSIZE ? RLIMIT_FSIZE : RLIMIT_AS, &limit) == 0;
}

// The number after `name` in a small file; 0 if there is none.
static uint64_t read_number(const char *path, const char *name)
{
    char text[8192];
    unsigned long long number = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    (void)fclose(file);
    const char *at = strstr(text, name);
    return at && sscanf(at + strlen(name), "%llu", &number) == 1 ? number : 0;
}

// RLIMIT_FSIZE, in a copy of this process, whose death by a signal would be noticed

static int make_large_blocks(void *arg)
{
    brood_block block = { 77 };
    brood_block more;
    (void)arg;
    CHECK(set_limit(RLIMIT_FSIZE, broodi_space_end() + 3 * MIB));
    CHECK(brood_block_create(&block, 8 * MIB) == BROOD_NO_MEMORY);
    CHECK(strstr(brood_last_error(), "the file size limit is"));
    CHECK(brood_block_create_lazy(&block, 8 * MIB) == BROOD_NO_MEMORY);
    CHECK(block.id == 77);
    CHECK(brood_block_create(&block, 2 * MIB) == BROOD_OK);
    CHECK(brood_block_create(&more, 2 * MIB) == BROOD_NO_MEMORY);
    CHECK(brood_block_destroy(block) == BROOD_OK);
    CHECK(brood_block_create(&more, 2 * MIB) == BROOD_OK); // in the freed place
    CHECK(brood_block_destroy(more) == BROOD_OK);
    return 0;
}

static int make_many(void *arg)
{
    enum { MOST = 1000 };
    static brood_block blocks[MOST];
    brood_block small;
    int count = 0;
    (void)arg;
    CHECK(set_limit(RLIMIT_FSIZE, broodi_space_end() + 3 * MIB));
    while (count < MOST && brood_block_create(&blocks[count], CHUNK) == BROOD_OK)
        count++;
    CHECK(count >= 30 && count < MOST);
    CHECK(brood_block_create(&blocks[count], CHUNK) == BROOD_NO_MEMORY);
    CHECK(strstr(brood_last_error(), "the file size limit is"));
    CHECK(brood_block_destroy(blocks[--count]) == BROOD_OK);
    CHECK(brood_block_create(&small, 10) == BROOD_OK);
    CHECK(brood_block_destroy(small) == BROOD_OK);
    while (count > 0)
        CHECK(brood_block_destroy(blocks[--count]) == BROOD_OK);
    return 0;
}

// platform_guest() returns only eight bits of a line.
static void assert_guest(int (*fn)(void *arg), void *arg)
{
    const int code = platform_guest(fn, arg);
    if (code != 0)
        fail_msg("line %d (modulo 256), or a signal if -2", code);
}

static void a_limit_of_file_size_is_reported_as_no_memory(void **state)
{
    (void)state;
    assert_guest(make_large_blocks, NULL);
    assert_guest(make_many, NULL);
    brood_block block;
    assert_status(brood_block_create(&block, 2 * MIB), BROOD_OK);
    assert_status(brood_block_destroy(block), BROOD_OK);
}

// The program closes the arena's descriptor, and then opens a file of its own

static int replace_the_descriptor(void *arg)
{
    enum { SIZE = 4096 };
    static char written[SIZE];
    static char found[SIZE];
    static brood_block blocks[64];
    int file = *(int *)arg;
    brood_block block;
    memset(written, 'x', sizeof written);
    CHECK(write(file, written, sizeof written) == SIZE);
    for (int i = 0; i < 64; i++)
        CHECK(brood_block_create(&blocks[i], CHUNK) == BROOD_OK);
    CHECK(dup2(file, (int)broodi_family.arena.object) >= 0);
    for (int i = 0; i < 64; i++) // must punch no holes
        (void)brood_block_destroy(blocks[i]);
    CHECK(brood_block_create(&block, 8 * MIB) == BROOD_WRONG_STATE);
    CHECK(brood_block_create_lazy(&block, 8 * MIB) == BROOD_WRONG_STATE);
    CHECK(lseek(file, 0, SEEK_END) == SIZE);
    CHECK(pread(file, found, sizeof found, 0) == SIZE);
    CHECK(memcmp(found, written, SIZE) == 0);
    return 0;
}

static void a_file_with_the_arena_s_descriptor_is_left_alone(void **state)
{
    (void)state;
    char path[600];
    foreign_file_name(path, sizeof path, "own.data");
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    foreign_file_remove(path);
    assert_guest(replace_the_descriptor, &file);
    close(file);
}

// What others have created can be used without the descriptor too.

static int make_locks(void *arg)
{
    brood_lock *locks = brood_block_data(*(brood_block *)arg);
    CHECK(locks);
    for (int i = 0; i < 200; i++)
        CHECK(brood_lock_create(&locks[i]) == BROOD_OK);
    return 0;
}

static int use_without_descriptor(void *arg)
{
    brood_block block = *(brood_block *)arg;
    const brood_lock *locks = brood_block_data(block);
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    CHECK(locks);
    CHECK(close((int)broodi_family.arena.object) == 0);
    while (!((volatile const brood_lock *)locks)[199].id && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    for (int i = 0; i < 200; i++) {
        CHECK(brood_lock_acquire(locks[i], BROOD_FOREVER) == BROOD_OK);
        CHECK(brood_lock_release(locks[i]) == BROOD_OK);
    }
    return 0;
}

static void what_is_made_later_can_be_used_without_the_descriptor(void **state)
{
    (void)state;
    brood_block block;
    assert_status(brood_block_create(&block, 200 * sizeof(brood_lock)), BROOD_OK);
    brood_process *process = started_process(use_without_descriptor, &block, sizeof block);
    assert_int_equal(make_locks(&block), 0);
    assert_process_ends(process, 0);
    const brood_lock *locks = brood_block_data(block);
    for (int i = 0; i < 200; i++)
        assert_status(brood_lock_destroy(locks[i]), BROOD_OK);
    assert_status(brood_block_destroy(block), BROOD_OK);
}

// Only memory in use is locked

enum { RESIDENT = 64 * 1024 }; // kilobytes more than before, at most

static int use_a_block(void *arg)
{
    brood_block block;
    (void)arg;
    CHECK(brood_block_create(&block, 2 * MIB) == BROOD_OK);
    memset(brood_block_data(block), 1, 2 * MIB);
    CHECK(brood_block_destroy(block) == BROOD_OK);
    return 0;
}

static void locked_memory_is_what_is_in_use(void **state)
{
    (void)state;
    static brood_lock locks[2000];
    if (!platform_copy_is_safe_beside_threads()) {
        print_message("a sanitizer has a large shadow memory\n");
        skip();
    }
    assert_int_equal(use_a_block(NULL), 0);
    const uint64_t before = read_number("/proc/self/status", "VmRSS:");
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        print_message("this process may not lock memory\n");
        skip();
    }
    assert_in_range(read_number("/proc/self/status", "VmRSS:"), 1, before + RESIDENT);
    for (int i = 0; i < 2000; i++)
        assert_status(brood_lock_create(&locks[i]), BROOD_OK);
    assert_int_equal(use_a_block(NULL), 0);
    assert_thread_ends(started_thread(use_a_block, "", 1), 0);
    assert_process_ends(started_process(use_a_block, "", 1), 0);
    const uint64_t after = read_number("/proc/self/status", "VmRSS:");
    assert_int_equal(munlockall(), 0);
    assert_in_range(after, 1, before + RESIDENT);
    for (int i = 0; i < 2000; i++)
        assert_status(brood_lock_destroy(locks[i]), BROOD_OK);
}

// The memory of the machine

static void more_than_the_machine_has_is_reported_as_no_memory(void **state)
{
    (void)state;
    brood_block block;
    const uint64_t left = (read_number("/proc/meminfo", "MemAvailable:") +
                           read_number("/proc/meminfo", "SwapFree:")) *
                          1024;
    assert_true(left > 0);
    if (left > SIZE_MAX / 2) {
        print_message("this machine has more memory than this address space\n");
        skip();
    }
    const int64_t before = brood_clock();
    assert_status(brood_block_create(&block, (size_t)(left + (left / 4))), BROOD_NO_MEMORY);
    assert_non_null(strstr(brood_last_error(), "available"));
    assert_true(platform_descriptors_limit(0)); // so that no file of /proc can be read
    assert_status(brood_block_create(&block, (size_t)(left + (left / 4))), BROOD_NO_MEMORY);
    platform_descriptors_unlimit();
    assert_non_null(strstr(brood_last_error(), "available"));
    assert_true(brood_clock() - before < BROOD_SECONDS(30)); // without trying to allocate
}

// A control group of this test, below that of this process

enum { GROUP_LIMIT = 128 * MIB };

static char group[4200]; // its directory; empty if there is none

static bool write_text(const char *file, const char *text)
{
    char path[4400];
    (void)snprintf(path, sizeof path, "%s/%s", group, file);
    const int opened = open(path, O_WRONLY | O_CLOEXEC);
    const bool written = opened >= 0 && write(opened, text, strlen(text)) == (ssize_t)strlen(text);
    if (opened >= 0)
        close(opened);
    return written;
}

// The path after `name` in /proc/self/cgroup.
static bool find_own(const char *name, char *out, size_t capacity)
{
    char line[4096];
    FILE *file = fopen("/proc/self/cgroup", "r");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        const char *at = strstr(line, name);
        found = at != NULL;
        if (found)
            (void)snprintf(out, capacity, "%.*s", (int)strcspn(at + strlen(name), "\n"),
                           at + strlen(name));
    }
    if (file)
        (void)fclose(file);
    return found;
}

static bool try_group(const char *root, const char *own, const char *limit_file)
{
    char limit[32];
    (void)snprintf(limit, sizeof limit, "%d", GROUP_LIMIT);
    (void)snprintf(group, sizeof group, "%s%s/brood-test-%d", root, own, (int)getpid());
    if (mkdir(group, 0700) != 0) {
        group[0] = 0;
        return false;
    }
    if (write_text(limit_file, limit))
        return true;
    (void)rmdir(group);
    group[0] = 0;
    return false;
}

static bool make_group(void)
{
    char own[4000];
    return (find_own(":memory:", own, sizeof own) &&
            try_group("/sys/fs/cgroup/memory", own, "memory.limit_in_bytes")) ||
           (find_own("0::", own, sizeof own) && try_group("/sys/fs/cgroup", own, "memory.max"));
}

static int remove_group(void **state)
{
    (void)state;
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (group[0] && rmdir(group) != 0 && errno == EBUSY && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1)); // until the system has removed the child
    group[0] = 0;
    return 0;
}

// Restarts the alarm that ends a guest which hangs, so that it counts the time of one step: what
// all of them take together depends on how busy the machine is.
static void begin_step(void)
{
    const unsigned longest = 100;
    (void)alarm(longest);
}

static int allocate_a_quarter(void)
{
    brood_block block;
    begin_step();
    CHECK(brood_block_create(&block, GROUP_LIMIT / 4) == BROOD_OK);
    CHECK(brood_block_destroy(block) == BROOD_OK);
    return 0;
}

static bool create_in_step(brood_block *block, size_t size)
{
    begin_step();
    return brood_block_create(block, size) == BROOD_OK;
}

// Creates blocks until there is no more memory, and then keeps trying.
static int allocate_all(size_t size)
{
    enum { MOST = 4000 };
    static brood_block blocks[MOST];
    size_t count = 0;
    while (count < MOST && create_in_step(&blocks[count], size))
        count++;
    CHECK(count * size >= GROUP_LIMIT / 3 && count * size < GROUP_LIMIT);
    // Some may succeed after all: the group's free memory varies. A refusal takes the longer the
    // busier the machine is, so there are fewer then.
    const int64_t end = brood_clock() + BROOD_SECONDS(10);
    for (int i = 0; i < 2000 && brood_clock() < end; i++)
        count += count < MOST && create_in_step(&blocks[count], size);
    CHECK(count * size < GROUP_LIMIT);
    for (; count > 0; count--) {
        begin_step();
        CHECK(brood_block_destroy(blocks[count - 1]) == BROOD_OK);
    }
    return 0;
}

enum { TMPFS = 0x01021994 }; // as in the headers of Linux, which musl lacks

// Returns a file without a name in the folder where the tests run, or -1. The folder for
// temporary files may be in memory, which would not be freed for other uses.
static int fill_page_cache(void)
{
    static char zeros[MIB];
    char path[] = "brood-test-XXXXXX";
    struct statfs system;
    const int file = mkstemp(path);
    if (file < 0)
        return -1;
    (void)unlink(path);
    bool written = fstatfs(file, &system) == 0 && system.f_type != TMPFS;
    for (int i = 0; i < GROUP_LIMIT / MIB && written; i++) {
        begin_step();
        written = write(file, zeros, sizeof zeros) == sizeof zeros;
    }
    begin_step();
    if (written && fdatasync(file) == 0)
        return file;
    close(file);
    return -1;
}

static int allocate_in_the_group(void *arg)
{
    (void)arg;
    char self[32];
    brood_block block;
    (void)snprintf(self, sizeof self, "%d", (int)getpid());
    CHECK(write_text("cgroup.procs", self));
    CHECK(brood_block_create(&block, 2 * GROUP_LIMIT) == BROOD_NO_MEMORY);
    CHECK(strstr(brood_last_error(), "available"));
    CHECK(brood_block_create(&block, GROUP_LIMIT) == BROOD_NO_MEMORY);
    const size_t sizes[] = { CHUNK, MIB, 2 * MIB };
    int failed = allocate_a_quarter();
    for (size_t i = 0; i < 3 && !failed; i++)
        failed = allocate_all(sizes[i]);
    const int cached = failed ? -1 : fill_page_cache();
    if (cached >= 0) {
        failed = allocate_a_quarter(); // the page cache makes room
        close(cached);
    }
    return failed;
}

static void a_full_control_group_is_reported_as_no_memory(void **state)
{
    (void)state;
    if (!make_group()) {
        print_message("a control group with a memory limit cannot be made here\n");
        skip();
    }
    const int code = platform_guest(allocate_in_the_group, NULL);
    if (code != 0)
        fail_msg("line %d (modulo 256), or a signal if -2", code);
}

// Several processes allocate most of the group's memory at the same moment: one at most succeeds,
// the others get a status, and none is killed.

enum { RACERS = 3, RACES = 10 };

static brood_barrier start_line;

static int race(void *arg)
{
    char self[32];
    (void)arg;
    (void)snprintf(self, sizeof self, "%d", (int)getpid());
    CHECK(write_text("cgroup.procs", self));
    for (int i = 0; i < RACES; i++) {
        brood_block block;
        CHECK(brood_barrier_wait(start_line, MEETING_PATIENCE, NULL) == BROOD_OK);
        const brood_status status = brood_block_create(&block, GROUP_LIMIT / 10 * 6);
        CHECK(status == BROOD_OK || status == BROOD_NO_MEMORY);
        CHECK(brood_barrier_wait(start_line, MEETING_PATIENCE, NULL) == BROOD_OK);
        CHECK(status != BROOD_OK || brood_block_destroy(block) == BROOD_OK);
    }
    return 0;
}

static void no_process_is_killed_when_several_allocate_at_once(void **state)
{
    (void)state;
    brood_pid racers[RACERS];
    if (!make_group()) {
        print_message("a control group with a memory limit cannot be made here\n");
        skip();
    }
    assert_status(brood_barrier_create(&start_line, RACERS), BROOD_OK);
    for (int i = 0; i < RACERS; i++)
        racers[i] = platform_guest_start(race, NULL);
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(platform_guest_end(racers[i]), 0);
    assert_status(brood_barrier_destroy(start_line), BROOD_OK);
}

// A creator that is stopped delays others for a limited time, and one that was killed does not
// delay them.

static void set_promised(brood_block block, broodi_owner worker)
{
    enum { MAKING = 1, SECTION = 4 };
    struct broodi_block_slot *slot = broodi_slot(BROODI_BLOCK, broodi_handle_unpack(block.id).slot);
    atomic_store(&slot->worker, worker);
    assert_true(broodi_word_swap(&slot->state, broodi_word_load(&slot->state), MAKING | SECTION));
}

static void memory_promised_to_others_is_refused_after_a_while(void **state)
{
    (void)state;
    enum { WHOLE = 2, SECTION = 4 };
    brood_block promised;
    brood_block block;
    const brood_duration usual = broodi_own_lock_patience;
    assert_status(brood_block_create(&promised, 2 * MIB), BROOD_OK);
    struct broodi_block_slot *slot =
        broodi_slot(BROODI_BLOCK, broodi_handle_unpack(promised.id).slot);
    atomic_store(&slot->size, UINT64_C(1) << 50); // more than any machine has
    atomic_store(&slot->committed, 0);
    set_promised(promised, broodi_owner_self());
    broodi_own_lock_patience = BROOD_MILLISECONDS(20);
    const int64_t before = brood_clock();
    assert_status(brood_block_create(&block, 2 * MIB), BROOD_NO_MEMORY);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(20));
    assert_status(brood_block_create_lazy(&block, 2 * MIB), BROOD_OK);
    assert_status(brood_block_destroy(block), BROOD_OK);
    broodi_own_lock_patience = usual;
    atomic_store(&slot->committed, UINT64_C(1) << 50);
    assert_status(brood_block_create(&block, 2 * MIB), BROOD_OK);
    assert_status(brood_block_destroy(block), BROOD_OK);
    atomic_store(&slot->size, 2 * MIB);
    assert_true(broodi_word_swap(&slot->state, broodi_word_load(&slot->state), WHOLE | SECTION));
    assert_status(brood_block_destroy(promised), BROOD_OK);
}

// Timers

static volatile sig_atomic_t ticks;

static void tick(int signal)
{
    (void)signal;
    ticks++;
}

// A tick that interrupts a part of a commit undoes that part.
static void a_commit_beside_a_timer_comes_to_an_end(void **state)
{
    (void)state;
    const struct sigaction action = { .sa_handler = tick };
    const struct itimerval often = { { 0, 400 }, { 0, 400 } };
    struct sigaction usual;
    brood_block block;
    assert_int_equal(sigaction(SIGALRM, &action, &usual), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    const brood_status status = brood_block_create(&block, 64 * MIB);
    const struct itimerval never = { { 0, 0 }, { 0, 0 } };
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &usual, NULL), 0);
    assert_status(status, BROOD_OK);
    assert_true(ticks > 0);
    assert_status(brood_block_destroy(block), BROOD_OK);
}

// Cancelled threads

static _Atomic bool begun;

static void make_and_destroy_for_ever(void *arg)
{
    (void)arg;
    for (;;) {
        brood_block block;
        if (brood_block_create(&block, 2 * MIB) == BROOD_OK)
            (void)brood_block_destroy(block);
        atomic_store(&begun, true);
        pthread_testcancel(); // with musl none of the calls above is a cancellation point
    }
}

static _Atomic int outcome;

static void make_while_cancelled(void *arg)
{
    brood_block block;
    (void)arg;
    (void)pthread_cancel(pthread_self());
    brood_status status = brood_block_create(&block, 2 * MIB);
    if (status == BROOD_OK)
        status = brood_block_destroy(block);
    atomic_store(&outcome, (int)status);
}

// If it were, its handlers and destructors would run while a lock of the library is held.
static void a_thread_is_not_cancelled_inside_a_call(void **state)
{
    (void)state;
    atomic_store(&outcome, -1);
    foreign_thread_join(foreign_thread_start(make_while_cancelled, NULL));
    assert_int_equal(atomic_load(&outcome), BROOD_OK);
}

static uint32_t blocks_live(void)
{
    return atomic_load(&broodi_family.header->tables[BROODI_BLOCK].live);
}

// Some of the threads hold the heap's lock when they are cancelled.
static void a_cancelled_thread_leaves_nothing(void **state)
{
    (void)state;
    brood_block block;
    assert_status(brood_block_create(&block, 2 * MIB), BROOD_OK);
    assert_status(brood_block_destroy(block), BROOD_OK);
    const size_t descriptors = platform_descriptor_count();
    const size_t memory = platform_memory_allocated(broodi_family.arena.object);
    const uint32_t live = blocks_live();
    for (int round = 0; round < 40; round++) {
        atomic_store(&begun, false);
        foreign_thread *thread = foreign_thread_start(make_and_destroy_for_ever, NULL);
        while (!atomic_load(&begun))
            brood_sleep(BROOD_MICROSECONDS(100));
        foreign_thread_cancel(thread);
        foreign_thread_join(thread);
    }
    assert_status(brood_block_create(&block, 2 * MIB), BROOD_OK);
    assert_status(brood_block_destroy(block), BROOD_OK);
    assert_int_equal(platform_descriptor_count(), descriptors);
    assert_int_equal(blocks_live(), live);
    assert_int_equal(platform_memory_allocated(broodi_family.arena.object), memory);
}

// Where the arena is visible

// Whether the mapping of this address is left out of core files.
static bool is_not_dumped(const void *address)
{
    char line[4096];
    bool here = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        unsigned long from;
        unsigned long to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = from <= (uintptr_t)address && (uintptr_t)address < to;
        if (here && strncmp(line, "VmFlags:", 8) == 0)
            break;
    }
    (void)fclose(file);
    return here && strstr(line, " dd");
}

static int expect_no_dump(void *arg)
{
    const brood_block block = *(const brood_block *)arg;
    CHECK(is_not_dumped(broodi_family.arena.base));
    CHECK(is_not_dumped(brood_block_data(block)));
    return 0;
}

static void the_arena_is_not_in_core_files(void **state)
{
    (void)state;
    brood_block block;
    assert_status(brood_block_create(&block, 2 * MIB), BROOD_OK);
    assert_int_equal(expect_no_dump(&block), 0);
    assert_process_ends(started_process(expect_no_dump, &block, sizeof block), 0);
    assert_status(brood_block_destroy(block), BROOD_OK);
}

static void the_arena_has_no_name_in_any_file_system(void **state)
{
    (void)state;
    struct stat facts;
    assert_int_equal(fstat((int)broodi_family.arena.object, &facts), 0);
    assert_int_equal(facts.st_nlink, 0);
    DIR *directory = opendir("/dev/shm");
    if (!directory)
        return;
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        assert_null(strstr(entry->d_name, "brood"));
    (void)closedir(directory);
}

// Limits at the start of a program: it works, or prints in one line why not

enum { WORKED = 3, REFUSED = 70, SET_NO_LIMIT = 4 };

#define NARROW "narrow"
#define SHORT "short"

static const char limit_variable[] = "BROOD_TEST_LIMIT";

static int use_a_little(void)
{
    brood_init();
    brood_block block = { 0 };
    brood_lock lock;
    const brood_status status = brood_block_create(&block, 1000);
    if (status != BROOD_OK && status != BROOD_NO_MEMORY)
        return 1;
    if (status == BROOD_OK && (!brood_block_data(block) || brood_block_destroy(block) != BROOD_OK))
        return 1;
    if (brood_lock_create(&lock) != BROOD_OK)
        return 2;
    return status == BROOD_OK ? WORKED : WORKED + 2;
}

static int begin_within(int resource)
{
    const char *text = getenv(limit_variable);
    const uint64_t limit = text ? strtoull(text, NULL, 10) : 0;
    // Even one line in the file would be too much.
    if (limit == 0 && !freopen("/dev/null", "w", stderr))
        return 1;
    if (!set_limit(resource, limit))
        return SET_NO_LIMIT;
    return use_a_little();
}

static int run_within(const char *what, uint64_t limit)
{
    char path[512];
    char variable[64];
    char text[2048];
    foreign_file_name(path, sizeof path, "limits");
    (void)snprintf(variable, sizeof variable, "%s=%llu", limit_variable, (unsigned long long)limit);
    const platform_program program = platform_program_start(what, variable, path);
    platform_program_close_input(program);
    const int code = platform_program_wait(program);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    (void)fclose(file);
    foreign_file_remove(path);
    const char *end = strchr(text, '\n');
    if (code == REFUSED && limit > 0 &&
        (strncmp(text, "brood: brood_init: ", 19) != 0 || !end || end[1]))
        fail_msg("%s of %llu: \"%s\"", what, (unsigned long long)limit, text);
    if (code != REFUSED && code != WORKED && code != WORKED + 2)
        fail_msg("%s of %llu: %d, \"%s\"", what, (unsigned long long)limit, code, text);
    return code;
}

static void a_program_with_a_limit_of_file_size_starts_or_says_why_not(void **state)
{
    (void)state;
    const uint64_t limits[] = { 0,        4096,     CHUNK,     MIB,
                                10 * MIB, 50 * MIB, 200 * MIB, (uint64_t)MIB << 10 };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        print_message("RLIMIT_FSIZE %llu: %d\n", (unsigned long long)limits[i],
                      run_within(SHORT, limits[i]));
    assert_int_equal(run_within(SHORT, 0), REFUSED);
    assert_int_equal(run_within(SHORT, MIB), WORKED); // only what is used counts
    assert_int_equal(run_within(SHORT, (uint64_t)MIB << 10), WORKED);
}

static void a_program_with_little_address_space_has_a_smaller_window(void **state)
{
    (void)state;
    if (foreign_is_slow() || !platform_copy_is_safe_beside_threads()) {
        print_message("a sanitizer needs more address space\n");
        skip();
    }
    assert_int_equal(run_within(NARROW, (uint64_t)MIB << 12), WORKED);
    assert_int_equal(run_within(NARROW, (uint64_t)1300 * MIB), WORKED);
    assert_int_equal(run_within(NARROW, (uint64_t)800 * MIB), WORKED);
    assert_int_equal(run_within(NARROW, (uint64_t)100 * MIB), WORKED);
    assert_int_equal(run_within(NARROW, (uint64_t)30 * MIB), REFUSED);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], NARROW) == 0)
        return begin_within(RLIMIT_AS);
    if (argc > 1 && strcmp(argv[1], SHORT) == 0)
        return begin_within(RLIMIT_FSIZE);
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_of_file_size_is_reported_as_no_memory),
        cmocka_unit_test(a_file_with_the_arena_s_descriptor_is_left_alone),
        cmocka_unit_test(what_is_made_later_can_be_used_without_the_descriptor),
        cmocka_unit_test(locked_memory_is_what_is_in_use),
        cmocka_unit_test(more_than_the_machine_has_is_reported_as_no_memory),
        cmocka_unit_test_teardown(a_full_control_group_is_reported_as_no_memory, remove_group),
        cmocka_unit_test_teardown(no_process_is_killed_when_several_allocate_at_once, remove_group),
        cmocka_unit_test(memory_promised_to_others_is_refused_after_a_while),
        cmocka_unit_test(a_commit_beside_a_timer_comes_to_an_end),
        cmocka_unit_test(a_thread_is_not_cancelled_inside_a_call),
        cmocka_unit_test(a_cancelled_thread_leaves_nothing),
        cmocka_unit_test(the_arena_is_not_in_core_files),
        cmocka_unit_test(the_arena_has_no_name_in_any_file_system),
        cmocka_unit_test(a_program_with_a_limit_of_file_size_starts_or_says_why_not),
        cmocka_unit_test(a_program_with_little_address_space_has_a_smaller_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
