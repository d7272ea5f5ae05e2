// SPDX-License-Identifier: MIT
#include "platform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

_Noreturn static void give_up(const char *what)
{
    perror(what);
    abort();
}

bool platform_has_fork(void)
{
    return true;
}

#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif

bool platform_copy_may_start_threads(void)
{
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
    return false;
#else
    return true;
#endif
}

bool platform_ends_with_the_last_thread(void)
{
    return platform_copy_may_start_threads();
}

bool platform_copy_outlives_its_first_thread(void)
{
#if defined(__linux__) && !defined(__GLIBC__)
    return false;
#else
    return true;
#endif
}

bool platform_copy_can_be_made_beside_threads(void)
{
#if defined(BROOD_EMULATED)
    return false;
#else
    return true;
#endif
}

bool platform_child_can_be_started_beside_threads(void)
{
    return platform_copy_can_be_made_beside_threads();
}

bool platform_copy_is_safe_beside_threads(void)
{
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
    return false;
#else
    return platform_copy_may_start_threads() && platform_copy_can_be_made_beside_threads();
#endif
}

static bool ignores_leaks;

void platform_leaks_ignore(void)
{
    ignores_leaks = true;
}

// The leak sanitizer calls this.
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return ignores_leaks;
}

bool platform_joined_thread_is_gone(void)
{
#if defined(BROOD_EMULATED)
    return false;
#else
    return true;
#endif
}

bool platform_has_signals(void)
{
    return true;
}

size_t platform_descriptor_count(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        give_up("/proc/self/fd");
    size_t count = 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 3; // ".", ".." and the directory's own
}

size_t platform_mapping_count(void)
{
    if (!platform_copy_is_safe_beside_threads()) // a sanitizer adds mappings at any time
        return 0;
    size_t count = 0;
    int c;
    FILE *file = fopen("/proc/self/maps", "re");
    if (!file)
        give_up("/proc/self/maps");
    while ((c = getc(file)) != EOF)
        count += c == '\n';
    (void)fclose(file);
    return count;
}

size_t platform_shared_file_count(void)
{
    DIR *directory = opendir("/dev/shm");
    const struct dirent *entry;
    size_t count = 0;
    while (directory && (entry = readdir(directory)) != NULL)
        count += strstr(entry->d_name, "brood") != NULL;
    if (directory)
        closedir(directory);
    return count;
}

long platform_thread_sleeps(void)
{
    struct rusage usage;
#if defined(BROOD_EMULATED)
    return -1; // the emulator sleeps too
#endif
    if (getrusage(RUSAGE_THREAD, &usage) != 0)
        give_up("getrusage");
    return usage.ru_nvcsw;
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        give_up("clock_gettime");
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool set_wall_clock(int64_t ns)
{
    const struct timespec time = { .tv_sec = (time_t)(ns / 1000000000),
                                   .tv_nsec = (long)(ns % 1000000000) };
    return clock_settime(CLOCK_REALTIME, &time) == 0;
}

// The clock is set back by the monotonic clock: `offset` is how far the wall clock was ahead of
// it. Signals are blocked meanwhile; if the child dies all the same, its parent sets the clock
// back.
static _Noreturn void jump(int64_t offset, brood_duration ahead, brood_duration span)
{
    sigset_t all;
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    if (!set_wall_clock(read_clock(CLOCK_MONOTONIC) + offset + ahead))
        _exit(1);
    const struct timespec pause = { .tv_sec = 0, .tv_nsec = (long)span };
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    _exit(set_wall_clock(read_clock(CLOCK_MONOTONIC) + offset) ? 0 : 2);
}

// One process of the machine at a time: a process that read the clock while another had set it
// ahead would set it back to that. -1 if the file belongs to another user.
static int lock_the_wall_clock(void)
{
    const int file = open("/tmp/brood-test-wall-clock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0 && flock(file, LOCK_EX) != 0)
        give_up("locking the wall clock");
    return file;
}

static bool jump_and_back(brood_duration ahead, brood_duration span)
{
    const int64_t offset = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);
    int status;
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child < 0)
        give_up("fork");
    if (child == 0)
        jump(offset, ahead, span);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            give_up("waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
        return false;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)set_wall_clock(read_clock(CLOCK_MONOTONIC) + offset);
        give_up("the wall clock");
    }
    return true;
}

