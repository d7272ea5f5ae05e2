// SPDX-License-Identifier: MIT
// Numbers that are valid in one place only: pids, in their namespace and while the process lives;
// times, by the clock of a time namespace or of a library that changes the clock.
#define _GNU_SOURCE
#include "../meeting.h"

#include "../foreign.h"
#include "../methods.h"
#include "../platform.h"

#include "process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NO_RIGHT = 250 };

static const int32_t methods[] = { BROOD_START_SPAWN, BROOD_START_FORKSERVER, BROOD_START_FORK };

enum { METHODS = sizeof methods / sizeof methods[0] };

// Runs `fn` in a copy of this process, which changes only its own namespaces.
static void expect_in_a_copy(int (*fn)(void *), const char *right)
{
    for (int i = 0; i < METHODS; i++) {
        int32_t method = methods[i];
        note("leave", 0);
        const int line = platform_guest(fn, &method);
        if (line == NO_RIGHT) {
            print_message("no right to %s\n", right);
            skip();
        }
        if (line != 0)
            fail_msg("method %d: line %d (modulo 256)", (int)method, line);
    }
}

static int expect_a_living_parent(void)
{
    CHECK(brood_parent_is_alive());
    CHECK(brood_parent_wait(BROOD_MILLISECONDS(20)) == BROOD_TIMEOUT);
    return 0;
}

static int expect_parent(void *arg)
{
    (void)arg;
    return expect_a_living_parent();
}

// Mounts a /proc of its own, as in a container, if it may.
static void mount_own_proc(void)
{
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        (void)mount("proc", "/proc", "proc", 0, NULL);
}

static int stay(void *arg)
{
    (void)arg;
    CHECK(expect_a_living_parent() == 0);
    mount_own_proc();
    CHECK(expect_a_living_parent() == 0);
    note("own number", (uint64_t)getpid());
    CHECK(await_note("leave", 1));
    return 33;
}

// Another pid namespace

static int wait_for_the_end_of_the_parent(void *arg)
{
    (void)arg;
    note("waits", 1);
    note("seen", brood_parent_wait(MEETING_PATIENCE) == BROOD_OK ? 1 : 2);
    return 0;
}

// The pid of the process in its innermost namespace; 0 if that is this one.
static long innermost_number(brood_pid pid)
{
    char line[256];
    long number = 0;
    (void)snprintf(line, sizeof line, "/proc/%lld/status", (long long)pid);
    FILE *file = fopen(line, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "NSpid:", 6) == 0 && strchr(line, '\t') != strrchr(line, '\t'))
            number = strtol(strrchr(line, '\t'), NULL, 10);
    if (file)
        (void)fclose(file);
    return number;
}

static int start_in_the_new_namespace(const brood_process_options *options, brood_process **out)
{
    note("own number", 0);
    CHECK(brood_process_start(out, stay, NULL, 0, options) == BROOD_OK);
    CHECK(await_note("own number", 1));
    CHECK(innermost_number(brood_process_pid(*out)) == (long)noted("own number"));
    return 0;
}

static int start_two_in_a_new_namespace(void *arg)
{
    const brood_process_options options = { .method = *(int32_t *)arg };
    brood_process *first;
    brood_process *second;
    brood_exit ended;
    if (unshare(CLONE_NEWPID) != 0)
        return NO_RIGHT;
    // The first process of the namespace, which ends with this process.
    CHECK(start_in_the_new_namespace(&options, &first) == 0);
    CHECK(start_in_the_new_namespace(&options, &second) == 0);
    CHECK(brood_process_is_alive(second));
    CHECK(brood_process_kill(second) == BROOD_OK);
    CHECK(brood_process_join(second, MEETING_PATIENCE, &ended) == BROOD_OK &&
          ended.kind == BROOD_TERMINATED);
    note("leave", 1);
    CHECK(brood_process_join(first, MEETING_PATIENCE, &ended) == BROOD_OK &&
          brood_exit_number(ended) == 33);
    brood_process_drop(first);
    brood_process_drop(second);
    return 0;
}

static void children_start_in_another_pid_namespace(void **state)
{
    (void)state;
    expect_in_a_copy(start_two_in_a_new_namespace, "make a pid namespace");
}

