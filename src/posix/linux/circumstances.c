// SPDX-License-Identifier: MIT
// What a child of this process would inherit from it now, and what a fork server keeps from the
// moment it was made. Most of it is in one file; the cost of reading it is a part of each start
// by a server.
#include "os/os_server.h"

#include "posix/posix.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static uint64_t mix(uint64_t sum, uint64_t number)
{
    return (sum ^ number) * UINT64_C(0x100000001b3);
}

// /proc/self/status, lines of "Name:\tvalue". It is parsed by character, since it is long for a
// process with many groups.

enum kind { OTHER, MIXED, IGNORED, UMASK };

struct reader {
    brood_os_circumstances *out;
    char name[16];
    size_t length; // of the name so far
    bool in_value;
    enum kind kind; // of the value
};

static enum kind kind_of(const char *name)
{
    static const char *const mixed[] = { "Uid",        "Gid",     "Groups",         "CapInh",
                                         "CapPrm",     "CapEff",  "CapBnd",         "CapAmb",
                                         "NoNewPrivs", "Seccomp", "Seccomp_filters" };
    if (strcmp(name, "SigIgn") == 0)
        return IGNORED;
    if (strcmp(name, "Umask") == 0)
        return UMASK;
    if (strcmp(name, "Cpus_allowed") == 0 || strcmp(name, "Mems_allowed") == 0)
        return MIXED;
    for (size_t i = 0; i < sizeof mixed / sizeof mixed[0]; i++)
        if (strcmp(name, mixed[i]) == 0)
            return MIXED;
    return OTHER;
}

static unsigned digit_of(char character)
{
    return (unsigned)(character >= 'a' ? character - 'a' + 10 : character - '0');
}

static void add_to_value(struct reader *reader, char character)
{
    brood_os_circumstances *out = reader->out;
    if (reader->kind == MIXED)
        out->epoch = mix(out->epoch, (unsigned char)character);
    else if (reader->kind == IGNORED && character > ' ')
        out->ignored = out->ignored << 4 | digit_of(character);
    else if (reader->kind == UMASK && character > ' ')
        out->umask = out->umask << 3 | digit_of(character);
}

static void add_to_name(struct reader *reader, char character)
{
    if (character == ':') {
        reader->name[reader->length] = 0;
        reader->in_value = true;
        reader->kind = kind_of(reader->name);
    } else if (reader->length < sizeof reader->name - 1) {
        reader->name[reader->length++] = character;
    }
}

static void add_character(struct reader *reader, char character)
{
    if (character == '\n') {
        reader->length = 0;
        reader->in_value = false;
    } else if (reader->in_value) {
        add_to_value(reader, character);
    } else {
        add_to_name(reader, character);
    }
}

static void read_status(brood_os_circumstances *out)
{
    struct reader reader = { .out = out };
    char text[2048];
    ssize_t length;
    const int file =
        broodi_posix_fault(EMFILE) ? -1 : open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    while (file >= 0 && (length = read(file, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < length; i++)
            add_character(&reader, text[i]);
    if (file >= 0)
        close(file);
}

// The rest

static uint64_t mix_file(uint64_t sum, const char *path)
{
    char text[1024];
    const int file = broodi_posix_fault(EMFILE) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? 0 : read(file, text, sizeof text);
    if (file >= 0)
        close(file);
    for (ssize_t i = 0; i < length; i++)
        sum = mix(sum, (unsigned char)text[i]);
    return sum;
}

static uint64_t mix_limits(uint64_t sum)
{
    enum { LIMITS = 16 };
    for (int i = 0; i < LIMITS; i++) {
        uint64_t limit[2] = { 0, 0 }; // the raw call: the C libraries differ in its types
        (void)syscall(SYS_prlimit64, 0, i, NULL, limit);
        sum = mix(mix(sum, limit[0]), limit[1]);
    }
    return sum;
}

// The schedule of the main thread: if that of the calling thread counted, two threads with
// different ones that start children in turn would get a new server for each start.
static uint64_t mix_schedule(uint64_t sum)
{
    enum { A_PROCESS = 1 };
    const pid_t pid = getpid();
    struct sched_param parameters = { 0 };
    (void)sched_getparam(pid, &parameters);
    sum = mix(mix(sum, (uint64_t)sched_getscheduler(pid)), (uint64_t)parameters.sched_priority);
    sum = mix(sum, (uint64_t)syscall(SYS_ioprio_get, A_PROCESS, pid));
    return mix(sum, (uint64_t)getpriority(PRIO_PROCESS, (id_t)pid));
}

// The kernel's struct statx: not every C library declares it, and not all that do have the mount.
struct extended {
    uint64_t others[4];
    uint64_t inode;
    uint64_t sizes_and_times[12];
    uint32_t device_major;
    uint32_t device_minor;
    uint64_t mount;
    uint64_t later[13];
};
_Static_assert(sizeof(struct extended) == 256, "the kernel fills 256 bytes");

// The root directory; its mount number also identifies the mount namespace.
static uint64_t mix_root(uint64_t sum)
{
    enum { INODE = 0x100, MOUNT = 0x1000 };
    struct extended facts = { .inode = 0 };
    struct stat plain = { .st_ino = 0 };
    if (syscall(SYS_statx, AT_FDCWD, "/", AT_NO_AUTOMOUNT, INODE | MOUNT, &facts) != 0 &&
        stat("/", &plain) == 0)
        return mix(mix(sum, plain.st_dev), plain.st_ino);
    sum = mix(mix(sum, facts.mount), facts.inode);
    return mix(mix(sum, facts.device_major), facts.device_minor);
}

// A working directory that this process may not search can be inherited but not passed: only a
// server that was made in it has it.
static uint64_t mix_directory(uint64_t sum)
{
    struct stat facts = { .st_ino = 0 };
    if (stat(".", &facts) != 0 && stat("/proc/self/cwd", &facts) == 0)
        sum = mix(mix(sum, facts.st_dev), facts.st_ino);
    return sum;
}

void brood_os_circumstances_read(brood_os_circumstances *out)
{
    *out = (brood_os_circumstances){ .epoch = UINT64_C(0xcbf29ce484222325) };
    read_status(out);
    uint64_t sum = mix(mix(out->epoch, (uint64_t)getsid(0)), (uint64_t)getpgrp());
    sum = mix(sum, (uint64_t)prctl(PR_GET_SECUREBITS));
    sum = mix_schedule(mix_limits(sum));
    sum = mix_directory(mix_root(sum));
    sum = mix_file(mix_file(sum, "/proc/self/cgroup"), "/proc/self/oom_score_adj");
    out->epoch = sum;
}