bool platform_wall_clock_jump(brood_duration ahead, brood_duration span)
{
    const int taken = lock_the_wall_clock();
    if (taken < 0)
        return false;
    const bool jumped = jump_and_back(ahead, span);
    close(taken);
    return jumped;
}

size_t platform_descriptors_kept(size_t ended)
{
    (void)ended;
    return 0;
}

static rlim_t own_limit;

static void set_limit(rlim_t current)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        give_up("getrlimit");
    if (own_limit == 0)
        own_limit = limit.rlim_cur;
    limit.rlim_cur = current;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        give_up("setrlimit");
}

bool platform_descriptors_limit(unsigned more)
{
    int taken[64];
    if (more >= sizeof taken / sizeof taken[0])
        give_up("platform_descriptors_limit");
    // The limit is one above the highest number: so the lowest free numbers are determined.
    for (unsigned i = 0; i <= more; i++)
        if ((taken[i] = dup(STDERR_FILENO)) < 0)
            give_up("dup");
    const int first_refused = taken[more];
    for (unsigned i = 0; i <= more; i++)
        close(taken[i]);
    set_limit((rlim_t)first_refused);
    return true;
}

void platform_descriptors_unlimit(void)
{
    if (own_limit)
        set_limit(own_limit);
}

// Reads /proc/<pid>/stat. Returns what follows the name, which may contain anything: a space, and
// the state; NULL if there is no such process.
static const char *read_stat(brood_pid pid, char *text, size_t size)
{
    (void)snprintf(text, size, "/proc/%lld/stat", (long long)pid);
    FILE *file = fopen(text, "r");
    if (!file)
        return NULL;
    const size_t length = fread(text, 1, size - 1, file);
    (void)fclose(file);
    text[length] = 0;
    const char *end = strrchr(text, ')');
    return end ? end + 1 : NULL;
}

// A field of what read_stat() has returned; the state is field 0. -1 if there is no such process.
static long long field_of(const char *stat, int number)
{
    for (int i = 0; stat && i < number; i++)
        stat = strchr(stat + 1, ' ');
    return stat ? strtoll(stat, NULL, 10) : -1;
}

static long long stat_field(brood_pid pid, int number)
{
    char text[512];
    return field_of(read_stat(pid, text, sizeof text), number);
}

// The first thread of a killed process may be gone before the others are (in an emulator, which
// has threads of its own): the process lives until the last one has ended.
bool platform_process_lives(brood_pid pid)
{
    enum { THREADS = 17 };
    char text[512];
    const char *stat = read_stat(pid, text, sizeof text);
    if (!stat || !stat[0])
        return false;
    return (stat[1] != 'Z' && stat[1] != 'X') || field_of(stat, THREADS) > 1;
}

brood_pid platform_parent_of(brood_pid pid)
{
    const long long parent = stat_field(pid, 1);
    return parent > 0 ? parent : 0;
}

size_t platform_children_of(brood_pid pid, brood_pid *out, size_t capacity)
{
    DIR *directory = opendir("/proc");
    const struct dirent *entry;
    size_t count = 0;
    while (directory && (entry = readdir(directory)) != NULL) {
        const long long child = strtoll(entry->d_name, NULL, 10);
        if (child > 0 && stat_field(child, 1) == pid && count < capacity)
            out[count++] = child;
    }
    if (directory)
        closedir(directory);
    return count;
}

size_t platform_images(brood_pid *out, size_t capacity)
{
    char own[512];
    char other[512];
    char path[64];
    const struct dirent *entry;
    size_t count = 0;
    DIR *directory = opendir("/proc");
    const ssize_t length = readlink("/proc/self/exe", own, sizeof own);
    if (!directory || length <= 0)
        give_up("/proc");
    while ((entry = readdir(directory)) != NULL) {
        const long long pid = strtoll(entry->d_name, NULL, 10);
        (void)snprintf(path, sizeof path, "/proc/%lld/exe", pid);
        if (count < capacity && readlink(path, other, sizeof other) == length &&
            memcmp(own, other, (size_t)length) == 0)
            out[count++] = pid;
    }
    closedir(directory);
    return count;
}