static int leave_a_child_in_a_new_namespace(void *arg)
{
    const brood_process_options options = { .method = *(int32_t *)arg, .survive_parent = true };
    if (unshare(CLONE_NEWPID) != 0)
        return NO_RIGHT;
    CHECK(brood_process_start(NULL, wait_for_the_end_of_the_parent, NULL, 0, &options) == BROOD_OK);
    CHECK(await_note("waits", 1));
    return 0;
}

static bool kernel_has_peer_pidfd(void)
{
    enum { PEER_PIDFD = 77 }; // SO_PEERPIDFD, since Linux 6.5
    int ends[2];
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    if (getsockopt(ends[0], SOL_SOCKET, PEER_PIDFD, &pidfd, &size) == 0)
        close(pidfd);
    close(ends[0]);
    close(ends[1]);
    return pidfd >= 0;
}

static void the_end_of_a_parent_in_another_pid_namespace_is_noticed(void **state)
{
    (void)state;
    if (!kernel_has_peer_pidfd()) {
        print_message("a kernel before 6.5 does not report a parent without a pid\n");
        skip();
    }
    note("waits", 0);
    note("seen", 0);
    int32_t method = BROOD_START_SPAWN;
    const int line = platform_guest(leave_a_child_in_a_new_namespace, &method);
    if (line == NO_RIGHT)
        skip();
    assert_int_equal(line, 0);
    assert_true(await_note("seen", 1));
    assert_int_equal(noted("seen"), 1);
}

// Another time namespace

static bool move_the_clocks_of_children(void)
{
    static const char offsets[] = "monotonic 1000000 0\nboottime 1000000 0\n";
    enum { NEWTIME = 0x80 };
    if (syscall(SYS_unshare, NEWTIME) != 0)
        return false;
    const int file = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    const bool moved = file >= 0 && write(file, offsets, sizeof offsets - 1) == sizeof offsets - 1;
    if (file >= 0)
        close(file);
    return moved;
}

