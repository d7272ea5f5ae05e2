// SPDX-License-Identifier: MIT
// Copies of slots. Other threads write a slot while it is copied. Each member is loaded with
// acquire, which pairs with the first store of the member by the slot's next process or thread
// (process_slot.c, self.c): the state that is loaded last is then no older than any member. If it
// is the state that was loaded first, all members are of one process or thread.
#include "insight/snapshot.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/groups.h"
#include "arena/here.h"
#include "arena/kinds.h"
#include "arena/owner.h"
#include "arena/process_slot.h"
#include "arena/space.h"
#include "arena/thread_slot.h"
#include "base/label.h"
#include "memory/registry.h"
#include "message/call.h"
#include "message/chain.h"
#include "message/end.h"
#include "os/os_process.h"
#include "sync/lock.h"
#include "thread/stop.h"

static const struct broodi_process_slot *process_at(uint32_t index)
{
    return broodi_slot(BROODI_PROCESS, index);
}

static const struct broodi_thread_slot *thread_at(uint32_t index)
{
    return broodi_slot(BROODI_THREAD, index);
}

// The family

static void copy_table(enum broodi_kind kind, struct broodi_snapshot_table *out)
{
    const struct broodi_table_state *table = &broodi_family.header->tables[kind];
    *out = (struct broodi_snapshot_table){
        .name = broodi_kinds[kind].name,
        .taken = atomic_load_explicit(&table->live, memory_order_relaxed),
        .committed = atomic_load_explicit(&table->limit, memory_order_relaxed),
        .capacity = broodi_family.views[kind].capacity,
    };
}

void broodi_snapshot_family(struct broodi_snapshot_family *out)
{
    const struct broodi_header *header = broodi_family.header;
    *out = (struct broodi_snapshot_family){ .family = { header->family[0], header->family[1] },
                                            .window = header->window,
                                            .heap_at = broodi_family.heap_at,
                                            .claimed = broodi_space_end() };
    for (int kind = 1; kind < BROODI_KINDS; kind++)
        copy_table((enum broodi_kind)kind, &out->tables[kind]);
}

// Processes

// Returns the pid of the parent; 0 if there is none, or the parent's slot was freed.
static int64_t parent_of(const struct broodi_process_slot *slot)
{
    const broodi_owner parent = atomic_load_explicit(&slot->parent, memory_order_acquire);
    const uint32_t index = broodi_owner_slot(parent);
    if (!parent || broodi_owner_at(BROODI_PROCESS, index) != parent)
        return 0;
    return broodi_process_pid(process_at(index));
}

static enum broodi_origin origin_of(uint32_t origin)
{
    const uint32_t known = origin & BROODI_ORIGIN_MASK;
    return known < BROODI_ORIGIN_GUEST ? (enum broodi_origin)known : BROODI_ORIGIN_GUEST;
}

static bool has_ended(const struct broodi_snapshot_process *process, uint64_t state)
{
    const enum broodi_process_phase phase = broodi_process_phase_of(state);
    return phase == BROODI_PROCESS_ENDED ||
           (phase == BROODI_PROCESS_LIVE && !process->is_elsewhere &&
            brood_os_process_birth(process->pid) == 0);
}

// False if the slot is filled or freed, or its state has changed meanwhile.
static bool copy_process(uint32_t index, struct broodi_snapshot_process *out)
{
    const struct broodi_process_slot *slot = process_at(index);
    const uint64_t state = broodi_word_load(&slot->state);
    if (broodi_process_phase_of(state) == BROODI_PROCESS_DYING)
        return false;
    out->slot = index;
    out->generation = broodi_generation(state);
    out->pid = broodi_process_pid(slot);
    out->is_elsewhere = out->pid != broodi_process_pid_here(slot);
    out->parent = parent_of(slot);
    const uint32_t origin = atomic_load_explicit(&slot->origin, memory_order_acquire);
    out->origin = origin_of(origin);
    out->daemon = origin & BROODI_ORIGIN_DAEMON;
    out->asked_to_stop = broodi_stop_is_requested(broodi_word_load(&slot->stop));
    broodi_label_read(slot->name, BROODI_LABEL, out->name);
    if (broodi_word_load(&slot->state) != state)
        return false;
    out->has_ended = has_ended(out, state);
    return true;
}

bool broodi_snapshot_process(uint32_t *index, struct broodi_snapshot_process *out)
{
    const uint32_t limit = broodi_slot_limit(BROODI_PROCESS);
    while ((*index = broodi_slot_next(BROODI_PROCESS, *index, limit)) < limit)
        if (copy_process((*index)++, out))
            return true;
    return false;
}

