// SPDX-License-Identifier: MIT
// The contents of the slots of the arena. All of it is plain data that any process of the family
// may load, and that stays consistent when a process dies at any instruction.
#ifndef SHARED_H
#define SHARED_H

#include "handle.h"
#include "kinds.h"
#include "os/os_life.h"
#include "word.h"

#include <brood/brood.h>
#include <stdbool.h>
#include <stdint.h>

enum { BROODI_LABEL = 7 }; // words of 8 bytes in a name

// A process of the family. The parent takes the slot before the child exists and frees it when the
// child has ended; the main process and a guest take their own. A sweep frees the slot of a dead
// process without a living parent.
struct broodi_process_slot {
    // Low: enum broodi_process_phase in two bits. Above it, with DYING: the worker's process slot
    // plus one; with ENDED: how the fork server saw the process end (shared.c).
    broodi_word state;
    _Atomic int64_t pid; // 0: not known yet
    // Slot and generation of the parent; BROODI_NONE for the main process and for a guest.
    _Atomic uint32_t parent;
    _Atomic uint32_t parent_generation;
    // The exit record. The process itself writes it, as late in its end as it can (ending.c). The
    // reaper reads it afterwards, and so do barriers in which the process took part.
    _Atomic uint32_t record; // enum broodi_record
    _Atomic int32_t code;
    broodi_word stop; // low: see stop.h
    // For brood_dump.
    _Atomic uint32_t origin; // enum broodi_origin
    _Atomic uint32_t daemon;
    _Atomic uint64_t name[BROODI_LABEL]; // truncated
    _Atomic uint64_t space;              // the namespace of `pid`: brood_os_process_space
    // An upper bound of the number of thread slots that the process has: a thread that is killed,
    // or ends while it holds a lock, stays counted. And the first thread slot that it took, or
    // BROODI_NONE. With both, most processes are buried without a scan of all threads.
    _Atomic uint32_t threads;
    _Atomic uint32_t first_thread;
    uint64_t reserved[1];
};

enum broodi_process_phase {
    BROODI_PROCESS_DYING, // a process fills the slot, or frees it: the worker
    BROODI_PROCESS_LIVE,
    BROODI_PROCESS_ENDED,    // its fork server has reported how it ended
    BROODI_PROCESS_STARTING, // the slot is filled, and the process has not stored its pid yet
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
struct broodi_thread_slot {
    broodi_word state;        // low: phase in two bits, the slot of its process above
    _Atomic uint64_t waiting; // wait_portable.c: the key of the word that it waits for
    _Atomic uint64_t id;
    // An upper bound of the number of locks that the thread holds, stored by the thread alone: it
    // is raised before a lock is acquired and lowered after it is released.
    _Atomic uint32_t held;
    // The slot's generation once the thread has waited for a barrier: if it is killed, the barriers
    // that name it must be broken. 0 before that, when the thread has returned, and when its burial
    // has broken the barriers.
    _Atomic uint32_t barrier_generation;
    brood_os_life life;
    _Atomic uint64_t waits; // broodi_waits_for(); also for broodi_shared_is_awaited()
    // For brood_dump; truncated. Empty: brood did not start the thread.
    _Atomic uint64_t name[BROODI_LABEL];
};

enum broodi_thread_phase {
    // The thread begins or ends its life; whether it lives cannot be asked.
    BROODI_THREAD_STARTING = 1,
    // The thread lives, or has ended and no process has found that yet.
    BROODI_THREAD_LIVE,
    // The thread has ended. The slot is in quarantine until no lock names it.
    BROODI_THREAD_DEAD,
};

// What a thread is blocked on, and the number that goes with it.
enum broodi_waits {
    BROODI_WAITS_NOT,
    BROODI_WAITS_OBJECT,  // the low bits of the object's handle
    BROODI_WAITS_PROCESS, // the end of a process: its number
    BROODI_WAITS_THREAD,  // the end of a thread: its number
    BROODI_WAITS_PARENT,  // the end of the parent
    BROODI_WAITS_STOP,    // a request to stop
    BROODI_WAITS_ONCE     // the end of a brood_once in its process
};

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
    _Atomic uint32_t awaited; // 1: a thread waits for the object, or has waited
};

struct broodi_lock_slot {
    broodi_word state; // low: see lock.c
    // These are stored by the holder, or before the handle is returned.
    uint32_t recursive;
    _Atomic uint32_t depth;    // how often the holder has acquired it
    _Atomic uint32_t given_up; // 1: a holder has released it to wait for a condition
    uint32_t unused;
    uint64_t reserved[5]; // a cache line for each lock
};

struct broodi_semaphore_slot {
    broodi_word state; // low: see semaphore.c
    _Atomic uint32_t awaited;
    _Atomic uint32_t maximum; // stored before the handle is returned
    uint64_t reserved[6];
};

