// SPDX-License-Identifier: MIT
#include "cgroup.h"

#include "os/os_thread.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"

enum { PATH = 4352 };

static bool read_file(const char *path, char *text, size_t capacity)
{
    const int opened = open(path, O_RDONLY | O_CLOEXEC);
    if (opened < 0)
        return false;
    const ssize_t length = read(opened, text, capacity - 1);
    close(opened);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

bool broodi_file_read(const char *directory, const char *file, char *text, size_t capacity)
{
    char path[PATH];
    (void)snprintf(path, sizeof path, "%s/%s", directory, file);
    const int before =
        brood_os_thread_protect(); // a thread that is cancelled in here would leave the file open
    const bool done = read_file(path, text, capacity);
    brood_os_thread_unprotect(before);
    return done;
}

uint64_t broodi_file_number(const char *directory, const char *file, const char *name)
{
    char text[8192];
    unsigned long long value;
    if (!broodi_file_read(directory, file, text, sizeof text))
        return UINT64_MAX;
    const char *at = name ? strstr(text, name) : text;
    return at && sscanf(at + (name ? strlen(name) : 0), "%llu", &value) == 1 ? value : UINT64_MAX;
}

// In a container the path may be one that is seen from outside only; then what is mounted is the group itself.
static void climb(const char *root, char *group, void (*visit)(const char *directory, void *user), void *user)
{
    char directory[PATH];
    group[strcspn(group, "\n")] = 0;
    for (char *end = strrchr(group, '/'); end; end = strrchr(group, '/')) {
        (void)snprintf(directory, sizeof directory, "%s%s", root, strcmp(group, "/") == 0 ? "" : group);
        visit(directory, user);
        if (end == group && end[1])
            end[1] = 0; // the root is the last
        else
            *end = 0;
    }
}

// The line of a list such as "4:cpu,cpuacct:/group" that names the controller; NULL when there is none.
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

void broodi_cgroup_each(const char *controller, void (*visit)(const char *directory, void *user), void *user)
{
    char groups[4096];
    if (!broodi_file_read("/proc/self", "cgroup", groups, sizeof groups))
        return;
    char *unified = strstr(groups, "0::/");
    char *alone = find_group(groups, controller);
    if (alone) {
        char root[64];
        (void)snprintf(root, sizeof root, ROOT "/%s", controller);
        climb(root, alone, visit, user);
    }
    if (unified)
        climb(ROOT, unified + strlen("0::"), visit, user);
}