// Shared objects

static void name_object(uint64_t id, struct broodi_snapshot_object *out)
{
    const uint32_t kind = broodi_handle_unpack(id).kind;
    const char *name = kind < BROODI_HANDLE_KINDS ? broodi_kinds[kind].name : NULL;
    out->id = id;
    out->kind = name ? name : "object";
    if (!broodi_registry_name_of(id, out->name))
        out->name[0] = 0;
}

bool broodi_snapshot_thread_of(broodi_owner owner, uint64_t *out_id, int64_t *out_pid)
{
    *out_id = 0;
    *out_pid = 0;
    if (!owner || broodi_owner_slot(owner) >= broodi_slot_limit(BROODI_THREAD))
        return false;
    const struct broodi_thread_slot *thread = thread_at(broodi_owner_slot(owner));
    const uint32_t process = broodi_thread_process_of(broodi_word_load(&thread->state));
    if (process >= broodi_slot_limit(BROODI_PROCESS))
        return false;
    *out_id = atomic_load_explicit(&thread->id, memory_order_relaxed);
    *out_pid = broodi_process_pid(process_at(process));
    return true;
}

static void find_holder(struct broodi_snapshot_wait *wait)
{
    uint32_t slot;
    wait->is_held = broodi_lock_holder(wait->object.id, &slot) &&
                    broodi_snapshot_thread_of(broodi_owner_at(BROODI_THREAD, slot), &wait->holder,
                                              &wait->holder_pid);
}

// Threads

uint64_t broodi_snapshot_object_of(uint64_t number)
{
    return (uint64_t)broodi_family.tag << BROODI_TAG_AT |
           (number & ((UINT64_C(1) << BROODI_TAG_AT) - 1));
}

void broodi_snapshot_wait(uint64_t waits, struct broodi_snapshot_wait *out)
{
    const uint64_t kind = waits >> BROODI_WAITS_AT & ~(uint64_t)BROODI_WAITS_FINITE;
    out->kind = kind <= BROODI_WAITS_ROOM ? (enum broodi_waits)kind : BROODI_WAITS_NOT;
    out->number = broodi_waits_for(BROODI_WAITS_NOT, waits);
    out->is_held = false;
    if (out->kind != BROODI_WAITS_OBJECT && out->kind != BROODI_WAITS_ITEM &&
        out->kind != BROODI_WAITS_ROOM)
        return;
    name_object(broodi_snapshot_object_of(out->number), &out->object);
    find_holder(out);
}

static bool is_listed(uint64_t state, uint32_t process)
{
    const enum broodi_thread_phase phase = broodi_thread_phase_of(state);
    return (phase == BROODI_THREAD_LIVE || phase == BROODI_THREAD_DEAD) &&
           broodi_thread_process_of(state) == process;
}

// Whether the slot still has the thread of `state`. broodi_owner_state() may have changed LIVE to
// DEAD.
static bool is_unchanged(const struct broodi_snapshot_thread *thread, uint64_t state)
{
    const uint64_t now = broodi_word_load(&thread_at(broodi_owner_slot(thread->owner))->state);
    return thread->has_ended ? broodi_owner_has_slot(thread->owner, now) : now == state;
}

// False if it is no thread of the process, or if the slot was freed meanwhile.
static bool copy_thread(uint32_t process, uint32_t index, struct broodi_snapshot_thread *out)
{
    const struct broodi_thread_slot *slot = thread_at(index);
    const uint64_t state = broodi_word_load(&slot->state);
    if (!is_listed(state, process))
        return false;
    out->owner = broodi_owner_of(index, state);
    out->process = process;
    out->id = atomic_load_explicit(&slot->id, memory_order_acquire);
    out->may_hold = atomic_load_explicit(&slot->held, memory_order_acquire) > 0;
    const uint64_t waits = atomic_load_explicit(&slot->waits, memory_order_acquire);
    broodi_label_read(slot->name, BROODI_LABEL, out->name);
    out->has_ended = broodi_owner_state(out->owner) == BROODI_OWNER_DEAD;
    if (!is_unchanged(out, state))
        return false;
    broodi_snapshot_wait(out->has_ended ? 0 : waits, &out->wait);
    return true;
}

bool broodi_snapshot_thread(uint32_t process, uint32_t *index, struct broodi_snapshot_thread *out)
{
    const uint32_t limit = broodi_slot_limit(BROODI_THREAD);
    while ((*index = broodi_slot_next(BROODI_THREAD, *index, limit)) < limit)
        if (copy_thread(process, (*index)++, out))
            return true;
    return false;
}

