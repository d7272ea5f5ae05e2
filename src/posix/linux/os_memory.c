// SPDX-License-Identifier: MIT
// The arena is one memory file. The window is address space without access, over which parts of
// the file are mapped when they are needed, so that what is neither committed nor used costs
// nothing: no memory if the program locks its pages, and no length of the file. A page that has
// been committed can always be accessed.
#include "os/os_memory.h"

#include "posix/descriptor.h"
#include "posix/linux/bell.h"
#include "posix/linux/cgroup.h"
#include "posix/linux/memory.h"
#include "posix/posix.h"

#include "base/atomic.h"
#include "base/fail.h"
#include "os/os_error.h"
#include "os/os_thread.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define WINDOW ((size_t)(SIZE_MAX > UINT32_MAX ? (UINT64_C(16) << 30) : (UINT64_C(256) << 20)))

// Identity of the arena's file, from fstat. A program that closes descriptors it does not know
// may then get the number for a file of its own.
static struct {
    dev_t device;
    ino_t number;
} own;

static void note_file(const struct stat *facts)
{
    own.device = facts->st_dev;
    own.number = facts->st_ino;
}

static bool is_ours(int object)
{
    struct stat facts;
    return fstat(object, &facts) == 0 && facts.st_dev == own.device && facts.st_ino == own.number;
}

static brood_status check_file(int object)
{
    errno = 0;
    if (is_ours(object))
        return BROOD_OK;
    if (errno == EBADF)
        return broodi_fail(BROOD_WRONG_STATE,
                           "the program has closed descriptor %d, the memory of the family",
                           object);
    if (errno)
        return brood_os_error("fstat of the memory of the family", errno);
    return broodi_fail(
        BROOD_WRONG_STATE,
        "the program has closed descriptor %d, the memory of the family, and opened another file "
        "with that number",
        object);
}

brood_status broodi_memory_check(const brood_os_arena *arena)
{
    return check_file((int)arena->object);
}

// Maps a part of the file, at the address `at` in the window if that is not NULL. MAP_FAILED with
// errno.
static void *map_file(int object, uint64_t place, size_t size, void *at)
{
    if (broodi_posix_fault(ENOMEM))
        return MAP_FAILED;
    void *base = mmap(at, size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED : 0), object, (off_t)place);
    // Excluded from core files: it may contain another process's half of a secret.
    if (base != MAP_FAILED)
        (void)madvise(base, size, MADV_DONTDUMP);
    return base;
}

// Reserves the window without access, so that no page of it becomes resident, and tools that scan
// memory find none.
static brood_status reserve(brood_os_arena *out, int object, size_t size)
{
    void *base =
        broodi_posix_fault(ENOMEM)
            ? MAP_FAILED
            : mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
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

int64_t brood_os_section_keeper(void)
{
    return 0; // none: the file keeps the memory
}

uint64_t brood_os_section_limit(void)
{
    struct rlimit limit;
    const uint64_t most = sizeof(off_t) > 4 ? INT64_MAX : INT32_MAX;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur > most)
        return most;
    return limit.rlim_cur;
}

// Returns the limit of the address space of this process.
static uint64_t address_space(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur
                                                                                : UINT64_MAX;
}

#if !defined(MFD_NOEXEC_SEAL)
#define MFD_NOEXEC_SEAL 8U
#endif

