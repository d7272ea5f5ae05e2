// SPDX-License-Identifier: MIT
// Mostly /proc/self/exe is the program, also when its file has been replaced or deleted. It is
// another file in two cases, which show by what is mapped where the program's headers are:
//
//   the dynamic loader was executed with the program as an argument    it is executed with the same
//   arguments again, but the absolute
//                                                                      path of the program, since
//                                                                      the directory may have
//                                                                      changed
//   a tool such as valgrind runs the program                           the path is executed, which
//   the tool sees
#include "image.h"

#include "posix.h"
#include "proc.h"

#include "atomic.h"
#include "fail.h"
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
    uintptr_t address; // to look for
    uint64_t file;     // the number of its file
    const char *path;
};

static int note_headers(struct dl_phdr_info *module, size_t size, void *out)
{
    (void)size;
    *(uintptr_t *)out = (uintptr_t)module->dlpi_phdr;
    return 1; // the program is the first
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

// The path stands in `buffer`.
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

// What cannot be told is taken for the usual. Some file systems have other numbers in the maps:
// there the paths tell.
static bool is_exe(const struct mapping *program)
{
    struct stat exe;
    struct stat file;
    if (stat(EXE, &exe) != 0 || exe.st_ino == program->file)
        return true;
    return stat(program->path, &file) == 0 && file.st_dev == exe.st_dev &&
           file.st_ino == exe.st_ino;
}

static brood_status take_path(const struct mapping *program, struct image *out)
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

// The place of the program among the arguments of the loader; 0 when this is none.
static size_t find_argument(char *const *argv, size_t *out_count)
{
    size_t place = 0;
    size_t count = 0;
    for (; argv[count]; count++)
        if (place == 0 && count > 0 && strcmp(argv[count], program_invocation_name) == 0)
            place = count;
    *out_count = count;
    return count == 0 || strcmp(argv[0], program_invocation_name) == 0 ? 0 : place;
}

static brood_status take_arguments(struct image *out)
{
    size_t count = 0;
    const size_t place = find_argument(out->argv, &count);
    if (place == 0)
        return BROOD_OK;
    char **both = broodi_alloc((count + 1 + place + 2) * sizeof *both);
    if (!both)
        return brood_os_error("malloc", ENOMEM);
    memcpy(both, out->argv, (count + 1) * sizeof *both);
    both[place] = out->own_path;
    char **least = both + count + 1;
    memcpy(least, both, (place + 1) * sizeof *both);
    least[place + 1] = NULL;
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
        status = take_path(&program, out);
    free(buffer);
    return status == BROOD_OK && !*is_usual ? take_arguments(out) : status;
}

// The usual is so for the life of the process.
brood_status broodi_image_find(struct image *out)
{
    static atomic_bool usual;
    static char nameless[] = "brood";
    static char *const standard[] = { nameless, NULL };
    char *const *argv = broodi_proc_arguments();
    *out = (struct image){ .path = EXE, .argv = argv ? argv : standard };
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
