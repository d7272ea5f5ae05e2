// SPDX-License-Identifier: MIT
// What stands in the slots of the arena. All of it is plain data that any process of the family may
// look at, and that stays whole when a process dies at any instruction.
#ifndef SHARED_H
#define SHARED_H

#include "handle.h"
#include "os/os_life.h"
#include "word.h"

#include <brood/brood.h>
#include <stdbool.h>
#include <stdint.h>

enum { BROODI_LABEL = 7 }; // words of a name

// A process of the family. Taken by the starter, freed by who reaps it, or when it is found dead
// and nobody else can.
struct broodi_process_slot {
    broodi_word state; // low: enum broodi_process_phase; with ENDED, how its fork server saw it end
                       // (shared.c)
    _Atomic int64_t pid;
    _Atomic uint32_t
        parent; // slot of the starter, and its generation; BROODI_NONE: the main process, a guest
    _Atomic uint32_t parent_generation;
    // The exit record. The process itself writes it, as late in its end as it can (ending.c).
    // Whoever reaps the process reads it afterwards, and so do barriers that the process took part
    // in.
    _Atomic uint32_t record; // enum broodi_record
    _Atomic int32_t code;
    broodi_word stop; // low: see stop.h
    // For brood_dump.
    _Atomic uint32_t origin; // enum broodi_origin
    _Atomic uint32_t daemon;
    _Atomic uint64_t name[BROODI_LABEL]; // cut off
    _Atomic uint64_t space;              // where `pid` is its number: brood_os_process_space
    // How many thread slots the process has, at least: one that is killed leaves the count too
    // high. And the first one that it took, or BROODI_NONE. So that most processes are buried
    // without a look at the threads of all.
    _Atomic uint32_t threads;
    _Atomic uint32_t first_thread;
    uint64_t reserved[1];
};

enum broodi_process_phase {
    BROODI_PROCESS_DYING, // somebody fills the slot, or frees it; who, stands above the phase
    BROODI_PROCESS_LIVE,
    BROODI_PROCESS_ENDED,    // said by who reaped it, if that is not its starter
    BROODI_PROCESS_STARTING, // its starter has taken the slot, and it has not come here yet
};

// How it came to be.
enum broodi_origin {
    BROODI_ORIGIN_MAIN,
    BROODI_ORIGIN_SPAWN,
    BROODI_ORIGIN_FORKSERVER,
    BROODI_ORIGIN_FORK,
    BROODI_ORIGIN_SERVER, // spawned, to be a fork server
    BROODI_ORIGIN_GUEST   // forked by the program
};

enum broodi_record {
    BROODI_RECORD_NONE,
    BROODI_RECORD_ORDERLY, // it came to the end of its life by exit(): the system knows the code
    BROODI_RECORD_CODE,    // `code` is what the target returned; nothing runs behind it
    // `code` is what the target returned, and what it gave to exit(). Handlers and destructors that
    // exit() runs behind it may still end the process in another way.
    BROODI_RECORD_RETURNED,
};

// A thread of the family. Taken by the thread when it first needs one.
struct broodi_thread_slot {
    broodi_word state;        // low: phase in two bits, the slot of its process above
    _Atomic uint64_t waiting; // wait_portable.c: the key it waits for
    _Atomic uint64_t id;
    _Atomic uint32_t
        held; // locks it holds or is about to; an upper bound, written by the thread alone
    _Atomic uint32_t
        meets; // the slot's generation, if barriers are to miss it: it has been a party of one
    brood_os_life life;
    _Atomic uint64_t waits;              // broodi_waits_for(); also for broodi_shared_is_awaited()
    _Atomic uint64_t name[BROODI_LABEL]; // for brood_dump; cut off; empty: not started by brood
};

enum broodi_thread_phase {
    BROODI_THREAD_STARTING = 1, // its liveness cannot be asked: not yet, or not any more
    BROODI_THREAD_LIVE,
    BROODI_THREAD_DEAD, // kept until nothing names it as its holder
};

