// SPDX-License-Identifier: MIT
#include "posix/linux/cgroup.h"

#include "base/atomic.h"
#include "base/fault.h"
#include "os/os_thread.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"

// A thread that is cancelled while the file is open would leave it open: callers disable
// cancellation.
static int open_file(int directory, const char *path)
{
    return openat(directory, path, O_RDONLY | O_CLOEXEC);
}

static size_t read_some(int file, char *text, size_t capacity)
{
    const ssize_t length = read(file, text, capacity);
    return length > 0 ? (size_t)length : 0;
}

bool broodi_file_read(int directory, const char *path, char *text, size_t capacity)
{
    const int before = brood_os_thread_protect();
    const int file = open_file(directory, path);
    size_t length = 0;
    if (file >= 0) {
        length = read_some(file, text, capacity - 1);
        close(file);
    }
    brood_os_thread_unprotect(before);
    text[length] = 0;
    return length > 0;
}

static uint64_t number_at(const char *text)
{
    char *end = NULL;
    const unsigned long long value = strtoull(text, &end, 10);
    return end != text ? value : UINT64_MAX;
}

// Searches the whole lines of the text for one that begins with the name; true with the number
// behind it. Otherwise moves the incomplete rest to the beginning.
static bool search_lines(char *text, const char *name, uint64_t *out)
{
    char *line = text;
    for (char *end = strchr(line, '\n'); end; end = strchr(line, '\n')) {
        *end = 0;
        if (strncmp(line, name, strlen(name)) == 0) {
            *out = number_at(line + strlen(name));
            return true;
        }
        line = end + 1;
    }
    memmove(text, line, strlen(line) + 1);
    return false;
}

// Lines longer than the buffer are skipped.
static uint64_t find_number(int file, const char *name)
{
    char text[512];
    uint64_t found = UINT64_MAX;
    size_t kept = 0;
    for (;;) {
        const size_t length = read_some(file, text + kept, sizeof text - 1 - kept);
        text[kept + length] = 0;
        if (search_lines(text, name, &found) || length == 0)
            return found;
        kept = strlen(text);
        if (kept == sizeof text - 1)
            kept = 0;
    }
}

uint64_t broodi_file_number(int directory, const char *path, const char *name)
{
    const int before = brood_os_thread_protect();
    const int file = open_file(directory, path);
    uint64_t found = UINT64_MAX;
    if (file >= 0) {
        found = find_number(file, name ? name : "");
        close(file);
    }
    brood_os_thread_unprotect(before);
    return found;
}

// Paths of one process: too large for the stack.
struct paths {
    char groups[4096];
    char directory[4352];
};

static void visit_directory(const char *path, void (*visit)(int directory, void *user), void *user)
{
    const int before = brood_os_thread_protect();
    const int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        visit(directory, user);
        close(directory);
    }
    brood_os_thread_unprotect(before);
}

// In a container the path may be one that exists only outside; then the mounted directory is the
// group itself.
static void climb(struct paths *paths, char *group, void (*visit)(int directory, void *user),
                  void *user)
{
    const size_t root = strlen(paths->directory);
    group[strcspn(group, "\n")] = 0;
    for (char *end = strrchr(group, '/'); end; end = strrchr(group, '/')) {
        const size_t length = strcmp(group, "/") == 0 ? 0 : strlen(group);
        if (length >= sizeof paths->directory - root)
            return;
        memcpy(paths->directory + root, group, length);
        paths->directory[root + length] = 0;
        visit_directory(paths->directory, visit, user);
        if (end == group && end[1])
            end[1] = 0; // the root is the last
        else
            *end = 0;
    }
}

// Returns the path in the line that names the controller, of a list of lines such as
// "4:cpu,cpuacct:/group"; NULL if there is none.
static char *find_group(char *groups, const char *controller)
{
    char *line = groups;
    const size_t length = strlen(controller);
    while (line) {
        char *names = strchr(line, ':');
        char *group = names ? strchr(names + 1, ':') : NULL;
        for (char *name = names; group && name < group; name = strpbrk(name + 1, ",:"))
            if (strncmp(name + 1, controller, length) == 0 && name + 1 + length <= group &&
                strchr(",:", name[1 + length]))
                return group + 1;
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return NULL;
}

static void climb_all(struct paths *paths, const char *controller,
                      void (*visit)(int directory, void *user), void *user)
{
    char *unified = strstr(paths->groups, "0::/");
    char *alone = find_group(paths->groups, controller);
    if (alone) {
        memcpy(paths->directory, ROOT "/", sizeof ROOT "/");
        memcpy(paths->directory + strlen(ROOT "/"), controller, strlen(controller) + 1);
        climb(paths, alone, visit, user);
    }
    if (unified) {
        memcpy(paths->directory, ROOT, sizeof ROOT);
        climb(paths, unified + strlen("0::"), visit, user);
    }
}

// One buffer is kept for the next call. Two threads may call at the same time: then one of them
// allocates another.
static _Atomic(struct paths *) cached;

static struct paths *get_paths(void)
{
    struct paths *paths = atomic_exchange_explicit(&cached, NULL, memory_order_acquire);
    return paths ? paths : broodi_alloc(sizeof *paths);
}

void broodi_cgroup_each(const char *controller, void (*visit)(int directory, void *user),
                        void *user)
{
    const int before = brood_os_thread_protect();
    struct paths *paths = get_paths();
    if (paths &&
        broodi_file_read(AT_FDCWD, "/proc/self/cgroup", paths->groups, sizeof paths->groups))
        climb_all(paths, controller, visit, user);
    // Release: pairs with the acquire in get_paths() of the next user. Acquire: of the one freed.
    free(atomic_exchange_explicit(&cached, paths, memory_order_acq_rel));
    brood_os_thread_unprotect(before);
}