// Locks

// A lock names its holder by a short owner: a slot that was freed may have another thread, with the
// same short owner, whose locks these are.
static bool is_current(const struct broodi_snapshot_thread *thread)
{
    return broodi_owner_at(BROODI_THREAD, broodi_owner_slot(thread->owner)) == thread->owner;
}

bool broodi_snapshot_lock(const struct broodi_snapshot_thread *thread,
                          struct broodi_snapshot_position *position,
                          struct broodi_snapshot_object *out)
{
    uint64_t id;
    if (!thread->may_hold)
        return false;
    while (!broodi_lock_next(position->is_own ? BROODI_OWN_LOCK : BROODI_LOCK, thread->owner,
                             &position->index, &id)) {
        if (position->is_own)
            return false;
        *position = (struct broodi_snapshot_position){ .is_own = true };
    }
    if (!is_current(thread))
        return false;
    name_object(id, out);
    return true;
}

// Queues

// False if the slot is free or filled, or was freed meanwhile.
static bool copy_queue(uint32_t index, struct broodi_snapshot_queue *out)
{
    const struct broodi_queue_slot *slot = broodi_slot(BROODI_QUEUE, index);
    const uint64_t state = broodi_word_load(&slot->state);
    if (!broodi_slot_is_live(state) || (broodi_low(state) & BROODI_QUEUE_NEW))
        return false;
    const uint64_t connection = atomic_load_explicit(&slot->connection, memory_order_acquire);
    out->is_closed = broodi_low(state) & BROODI_QUEUE_CLOSED;
    out->is_ending = broodi_low(state) & BROODI_QUEUE_ENDING;
    out->count = broodi_chain_count(slot);
    out->capacity = atomic_load_explicit(&slot->capacity, memory_order_acquire);
    out->reserved = atomic_load_explicit(&slot->reservations, memory_order_acquire);
    out->unit = atomic_load_explicit(&slot->unit, memory_order_acquire) & 63;
    out->is_direction = connection != 0;
    name_object(connection ? connection : broodi_handle_of(BROODI_QUEUE, index), &out->object);
    return broodi_generation(broodi_word_load(&slot->state)) == broodi_generation(state);
}

bool broodi_snapshot_queue(uint32_t *index, struct broodi_snapshot_queue *out)
{
    const uint32_t limit = broodi_slot_limit(BROODI_QUEUE);
    while ((*index = broodi_slot_next(BROODI_QUEUE, *index, limit)) < limit)
        if (copy_queue((*index)++, out))
            return true;
    return false;
}

// Connections

// The name of either end: each of them has a handle.
static void name_ends(uint64_t id, struct broodi_snapshot_object *out)
{
    name_object(id, out);
    if (!out->name[0] && !broodi_registry_name_of(broodi_end_handle(id, 1), out->name))
        out->name[0] = 0;
}

static bool copy_direction(uint64_t direction, struct broodi_snapshot_queue *out)
{
    const uint32_t index = broodi_handle_unpack(direction).slot;
    return direction && index < broodi_slot_limit(BROODI_QUEUE) && copy_queue(index, out) &&
           out->is_direction;
}

// False if the slot is free or filled, or was freed meanwhile.
static bool copy_connection(uint32_t index, struct broodi_snapshot_connection *out)
{
    const struct broodi_connection_slot *slot = broodi_slot(BROODI_CONNECTION, index);
    const uint64_t state = broodi_word_load(&slot->state);
    const uint32_t low = broodi_low(state);
    if (!broodi_slot_is_live(state) || (low & BROODI_CONNECTION_NEW))
        return false;
    out->is_ending = broodi_connection_is_over(low);
    for (unsigned end = 0; end < 2; end++) {
        out->is_closed[end] = low & broodi_end_flag(BROODI_CONNECTION_CLOSING, end);
        out->sends[end] =
            copy_direction(atomic_load_explicit(&slot->directions[end], memory_order_acquire),
                           &out->directions[end]);
    }
    name_ends(broodi_handle_of(BROODI_CONNECTION, index), &out->object);
    return broodi_generation(broodi_word_load(&slot->state)) == broodi_generation(state);
}

bool broodi_snapshot_connection(uint32_t *index, struct broodi_snapshot_connection *out)
{
    const uint32_t limit = broodi_slot_limit(BROODI_CONNECTION);
    while ((*index = broodi_slot_next(BROODI_CONNECTION, *index, limit)) < limit)
        if (copy_connection((*index)++, out))
            return true;
    return false;
}
