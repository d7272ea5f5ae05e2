// SPDX-License-Identifier: MIT
// The layouts of the slots of the arena, except that of a chunk (header.h). Any process of the
// family may load any field at any time, also while the slot is free; only `life` and `recursive`
// are not atomic. Each change that other processes act on is one store or one compare-and-swap, so
// a process that is killed leaves one of the states that the comments describe.
//
// A slot is taken while the generation in its state word is odd, and free while it is even.
#ifndef SLOTS_H
#define SLOTS_H

#include "base/handle.h"
#include "base/word.h"
#include "os/os_life.h"

#include <brood/brood.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BROODI_LABEL = 7 }; // words of 8 bytes in a name

// Words that threads can watch: how one begins, wherever it is. `watched` has the flags of watch.h,
// and is in the cache line of the word, so that whoever changes the word finds it there.
struct broodi_watchable {
    broodi_word word;
    _Atomic uint32_t other;
    _Atomic uint32_t watched;
};

static inline _Atomic uint32_t *broodi_watched(broodi_word *word)
{
    return (void *)((unsigned char *)word + offsetof(struct broodi_watchable, watched));
}

// A process of the family. The parent takes the slot before the child exists and frees it when the
// child has ended; the main process and a guest take their own. If the parent has no slot any more,
// a sweep frees the slot once the process has ended. process_slot.c lists the changes of phase.
struct broodi_process_slot {
    // Low: enum broodi_process_phase in two bits. Above it, with DYING: the worker, a short owner,
    // or 0; with ENDED: how the fork server saw the process end (report.c).
    broodi_word state;
    // The exit record. The process itself stores it, as late in its end as it can (ending.c): first
    // `code`, then `record` with release. Loaded with acquire by the parent when it reaps the
    // process, and by threads that decide whether the process's threads were killed
    // (parties.c).
    _Atomic uint32_t record;  // enum broodi_record
    _Atomic uint32_t watched; // `state` is
    // Low: the pid. Stored by the process itself while STARTING, after `space`; 0 before that, and
    // again when a fork server reports the end of a process that never became LIVE. The generation
    // of both is that of `state`, so that a process that stores them late, when the slot belongs to
    // another one, does not change that one's.
    broodi_word pid;
    _Atomic broodi_owner parent; // 0 for the main process and for a guest
    broodi_word stop;            // see stop.h
    _Atomic int32_t code;
    _Atomic uint32_t stop_watched; // `stop` is
    // For brood_dump.
    _Atomic uint32_t origin; // enum broodi_origin; and BROODI_ORIGIN_DAEMON
    _Atomic uint32_t uses;   // 1: an entry of a list of users names the process, or did so
    _Atomic uint64_t name[BROODI_LABEL]; // truncated
    // Low: the lowest bits of the namespace of `pid`, brood_os_pid_namespace.
    broodi_word space;
    // `threads` is an upper bound of the number of thread slots that the process has: it is raised
    // before a thread takes a slot, and lowered after the thread itself has freed it. A thread that
    // is killed, or ends while it holds a lock, stays counted. `first_thread` is the first thread
    // slot that the process took, or BROODI_NONE. With both, most processes are buried without a
    // scan of all threads.
    _Atomic uint32_t threads;
    _Atomic uint32_t first_thread;
};

enum broodi_process_phase {
    // A process fills the slot, or frees it. The low word names that process, the worker; or 0 if a
    // sweep may not take its place (process_slot.c).
    BROODI_PROCESS_DYING,
    // The process has begun. Whether it has ended is not stored.
    BROODI_PROCESS_LIVE,
    // The process has ended, and its fork server has reported how.
    BROODI_PROCESS_ENDED,
    // The slot is filled, and the process has not begun.
    BROODI_PROCESS_STARTING,
};

// How a process was created.
enum broodi_origin {
    BROODI_ORIGIN_MAIN,
    BROODI_ORIGIN_SPAWN,
    BROODI_ORIGIN_FORKSERVER,
    BROODI_ORIGIN_FORK,
    BROODI_ORIGIN_SERVER, // spawned, as a fork server
    BROODI_ORIGIN_GUEST   // forked by the program, not by brood
};

enum { BROODI_ORIGIN_MASK = 0xff, BROODI_ORIGIN_DAEMON = 0x100 };

enum broodi_record {
    BROODI_RECORD_NONE,
    // The process ended by exit(). The system knows the code.
    BROODI_RECORD_ORDERLY,
    // `code` is what the target returned. No code of the program runs after this record.
    BROODI_RECORD_CODE,
    // `code` is what the target returned and what is passed to exit(). The handlers and destructors
    // that exit() calls after this record may still end the process in another way.
    BROODI_RECORD_RETURNED,
};