size_t platform_memory_used(void)
{
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*u %lu", &resident) != 1)
        give_up("/proc/self/statm");
    (void)fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

size_t platform_memory_allocated(intptr_t object)
{
    struct stat facts;
    if (fstat((int)object, &facts) != 0)
        give_up("fstat");
    return (size_t)facts.st_blocks * 512;
}

void *platform_memory_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        give_up("mmap");
    return memory;
}

brood_pid platform_group_of(brood_pid pid)
{
    return getpgid((pid_t)pid);
}

bool platform_process_stop(brood_pid pid)
{
    return kill((pid_t)pid, SIGSTOP) == 0;
}

void platform_group_leave(void)
{
    (void)setpgid(0, 0);
}

void platform_job_join(void)
{
}

static bool is_listed(brood_pid pid, const brood_pid *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == pid)
            return true;
    return false;
}

static bool has_mark(brood_pid pid, const char *mark)
{
    static char text[1 << 17];
    (void)snprintf(text, sizeof text, "/proc/%lld/environ", (long long)pid);
    FILE *file = fopen(text, "re");
    if (!file)
        return false;
    const size_t length = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[length] = 0;
    for (size_t at = 0; at < length; at += strlen(text + at) + 1)
        if (strcmp(text + at, mark) == 0)
            return true;
    return false;
}

size_t platform_relatives(const char *mark, brood_pid *list, size_t count, size_t capacity)
{
    DIR *directory = opendir("/proc");
    const struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL) {
        const brood_pid pid = strtoll(entry->d_name, NULL, 10);
        if (pid > 0 && count < capacity && !is_listed(pid, list, count) && has_mark(pid, mark))
            list[count++] = pid;
    }
    if (directory)
        closedir(directory);
    return count;
}

int platform_output_redirect(const char *path)
{
    (void)fflush(stdout);
    const int saved = dup(STDOUT_FILENO);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (saved < 0 || file < 0 || dup2(file, STDOUT_FILENO) < 0)
        give_up(path);
    close(file);
    return saved;
}

void platform_output_restore(int saved)
{
    (void)fflush(stdout);
    if (dup2(saved, STDOUT_FILENO) < 0)
        give_up("dup2");
    close(saved);
}

bool platform_children_are_ignored(void)
{
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) != 0)
        give_up("sigaction");
    return action.sa_handler == SIG_IGN;
}

void platform_process_kill(brood_pid pid)
{
    if (pid <= 1)
        give_up("platform_process_kill");
    if (kill((pid_t)pid, SIGKILL) != 0 && errno != ESRCH)
        give_up("kill");
}