static int start_at_another_time(void *arg)
{
    const brood_process_options options = { .method = *(int32_t *)arg };
    brood_process *process;
    brood_exit ended;
    if (!move_the_clocks_of_children())
        return NO_RIGHT;
    CHECK(brood_process_start(&process, expect_parent, NULL, 0, &options) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    CHECK(brood_exit_number(ended) == 0);
    brood_process_drop(process);
    return 0;
}

static void a_parent_in_another_time_namespace_is_not_taken_for_dead(void **state)
{
    (void)state;
    expect_in_a_copy(start_at_another_time, "make a time namespace");
}

// A pid that was reused

static pid_t started_with_number(pid_t number)
{
    enum { CLONE3 = 435 };
    const struct {
        uint64_t flags[4];
        uint64_t exit_signal;
        uint64_t stack[3];
        uint64_t numbers;
        uint64_t number_count;
    } how = { .exit_signal = SIGCHLD, .numbers = (uint64_t)(uintptr_t)&number, .number_count = 1 };
    pid_t copy;
    do // until the previous process has been reaped
        copy = (pid_t)syscall(CLONE3, &how, sizeof how);
    while (copy < 0 && errno == EEXIST && number > 0 && sched_yield() == 0);
    return copy;
}

static int wait_for_ever(void *arg)
{
    (void)arg;
    (void)await_note("never", 1);
    return 0;
}

_Noreturn static void answer(int from, int to)
{
    char byte;
    while (read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
        continue;
    _exit(0);
}

static void another_process_with_the_pid_of_a_child_is_not_killed(void **state)
{
    (void)state;
    const brood_process_options options = { .method = BROOD_START_FORKSERVER };
    brood_process *process;
    int status = 0;
    char answered;
    assert_status(brood_process_start(&process, wait_for_ever, NULL, 0, &options), BROOD_OK);
    const pid_t number = (pid_t)brood_process_pid(process);
    brood_os_process_release(&process->child); // as if there had been no descriptor for it
    platform_process_kill(platform_parent_of(number));
    assert_true(platform_process_ends(number));
    intptr_t to[2];
    intptr_t from[2];
    platform_pipe(to);
    platform_pipe(from);
    const pid_t other = started_with_number(number);
    if (other == 0)
        answer((int)to[0], (int)from[1]);
    if (other < 0) {
        brood_process_drop(process);
        print_message("no right to choose a pid\n");
        skip();
    }
    assert_status(brood_process_kill(process), BROOD_OK);
    assert_status(brood_process_terminate(process), BROOD_OK);
    platform_close(from[1]);
    platform_write(to[1], "?");
    assert_int_equal(platform_read(from[0], &answered, 1), 1); // it lives
    platform_process_kill(other);
    platform_close(to[0]);
    platform_close(to[1]);
    platform_close(from[0]);
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
}

static void a_served_child_without_a_descriptor_is_killed(void **state)
{
    (void)state;
    const brood_process_options options = { .method = BROOD_START_FORKSERVER };
    brood_process *process;
    brood_exit ended;
    assert_status(brood_process_start(&process, wait_for_ever, NULL, 0, &options), BROOD_OK);
    brood_os_process_release(&process->child);
    assert_status(brood_process_kill(process), BROOD_OK);
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    assert_int_equal(ended.kind, BROOD_TERMINATED);
    brood_process_drop(process);
}

// A clock that a library changes: these functions replace those of the C library, for this
// program and the library in it.

static _Atomic int64_t moved; // seconds

int clock_gettime(clockid_t clock, struct timespec *out)
{
    const int result = (int)syscall(SYS_clock_gettime, clock, out);
    if (clock == CLOCK_MONOTONIC)
        out->tv_sec += (time_t)moved;
    return result;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *request,
                    struct timespec *left)
{
    struct timespec real = *request;
    if (clock == CLOCK_MONOTONIC && (flags & TIMER_ABSTIME))
        real.tv_sec -= (time_t)moved;
    return syscall(SYS_clock_nanosleep, clock, flags, &real, left) == 0 ? 0 : errno;
}

static int hold(void *arg)
{
    const brood_lock lock = *(brood_lock *)arg;
    CHECK(brood_lock_acquire(lock, BROOD_FOREVER) == BROOD_OK);
    note("held", 1);
    CHECK(await_note("let go", 1));
    return (int)brood_lock_release(lock);
}

static int64_t processor_time(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000000) +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * INT64_C(1000);
}

static void expect_a_timeout(brood_lock lock, int64_t by)
{
    struct timespec before;
    struct timespec after;
    moved = by;
    (void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &before);
    const int64_t busy = processor_time();
    assert_status(brood_lock_acquire(lock, BROOD_MILLISECONDS(300)), BROOD_TIMEOUT);
    const int64_t used = processor_time() - busy;
    (void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &after);
    moved = 0;
    // An endless wait would last as long as the holder's.
    assert_true(after.tv_sec - before.tv_sec < 30);
    if (used > BROOD_MILLISECONDS(150))
        fail_msg("moved by %d s: a wait of 300 ms took %d ms of a processor", (int)by,
                 (int)(used / 1000000));
}

static void a_moved_clock_neither_lengthens_a_wait_nor_keeps_a_processor_busy(void **state)
{
    (void)state;
    brood_lock lock;
    note("held", 0);
    note("let go", 0);
    assert_status(brood_lock_create(&lock), BROOD_OK);
    brood_process *holder = started_process(hold, &lock, sizeof lock);
    assert_true(await_note("held", 1));
    expect_a_timeout(lock, 0);
    expect_a_timeout(lock, 100000);
    expect_a_timeout(lock, -500);
    note("let go", 1);
    assert_process_ends(holder, 0);
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_start_in_another_pid_namespace),
        cmocka_unit_test(the_end_of_a_parent_in_another_pid_namespace_is_noticed),
        cmocka_unit_test(a_parent_in_another_time_namespace_is_not_taken_for_dead),
        cmocka_unit_test(another_process_with_the_pid_of_a_child_is_not_killed),
        cmocka_unit_test(a_served_child_without_a_descriptor_is_killed),
        cmocka_unit_test(a_moved_clock_neither_lengthens_a_wait_nor_keeps_a_processor_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
