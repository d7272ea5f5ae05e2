// SPDX-License-Identifier: MIT
// Pieces: memory of the heap for the library's own use, such as the segments and the large messages
// of queues. No page that holds a piece holds a part of a block.
//
// A piece belongs to an object, and is named by the index of its slot. The object's own lock, or
// another rule of the object, says which thread may use the piece when. While a piece is MAKING or
// ENDING it belongs to its worker: the thread that allocated or claimed it. If the worker ends, a
// sweep frees the piece. While it is WHOLE it belongs to the object, even if the thread that made
// it has died: a sweep frees it once the object has ended.
//
// So an index stays valid while the caller is the worker, and for a WHOLE piece while the object
// exists. A thread that ends the object first claims or frees the object's pieces, or leaves them
// to a sweep. An index has no generation: the functions below cannot detect that the piece was
// freed and that its slot belongs to another one.
#ifndef PIECE_H
#define PIECE_H

#include "arena/slots.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Allocates a piece of `size` bytes, which are not zero, for the object with this handle. It is
// MAKING and accessible in this process; its `data` and its `next` are 0, its `length` is not set.
// A size that is a power of two up to 64 KiB is aligned as heap.h says. Fails with BROOD_NO_MEMORY;
// BROOD_NO_RESOURCES if all slots are taken; as broodi_heap_lock.
brood_status broodi_piece_allocate(uint64_t object, size_t size, uint32_t *out_index);

// The address of the bytes, which are accessible afterwards; NULL, with a message, if they cannot
// be mapped.
void *broodi_piece_data(uint32_t index);

// MAKING becomes WHOLE. The caller is the worker until this returns, so it publishes the index to
// threads that may claim the piece only afterwards.
void broodi_piece_complete(uint32_t index);

// WHOLE becomes ENDING, with the calling thread as the worker. False if another thread was first,
// or is the worker: one that claims the piece at the same time, or has not returned from
// broodi_piece_complete().
bool broodi_piece_claim(uint32_t index);

// Frees a piece of which the caller is the worker, or which is WHOLE and which no other thread
// claims or frees at the same time. If the heap's lock cannot be acquired, the piece becomes ENDING
// without a worker, and a later sweep frees it.
void broodi_piece_free(uint32_t index);

// The same for a piece that another thread may free at the same time: does nothing if the slot has
// no piece of this generation any more.
void broodi_piece_free_if(uint32_t index, uint32_t generation);

// The slot, for `data`, `next` and `size`.
struct broodi_piece_slot *broodi_piece_at(uint32_t index);

#endif
