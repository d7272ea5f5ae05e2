// SPDX-License-Identifier: MIT
// Port contract: a watch waits at once for any number of native objects, and for a ring that a
// process of the family sends it.
//
// A native object is what the system itself can wait for: on POSIX systems a descriptor, which is
// ready while it is readable, at its end of file or in error; on Windows a HANDLE, which is ready
// while it is signalled.
//
// A watch is private to its process. One thread at a time uses it; only brood_os_watch_ring may be
// called at any time, by any thread of the family. It wakes the thread in brood_os_watch_await.
// The copy of a watch in a forked child has no part in the original: there
// brood_os_watch_destroy frees its memory, and every other call fails with BROOD_WRONG_STATE.
//
// How a caller waits for conditions in shared memory too: it announces itself, so that whoever
// changes a condition rings afterwards; it checks the conditions; it calls brood_os_watch_await;
// it checks them again. A ring that comes after the announcement is never lost: it ends the
// current call of brood_os_watch_await or the next one.
//
// How a loop of the program's own waits for a watch: by the object of brood_os_watch_native. When
// that is ready, the caller calls brood_os_watch_await with a timeout of 0, then checks its
// conditions, and reports by brood_os_watch_keep_ready whether one of them holds.
#ifndef OS_WATCH_H
#define OS_WATCH_H

#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct brood_os_watch brood_os_watch;

// Names a watch in the family: the random number of the family, and a number that the family uses
// for one watch only. Ports that can ring all watches at once do not use it.
typedef struct brood_os_watch_id {
    uint64_t family[2];
    uint64_t number;
} brood_os_watch_id;

// In ns.
#define BROOD_OS_WATCH_PERIOD INT64_C(1000000000) // the initial period
#define BROOD_OS_WATCH_SLICE INT64_C(20000000)    // the period of a watch that no ring reaches

// Creates a watch of no objects, which rings reach from now on. The program may have closed the
// descriptor that rings need: then the watch is created nevertheless, and its period is never
// longer than BROOD_OS_WATCH_SLICE. Fails with BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status brood_os_watch_create(const brood_os_watch_id *id, brood_os_watch **out);

// Frees the watch; objects that were not removed are removed. NULL is ignored. The object of
// brood_os_watch_native ends with the watch.
void brood_os_watch_destroy(brood_os_watch *watch);

// Adds a native object, which is reported by `key`. One object may be added under several keys,
// which are all reported; the pair of both must be new. The object stays open until it has been
// removed. An object that the system cannot wait for, such as a regular file, is always ready.
// The caller checks objects of the program by this call: it fails with BROOD_INVALID if `native` is
// not open, or is the watch itself; BROOD_DENIED; BROOD_NO_MEMORY; BROOD_NO_RESOURCES. Then nothing
// has been added.
brood_status brood_os_watch_add(brood_os_watch *watch, intptr_t native, uint64_t key);

// Removes an object, under one of its keys, that was added; returns false if it was not. Never
// reports the key afterwards.
bool brood_os_watch_remove(brood_os_watch *watch, intptr_t native, uint64_t key);

// Blocks until an object is ready, until the watch has been rung since the last return, or for
// `timeout` ns, but no longer than its period. Stores the keys of ready objects, `capacity` at most
// and at least 1, in `keys`, and their number, which may be 0, in `out_count`. May return early:
// the caller checks its conditions again.
//
// An object is reported by every call while it is ready. One call stores the keys of all ready
// objects if `capacity` is enough for them, otherwise all have their turn. Waiting has the side
// effects on the object that the system's own wait has: on Windows the report of an auto-reset
// event resets it. On Windows an object may also be reported that has been ready since the last
// call and no longer is.
//
// A caller that does not use a key at once keeps it where brood_os_watch_resets.
//
// Is not a cancellation point; a signal handler that runs in the thread ends the call early. Fails
// with BROOD_WRONG_STATE; BROOD_SYSTEM if the program has closed the watch's descriptor.
brood_status brood_os_watch_await(brood_os_watch *watch, uint64_t *keys, size_t capacity,
                                  int64_t timeout, size_t *out_count);

// Whether a report may have reset the object, so that no later call reports the same signal.
bool brood_os_watch_resets(void);

// Returns, in `out`, the descriptor or HANDLE that is ready (readable, signalled) while an object
// of the watch is ready, from a ring until the next call of brood_os_watch_await, and while
// brood_os_watch_keep_ready says so; also once in each period. It can be waited for by poll, epoll,
// MsgWaitForMultipleObjects and so on, level-triggered, and must not be read, changed or closed. It
// is the same for the life of the watch. Repeating the call is harmless. Fails with
// BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status brood_os_watch_native(brood_os_watch *watch, intptr_t *out);

// Reports what the caller's check of its conditions has found, after each call of
// brood_os_watch_await: true keeps the native object ready, and the next call returns at once.
// Costs nothing before the first call of brood_os_watch_native, which is when it begins to have an
// effect.
void brood_os_watch_keep_ready(brood_os_watch *watch, bool ready);

// Sets the longest time, in ns, that brood_os_watch_await blocks and that the native object stays
// not ready, so that the caller checks its conditions. The caller sets BROOD_OS_WATCH_SLICE while
// a process of the family cannot ring. Takes effect at the next call of brood_os_watch_await.
void brood_os_watch_set_period(brood_os_watch *watch, int64_t period);

enum brood_os_ring {
    BROOD_OS_RING_ONE,  // the watch has been rung, or has ended
    BROOD_OS_RING_ALL,  // all watches of the family have been rung
    BROOD_OS_RING_LOST, // nothing has happened: this process cannot ring
};

// Rings the watch of any process of the family. One call for all of them is enough where the
// result is BROOD_OS_RING_ALL. Async-signal-safe on POSIX systems; keeps errno. Never blocks. The
// result is BROOD_OS_RING_LOST if the program has closed the descriptor that rings need, also if
// another file has its number now, which is not touched; on Windows if the system is out of
// memory.
enum brood_os_ring brood_os_watch_ring(const brood_os_watch_id *id);

#endif