// What a thread is blocked for.
enum broodi_waits {
    BROODI_WAITS_NOT,
    BROODI_WAITS_OBJECT,  // the low bits of its handle
    BROODI_WAITS_PROCESS, // the end of the one with this number
    BROODI_WAITS_THREAD,  // the end of the one with this number
    BROODI_WAITS_PARENT,  // the end of the parent
    BROODI_WAITS_STOP,    // to be asked to stop
    BROODI_WAITS_ONCE     // the end of a brood_once in its process
};

// Kind and number in one word, so that nobody reads one of a wait and the other of the next.
enum { BROODI_WAITS_AT = 56 };

static inline uint64_t broodi_waits_for(enum broodi_waits kind, uint64_t number)
{
    return (uint64_t)kind << BROODI_WAITS_AT | (number & ((UINT64_C(1) << BROODI_WAITS_AT) - 1));
}

// How the slots of events, semaphores, conditions and barriers begin. When such an object is
// destroyed, the free slot keeps its last low word, from which a thread that waited for it takes
// what was granted before; see docs/design/slots.md.
struct broodi_awaited_slot {
    broodi_word state;
    _Atomic uint32_t awaited; // 1: threads have waited for the object, or still do
};

struct broodi_lock_slot {
    broodi_word state; // low: see lock.c
    // Written by the holder, or before the handle is known.
    uint32_t recursive;
    _Atomic uint32_t depth;    // how often the holder has taken it
    _Atomic uint32_t given_up; // 1: holders have given it up to wait for a condition
    uint32_t unused;
    uint64_t reserved[5]; // a cache line for each lock
};

