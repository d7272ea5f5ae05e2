// SPDX-License-Identifier: MIT
// Usually /proc/self/exe is the program, also when its file has been replaced or deleted. In two
// cases it is another file, which shows in the mapping that contains the program's headers:
//
// The dynamic loader was executed with the program as an argument: it is executed with the same
// arguments again, but with the absolute path of the program, since the working directory may
// have changed.
//
// A tool such as valgrind runs the program: the path of the program is executed, which the tool
// intercepts.
#include "posix/linux/image.h"

#include "posix/posix.h"
#include "posix/proc.h"

#include "base/atomic.h"
#include "base/fail.h"
#include "os/os_error.h"
#include "os/os_thread.h"

#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXE "/proc/self/exe"

enum { ROOM = 8192 }; // for the longest line of /proc/self/maps

struct mapping {
    uintptr_t address; // that it contains
    uint64_t file;     // inode number of its file
    const char *path;
};

static int note_headers(struct dl_phdr_info *module, size_t size, void *out)
{
    (void)size;
    *(uintptr_t *)out = (uintptr_t)module->dlpi_phdr;
    return 1; // the program is the first module
}

static bool parse(const char *line, struct mapping *out)
{
    unsigned long long first;
    unsigned long long end;
    unsigned long long file;
    int at = 0;
    if (sscanf(line, "%llx-%llx %*s %*s %*s %llu %n", &first, &end, &file, &at) != 3)
        return false;
    out->file = file;
    out->path = line + at;
    return out->address >= first && out->address < end;
}

static bool find_line(int maps, char *buffer, struct mapping *out)
{
    size_t length = 0;
    for (;;) {
        const ssize_t got = read(maps, buffer + length, ROOM - 1 - length);
        if (got <= 0)
            return false;
        length += (size_t)got;
        buffer[length] = 0;
        char *line = buffer;
        for (char *end = strchr(line, '\n'); end; line = end + 1, end = strchr(line, '\n')) {
            *end = 0;
            if (parse(line, out))
                return true;
        }
        length = strlen(line);
        memmove(buffer, line, length);
    }
}

// The path in `out` points into `buffer`.
static bool find_program(char *buffer, struct mapping *out)
{
    (void)dl_iterate_phdr(note_headers, &out->address);
    const int maps =
        broodi_posix_fault(EMFILE) ? -1 : open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (maps < 0)
        return false;
    const bool found = find_line(maps, buffer, out) && out->path[0] == '/';
    close(maps);
    return found;
}

// Returns whether /proc/self/exe is the program; true also if that cannot be determined. On some
// file systems the inode numbers in the maps differ from those of stat(): there the files that
// the two paths name are compared.
static bool is_exe(const struct mapping *program)
{
    struct stat exe;
    struct stat file;
    if (stat(EXE, &exe) != 0 || exe.st_ino == program->file)
        return true;
    return stat(program->path, &file) == 0 && file.st_dev == exe.st_dev &&
           file.st_ino == exe.st_ino;
}

static brood_status set_path(const struct mapping *program, struct image *out)
{
    struct stat file;
    if (stat(program->path, &file) != 0 || file.st_ino != program->file)
        return broodi_fail(BROOD_NOT_FOUND,
                           "the program was not executed by itself, and its file is gone: %s",
                           program->path);
    out->own_path = broodi_fault() ? NULL : strdup(program->path);
    if (!out->own_path)
        return brood_os_error("strdup", ENOMEM);
    out->path = out->own_path;
    return BROOD_OK;
}

// Returns the index of the program among the arguments of the dynamic loader; 0 if the program
// was not executed by the loader.
static size_t find_argument(char *const *argv, size_t *out_count)
{
    size_t argument = 0;
    size_t count = 0;
    for (; argv[count]; count++)
        if (argument == 0 && count > 0 && strcmp(argv[count], program_invocation_name) == 0)
            argument = count;
    *out_count = count;
    return count == 0 || strcmp(argv[0], program_invocation_name) == 0 ? 0 : argument;
}

static brood_status set_arguments(struct image *out)
{
    size_t count = 0;
    const size_t argument = find_argument(out->argv, &count);
    if (argument == 0)
        return BROOD_OK;
    char **both = broodi_alloc((count + 1 + argument + 2) * sizeof *both);
    if (!both)
        return brood_os_error("malloc", ENOMEM);
    memcpy(both, out->argv, (count + 1) * sizeof *both);
    both[argument] = out->own_path;
    char **least = both + count + 1;
    memcpy(least, both, (argument + 1) * sizeof *both);
    least[argument + 1] = NULL;
    out->own_argv = both;
    out->argv = both;
    out->least = least;
    out->path = EXE;
    return BROOD_OK;
}

static brood_status find_other(struct image *out, bool *is_usual)
{
    struct mapping program = { .path = NULL };
    brood_status status = BROOD_OK;
    char *buffer = broodi_alloc(ROOM);
    if (!buffer)
        return brood_os_error("malloc", ENOMEM);
    *is_usual = !find_program(buffer, &program) || is_exe(&program);
    if (!*is_usual)
        status = set_path(&program, out);
    free(buffer);
    return status == BROOD_OK && !*is_usual ? set_arguments(out) : status;
}

// The usual case stays so for the life of the process, and is found out once.
brood_status broodi_image_find(struct image *out)
{
    static atomic_bool usual;
    static char nameless[] = "brood";
    static char *const fallback[] = { nameless, NULL };
    char *const *argv = broodi_proc_arguments();
    *out = (struct image){ .path = EXE, .argv = argv ? argv : fallback };
    out->name[0] = out->argv[0];
    out->least = out->name;
    if (atomic_load_explicit(&usual, memory_order_relaxed))
        return BROOD_OK;
    bool is_usual = false;
    const int before = brood_os_thread_protect();
    const brood_status status = find_other(out, &is_usual);
    brood_os_thread_unprotect(before);
    atomic_store_explicit(&usual, is_usual, memory_order_relaxed);
    return status;
}

void broodi_image_forget(struct image *image)
{
    free(image->own_path);
    free(image->own_argv);
}
