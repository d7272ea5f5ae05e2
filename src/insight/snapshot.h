// SPDX-License-Identifier: MIT
// The state of the family as plain data. dump.c prints it.
//
// Each function copies one slot, or the counters of the header, into a struct of the caller. No
// thread is stopped and no lock is held, so two structs may show different moments. One struct is
// consistent: its slot belonged to the same process or thread before and after the copy, and what
// is said about the slot was loaded between the two. Where a member describes another slot (a
// parent, a name, a holder), its comment says so: that slot was read at a moment of its own.
//
// The functions take no slot and allocate nothing, so a process that is killed here leaves nothing
// behind. Slots may hold any bytes once a process of the family has overwritten them: numbers are
// then wrong, but enumerators are in their range and texts end with zero.
//
// Slots are visited with an index of the caller, which starts at 0 and which the function moves
// past the slot that it returns:
//
//     for (uint32_t index = 0; broodi_snapshot_process(&index, &process);)
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "arena/slots.h"
#include "base/handle.h"

#include <brood/registry.h>
#include <stdbool.h>
#include <stdint.h>

enum { BROODI_SNAPSHOT_NAME = BROODI_LABEL * sizeof(uint64_t) + 1 };

// The table of one kind of slots.
struct broodi_snapshot_table {
    const char *name; // of the kind, in English; constant
    // Slots taken or spent. A hint: a process that is killed may leave it too high or too low.
    uint32_t taken;
    uint32_t committed; // slots that have memory
    uint32_t capacity;
};

struct broodi_snapshot_family {
    uint64_t family[2]; // the random number that identifies the family
    uint64_t window;    // bytes of address space that each process reserves
    uint64_t heap_at;   // where the heap begins in the window: the tables end before
    // Bytes of the memory object that have been claimed for tables, heap and sections: an upper
    // bound of the memory in use, since parts of freed blocks are decommitted.
    uint64_t claimed;
    struct broodi_snapshot_table tables[BROODI_KINDS]; // by enum broodi_kind; row 0 is unused
};

struct broodi_snapshot_process {
    uint32_t slot;
    uint32_t generation;
    int64_t pid;       // 0: the process has not begun yet
    bool is_elsewhere; // `pid` is a number of another pid namespace
    int64_t parent;    // read from the parent's slot; 0: it has no parent, or the slot was freed
    enum broodi_origin origin;
    bool daemon;
    bool asked_to_stop;
    // The system has been asked, after the copy. False if the process is in another namespace.
    bool has_ended;
    char name[BROODI_SNAPSHOT_NAME]; // truncated; may hold control characters
};

// An object that a handle names. Its name is read from the registry.
struct broodi_snapshot_object {
    uint64_t id;
    const char *kind;                       // "lock", in English; "object" if the kind is unknown
    char name[BROOD_REGISTRY_NAME_MAX + 2]; // "": none; may hold control characters
};

// What a thread is blocked on.
struct broodi_snapshot_wait {
    enum broodi_waits kind; // BROODI_WAITS_NOT: it is not blocked
    uint64_t number;        // of the process or thread, for BROODI_WAITS_PROCESS and _THREAD
    struct broodi_snapshot_object object; // for BROODI_WAITS_OBJECT, _ITEM and _ROOM
    // Read from the slot of the lock, and from those of its holder and the holder's process.
    bool is_held; // the object is a lock that a thread holds
    uint64_t holder;
    int64_t holder_pid;
};

struct broodi_snapshot_thread {
    broodi_owner owner; // the thread itself
    uint32_t process;   // the slot of its process
    uint64_t id;
    bool has_ended; // its slot is kept because a lock may name it
    bool may_hold;  // false: it holds no lock
    struct broodi_snapshot_wait wait;
    char name[BROODI_SNAPSHOT_NAME]; // truncated; may hold control characters; "": none
};

// A queue, or one direction of a connection.
struct broodi_snapshot_queue {
    struct broodi_snapshot_object object; // the queue, or the connection
    bool is_direction;
    bool is_closed;
    bool is_ending; // it was destroyed, and its memory is being freed
    // Messages, or the units of a direction: it counts a message as 1 more than its bytes >> unit.
    uint32_t count;
    uint32_t capacity;
    uint32_t reserved; // messages that are being written in place
    uint32_t unit;     // 0: messages
};

struct broodi_snapshot_connection {
    struct broodi_snapshot_object object; // with the name of either end
    bool is_ending;                       // it was destroyed, or closed at both ends
    bool is_closed[2];                    // each end
    // The queues of what each end sends, each copied at a moment of its own; false: it does not.
    bool sends[2];
    struct broodi_snapshot_queue directions[2];
};

// A position among the locks; zero: the first.
struct broodi_snapshot_position {
    bool is_own; // among the library's own locks, which follow those of the program
    uint32_t index;
};

void broodi_snapshot_family(struct broodi_snapshot_family *out);

// Copies the next process; false when there is none. Leaves out slots that are filled or freed.
bool broodi_snapshot_process(uint32_t *index, struct broodi_snapshot_process *out);

// Copies the next thread of the process with this slot; false when there is none. Leaves out
// threads that begin or end, and those that have never used anything of the family.
bool broodi_snapshot_thread(uint32_t process, uint32_t *index, struct broodi_snapshot_thread *out);

// Copies the next lock that the thread holds; false when there is none, or when the thread's slot
// was freed.
bool broodi_snapshot_lock(const struct broodi_snapshot_thread *thread,
                          struct broodi_snapshot_position *position,
                          struct broodi_snapshot_object *out);

// Copies the next queue; false when there is none. The count may be of another moment than the
// rest.
bool broodi_snapshot_queue(uint32_t *index, struct broodi_snapshot_queue *out);

// Copies the next connection; false when there is none.
bool broodi_snapshot_connection(uint32_t *index, struct broodi_snapshot_connection *out);

// Describes a wait by the word that a thread has stored; see broodi_waits_for().
void broodi_snapshot_wait(uint64_t waits, struct broodi_snapshot_wait *out);

// The number of a thread and the pid of its process; false, with zeros, if its slot is damaged.
// Those of another thread if the slot was reused.
bool broodi_snapshot_thread_of(broodi_owner owner, uint64_t *out_id, int64_t *out_pid);

// The handle of an object, by the part of it that is in such a word.
uint64_t broodi_snapshot_object_of(uint64_t number);

#endif
