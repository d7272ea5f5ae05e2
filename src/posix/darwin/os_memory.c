// SPDX-License-Identifier: MIT
// The arena is one object of shared memory, whose name is gone before anybody else has seen it. Its size is set once: the window first, and behind
// it room for sections. Memory comes when it is touched, and no call grants it beforehand; what is more than the machine has
// is refused here. Nor does a call take it back from a part of an object: what has ended is filled with zeros, which the system compresses to nothing.
#include "os/os_memory.h"

#include "descriptor.h"
#include "posix.h"

#include "fail.h"
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

static brood_status map_part(int object, uint64_t at, size_t size, void **out)
{
    void *base = broodi_posix_fault(ENOMEM)
                     ? MAP_FAILED
                     : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, object, (off_t)at);
    if (base == MAP_FAILED)
        return broodi_fail(BROOD_NO_MEMORY, "mmap of %zu bytes (%d)", size, errno);
    *out = base;
    return BROOD_OK;
}

static brood_status map(brood_os_arena *out, int object, size_t size)
{
    void *base = NULL;
    const brood_status status = map_part(object, 0, size, &base);
    if (status == BROOD_OK)
        *out = (brood_os_arena){ .base = base, .size = size, .object = object };
    return status;
}

// By a name that nobody can know, until it is gone.
static brood_status make_object(int *out)
{
    char name[32];
    uint64_t number = 0;
    const brood_status status = brood_os_random(&number, sizeof number);
    if (status != BROOD_OK)
        return status;
    (void)snprintf(name, sizeof name, "/brood.%016" PRIx64, number);
    const int object =
        broodi_posix_fault(EMFILE) ? -1 : shm_open(name, O_RDWR | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
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
    size_t size = whole / 4 > least ? (size_t)(whole / 4) : least;
    status = map(out, object, size);
    while (status != BROOD_OK && size > least) {
        size = size / 2 > least ? size / 2 : least;
        status = map(out, object, size);
    }
    if (status != BROOD_OK)
        close(object);
    return status;
}

brood_status brood_os_arena_open(brood_os_arena *out, intptr_t object, size_t size)
{
    struct stat facts;
    brood_status status = BROOD_INVALID;
    if (fstat((int)object, &facts) != 0 || facts.st_size < 0 || (uint64_t)facts.st_size < size)
        (void)broodi_fail(status, "descriptor %d is no arena", (int)object);
    else if (fcntl((int)object, F_SETFD, FD_CLOEXEC) != 0)
        status = brood_os_error("fcntl", errno);
    else
        status = map(out, (int)object, size);
    if (status != BROOD_OK)
        close((int)object);
    return status;
}

static brood_status look_at_memory(uint64_t length)
{
    uint64_t all = 0;
    size_t size = sizeof all;
    if (sysctlbyname("hw.memsize", &all, &size, NULL, 0) != 0 || length <= all)
        return BROOD_OK;
    return broodi_fail(BROOD_NO_MEMORY, "%" PRIu64 " bytes, where the machine has %" PRIu64, length, all);
}

brood_status brood_os_arena_commit(const brood_os_arena *arena, size_t offset, size_t length)
{
    if (broodi_fault() || offset > arena->size || length > arena->size - offset)
        return broodi_fail(BROOD_NO_MEMORY, "the arena's window of %zu bytes is full", arena->size);
    return BROOD_OK;
}

bool brood_os_arena_decommit(const brood_os_arena *arena, size_t offset, size_t length)
{
    (void)arena, (void)offset, (void)length;
    return false;
}

// Sections

int64_t brood_os_section_keeper(void)
{
    return 0; // the object does
}

uint64_t brood_os_section_limit(void)
{
    return OBJECT;
}

// Fills with zeros what has ever been touched.
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

// Once more, for one who could not do it at the end of what was at this place before.
brood_status brood_os_section_create(const brood_os_arena *arena, bool lazy, brood_os_section *out)
{
    const brood_status status = lazy ? BROOD_OK : look_at_memory(out->length);
    return status == BROOD_OK ? clear_section(arena, out) : status;
}

void brood_os_section_destroy(const brood_os_arena *arena, const brood_os_section *section)
{
    (void)clear_section(arena, section);
}

brood_status brood_os_section_map(const brood_os_arena *arena, const brood_os_section *section, void **out)
{
    return map_part((int)arena->object, section->at, (size_t)section->length, out);
}

void brood_os_section_unmap(void *address, uint64_t length)
{
    (void)munmap(address, (size_t)length);
}