// A thread of the family. The thread takes the slot when it first uses a shared object.
// thread_slot.c lists the changes of phase.
struct broodi_thread_slot {
    broodi_word state; // low: phase in two bits, the slot of its process above
    _Atomic uint64_t id;
    // An upper bound of the number of locks that name the thread, stored by the thread alone: it is
    // raised before a lock is acquired and lowered after it is released.
    _Atomic uint32_t held;
    // The slot's generation from the thread's first wait for a barrier on: if the thread is killed,
    // the barriers that name it must be broken. 0 before that wait, once the thread ends in order,
    // and once its burial has broken the barriers or found that none need be.
    _Atomic uint32_t barrier_generation;
    brood_os_life life; // by which any process can check whether the thread lives: os_life.h
    // What the thread is blocked on: broodi_waits_for(). For brood_dump and, if it is an object,
    // for the allocator.
    _Atomic uint64_t waits;
    // For brood_dump; truncated. Empty: brood did not start the thread.
    _Atomic uint64_t name[BROODI_LABEL];
    // {changes 63, TARGET 1}. The thread alone stores it, before each change of `waits`. So if a
    // reader loads it, then `waits`, and later both again in the reverse order, with the same
    // results, the thread was in one wait from the first load to the last. TARGET: the thread runs
    // `main` or the target of its process.
    _Atomic uint64_t blocks;
};

enum { BROODI_THREAD_TARGET = 1 };

// 0 is no phase of a taken slot: functions that return the phase of a slot return 0 if it is free.
enum broodi_thread_phase {
    // The thread is about to begin its life, or ends it in order. Whether it lives cannot be
    // checked.
    BROODI_THREAD_STARTING = 1,
    // The thread lives, or has ended and no thread has found that yet.
    BROODI_THREAD_LIVE,
    // The thread's life has ended. The slot is in quarantine: it is not freed while a lock names
    // it.
    BROODI_THREAD_DEAD,
};

// What a thread is blocked on, and the number that goes with it.
enum broodi_waits {
    BROODI_WAITS_NOT,     // on nothing that brood_dump shows
    BROODI_WAITS_OBJECT,  // the low bits of the object's handle
    BROODI_WAITS_PROCESS, // the end of a process: its number
    BROODI_WAITS_THREAD,  // the end of a thread: its number
    BROODI_WAITS_PARENT,  // the end of the parent
    BROODI_WAITS_STOP,    // a request to stop
    BROODI_WAITS_ONCE,    // the end of a brood_once in its process
    BROODI_WAITS_ANY,     // one of several things: how many they are
    // Messages of a queue, or room in it: as BROODI_WAITS_OBJECT, with the handle of the
    // connection if the queue is a direction of one.
    BROODI_WAITS_ITEM,
    BROODI_WAITS_ROOM
};

// Added to the kind of a wait for a lock, process, thread or parent: the wait has a deadline.
enum { BROODI_WAITS_FINITE = 0x80 };

static inline enum broodi_waits broodi_waits_until(enum broodi_waits kind, int64_t deadline)
{
    return deadline == INT64_MAX ? kind : (enum broodi_waits)((uint32_t)kind | BROODI_WAITS_FINITE);
}

static inline enum broodi_waits broodi_waits_kind(enum broodi_waits kind)
{
    return (enum broodi_waits)((uint32_t)kind & ~(uint32_t)BROODI_WAITS_FINITE);
}

// Kind and number are one word, so that a reader never combines those of two waits.
enum { BROODI_WAITS_AT = 56 };

static inline uint64_t broodi_waits_for(enum broodi_waits kind, uint64_t number)
{
    return (uint64_t)kind << BROODI_WAITS_AT | (number & ((UINT64_C(1) << BROODI_WAITS_AT) - 1));
}

// How the slots of events, semaphores, conditions and barriers begin. The free slot of such an
// object keeps the last low word, from which a waiter that wakes up later reads what it was granted
// before the object was destroyed; see docs/design/slots.md.
struct broodi_awaited_slot {
    broodi_word state;
    _Atomic uint32_t awaited; // 0 in a new object; 1 once a thread has begun to wait for it
    _Atomic uint32_t watched; // of events and semaphores
};

struct broodi_lock_slot {
    broodi_word state; // low: see lock.c
    // The creator stores all three before it returns the handle; later only the holder stores them.
    uint32_t recursive;        // constant
    _Atomic uint32_t depth;    // how often the holder has acquired it
    _Atomic uint32_t given_up; // 1: some holder has released it to wait for a condition
    uint32_t unused;
    uint64_t reserved[5]; // a cache line for each lock
};

struct broodi_semaphore_slot {
    broodi_word state; // low: see semaphore.c
    _Atomic uint32_t awaited;
    _Atomic uint32_t watched;
    _Atomic uint32_t maximum; // stored before the handle is returned
    uint32_t unused;
    uint64_t reserved[5];
};