bool platform_has_child(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

bool platform_reap(brood_pid pid)
{
    for (;;) {
        const pid_t reaped = waitpid(-1, NULL, 0);
        if (reaped == (pid_t)pid)
            return true;
        if (reaped < 0 && errno == ECHILD)
            return false;
        if (reaped < 0 && errno != EINTR)
            give_up("waitpid");
    }
}

bool platform_children_ignore(bool ignore)
{
    if (signal(SIGCHLD, ignore ? SIG_IGN : SIG_DFL) == SIG_ERR)
        give_up("signal");
    return true;
}

// A guest that hangs ends by a signal before its test times out: so the test fails with its name,
// and no process is left. An emulator is given as many times longer as for a test.
#if defined(BROOD_EMULATED)
enum { SECONDS_OF_A_GUEST = 400 };
#else
enum { SECONDS_OF_A_GUEST = 100 };
#endif

brood_pid platform_guest_start(int (*fn)(void *arg), void *arg)
{
    (void)fflush(NULL);
    const pid_t guest = fork();
    if (guest < 0)
        give_up("fork");
    if (guest == 0) {
        (void)alarm(SECONDS_OF_A_GUEST);
        const int code = fn(arg);
        _exit(code >= 0 && code < 255 ? code : 255);
    }
    return guest;
}

int platform_guest_end(brood_pid guest)
{
    int status;
    while (waitpid((pid_t)guest, &status, 0) < 0)
        if (errno != EINTR)
            give_up("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

int platform_guest(int (*fn)(void *arg), void *arg)
{
    return platform_guest_end(platform_guest_start(fn, arg));
}

void platform_pipe(intptr_t ends[2])
{
    int both[2];
    if (pipe2(both, O_CLOEXEC) != 0)
        give_up("pipe2");
    ends[0] = both[0];
    ends[1] = both[1];
}

void platform_pipe_inheritable(intptr_t ends[2])
{
    int both[2];
    if (pipe(both) != 0)
        give_up("pipe");
    ends[0] = both[0];
    ends[1] = both[1];
}

size_t platform_read(intptr_t descriptor, char *buffer, size_t capacity)
{
    const ssize_t got = read((int)descriptor, buffer, capacity);
    if (got < 0)
        give_up("read");
    return (size_t)got;
}

bool platform_pipe_ends(intptr_t reading)
{
    char byte;
    return platform_is_ready(reading, BROOD_SECONDS(60)) && platform_read(reading, &byte, 1) == 0;
}

void platform_write(intptr_t descriptor, const char *text)
{
    if (write((int)descriptor, text, strlen(text)) != (ssize_t)strlen(text))
        give_up("write");
}

void platform_close(intptr_t descriptor)
{
    if (close((int)descriptor) != 0)
        give_up("close");
}

brood_resource platform_resource(intptr_t descriptor)
{
    return (brood_resource){ BROOD_RESOURCE_SOCKET, descriptor };
}

intptr_t platform_file_open(const char *path)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        give_up(path);
    return file;
}

void platform_print(int number, const char *text)
{
    platform_write(number, text);
}

bool platform_stream_is_passed(int number)
{
    return fcntl(number, F_GETFD) == 0;
}

void platform_stream_keep_from_programs(int number)
{
    if (fcntl(number, F_SETFD, FD_CLOEXEC) != 0)
        give_up("fcntl");
}

FILE *platform_stream(intptr_t descriptor)
{
    FILE *stream = fdopen((int)descriptor, "r");
    if (!stream)
        give_up("fdopen");
    return stream;
}

void platform_input_replace(intptr_t descriptor)
{
    if (dup2((int)descriptor, STDIN_FILENO) < 0)
        give_up("dup2");
}

// The writing end of a pipe, with a number that is unlikely to be open in a fresh image.
platform_bait platform_bait_lay(void)
{
    enum { HIGH = 20 };
    int ends[2];
    if (pipe(ends) != 0)
        give_up("pipe");
    const platform_bait bait = { .number = fcntl(ends[1], F_DUPFD, HIGH), .other = ends[0] };
    if (bait.number < 0)
        give_up("dup");
    close(ends[1]);
    return bait;
}

void platform_bait_touch(intptr_t number)
{
    struct stat facts;
    if (fstat((int)number, &facts) == 0 && S_ISFIFO(facts.st_mode))
        (void)!write((int)number, "x", 1);
}

bool platform_bait_is_touched(platform_bait bait)
{
    struct pollfd ready = { .fd = (int)bait.other, .events = POLLIN };
    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN);
}

void platform_bait_remove(platform_bait bait)
{
    close((int)bait.number);
    close((int)bait.other);
}

void platform_descriptors_describe(char *buffer, size_t capacity)
{
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    size_t length = 0;
    if (!directory)
        give_up("/proc/self/fd");
    buffer[0] = 0;
    while ((entry = readdir(directory)) != NULL && length < capacity) {
        char what[256];
        const long number = strtol(entry->d_name, NULL, 10);
        const ssize_t got = readlinkat(dirfd(directory), entry->d_name, what, sizeof what);
        if (got > 0 && number > STDERR_FILENO && number != dirfd(directory))
            length += (size_t)snprintf(buffer + length, capacity - length, "%ld %.*s\n", number,
                                       (int)got, what);
    }
    closedir(directory);
}

void platform_descriptors_close(void)
{
    for (int descriptor = STDERR_FILENO + 1; descriptor < 1024; descriptor++)
        (void)close(descriptor);
}

bool platform_is_ready(intptr_t native, brood_duration timeout)
{
    struct pollfd ready = { .fd = (int)native, .events = POLLIN };
    return poll(&ready, 1, (int)(timeout / 1000000)) == 1;
}

platform_native platform_native_create_reset(void)
{
    return (platform_native){ .object = 0 };
}

platform_native platform_native_create(void)
{
    intptr_t ends[2];
    platform_pipe(ends);
    return (platform_native){ .object = ends[0], .other = ends[1] };
}

void platform_native_set(platform_native *native, bool ready)
{
    char byte = 0;
    if (ready == native->ready)
        return;
    if (ready ? write((int)native->other, &byte, 1) != 1 : read((int)native->object, &byte, 1) != 1)
        give_up("a pipe");
    native->ready = ready;
}

void platform_native_destroy(platform_native *native)
{
    platform_close(native->object);
    platform_close(native->other);
}

void platform_terminate_ignore(void)
{
    if (signal(SIGTERM, SIG_IGN) == SIG_ERR)
        give_up("signal");
}

extern char **environ;

static bool is_of_same_name(const char *entry, const char *variable)
{
    const size_t length = strcspn(variable, "=");
    return strncmp(entry, variable, length) == 0 && entry[length] == '=';
}

// The environment with this entry instead of one with its name, from malloc(). Of two entries
// with one name some systems take the first, some the last.
static char **environment_with(const char *variable)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **list = malloc((count + 2) * sizeof *list);
    if (!list)
        give_up("malloc");
    count = 0;
    for (char **entry = environ; *entry; entry++)
        if (!variable || !is_of_same_name(*entry, variable))
            list[count++] = *entry;
    if (variable)
        list[count++] = (char *)(uintptr_t)variable;
    list[count] = NULL;
    return list;
}