// Not executable, as a hardened system requires (vm.memfd_noexec); kernels before 6.3 do not know
// the flag.
static int make_file(void)
{
    if (broodi_posix_fault(EMFILE))
        return -1;
    const int object = memfd_create("brood", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (object >= 0 || errno != EINVAL)
        return broodi_descriptor_up(object);
    return broodi_descriptor_up(memfd_create("brood", MFD_CLOEXEC));
}

brood_status brood_os_arena_create(brood_os_arena *out, size_t least)
{
    const int object = make_file();
    if (object < 0)
        return brood_os_error("memfd_create", errno);
    struct stat facts = { .st_size = 0 };
    (void)fstat(object, &facts); // it has just been created
    note_file(&facts);
    brood_status status = broodi_bell_create();
    size_t size = WINDOW;
    // The limit also counts address space that is only reserved.
    while (size / 2 >= least && size > address_space() / 4)
        size /= 2;
    if (status == BROOD_OK)
        status = reserve_some(out, object, size, least);
    if (status != BROOD_OK)
        close(object);
    return status;
}

brood_status brood_os_arena_open(brood_os_arena *out, intptr_t object, size_t size, size_t least)
{
    struct stat facts;
    brood_status status = BROOD_INVALID;
    if (fstat((int)object, &facts) != 0 || !S_ISREG(facts.st_mode) || facts.st_size == 0)
        (void)broodi_fail(status, "descriptor %d is not an arena", (int)object);
    else if (fcntl((int)object, F_SETFD, FD_CLOEXEC) != 0)
        status = brood_os_error("fcntl", errno);
    else
        status = reserve_some(out, (int)object, size, least);
    if (status == BROOD_OK) {
        note_file(&facts);
        broodi_bell_inherit();
    } else {
        close((int)object);
    }
    return status;
}

// Available memory

static uint64_t or_zero(uint64_t number)
{
    return number == UINT64_MAX ? 0 : number;
}

// Returns what a control group has left, by the files of one hierarchy. Cached files do not count
// as used, since the kernel can drop them.
static uint64_t left_in(int directory, const char *limit, const char *usage, const char *inactive,
                        const char *active)
{
    const uint64_t most = broodi_file_number(directory, limit, NULL);
    if (most == UINT64_MAX)
        return UINT64_MAX;
    const uint64_t used = or_zero(broodi_file_number(directory, usage, NULL));
    const uint64_t cached = or_zero(broodi_file_number(directory, "memory.stat", inactive)) +
                            or_zero(broodi_file_number(directory, "memory.stat", active));
    const uint64_t needed = used > cached ? used - cached : 0;
    return needed < most ? most - needed : 0;
}

static void add_group(int directory, void *least)
{
    const uint64_t left[] = {
        left_in(directory, "memory.max", "memory.current", "inactive_file ", "active_file "),
        left_in(directory, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ",
                "total_active_file "),
    };
    uint64_t *known = least;
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        if (left[i] < *known)
            *known = left[i];
}

// Used if no file can be opened: the free memory, which is less than the available memory.
static uint64_t free_memory(void)
{
    struct sysinfo facts;
    if (sysinfo(&facts) != 0)
        return UINT64_MAX;
    return ((uint64_t)facts.freeram + facts.bufferram + facts.freeswap) * facts.mem_unit;
}

// By the machine and by the control groups. Swap counts, since pages of the arena can be swapped
// out.
static uint64_t memory_left(void)
{
    const uint64_t available = broodi_file_number(AT_FDCWD, "/proc/meminfo", "MemAvailable:");
    const uint64_t swap = or_zero(broodi_file_number(AT_FDCWD, "/proc/meminfo", "SwapFree:"));
    uint64_t least = available == UINT64_MAX ? free_memory() : (available + swap) * 1024;
    broodi_cgroup_each("memory", add_group, &least);
    return least;
}

enum { MARGIN = 16 << 20 };

// Overcommitting would invoke the OOM killer. This check reserves nothing: the caller accounts
// for what the family has promised to others.
brood_status brood_os_memory_check(uint64_t length)
{
    const int before = brood_os_thread_protect();
    const uint64_t left = memory_left();
    brood_os_thread_unprotect(before);
    if (left >= MARGIN && length <= left - MARGIN)
        return BROOD_OK;
    return broodi_fail(BROOD_NO_MEMORY, "%llu bytes requested, %llu available",
                       (unsigned long long)length, (unsigned long long)left);
}

// Committing

// Beyond this limit the kernel sends a signal.
static brood_status check_file_limit(uint64_t end)
{
    const uint64_t limit = brood_os_section_limit();
    if (end <= limit)
        return BROOD_OK;
    return broodi_fail(BROOD_NO_MEMORY,
                       "a file of %llu bytes is needed, the file size limit is %llu",
                       (unsigned long long)end, (unsigned long long)limit);
}

// A signal makes fallocate fail and undo what it has done. In pieces, which get smaller if
// signals are frequent, the commit completes beside a periodic timer.
enum { PIECE = 4 << 20, LEAST_PIECE = 1 << 16 };

// For a section, checks before each piece whether there is enough memory, since other processes
// commit too, and reports each piece that is done.
static brood_status commit_pieces(int object, uint64_t at, uint64_t length,
                                  const brood_os_section *section)
{
    uint64_t most = PIECE; // about a millisecond
    while (length > 0) {
        const uint64_t piece = length < most ? length : most;
        const brood_status status = section ? brood_os_memory_check(piece) : BROOD_OK;
        if (status != BROOD_OK)
            return status;
        if (fallocate(object, 0, (off_t)at, (off_t)piece) == 0) {
            at += piece;
            length -= piece;
            if (section && section->progress)
                section->progress(section->user, piece);
        } else if (errno != EINTR) {
            return brood_os_error("fallocate", errno);
        } else if (most > LEAST_PIECE) {
            most /= 2;
        }
    }
    return BROOD_OK;
}

// Cancellation is disabled: locks are held here, and some of the calls are cancellation points.
static brood_status commit(int object, uint64_t at, uint64_t length,
                           const brood_os_section *section)
{
    const int before = brood_os_thread_protect();
    brood_status status = check_file(object);
    if (status == BROOD_OK)
        status = check_file_limit(at + length);
    if (status == BROOD_OK)
        status = commit_pieces(object, at, length, section);
    brood_os_thread_unprotect(before);
    return status;
}

// Frees the memory of a range of the file, which is zero afterwards; false if that fails.
static bool punch(int object, uint64_t at, uint64_t length)
{
    const int before = brood_os_thread_protect();
    int result = -1;
    errno = EINTR;
    while (result != 0 && errno == EINTR && is_ours(object))
        result =
            fallocate(object, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)length);
    brood_os_thread_unprotect(before);
    return result == 0;
}