struct broodi_event_slot {
    broodi_word state; // low: see event.c
    _Atomic uint32_t awaited;
    uint32_t unused;
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

// A block of shared memory.
struct broodi_block_slot {
    broodi_word state;      // low: see block_slot.h
    _Atomic uint64_t place; // offset in the window; in the memory object, for a section
    _Atomic uint64_t size;  // bytes, as requested
    _Atomic uint64_t name;  // the name of its section, and the process that keeps the section
    _Atomic int64_t keeper;
    // The thread that creates or destroys the block: its slot and the slot's generation.
    _Atomic uint32_t worker;
    _Atomic uint32_t worker_generation;
    // Bytes of the section that are committed while the block is created; the rest is promised.
    _Atomic uint64_t committed;
    uint64_t reserved[1];
};

static inline void broodi_seat_clear(struct broodi_seat *seat)
{
    atomic_store_explicit(&seat->state.state, 0, memory_order_release);
}

struct broodi_name_slot {
    broodi_word state; // low: 1 once the rest is complete
    _Atomic uint64_t id;
    // A reader may load the name while the slot is filled again; the state then differs afterwards.
    _Atomic uint64_t name[(BROOD_REGISTRY_NAME_MAX + 1) / sizeof(uint64_t)]; // padded with zeros
};

// Whether a living thread has waited for the last object in this free slot and has not read yet how
// its wait ended. `state` is the slot's state. False for kinds without struct broodi_awaited_slot.
bool broodi_shared_is_awaited(enum broodi_kind kind, uint32_t index, uint64_t state);

// The sweep of each kind, for broodi_kinds_prepare.
extern const broodi_sweep broodi_sweeps[BROODI_KINDS];

// Stores a name; one that is too long is truncated between two characters.
void broodi_slot_label(_Atomic uint64_t label[BROODI_LABEL], const char *name);

// The turn of a thread slot: the low bits of its generation, without the lowest, which is always 1.
// A lock names its holder by slot and turn.
enum { BROODI_THREAD_TURN_BITS = 8 };
uint32_t broodi_thread_turn(uint32_t index);

// Whether the thread that had the slot in that turn has ended. If the slot was still LIVE, it
// becomes DEAD. False also when the slot has another turn by now: then the name that the caller has
// loaded is out of date, and the caller loads it again.
bool broodi_thread_is_over(uint32_t index, uint32_t turn);

// The fate of the thread that took the slot with this generation, of which the caller knows the
// bits in `mask`.
enum broodi_thread_fate {
    BROODI_FATE_LIVES,
    // The thread was killed, has waited for a barrier, and its burial has not broken the barriers
    // yet.
    BROODI_FATE_DIED,
    // It has ended in any other way, or is buried: barriers do not count on it.
    BROODI_FATE_GONE
};
enum broodi_thread_fate broodi_thread_fate(uint32_t index, uint32_t generation, uint32_t mask);

// Whether a thread has this slot now and has not ended.
bool broodi_thread_is_alive(uint32_t index);

// The low word of a thread slot, and the parts of a taken slot's state.
uint32_t broodi_thread_low(enum broodi_thread_phase phase, uint32_t process);
enum broodi_thread_phase broodi_thread_phase_of(uint64_t state);
uint32_t broodi_thread_process_of(uint64_t state);

// The identity of the thread for the port.
brood_os_life_id broodi_life_id(uint32_t index);

// Buries the threads of a process that has ended: marks their slots DEAD, passes on the wakes that
// they had received, breaks the barriers that name them if the process was killed, and frees the
// slots that no lock names.
void broodi_threads_bury(uint32_t process);

// The thread count of a process slot: `count` before a thread of the process takes a slot; `note`
// when it has taken `thread`; `discount` when it could not take one or has freed it.
void broodi_process_slot_count(uint32_t process);
void broodi_process_slot_note(uint32_t process, uint32_t thread);
void broodi_process_slot_discount(uint32_t process);

// The orderly end of a thread slot, called by its own thread.
void broodi_thread_slot_end(uint32_t index);

// What is known of a process before it begins.
struct broodi_process_facts {
    uint32_t parent; // slot, or BROODI_NONE
    enum broodi_origin origin;
    const char *name;
    bool daemon;
};

// Takes a slot for a process, which is STARTING then. Fails as broodi_slot_take.
brood_status broodi_process_slot_take(const struct broodi_process_facts *facts,
                                      uint32_t *out_index);

// Frees the slot and buries the threads of its process, unless another process does so already.
void broodi_process_slot_end(uint32_t index);

// The phase in a slot's state; DYING for a free slot.
enum broodi_process_phase broodi_process_phase_of(uint64_t state);

// Called by the process itself: STARTING becomes LIVE, and `pid` is stored. `live` is the state
// that broodi_process_slot_live returned to the parent. False when the slot was freed meanwhile,
// because the parent has died or has given up the start.
bool broodi_process_slot_begin(uint32_t index, uint64_t live, int64_t pid);

// Called by a process that will later call broodi_process_slot_begin for the slot: stores `pid`, so
// that broodi_process_slot_report finds the slot if the process ends before that.
void broodi_process_slot_announce(uint32_t index, uint64_t live, int64_t pid);

// The state LIVE with the slot's present generation.
uint64_t broodi_process_slot_live(uint32_t index);

// Whether the process is not STARTING any more.
bool broodi_process_slot_has_begun(uint32_t index);

// Whether `pid` in the slot is a number of this process's namespace. If not, the number means no
// process here, or an unrelated one.
bool broodi_process_has_number(const struct broodi_process_slot *slot);

// Called by a fork server before it reaps the process `pid`, so that the number is not reused yet:
// LIVE becomes ENDED with the report `seen`, and waiters for that are woken.
void broodi_process_slot_report(int64_t pid, brood_exit seen);

// The report of an ENDED slot; false when the slot is not ENDED.
bool broodi_process_slot_reported(uint32_t index, brood_exit *out);

#endif
