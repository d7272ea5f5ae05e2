// SPDX-License-Identifier: MIT
// The children of the fork server must not inherit what its own start and life bring: old
// signals, a directory, privileges that their parent has given up since; and a stopped server
// must not stop them. Each test runs in a process of its own, whose children come from a server
// of its own.
#include "../meeting.h"

#include "../foreign.h"
#include "../platform.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const brood_process_options served = { .method = BROOD_START_FORKSERVER };

enum { MOST = 16, NOT_HERE = 1000, NOBODY = 65534 };

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int stay(void *arg)
{
    (void)arg;
    CHECK(await_note("leave", 1));
    return 5;
}

// Starts and joins a child. Returns its code, or -1000 minus the status if it could not be
// started.
static int code_of(brood_target target, const void *arg, size_t size)
{
    brood_process *process = NULL;
    brood_exit ended = { .kind = BROOD_RUNNING };
    const brood_status status = brood_process_start(&process, target, arg, size, &served);
    if (status != BROOD_OK)
        return -1000 - (int)status;
    if (brood_process_join(process, MEETING_PATIENCE, &ended) != BROOD_OK ||
        ended.kind != BROOD_EXITED)
        return -1;
    brood_process_drop(process);
    return ended.code;
}

// Finds the server of this process and its spares, none of which is busy.
static size_t find_server(brood_pid *server, brood_pid spares[MOST])
{
    brood_process *process = NULL;
    size_t count = 0;
    note("leave", 0);
    if (brood_process_start(&process, stay, NULL, 0, &served) != BROOD_OK)
        return 0;
    *server = platform_parent_of(brood_process_pid(process));
    for (const int64_t end = brood_clock() + MEETING_PATIENCE; count < 3 && brood_clock() < end;) {
        brood_sleep(BROOD_MILLISECONDS(1));
        count = platform_children_of(*server, spares, MOST);
    }
    const brood_pid child = brood_process_pid(process);
    for (size_t i = 0; i + 1 < count; i++)
        if (spares[i] == child)
            spares[i] = spares[count - 1];
    note("leave", 1);
    if (brood_process_join(process, MEETING_PATIENCE, NULL) != BROOD_OK)
        return 0;
    brood_process_drop(process);
    return count - 1;
}

static void run(brood_target target, const void *arg, size_t size)
{
    const brood_process_options fresh = { .method = BROOD_START_SPAWN };
    brood_process *process = NULL;
    brood_exit ended = { .kind = BROOD_RUNNING };
    assert_status(brood_process_start(&process, target, arg, size, &fresh), BROOD_OK);
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(process);
    assert_int_equal(ended.kind, BROOD_EXITED);
    if (ended.code == NOT_HERE) {
        print_message("this system or this user cannot do that\n");
        skip();
    }
    assert_int_equal(ended.code, 0);
}

// Signals

static int expect_no_pending_signal(void *arg)
{
    sigset_t pending;
    (void)arg;
    CHECK(sigpending(&pending) == 0);
    CHECK(!sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGTERM));
    return 0;
}