platform_program platform_program_start(const char *argument, const char *variable,
                                        const char *output)
{
    static char self[] = "/proc/self/exe";
    char *const argv[] = { self, (char *)(uintptr_t)argument, NULL };
    char **environment = environment_with(variable);
    int input[2];
    posix_spawn_file_actions_t actions;
    pid_t pid;
    if (pipe2(input, O_CLOEXEC) != 0 || posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO) != 0 ||
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output,
                                         O_WRONLY | O_CREAT | O_APPEND, 0600) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO) != 0 ||
        posix_spawn(&pid, self, &actions, NULL, argv, environment) != 0)
        give_up(argument);
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    close(input[0]);
    return (platform_program){ .pid = pid, .handle = -1, .input = input[1] };
}

void platform_program_close_input(platform_program program)
{
    close((int)program.input);
}

int platform_program_wait(platform_program program)
{
    int status;
    while (waitpid((pid_t)program.pid, &status, 0) < 0)
        if (errno != EINTR)
            give_up("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Gives the signal its default action, without a core file.
static void reset_signal(int number)
{
    const struct rlimit none = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(number, SIG_DFL);
}

_Noreturn void platform_crash(void)
{
    reset_signal(SIGSEGV);
    volatile int *volatile nowhere = (volatile int *)(uintptr_t)64;
    *nowhere = 1;
    abort();
}

// Not every processor faults here and in the next function: then the signal is raised.
_Noreturn void platform_crash_illegal(void)
{
    reset_signal(SIGILL);
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("ud2");
#endif
    (void)raise(SIGILL);
    abort();
}

#if defined(__GNUC__)
__attribute__((no_sanitize("undefined")))
#endif
_Noreturn void
platform_crash_arithmetic(void)
{
    reset_signal(SIGFPE);
    volatile int number = 7;
    volatile int zero = 0;
    volatile int result = number / zero;
    (void)result;
    (void)raise(SIGFPE);
    abort();
}

// NOLINTNEXTLINE(misc-no-recursion)
static int descend(int depth)
{
    volatile char room[1024];
    room[0] = (char)depth;
    return depth < 0 ? 0 : descend(depth + 1) + room[0];
}

_Noreturn void platform_crash_stack(void)
{
    const struct rlimit small = { 1 << 20, 1 << 20 };
    reset_signal(SIGSEGV);
    if (setrlimit(RLIMIT_STACK, &small) != 0)
        give_up("setrlimit");
    (void)descend(0);
    abort();
}

_Noreturn void platform_interrupt(void)
{
    reset_signal(SIGINT);
    (void)raise(SIGINT);
    abort();
}

int platform_interrupt_code(void)
{
    return 0;
}

void platform_environment_set(const char *name, const char *value)
{
    if ((value ? setenv(name, value, 1) : unsetenv(name)) != 0)
        give_up("setenv");
}
