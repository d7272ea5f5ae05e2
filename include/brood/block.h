// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Shared memory: blocks of any size, for threads and processes alike.
 *
 * A block is a plain value, as a brood_lock is: it can be copied into an argument, sent, stored in
 * another block, and names the same memory in every process of the family. Where that memory lies
 * differs from process to process, so what is stored in a block are blocks and offsets, and no
 * pointers.
 *
 * A block lives until brood_block_destroy() or the end of the family, whoever made it and whoever
 * dies. (On Windows the memory of a block of more than 1 MiB is kept in being by the main process,
 * or by its maker where the main process has gone before: it ends with that, except where it is
 * mapped already.) It has no name in any file system, it is not written into core files, and no
 * page of it holds anything of the library's own.
 *
 * All of these calls may be made by any thread at any time. None is safe in a signal handler. A
 * process that is killed inside one leaves the family's memory as it should be; at worst the block
 * that it was making or destroying takes its memory along until others are made.
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
 * @brief Makes a block of `size` bytes, all zero, at an address that is a multiple of 64.
 *
 * @param out   receives it.
 * @param size  bytes, at least 1.
 * @retval BROOD_NO_MEMORY     there is not as much: of the machine's memory, of the control
 * group's, of what a file may have (RLIMIT_FSIZE), of the address space. Nothing is taken then, and
 * nobody is killed for it. What other threads of the family are committing for large blocks at this
 * moment counts as used: the call waits for them if that decides, up to 5 seconds.
 * @retval BROOD_NO_RESOURCES  the family has too many blocks.
 * @retval BROOD_TIMEOUT       another process is stopped (SIGSTOP, a debugger, a frozen control
 * group) in the middle of a create or a destroy, and has not gone on for 5 seconds. Nothing is
 * taken.
 * @retval BROOD_INVALID       a size of 0, or without `out`.
 * @retval BROOD_WRONG_STATE   the program has closed the descriptor of the family's memory (Linux).
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 *
 * The memory is there from this call on: touching it needs no more. Committing takes about a
 * quarter of a second for each GiB; small blocks are cut from memory that is there already. May
 * wait, up to 5 seconds, for another thread of the family that makes or destroys a block at the
 * same time; normally that is a matter of microseconds.
 */
BROOD_API BROOD_NODISCARD brood_status brood_block_create(brood_block *out, size_t size);

/**
 * @brief The same, but the pages of a block of more than 1 MiB come when they are touched: for
 * large blocks of which little may be used.
 *
 * The memory is only promised. On Linux it may not be there when it is touched, which ends the
 * process by a signal. As brood_block_create() for smaller blocks.
 *
 * @return as brood_block_create().
 */
BROOD_API BROOD_NODISCARD brood_status brood_block_create_lazy(brood_block *out, size_t size);

/**
 * @brief Where the block lies in this process: the same address at every call, until somebody
 * destroys it.
 *
 * As with memory from malloc, an address that was got before is not to be used after the block has
 * been destroyed, by whomever. The first call for a block of more than 1 MiB in a process maps it.
 * It stays mapped until this process destroys it, or maps another one after somebody else did. A
 * forked child has what its parent had.
 *
 * @return NULL when the block is stale or none of this family, when it cannot be mapped, or before
 * brood_init(): brood_last_error() says which.
 */
BROOD_API void *brood_block_data(brood_block block);

/** @brief How many bytes were asked for; 0 when the block is stale or none of this family. */
BROOD_API size_t brood_block_size(brood_block block);

/**
 * @brief Ends the block: every copy of it is stale from now on, and its memory is given back.
 *
 * Memory up to 1 MiB for each block is kept for the next blocks, in a modest amount (on Windows:
 * all of it); what is larger goes back to the system at once, on Windows as soon as no process has
 * it mapped.
 *
 * @retval BROOD_STALE    it was destroyed before.
 * @retval BROOD_TIMEOUT  as for brood_block_create(). The block is as it was; call again.
 * @retval BROOD_INVALID  it is no block of this family.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_block_destroy(brood_block block);

BROOD_END_DECLS

#endif