struct broodi_semaphore_slot {
    broodi_word state; // low: see semaphore.c
    _Atomic uint32_t awaited;
    _Atomic uint32_t maximum; // written before the handle is known
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

// Where a thread waits for a condition, beside its slot and with the same number: apart, so that a
// look through all of them is a short one.
struct broodi_seat {
    broodi_word state;     // see seat.h; 0: empty
    _Atomic uint64_t lock; // that was given up, and the epoch of the ticket
};

struct broodi_barrier_slot {
    broodi_word state; // low: see barrier.c
    _Atomic uint32_t awaited;
    _Atomic uint32_t parties;
    _Atomic uint32_t first; // of its party slots
    uint32_t unused;
    uint64_t reserved[5];
};

// The place of one party of a barrier.
struct broodi_party_slot {
    broodi_word state;        // low: nothing
    _Atomic uint64_t barrier; // the handle of the one it belongs to
    _Atomic uint64_t who[2];  // in this round and in the one before; see barrier.c
    _Atomic uint32_t next;    // or BROODI_NONE
    uint32_t reserved[7];
};

// A block of shared memory.
struct broodi_block_slot {
    broodi_word state;      // low: see block.c
    _Atomic uint64_t place; // where it begins: in the window; behind it, if it is a section
    _Atomic uint64_t size;  // bytes, as asked for
    _Atomic uint64_t name;  // of its section, and who keeps that
    _Atomic int64_t keeper;
    _Atomic uint32_t worker; // who makes or ends it: slot of the thread, and its generation
    _Atomic uint32_t worker_generation;
    _Atomic uint64_t
        committed; // bytes of its section, while it is made: what is missing is promised to it
    uint64_t reserved[1];
};

static inline void broodi_seat_clear(struct broodi_seat *seat)
{
    atomic_store_explicit(&seat->state.state, 0, memory_order_release);
}

struct broodi_name_slot {
    broodi_word state; // low: 1 once the rest is whole
    _Atomic uint64_t id;
    // Readers may look while a slot is written anew; they see by the state that it was.
    _Atomic uint64_t name[(BROOD_REGISTRY_NAME_MAX + 1) / sizeof(uint64_t)]; // padded with zeros
};

#define BROODI_NONE UINT32_MAX

// Whether a living thread that waited for the last object in this free slot has not seen yet how
// that ended. `state` is the slot's. False for kinds without struct broodi_awaited_slot.
bool broodi_shared_is_awaited(enum broodi_kind kind, uint32_t index, uint64_t state);

// Frees slots of the kind whose process or thread has died, where nobody else does.
void broodi_shared_sweep(enum broodi_kind kind);

// Writes a name, cut off between two characters if it is too long.
void broodi_slot_label(_Atomic uint64_t label[BROODI_LABEL], const char *name);

// Some bits of a thread slot's generation, with which a lock names its holder beside the slot.
enum { BROODI_THREAD_TURN_BITS = 8 };
uint32_t broodi_thread_turn(uint32_t index);

// Whether the thread that had this slot in that turn has ended; a slot found dead is marked so.
// False also when the slot is another one's by now: then the name is outdated, and its reader looks
// again.
bool broodi_thread_is_over(uint32_t index, uint32_t turn);

// What has become of the thread that took this slot with this generation, of which the bits in
// `mask` are known.
enum broodi_thread_fate {
    BROODI_FATE_LIVES,
    BROODI_FATE_DIED, // and not by its own return, or with a process that ended in order; its slot
                      // is not given away yet
    BROODI_FATE_GONE
};
enum broodi_thread_fate broodi_thread_fate(uint32_t index, uint32_t generation, uint32_t mask);

// Whether a thread has this slot now, and has not ended.
bool broodi_thread_is_alive(uint32_t index);

// The low word of a thread slot; and what stands in the state of a taken one.
uint32_t broodi_thread_low(enum broodi_thread_phase phase, uint32_t process);
enum broodi_thread_phase broodi_thread_phase_of(uint64_t state);
uint32_t broodi_thread_process_of(uint64_t state);

// Who the thread is, for the port.
brood_os_life_id broodi_life_id(uint32_t index);

// Marks all threads of a process that has ended, frees those that hold nothing, and wakes anew whom
// they were to wake.
void broodi_threads_bury(uint32_t process);

// Says that a thread of the process is about to take a slot; that it has; that it has none, or none
// any more.
void broodi_process_slot_count(uint32_t process);
void broodi_process_slot_note(uint32_t process, uint32_t thread);
void broodi_process_slot_discount(uint32_t process);

// Ends a thread slot by its own thread.
void broodi_thread_slot_end(uint32_t index);

// What is known of a process before it begins.
struct broodi_process_facts {
    uint32_t parent; // slot, or BROODI_NONE
    enum broodi_origin origin;
    const char *name;
    bool daemon;
};

// Takes a slot for a process. And frees it, with what is left of its threads.
brood_status broodi_process_slot_take(const struct broodi_process_facts *facts,
                                      uint32_t *out_index);
void broodi_process_slot_end(uint32_t index);

// Of a slot's state; a free slot is as good as DYING.
enum broodi_process_phase broodi_process_phase_of(uint64_t state);

// By the process itself: it is there, with this number. `live` is its state from then on, as
// broodi_process_slot_live gave it to its starter: false when somebody has taken the slot away,
// because the starter has died or has given the child up.
bool broodi_process_slot_begin(uint32_t index, uint64_t live, int64_t pid);

// By a process that is to become that one and has some way to go: so it can be found if it does not
// get there.
void broodi_process_slot_announce(uint32_t index, uint64_t live, int64_t pid);

// The state of a live process in the slot's present turn.
uint64_t broodi_process_slot_live(uint32_t index);

// Whether the process has come so far that it has said its number.
bool broodi_process_slot_has_begun(uint32_t index);

// Whether the number in the slot is one in this process's namespace too: if not, it is nobody's
// here, or a stranger's.
bool broodi_process_has_number(const struct broodi_process_slot *slot);

// Says in the slot of the process with this number how it ended, and wakes who waits for that;
// before the number is given away by reaping it.
void broodi_process_slot_report(int64_t pid, brood_exit seen);

// What has been said so; false when nothing has.
bool broodi_process_slot_reported(uint32_t index, brood_exit *out);

#endif