struct broodi_event_slot {
    broodi_word state; // low: see event.c
    _Atomic uint32_t awaited;
    _Atomic uint32_t watched;
    uint64_t reserved[6];
};

struct broodi_condition_slot {
    broodi_word state; // low: see condition.c
    _Atomic uint32_t awaited;
    uint32_t unused;
    uint64_t reserved[6];
};

// The seat of a thread: where it waits for a condition. It has the number of the thread's slot, and
// a table of its own, so that a scan of all seats touches little memory.
struct broodi_seat {
    broodi_word state;     // see seat.h; 0: empty
    _Atomic uint64_t lock; // the lock that the thread has released, and the epoch of its ticket
};

// The key of the word that a thread waits for (wait_portable.c). It has the number of the thread's
// slot, and a table of its own, so that a waker's scan touches little memory.
struct broodi_key {
    _Atomic uint64_t value; // what the thread waits for, or was claimed for; 0: nothing
};

// What a thread watches (watch.h). It has the number of the thread's slot, and a table of its own,
// so that a scan touches little memory.
struct broodi_watch {
    _Atomic uint64_t mask; // a bit for each word, by its hash; 0: the thread watches nothing
};

// A set of things that a process watches through native objects (watcher.h).
struct broodi_poller_slot {
    broodi_word state;     // low: the process, a short owner
    _Atomic uint64_t mask; // as in struct broodi_watch
};

struct broodi_barrier_slot {
    broodi_word state; // low: see barrier.c
    _Atomic uint32_t awaited;
    _Atomic uint32_t parties;
    _Atomic uint32_t first; // its first party slot, or BROODI_NONE
    uint32_t unused;
    uint64_t reserved[5];
};

// Two entries of a barrier, each of which one participant can use; see parties.c. A barrier has one
// such slot for each of its parties.
struct broodi_party_slot {
    broodi_word state;           // low: unused
    _Atomic uint64_t barrier;    // the handle of its barrier; 0: none
    _Atomic uint64_t entries[2]; // for rounds of even and of odd turns
    _Atomic uint32_t next;       // the next party slot of the barrier, or BROODI_NONE
    uint32_t reserved[7];
};

// A process that uses an object; see message/users.h.
struct broodi_user_slot {
    broodi_word state;            // low: see users.c
    _Atomic uint64_t object;      // the handle of the object; 0: none
    _Atomic broodi_owner process; // who uses it
    _Atomic broodi_owner thread;  // one thread of that process; 0: not known
    // High: the number of the use, which changes when the use ends and when the entry is freed.
    // Low: a number that is the object's.
    broodi_word count;
    _Atomic uint64_t mark;   // the object's
    _Atomic int64_t gone_at; // when the process was found gone
    _Atomic uint32_t next;   // the next entry of the list, plus one; 0: none
    _Atomic uint32_t list;   // which of the object's lists
};

// A list of users, in the slot of an object. All zero in a slot that had none yet.
struct broodi_user_list {
    // The object's handle, in which the first entry, plus one, replaces the bits of the slot.
    _Atomic uint64_t first;
    // When it was checked last for processes that have died: ms, the lowest bits; 0: never.
    _Atomic uint32_t checked;
    _Atomic uint32_t entered; // how often a process has entered
};

// How the slots of blocks and pieces begin: what records memory. See memory_slot.h.
struct broodi_memory_slot {
    broodi_word state;      // low: see memory_slot.h
    _Atomic uint64_t place; // offset in the window; in the memory object, for a section
    _Atomic uint64_t size;  // bytes, as requested
    // While MAKING or ENDING: the thread that creates or frees it; 0: abandoned.
    _Atomic broodi_owner worker;
};

// A block of shared memory.
struct broodi_block_slot {
    broodi_word state;
    _Atomic uint64_t place;
    _Atomic uint64_t size;
    _Atomic broodi_owner worker;
    _Atomic uint64_t name; // the name of its section, and the process that keeps the section
    _Atomic int64_t keeper;
    // Bytes of the section that are committed while the block is created; the rest is promised.
    _Atomic uint64_t committed;
    uint64_t reserved[1];
};

// A piece of memory for the library's own use, which belongs to an object; see piece.h.
struct broodi_piece_slot {
    broodi_word state;
    _Atomic uint64_t place;
    _Atomic uint64_t size;
    _Atomic broodi_owner worker;
    _Atomic uint64_t object; // the handle of the object
    // For the object. A queue: which thread has the piece in its hands, the next one in the same
    // list, and the bytes of the message.
    _Atomic uint64_t data;
    _Atomic uint64_t next;
    _Atomic uint64_t length;
};

