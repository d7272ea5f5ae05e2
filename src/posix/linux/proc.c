// SPDX-License-Identifier: MIT
// What Linux reports about processes, mostly in small files.
#include "posix/proc.h"

#include "posix/descriptor.h"
#include "posix/linux/cgroup.h"
#include "posix/posix.h"

#include "base/atomic.h"
#include "os/os_thread.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIDFD_SEND_SIGNAL = 424, WAIT_PIDFD = 3 };

extern char **environ;

int broodi_proc_wait_now(const brood_os_child *child, siginfo_t *info)
{
    if (child->handle >= 0) {
        const int got = waitid((idtype_t)WAIT_PIDFD, (id_t)child->handle, info, WEXITED | WNOHANG);
        // EINVAL: the kernel has no such wait; EBADF: the program has closed the pidfd.
        if (got == 0 || (errno != EINVAL && errno != EBADF))
            return got;
    }
    return waitid(P_PID, (id_t)child->pid, info, WEXITED | WNOHANG);
}

// Returns whether the pid of a child with a pidfd is still that of the child; false with ESRCH if
// the child has ended.
static bool has_its_pid(const brood_os_child *child)
{
    const int error = errno;
    siginfo_t info;
    struct pollfd ended = { .fd = (int)child->handle, .events = POLLIN };
    const int ready = broodi_posix_fault(ENOMEM) ? -1 : poll(&ended, 1, 0);
    errno = ready > 0 && !(ended.revents & POLLNVAL) ? ESRCH : error;
    if (ready == 0 || errno == ESRCH)
        return ready == 0;
    // The pidfd cannot be polled. The pid of a child of this process stays its own until it is
    // reaped.
    const bool is_own =
        !child->served && waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
    errno = error;
    return is_own;
}

// A kernel that has pidfds may lack this call, or a filter may refuse it: then kill().
bool broodi_proc_signal(const brood_os_child *child, int signal)
{
    if (child->handle >= 0) {
        if (syscall(PIDFD_SEND_SIGNAL, (int)child->handle, signal, NULL, 0) == 0)
            return true;
        if (errno == ESRCH || !has_its_pid(child))
            return false;
    }
    if (child->pid <= 0) { // it has no pid here, and 0 would be a process group
        errno = EMFILE;
        return false;
    }
    return kill((pid_t)child->pid, signal) == 0;
}

int64_t broodi_proc_pid_of(intptr_t descriptor)
{
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", (int)descriptor);
    const uint64_t number = broodi_file_number(AT_FDCWD, path, "Pid:");
    return number < INT32_MAX ? (int64_t)number : 0;
}

// A process never changes its pid namespace. A copy of it can be in another one only if getppid()
// returns 0 there.
static struct {
    pid_t of;
    uint64_t space;
} known_space;

void brood_os_pid_namespace_offer(uint64_t space, int64_t parent)
{
    if (space == 0 || getppid() != parent)
        return;
    known_space.of = getpid();
    known_space.space = space;
}

uint64_t brood_os_pid_namespace(void)
{
    struct stat facts;
    const pid_t self = getpid();
    if (known_space.of != self && (known_space.of == 0 || getppid() == 0))
        known_space.space = stat("/proc/self/ns/pid", &facts) == 0 ? facts.st_ino : 0;
    known_space.of = self;
    return known_space.space;
}

// Returns whether the numbers in /proc are those of this process's pid namespace: /proc may have
// been mounted in another one.
static bool is_own_proc(void)
{
    char own[16];
    char found[16];
    const int size = snprintf(own, sizeof own, "%d", (int)getpid());
    return readlink("/proc/self", found, sizeof found) == size &&
           memcmp(own, found, (size_t)size) == 0;
}

static uint64_t birth_without_proc(int64_t pid)
{
    return kill((pid_t)pid, 0) != 0 && errno == ESRCH ? 0 : BROOD_OS_BIRTH_UNKNOWN;
}

