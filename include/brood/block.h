// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Shared memory: blocks of any size, for threads and processes alike.
 *
 * A block is a plain value, like a brood_lock: it can be copied into an argument, sent, or stored
 * in another block, and names the same memory in every process of the family. The address of that
 * memory differs from process to process, so store blocks and offsets in a block, and no pointers.
 *
 * A block lives until brood_block_destroy() or the end of the family, whichever process created it
 * and whichever process dies. (On Windows the memory of a block of more than 1 MiB is kept alive
 * by the main process, or by the process that created the block if the main process had ended
 * before: it ends with that process, except where it is already mapped.) A block has no name in
 * any file system, is not written into core files, and shares no page with data of the library.
 *
 * All of these calls are safe in any thread at any time; none is safe in a signal handler. A
 * process that is killed inside one leaves the family's memory consistent; at worst the memory of
 * the block that it was creating or destroying stays allocated until other blocks are created.
 */
#ifndef BROOD_BLOCK_H
#define BROOD_BLOCK_H

#include <brood/export.h>
#include <brood/status.h>
#include <stddef.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief A block of shared memory, by value. All zero is no block. */
typedef struct brood_block {
    uint64_t id; /**< The handle: equal handles are the same block. */
} brood_block;

/**
 * @brief Creates a block of `size` bytes, all zero, at an address that is a multiple of 64.
 *
 * The memory is committed by this call: touching it needs no more memory. Committing takes about a
 * quarter of a second for each GiB; small blocks are cut from memory that is already committed.
 * The call may wait, up to 5 seconds, for another thread of the family that creates or destroys a
 * block at the same time; normally that takes microseconds.
 *
 * @param out   receives the block.
 * @param size  bytes, at least 1.
 * @retval BROOD_NO_MEMORY        not enough memory: physical memory and swap, the control group's
 *                                limit, the limit on file sizes (RLIMIT_FSIZE), or address space.
 *                                Nothing is allocated then, and no process is killed for it.
 *                                Memory that other threads of the family are committing for large
 *                                blocks at this moment counts as used; if that decides, the call
 *                                waits for them, up to 5 seconds.
 * @retval BROOD_NO_RESOURCES     the family has too many blocks, or the calling thread is new to
 *                                brood and there is no slot for it.
 * @retval BROOD_TIMEOUT          another process was stopped (SIGSTOP, a debugger, a frozen
 *                                control group) while creating or destroying a block, and has not
 *                                continued for 5 seconds. Nothing is allocated.
 * @retval BROOD_INVALID          `size` is 0, or `out` is NULL.
 * @retval BROOD_WRONG_STATE      the program has closed the descriptor of the family's memory
 *                                (Linux).
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_block_create(brood_block *out, size_t size);

/**
 * @brief Like brood_block_create(), but the pages of a block of more than 1 MiB are allocated when
 * they are touched: for large blocks of which little may be used.
 *
 * The memory is not guaranteed: on Linux there may be none when a page is touched, and then a
 * signal ends the process. Smaller blocks are created as by brood_block_create(). The call returns
 * the same statuses as brood_block_create().
 *
 * @param out   receives the block.
 * @param size  bytes, at least 1.
 */
BROOD_API BROOD_NODISCARD brood_status brood_block_create_lazy(brood_block *out, size_t size);

/**
 * @brief Returns the address of the block in this process: the same at every call, until the block
 * is destroyed.
 *
 * As with memory from malloc, the address is invalid once any process has destroyed the block. The
 * first call in a process for a block of more than 1 MiB maps it. The block stays mapped until
 * this process destroys it, or maps another block after a different process has destroyed this
 * one. A forked child has the mappings of its parent.
 *
 * @param block  the block.
 * @return NULL when the block is stale or not of this family, when it cannot be mapped, or before
 * brood_init(): brood_last_error() says which.
 */
BROOD_API void *brood_block_data(brood_block block);

/**
 * @brief Returns the size that was requested for the block; 0 when the block is stale or not of
 * this family.
 */
BROOD_API size_t brood_block_size(brood_block block);

/**
 * @brief Destroys the block: every copy of the handle is stale from now on, and the memory is
 * freed.
 *
 * Memory of blocks of up to 1 MiB is kept for later blocks: up to 64 MiB while blocks are created,
 * and 1 MiB from the first call on that follows a second without (on Windows: all of it). A larger
 * block's memory is returned to the system at once; on Windows as soon as no process has it mapped.
 *
 * @param block  the block.
 * @retval BROOD_STALE            the block was destroyed before.
 * @retval BROOD_TIMEOUT          another process was stopped while creating or destroying a block,
 *                                and has not continued for 5 seconds. The block is unchanged; call
 *                                again.
 * @retval BROOD_INVALID          `block` is not a block of this family.
 * @retval BROOD_NO_RESOURCES     the calling thread is new to brood, and there is no slot for it.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_block_destroy(brood_block block);

BROOD_END_DECLS

#endif
