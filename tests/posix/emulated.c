// SPDX-License-Identifier: MIT
// For programs that an emulator runs (the preset "aarch64"), because the kernel cannot execute
// them: what they execute of their own kind is passed to the emulator. The linker puts these
// functions before those of the C library; EMULATOR and EMULATED_ROOT come from the build.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 250, BEFORE = 6 };

// The arguments of the emulator, if the program is one for it.
struct run {
    char path[PATH_MAX];
    char *argv[BEFORE + MOST_ARGUMENTS];
};

extern int __real_execve(const char *path, char *const argv[], char *const envp[]);
extern int __wrap_execve(const char *path, char *const argv[], char *const envp[]);
extern int __real_posix_spawn(pid_t *pid, const char *path,
                              const posix_spawn_file_actions_t *actions,
                              const posix_spawnattr_t *attributes, char *const argv[],
                              char *const envp[]);
extern int __wrap_posix_spawn(pid_t *pid, const char *path,
                              const posix_spawn_file_actions_t *actions,
                              const posix_spawnattr_t *attributes, char *const argv[],
                              char *const envp[]);

static bool is_emulated(const char *path)
{
    Elf64_Ehdr header = { .e_machine = EM_NONE };
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    const ssize_t got = read(file, &header, sizeof header);
    close(file);
    return got == sizeof header && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
           header.e_machine == EM_AARCH64;
}

// Returns false if the call needs no change. /proc/self/exe is resolved here: to the kernel it is
// the emulator.
static bool prepare(struct run *run, const char *path, char *const argv[])
{
    static char *const first[] = { EMULATOR, "-L", EMULATED_ROOT, "-0" };
    const ssize_t length =
        strcmp(path, "/proc/self/exe") == 0 ? readlink(path, run->path, sizeof run->path - 1) : 0;
    if (length > 0)
        run->path[length] = 0;
    else
        (void)strncpy(run->path, path, sizeof run->path - 1);
    size_t count = 0;
    while (argv[count])
        count++;
    if (count == 0 || count > MOST_ARGUMENTS || !is_emulated(run->path))
        return false;
    memcpy(run->argv, first, sizeof first);
    run->argv[4] = argv[0];
    run->argv[5] = run->path;
    memcpy(run->argv + BEFORE, argv + 1, count * sizeof *argv);
    return true;
}

int __wrap_execve(const char *path, char *const argv[], char *const envp[])
{
    struct run run = { .path = "" };
    return prepare(&run, path, argv) ? __real_execve(EMULATOR, run.argv, envp)
                                     : __real_execve(path, argv, envp);
}

int __wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    struct run run = { .path = "" };
    return prepare(&run, path, argv)
               ? __real_posix_spawn(pid, EMULATOR, actions, attributes, run.argv, envp)
               : __real_posix_spawn(pid, path, actions, attributes, argv, envp);
}
