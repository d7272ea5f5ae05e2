// SPDX-License-Identifier: MIT
// The lock of the heap, which every thread holds that allocates or frees the memory of a block or a
// piece.
#ifndef HEAP_LOCK_H
#define HEAP_LOCK_H

#include <brood/status.h>
#include <stdbool.h>

// Creates the lock. Called once, during brood_init.
brood_status broodi_heap_prepare(void);

// Acquires the lock. If its holder has died, rebuilds the map of the heap from the slots first.
// Fails as broodi_own_lock_acquire.
brood_status broodi_heap_lock(void);
void broodi_heap_unlock(void);

// For checkers of data races. Memory may go from one thread of this process to another by way of
// other processes, which free it, allocate it and fill it. Those order the accesses of both
// threads, but a checker sees only this process. So a thread calls the first before it lets others
// free what it has used, and the second before it uses what others may have had.
void broodi_heap_hand_over(void);
void broodi_heap_take_over(void);

// For assertions: whether the calling thread holds the lock.
bool broodi_heap_is_locked(void);

// For threads that wait, about once a second: returns free memory to the system if no memory was
// allocated for a second. Costs one load if there is nothing to return. Does not wait for the lock.
void broodi_heap_rest(void);

#endif
