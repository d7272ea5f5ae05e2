// SPDX-License-Identifier: MIT
// The arena is one object of shared memory, whose name is removed at once. Its size is set once.
// The window is address space without access, over which parts of the object are mapped when they
// are needed. Memory is allocated when it is touched, and no call reserves it before: only a
// request for more than the machine has is refused here. No call frees a part of an object: a
// section that has ended is filled with zeros, which the system compresses to almost nothing.
#include "os/os_memory.h"

#include "posix/descriptor.h"
#include "posix/posix.h"

#include "base/fail.h"
#include "os/os_error.h"
#include "os/os_random.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysctl.h>
#include <unistd.h>

#define WINDOW ((size_t)16 << 30)
#define OBJECT ((uint64_t)4 * WINDOW)

// Maps a part of the object, at the address `at` in the window if that is not NULL. MAP_FAILED
// with errno.
static void *map_object(int object, uint64_t place, size_t size, void *at)
{
    return broodi_posix_fault(ENOMEM)
               ? MAP_FAILED
               : mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), object,
                      (off_t)place);
}

static brood_status reserve(brood_os_arena *out, int object, size_t size)
{
    void *base = broodi_posix_fault(ENOMEM)
                     ? MAP_FAILED
                     : mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return broodi_fail(BROOD_NO_MEMORY, "mmap of %zu bytes (%d)", size, errno);
    *out = (brood_os_arena){ .base = base, .size = size, .object = object };
    return BROOD_OK;
}

// Reserves `size` bytes, or half of that, and so on down to `least`.
static brood_status reserve_some(brood_os_arena *out, int object, size_t size, size_t least)
{
    brood_status status = reserve(out, object, size);
    while (status != BROOD_OK && size > least) {
        size = size / 2 > least ? size / 2 : least;
        status = reserve(out, object, size);
    }
    return status;
}

// Creates the object under a random name and removes the name at once.
static brood_status make_object(int *out)
{
    char name[32];
    uint64_t number = 0;
    const brood_status status = brood_os_random(&number, sizeof number);
    if (status != BROOD_OK)
        return status;
    (void)snprintf(name, sizeof name, "/brood.%016" PRIx64, number);
    const int object = broodi_posix_fault(EMFILE)
                           ? -1
                           : shm_open(name, O_RDWR | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
    if (object < 0)
        return brood_os_error("shm_open", errno);
    (void)shm_unlink(name);
    *out = broodi_descriptor_up(object);
    if (*out < 0)
        return brood_os_error("fcntl", errno);
    (void)fcntl(*out, F_SETFD, FD_CLOEXEC);
    return BROOD_OK;
}

brood_status brood_os_arena_create(brood_os_arena *out, size_t least)
{
    int object = -1;
    brood_status status = make_object(&object);
    if (status != BROOD_OK)
        return status;
    uint64_t whole = OBJECT;
    while (ftruncate(object, (off_t)whole) != 0 && whole / 2 >= least)
        whole /= 2;
    const size_t size = whole / 4 > least ? (size_t)(whole / 4) : least;
    status = reserve_some(out, object, size, least);
    if (status != BROOD_OK)
        close(object);
    return status;
}

brood_status brood_os_arena_open(brood_os_arena *out, intptr_t object, size_t size, size_t least)
{
    struct stat facts;
    brood_status status = BROOD_INVALID;
    if (fstat((int)object, &facts) != 0 || facts.st_size < 0 || (uint64_t)facts.st_size < size)
        (void)broodi_fail(status, "descriptor %d is not an arena", (int)object);
    else if (fcntl((int)object, F_SETFD, FD_CLOEXEC) != 0)
        status = brood_os_error("fcntl", errno);
    else
        status = reserve_some(out, (int)object, size, least);
    if (status != BROOD_OK)
        close((int)object);
    return status;
}

brood_status brood_os_memory_check(uint64_t length)
{
    uint64_t all = 0;
    size_t size = sizeof all;
    if (sysctlbyname("hw.memsize", &all, &size, NULL, 0) != 0 || length <= all)
        return BROOD_OK;
    return broodi_fail(BROOD_NO_MEMORY, "%" PRIu64 " bytes requested, the machine has %" PRIu64,
                       length, all);
}

brood_status brood_os_arena_commit(const brood_os_arena *arena, const brood_os_range *range)
{
    if (broodi_fault() || range->offset > arena->size ||
        range->length > arena->size - range->offset)
        return broodi_fail(BROOD_NO_MEMORY, "the arena's window of %zu bytes is full", arena->size);
    struct stat facts;
    if (fstat((int)arena->object, &facts) == 0 &&
        range->place + range->length > (uint64_t)facts.st_size)
        return broodi_fail(BROOD_NO_MEMORY, "the arena's object of %lld bytes is full",
                           (long long)facts.st_size);
    return BROOD_OK;
}

bool brood_os_arena_access(const brood_os_arena *arena, const brood_os_range *range)
{
    const int before = errno;
    const bool done = map_object((int)arena->object, range->place, range->length,
                                 arena->base + range->offset) != MAP_FAILED;
    errno = before;
    return done;
}

void brood_os_arena_populate(const brood_os_arena *arena, const brood_os_range *range)
{
    (void)arena, (void)range;
}

bool brood_os_arena_decommit(const brood_os_arena *arena, const brood_os_range *range)
{
    (void)arena, (void)range;
    return false;
}

// Sections

int64_t brood_os_section_keeper(void)
{
    return 0; // none: the object keeps the memory
}

uint64_t brood_os_section_limit(void)
{
    return OBJECT;
}

// Fills all pages that have been touched with zeros.
static void clear(unsigned char *base, size_t length)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char there = 0;
    for (size_t at = 0; at < length; at += page)
        if (mincore(base + at, page, &there) != 0 || (there & (MINCORE_INCORE | MINCORE_PAGED_OUT)))
            memset(base + at, 0, length - at < page ? length - at : page);
}

static brood_status clear_section(const brood_os_arena *arena, const brood_os_section *section)
{
    void *base = NULL;
    const brood_status status = brood_os_section_map(arena, section, &base);
    if (status != BROOD_OK)
        return status;
    clear(base, (size_t)section->length);
    brood_os_section_unmap(base, section->length);
    return BROOD_OK;
}

// Clears the range again, because a process that destroyed an earlier section there may have
// failed to clear it.
brood_status brood_os_section_create(const brood_os_arena *arena, bool lazy, brood_os_section *out)
{
    (void)lazy;
    return clear_section(arena, out);
}

void brood_os_section_destroy(const brood_os_arena *arena, const brood_os_section *section)
{
    (void)clear_section(arena, section);
}

brood_status brood_os_section_map(const brood_os_arena *arena, const brood_os_section *section,
                                  void **out)
{
    void *base = map_object((int)arena->object, section->at, (size_t)section->length, NULL);
    if (base == MAP_FAILED)
        return broodi_fail(BROOD_NO_MEMORY, "mmap of %" PRIu64 " bytes (%d)", section->length,
                           errno);
    *out = base;
    return BROOD_OK;
}

void brood_os_section_unmap(void *address, uint64_t length)
{
    (void)munmap(address, (size_t)length);
}
