// SPDX-License-Identifier: MIT
// The arena is one sparse memory file. A large window of it is mapped once, so that an object never moves; the file
// grows by what is committed, and a page that was committed can always be touched.
#include "os/os_memory.h"

#include "descriptor.h"
#include "posix.h"

#include "fail.h"
#include "os/os_error.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW ((size_t)(SIZE_MAX > UINT32_MAX ? (UINT64_C(16) << 30) : (UINT64_C(256) << 20)))

static brood_status map(brood_os_arena *out, int object, size_t size)
{
    void *base = broodi_posix_fault(ENOMEM)
                     ? MAP_FAILED
                     : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, object, 0);
    if (base == MAP_FAILED)
        return broodi_fail(BROOD_NO_MEMORY, "mmap of %zu bytes (%d)", size, errno);
    // Not in core files: another process's half of a secret may stand in it.
    (void)madvise(base, size, MADV_DONTDUMP);
    *out = (brood_os_arena){ .base = base, .size = size, .object = object };
    return BROOD_OK;
}

brood_status brood_os_arena_create(brood_os_arena *out, size_t least)
{
    const int object =
        broodi_posix_fault(EMFILE) ? -1 : broodi_descriptor_up(memfd_create("brood", MFD_CLOEXEC));
    if (object < 0)
        return brood_os_error("memfd_create", errno);
    brood_status status = BROOD_NO_MEMORY;
    for (size_t size = WINDOW; status != BROOD_OK && size >= least; size /= 2)
        status = map(out, object, size);
    if (status != BROOD_OK)
        close(object);
    return status;
}

brood_status brood_os_arena_open(brood_os_arena *out, intptr_t object, size_t size)
{
    struct stat facts;
    brood_status status = BROOD_INVALID;
    if (fstat((int)object, &facts) != 0 || !S_ISREG(facts.st_mode) || facts.st_size == 0)
        (void)broodi_fail(status, "descriptor %d is no arena", (int)object);
    else if (fcntl((int)object, F_SETFD, FD_CLOEXEC) != 0)
        status = brood_os_error("fcntl", errno);
    else
        status = map(out, (int)object, size);
    if (status != BROOD_OK)
        close((int)object);
    return status;
}

brood_status brood_os_arena_commit(const brood_os_arena *arena, size_t offset, size_t length)
{
    if (broodi_fault() || offset > arena->size || length > arena->size - offset)
        return broodi_fail(BROOD_NO_MEMORY, "the arena's window of %zu bytes is full", arena->size);
    // Beyond this limit the kernel answers with a signal.
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        offset + length > limit.rlim_cur)
        return broodi_fail(BROOD_NO_MEMORY, "the limit of file sizes is %llu bytes",
                           (unsigned long long)limit.rlim_cur);
    while (fallocate((int)arena->object, 0, (off_t)offset, (off_t)length) != 0)
        if (errno != EINTR)
            return brood_os_error("fallocate", errno);
    return BROOD_OK;
}