// A queue; see chain.h for what its fields are. Each group of fields has a cache line of its own:
// those that stay the same, those of producers, those of consumers, and the words to wait for.
// (Those of joinable queues are beside the others.)
struct broodi_queue_slot {
    broodi_word state;         // low: see queue.c
    _Atomic uint64_t largest;  // bytes of the largest message
    _Atomic uint32_t capacity; // messages, or what they count as
    _Atomic uint32_t segment;  // bytes
    // The handle of the connection of which the queue is one direction; 0: a queue of the program.
    _Atomic uint64_t connection;
    _Atomic uint32_t unit;     // 0: a message counts as 1; else as 1 more than its bytes >> unit
    _Atomic uint32_t joinable; // 1: see holding.h
    struct broodi_user_list consumers; // of a joinable queue
    _Atomic uint32_t damaged;          // 1: the head is to be repaired
    uint32_t reserved_size;

    _Atomic uint64_t head;
    _Atomic uint64_t first; // the place of the first record of all
    _Atomic uint64_t added;
    _Atomic uint64_t added_at;
    _Atomic uint64_t reserved; // a list of pieces, and how many they are
    _Atomic uint32_t reservations;
    // The count of the tail when a producer last loaded it: so not each put loads a word that each
    // get stores.
    _Atomic uint32_t seen;
    // A large message that is sent in fragments; see bulk.h.
    _Atomic broodi_owner sender;
    _Atomic uint64_t sending;

    _Atomic uint64_t tail;
    _Atomic uint64_t removed;
    _Atomic uint64_t removed_at;
    _Atomic uint64_t taken; // a list of pieces
    union {
        // A large message that is received in fragments; see bulk.h.
        struct {
            _Atomic broodi_owner receiver;
            _Atomic uint64_t receiving;
            _Atomic uint64_t received;
        };
        // Of a queue of the program, which has no fragments; of a joinable one, see holding.h.
        struct {
            _Atomic uint64_t holding;
            _Atomic uint64_t holding_at;
            _Atomic uint32_t lost;      // 1: messages were lost that no entry counts
            _Atomic uint32_t head_seen; // the count of the head when a consumer last loaded it
        };
    };
    _Atomic uint64_t spill; // likewise of a message in fragments

    broodi_word items;
    uint32_t unused_items;
    _Atomic uint32_t items_watched;
    broodi_word room;
    uint32_t unused_room;
    _Atomic uint32_t room_watched;
    broodi_word joined; // of a joinable queue: for threads that join
    uint32_t unused_joined;
    _Atomic uint32_t joined_watched;
    // When a consumer has last looked, in vain, for messages that dead consumers had taken.
    _Atomic uint64_t looked;
    uint64_t reserved_words[1];
};

// A connection; see connection.c. The first end is 0, the second 1.
struct broodi_connection_slot {
    broodi_word state;                // low: see end.h
    _Atomic uint64_t directions[2];   // the queue of what each end sends; 0: it does not
    struct broodi_user_list users[2]; // of each end
    uint64_t reserved[1];
};

static inline void broodi_seat_clear(struct broodi_seat *seat)
{
    atomic_store_explicit(&seat->state.state, 0, memory_order_release);
}

static inline void broodi_key_clear(struct broodi_key *key)
{
    atomic_store_explicit(&key->value, 0, memory_order_relaxed);
}

static inline void broodi_watch_clear(struct broodi_watch *watch)
{
    atomic_store_explicit(&watch->mask, 0, memory_order_relaxed);
}

struct broodi_name_slot {
    broodi_word state; // low: 1 once the rest is complete
    _Atomic uint64_t id;
    // A reader loads the state, the name, and the state again: if the slot was freed or taken in
    // between, the two states differ.
    _Atomic uint64_t name[(BROOD_REGISTRY_NAME_MAX + 1) / sizeof(uint64_t)]; // padded with zeros
};

#define BROODI_WATCHABLE(slot, word, flags)                                      \
    _Static_assert(offsetof(struct slot, flags) - offsetof(struct slot, word) == \
                       offsetof(struct broodi_watchable, watched),               \
                   "the word is a broodi_watchable")
_Static_assert(sizeof(struct broodi_process_slot) == 128, "a process has two cache lines");
BROODI_WATCHABLE(broodi_process_slot, state, watched);
BROODI_WATCHABLE(broodi_process_slot, stop, stop_watched);
BROODI_WATCHABLE(broodi_awaited_slot, state, watched);
BROODI_WATCHABLE(broodi_semaphore_slot, state, watched);
BROODI_WATCHABLE(broodi_event_slot, state, watched);
BROODI_WATCHABLE(broodi_queue_slot, items, items_watched);
BROODI_WATCHABLE(broodi_queue_slot, room, room_watched);

#endif