static int signal_all_before_a_start(void *arg)
{
    brood_pid server = 0;
    brood_pid spares[MOST];
    sigset_t set;
    int taken;
    (void)arg;
    CHECK(setpgid(0, 0) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    const size_t count = find_server(&server, spares);
    CHECK(count == 2);
    CHECK(kill(0, SIGUSR1) == 0 && sigwait(&set, &taken) == 0); // as a terminal does
    for (size_t i = 0; i < count; i++)
        CHECK(kill((pid_t)spares[i], SIGTERM) == 0); // as a kill by name does
    for (int i = 0; i < 4; i++)
        CHECK(code_of(expect_no_pending_signal, NULL, 0) == 0);
    return 0;
}

static void a_child_gets_no_signal_from_before_its_start(void **state)
{
    (void)state;
    run(signal_all_before_a_start, NULL, 0);
}

static void go_on(int number)
{
    (void)number;
}

static int start_after_a_stop(void *arg)
{
    brood_pid server = 0;
    brood_pid spares[MOST];
    const int number = *(int *)arg;
    (void)arg;
    CHECK(setpgid(0, 0) == 0 && signal(SIGTSTP, go_on) != SIG_ERR);
    const size_t count = find_server(&server, spares);
    CHECK(count == 2);
    CHECK(kill(number == SIGTSTP ? 0 : (pid_t)server, number) == 0);
    for (size_t i = 0; i < count; i++)
        CHECK(kill((pid_t)spares[i], number) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(code_of(nothing, NULL, 0) == 0);
    return 0;
}

static void a_start_does_not_hang_when_the_server_was_stopped(void **state)
{
    static const int numbers[] = { SIGTSTP, SIGSTOP };
    (void)state;
    for (int i = 0; i < 2; i++)
        run(start_after_a_stop, &numbers[i], sizeof numbers[i]);
}

static int join_while_the_server_is_stopped(void *arg)
{
    brood_process *process = NULL;
    brood_exit ended;
    (void)arg;
    note("leave", 0);
    CHECK(brood_process_start(&process, stay, NULL, 0, &served) == BROOD_OK);
    CHECK(kill((pid_t)platform_parent_of(brood_process_pid(process)), SIGSTOP) == 0);
    platform_process_kill(brood_process_pid(process));
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    CHECK(ended.kind == BROOD_SIGNALLED && ended.native == SIGKILL);
    brood_process_drop(process);
    return 0;
}

static void a_join_does_not_hang_when_the_server_was_stopped(void **state)
{
    (void)state;
    run(join_while_the_server_is_stopped, NULL, 0);
}

// Directories

static bool is_in_root(brood_pid pid)
{
    char path[64];
    char target[512];
    (void)snprintf(path, sizeof path, "/proc/%lld/cwd", (long long)pid);
    const ssize_t length = readlink(path, target, sizeof target);
    return length == 1 && target[0] == '/';
}

static int expect_server_in_root(void *arg)
{
    brood_pid server = 0;
    brood_pid spares[MOST];
    (void)arg;
    CHECK(find_server(&server, spares) == 2);
    CHECK(is_in_root(server) && is_in_root(spares[0]) && is_in_root(spares[1]));
    return 0;
}

static void the_server_does_not_stay_in_the_directory_of_its_requester(void **state)
{
    (void)state;
    run(expect_server_in_root, NULL, 0);
}

static ino_t working_directory(void)
{
    struct stat facts = { .st_ino = 0 };
    (void)stat("/proc/self/cwd", &facts);
    return facts.st_ino;
}

static int expect_directory(void *arg)
{
    return working_directory() == *(ino_t *)arg ? 0 : 1;
}

// At first the directory can be searched: so there is a server, which has left it.
static int start_in_a_closed_directory(void *arg)
{
    CHECK(chdir(arg) == 0);
    CHECK(code_of(nothing, NULL, 0) == 0);
    CHECK(chmod(".", 0) == 0);
    if (getuid() == 0)
        CHECK(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    const ino_t here = working_directory();
    for (int i = 0; i < 3; i++)
        CHECK(code_of(expect_directory, &here, sizeof here) == 0);
    return 0;
}

static int start_in_a_removed_directory(void *arg)
{
    CHECK(chdir(arg) == 0 && rmdir(arg) == 0);
    const ino_t here = working_directory();
    for (int i = 0; i < 3; i++)
        CHECK(code_of(expect_directory, &here, sizeof here) == 0);
    return 0;
}

static void a_child_is_in_a_directory_that_its_parent_may_not_search_or_that_is_gone(void **state)
{
    char path[600];
    (void)state;
    foreign_file_name(path, sizeof path, "closed");
    assert_int_equal(mkdir(path, 0700), 0);
    run(start_in_a_closed_directory, path, strlen(path) + 1);
    run(start_in_a_removed_directory, path, strlen(path) + 1);
}

// Circumstances

struct circumstances {
    char status[1024]; // lines of /proc/self/status
    int scheduler;
    int niceness;
    long slack;
    int securebits;
    int oom;
    struct rlimit files;
    struct rlimit priority;
    ino_t root;
};

static int read_number(const char *path)
{
    char text[32] = "";
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    (void)!read(file, text, sizeof text - 1);
    close(file);
    return atoi(text);
}

static void read_status(char *text, size_t size)
{
    static const char *const names[] = { "Umask:",      "Uid:",    "Gid:",
                                         "Groups:",     "SigIgn:", "Cap",
                                         "NoNewPrivs:", "Seccomp", "Cpus_allowed:" };
    char line[512];
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            if (strncmp(line, names[i], strlen(names[i])) == 0 &&
                strlen(text) + strlen(line) < size)
                strcat(text, line);
    if (file)
        (void)fclose(file);
}

static struct circumstances circumstances(void)
{
    struct stat root;
    struct circumstances now;
    memset(&now, 0, sizeof now);
    read_status(now.status, sizeof now.status);
    now.scheduler = sched_getscheduler(0);
    now.niceness = getpriority(PRIO_PROCESS, 0);
    now.slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    now.securebits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
    now.oom = read_number("/proc/self/oom_score_adj");
    (void)getrlimit(RLIMIT_NOFILE, &now.files);
    (void)getrlimit(RLIMIT_RTPRIO, &now.priority);
    if (stat("/", &root) == 0)
        now.root = root.st_ino;
    return now;
}

static int expect_circumstances(void *arg)
{
    const struct circumstances *parent = arg;
    const struct circumstances ours = circumstances();
    if (memcmp(&ours, parent, sizeof ours) == 0)
        return 0;
    print_message("parent:\n%schild:\n%s", parent->status, ours.status);
    return 1;
}

static bool give_up_privileges_by_exec(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static bool filter_calls(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = { sizeof code / sizeof code[0], code };
    return give_up_privileges_by_exec() && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static bool drop_a_capability(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct sets[2];
    if (prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0) != 0 || syscall(SYS_capget, &header, sets) != 0)
        return false;
    sets[0].effective &= ~1U;
    sets[0].permitted &= ~1U;
    return syscall(SYS_capset, &header, sets) == 0;
}

static bool have_no_groups(void)
{
    const gid_t some[] = { 4, 27 };
    return setgroups(getgroups(0, NULL) == 0 ? 2 : 0, some) == 0;
}

static bool become_nobody(void)
{
    return getuid() == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0;
}

static bool set_securebits(void)
{
    enum { NO_SETUID_FIXUP = 4 };
    return prctl(PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0, 0, 0) == 0;
}

static bool leave_session(void)
{
    return setsid() > 0;
}

static bool lower_limits(void)
{
    const struct rlimit files = { 100, 100 };
    const struct rlimit none = { 0, 0 };
    return setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_RTPRIO, &none) == 0;
}

static bool be_nice(void)
{
    const struct sched_param nothing = { 0 };
    return setpriority(PRIO_PROCESS, 0, 5) == 0 &&
           sched_setscheduler(0, SCHED_BATCH, &nothing) == 0;
}

static bool raise_oom_score(void)
{
    const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    const bool written = write(file, "500", 3) == 3;
    close(file);
    return written;
}

static bool set_umask_and_slack(void)
{
    (void)umask(0137);
    return prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0) == 0;
}

static bool ignore_signals(void)
{
    return signal(SIGRTMIN + 3, SIG_IGN) != SIG_ERR && signal(SIGHUP, SIG_IGN) != SIG_ERR;
}

static bool have_one_processor(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

static bool (*const changes[])(void) = {
    give_up_privileges_by_exec,
    filter_calls,
    drop_a_capability,
    have_no_groups,
    become_nobody,
    set_securebits,
    leave_session,
    lower_limits,
    be_nice,
    raise_oom_score,
    set_umask_and_slack,
    ignore_signals,
    have_one_processor,
};

static int change_and_start(void *arg)
{
    (void)setpgid(0, 0);
    CHECK(code_of(nothing, NULL, 0) == 0);
    if (!changes[*(size_t *)arg]())
        return NOT_HERE;
    const struct circumstances now = circumstances();
    for (int i = 0; i < 3; i++)
        CHECK(code_of(expect_circumstances, &now, sizeof now) == 0);
    return 0;
}

static void a_child_has_what_its_parent_has_kept_and_no_more(void **state)
{
    const brood_process_options fresh = { .method = BROOD_START_SPAWN };
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        brood_process *process = NULL;
        brood_exit ended;
        assert_status(brood_process_start(&process, change_and_start, &i, sizeof i, &fresh),
                      BROOD_OK);
        assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
        brood_process_drop(process);
        if (brood_exit_number(ended) == NOT_HERE)
            print_message("change %zu cannot be made here\n", i);
        else if (brood_exit_number(ended) != 0)
            fail_msg("change %zu: %d", i, brood_exit_number(ended));
    }
}

// Lack of resources

// Runs as a user who has no other process, because the limit counts all processes of a user.
static int start_with_few_processes(void *arg)
{
    enum { ENOUGH = 8 };
    const uid_t user = 100000 + (uid_t)getpid();
    (void)arg;
    if (getuid() != 0 || setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(user) != 0)
        return NOT_HERE;
    for (rlim_t count = ENOUGH; count > 0; count--) {
        const struct rlimit limit = { count, ENOUGH };
        CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
        const int code = code_of(nothing, NULL, 0);
        CHECK(code == 0 || code == -1000 - (int)BROOD_NO_RESOURCES);
        CHECK(code == 0 || strstr(brood_last_error(), "fork"));
        CHECK(code == 0 || count < ENOUGH);
        CHECK(code != 0 || count > 1);
    }
    return 0;
}

static void a_server_that_may_not_fork_reports_it(void **state)
{
    (void)state;
    run(start_with_few_processes, NULL, 0);
}

static int start_with_a_refused_call(void *arg)
{
    const unsigned number = *(unsigned *)arg;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = { sizeof code / sizeof code[0], code };
    if (!give_up_privileges_by_exec() || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        return NOT_HERE;
    CHECK(code_of(nothing, NULL, 0) == -1000 - (int)BROOD_DENIED);
    CHECK(strstr(brood_last_error(), "in the fork server"));
    return 0;
}

static void a_server_that_cannot_start_reports_which_call_failed(void **state)
{
    static const unsigned calls[] = { SYS_signalfd4, SYS_eventfd2 };
    (void)state;
    for (int i = 0; i < 2; i++)
        run(start_with_a_refused_call, &calls[i], sizeof calls[i]);
}

int main(void)
{
    platform_leaks_ignore(); // leaks of processes that may not fork or be traced cannot be searched
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_gets_no_signal_from_before_its_start),
        cmocka_unit_test(a_start_does_not_hang_when_the_server_was_stopped),
        cmocka_unit_test(a_join_does_not_hang_when_the_server_was_stopped),
        cmocka_unit_test(the_server_does_not_stay_in_the_directory_of_its_requester),
        cmocka_unit_test(a_child_is_in_a_directory_that_its_parent_may_not_search_or_that_is_gone),
        cmocka_unit_test(a_child_has_what_its_parent_has_kept_and_no_more),
        cmocka_unit_test(a_server_that_may_not_fork_reports_it),
        cmocka_unit_test(a_server_that_cannot_start_reports_which_call_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