brood_status brood_os_arena_commit(const brood_os_arena *arena, const brood_os_range *range)
{
    if (broodi_fault() || range->offset > arena->size ||
        range->length > arena->size - range->offset)
        return broodi_fail(BROOD_NO_MEMORY, "the arena's window of %zu bytes is full", arena->size);
    return commit((int)arena->object, range->place, range->length, NULL);
}

// Used after the program has closed the descriptor: duplicates the mapping of the file from its
// beginning to the end of the range, and moves the part for the range to its address.
static bool map_by_mapping(const brood_os_arena *arena, const brood_os_range *range)
{
    const size_t before = (size_t)range->place;
    unsigned char *copy = mremap(arena->base, 0, before + range->length, MREMAP_MAYMOVE);
    if (copy == MAP_FAILED)
        return false;
    const bool done =
        mremap(copy + before, range->length, range->length, MREMAP_MAYMOVE | MREMAP_FIXED,
               arena->base + range->offset) != MAP_FAILED;
    (void)munmap(copy, done ? before : before + range->length);
    return done;
}

bool brood_os_arena_access(const brood_os_arena *arena, const brood_os_range *range)
{
    const int before = errno;
    void *at = arena->base + range->offset;
    const bool done = is_ours((int)arena->object) ? map_file((int)arena->object, range->place,
                                                             range->length, at) != MAP_FAILED
                                                  : map_by_mapping(arena, range);
    errno = before;
    return done;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 // of Linux 5.14
#endif

void brood_os_arena_populate(const brood_os_arena *arena, const brood_os_range *range)
{
    const int before = errno;
    (void)madvise(arena->base + range->offset, range->length, MADV_POPULATE_WRITE);
    errno = before;
}

bool brood_os_arena_decommit(const brood_os_arena *arena, const brood_os_range *range)
{
    return punch((int)arena->object, range->place, range->length);
}

// Sections

// Extends the file to `end`, by allocating its last page only. The file never shrinks, so two
// processes may extend it at once.
static brood_status extend(int object, uint64_t end)
{
    const int before = brood_os_thread_protect();
    brood_status status = check_file(object);
    if (status == BROOD_OK)
        status = check_file_limit(end);
    // By writing the last byte: ftruncate could cut off what another process has just added.
    if (status == BROOD_OK && pwrite(object, "", 1, (off_t)(end - 1)) != 1)
        status = brood_os_error("pwrite", errno);
    brood_os_thread_unprotect(before);
    return status;
}

brood_status brood_os_section_create(const brood_os_arena *arena, bool lazy, brood_os_section *out)
{
    const int object = (int)arena->object;
    if (broodi_fault())
        return broodi_fail(BROOD_NO_MEMORY, "fallocate of %llu bytes",
                           (unsigned long long)out->length);
    if (lazy)
        return extend(object, out->at + out->length);
    const brood_status status = commit(object, out->at, out->length, out);
    if (status != BROOD_OK) // a part may have been committed
        (void)punch(object, out->at, out->length);
    return status;
}

void brood_os_section_destroy(const brood_os_arena *arena, const brood_os_section *section)
{
    (void)punch((int)arena->object, section->at, section->length);
}

brood_status brood_os_section_map(const brood_os_arena *arena, const brood_os_section *section,
                                  void **out)
{
    if (section->length > SIZE_MAX)
        return broodi_fail(BROOD_NO_MEMORY, "the block does not fit the address space");
    const brood_status status = check_file((int)arena->object);
    if (status != BROOD_OK)
        return status;
    void *base = map_file((int)arena->object, section->at, (size_t)section->length, NULL);
    if (base == MAP_FAILED)
        return broodi_fail(BROOD_NO_MEMORY, "mmap of %llu bytes (%d)",
                           (unsigned long long)section->length, errno);
    *out = base;
    return BROOD_OK;
}

void brood_os_section_unmap(void *address, uint64_t length)
{
    (void)munmap(address, (size_t)length);
}