static uint64_t read_birth(int64_t pid)
{
    char text[1024];
    if (!is_own_proc())
        return birth_without_proc(pid);
    // By the file of its first thread: the file of the whole process has, in an emulator, other
    // contents for that process than for others.
    (void)snprintf(text, sizeof text, "/proc/%lld/task/%lld/stat", (long long)pid, (long long)pid);
    const int file = broodi_posix_fault(EMFILE) ? -1 : open(text, O_RDONLY | O_CLOEXEC);
    if (file < 0 && errno != ENOENT)
        return BROOD_OS_BIRTH_UNKNOWN;
    if (file < 0) // it has ended, or /proc hides it from this process
        return birth_without_proc(pid);
    const ssize_t length = read(file, text, sizeof text - 1);
    const int error = errno;
    close(file);
    if (length <= 0)
        return length < 0 && error == ESRCH ? 0 : BROOD_OS_BIRTH_UNKNOWN;
    text[length] = 0;
    // The name, field 2, may contain any character; the state follows its last parenthesis, the
    // number of threads is field 20, the start time field 22.
    const char *after = strrchr(text, ')');
    char state = 0;
    long threads = 0;
    unsigned long long birth = 0;
    if (!after ||
        sscanf(after + 1,
               " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu",
               &state, &threads, &birth) != 3)
        return BROOD_OS_BIRTH_UNKNOWN;
    // The process is alive as long as a thread other than the first one runs.
    return (state == 'Z' || state == 'X') && threads <= 1 ? 0 : birth;
}

uint64_t brood_os_process_birth(int64_t pid)
{
    const int before = brood_os_thread_protect();
    const uint64_t birth = read_birth(pid);
    brood_os_thread_unprotect(before);
    return birth;
}

// Returns the whole of a file of unknown size, from malloc, and its length; NULL if it cannot be
// read. Not by stdio, whose list of streams another thread may have locked.
static char *read_whole(const char *path, size_t *out_length)
{
    const int file = broodi_posix_fault(EMFILE) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    size_t capacity = 0;
    ssize_t got = file;
    *out_length = 0;
    while (got >= 0) {
        if (*out_length == capacity) {
            capacity = capacity * 2 + 4096;
            char *more = broodi_fault() ? NULL : realloc(text, capacity);
            if (!more)
                break;
            text = more;
        }
        got = read(file, text + *out_length, capacity - *out_length);
        if (got <= 0)
            break;
        *out_length += (size_t)got;
    }
    if (file >= 0)
        close(file);
    return text;
}

// Returns a list and its texts, which begin at the first entry, both from malloc; NULL if they
// cannot be read.
static char **read_arguments(void)
{
    size_t length;
    char *texts = read_whole("/proc/self/cmdline", &length);
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += texts[i] == 0;
    char **argv = count > 0 ? broodi_alloc((count + 1) * sizeof *argv) : NULL;
    if (!argv) {
        free(texts);
        return NULL;
    }
    char *next = texts;
    for (size_t i = 0; i < count; i++) {
        argv[i] = next;
        next += strlen(next) + 1;
    }
    argv[count] = NULL;
    return argv;
}

// Kept for later calls: reading them takes a noticeable part of a start.
char **broodi_proc_arguments(void)
{
    static char **_Atomic cached;
    char **known = atomic_load_explicit(&cached, memory_order_acquire);
    if (known)
        return known;
    char **argv = read_arguments();
    // Release: pairs with the acquire above, or in another thread's call.
    if (!argv || atomic_compare_exchange_strong_explicit(
                     &cached, &known, argv, memory_order_acq_rel, memory_order_acquire))
        return argv;
    free(argv[0]);
    free(argv);
    return known;
}

char ***broodi_proc_environment(void)
{
    return &environ;
}

bool broodi_proc_is_privileged(void)
{
    return getauxval(AT_SECURE) != 0;
}

// A process executed by /proc/self/exe would be called "exe".
void broodi_proc_restore_name(void)
{
    (void)prctl(PR_SET_NAME, program_invocation_short_name);
}

// The death signal, set before exec, ends the process.
brood_status broodi_proc_follow(int64_t parent)
{
    (void)parent;
    return BROOD_OK;
}

int broodi_descriptor_of_process(int64_t pid)
{
    enum { PIDFD_OPEN = 434 };
    broodi_descriptors_lock();
    const int opened = broodi_posix_fault(EMFILE)
                           ? -1
                           : broodi_descriptor_up((int)syscall(PIDFD_OPEN, (pid_t)pid, 0));
    const int noted = broodi_descriptor_note(opened);
    broodi_descriptors_unlock();
    return noted;
}
