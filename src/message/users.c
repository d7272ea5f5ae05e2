// SPDX-License-Identifier: MIT
// The entries of a list form a chain, to which entries are added in front and from which none is
// removed while the object exists: an entry whose process has gone is taken by the next one that
// enters. The phases of an entry:
//
//   from                 to             by
//   free                 MAKING         a process that enters: the worker
//   LEFT, LOST, UNUSED   MAKING         the same, if the count is 0
//   MAKING               USING          the worker
//   USING                LEFT           the process of the entry, when it leaves or ends
//   USING                LEFT, LOST     any process that has found it dead
//   USING                UNUSED         its starter, if the start failed
//   MAKING               LOST           any process that has found the worker dead
//   any                  MAKING         a process that frees the entry of an object that has ended
//   MAKING               free           the worker
//
// Each change is a compare-and-swap of the state. All other fields are stored by the worker, except
// `count` and `mark`, which the object changes, and `gone_at`.
//
// Invariants:
//
// 1. An entry that is taken from its list, by a process of its own or a sweep, is MAKING before any
// field changes. So an entry that a living process fills is freed by nobody else.
//
// 2. The number of the use, in `count`, changes before the state does when a use ends. So a thread
// that has the entry of an earlier use changes no count of a later one, and a process that is
// killed between the two leaves an entry that is USING with another number: that is not the entry
// of a process any more, and the next check finds its process dead.
//
// 3. An entry is complete, and USING, before it is added to the chain. If the worker is killed
// before that, the entry is in no chain; a sweep frees it once the object has ended.
//
// 4. When a list has ended, its first word names no object, so no entry is added. A worker that has
// taken an entry of the chain checks that word after it has made the entry USING, and frees it; a
// process that ends the list first changes the word, then frees all entries that are not MAKING. So
// one of the two frees it.
#include "message/users.h"

#include "arena/allocator.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/invariant.h"
#include "base/step.h"
#include "message/user_entry.h"
#include "os/os_clock.h"

// This process

// Where this process found its entry in a list, plus one: a hint, at the hash of object and list.
enum { HINTS = 64 };

static _Atomic uint32_t hints[HINTS];

static _Atomic uint32_t *hint_for(uint64_t id, uint32_t number)
{
    return &hints[((uint32_t)id + 7 * number) % HINTS];
}

// Entries of this process

// Whether the entry is that of the process in this list; then stores the number of the use.
static bool is_of(const struct broodi_user_slot *slot, uint64_t id, uint32_t number,
                  broodi_owner process, uint32_t *use)
{
    const uint64_t count = broodi_word_load(&slot->count);
    const uint64_t state = broodi_word_load(&slot->state);
    *use = broodi_generation(count);
    return broodi_user_is_using(state, count) &&
           atomic_load_explicit(&slot->object, memory_order_relaxed) == id &&
           atomic_load_explicit(&slot->list, memory_order_relaxed) == number &&
           atomic_load_explicit(&slot->process, memory_order_relaxed) == process;
}

static bool find_hinted(uint64_t id, uint32_t number, broodi_owner self, struct broodi_user *out)
{
    const uint32_t hint = atomic_load_explicit(hint_for(id, number), memory_order_relaxed);
    if (hint == 0 || !broodi_view_has(BROODI_USER, hint - 1))
        return false;
    out->slot = broodi_slot_here(BROODI_USER, hint - 1);
    return is_of(out->slot, id, number, self, &out->use);
}

static void remember(const struct broodi_user *user, uint64_t id, uint32_t number)
{
    const uint32_t index = broodi_slot_index(BROODI_USER, user->slot);
    atomic_store_explicit(hint_for(id, number), index + 1, memory_order_relaxed);
}

// Finds the next entry of this process in the chain, from `*next` on.
static bool find_own(uint64_t id, uint32_t number, broodi_owner self, uint32_t *next,
                     struct broodi_user *out)
{
    while ((out->slot = broodi_user_next(id, next)) != NULL)
        if (is_of(out->slot, id, number, self, &out->use))
            return true;
    return false;
}

// Entering

// Who enters what.
struct entrant {
    struct broodi_user_list *list;
    uint64_t id;
    uint32_t number;
    broodi_owner process;
    broodi_owner thread; // 0: not known
};

static uint32_t low_making(void)
{
    const uint64_t worker = broodi_owner_shorten(broodi_user_self(), BROODI_USER_NAME_BITS);
    return broodi_user_low(BROODI_USER_MAKING, worker);
}

// Before an entry names the process: from then on its burial scans the table.
static void note_use(broodi_owner process)
{
    struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, broodi_owner_slot(process));
    atomic_store_explicit(&slot->uses, 1, memory_order_release);
}

// Fills a MAKING entry and makes it USING. No other process changes the state meanwhile.
static void fill(struct broodi_user_slot *slot, const struct entrant *entrant, uint32_t *use)
{
    const uint64_t count = broodi_word_load(&slot->count);
    broodi_assert(broodi_low(count) == 0);
    *use = broodi_generation(count);
    atomic_store_explicit(&slot->list, entrant->number, memory_order_relaxed);
    atomic_store_explicit(&slot->process, entrant->process, memory_order_relaxed);
    atomic_store_explicit(&slot->thread, entrant->thread, memory_order_relaxed);
    atomic_store_explicit(&slot->mark, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->object, entrant->id, memory_order_release);
    (void)broodi_word_swap(&slot->state, broodi_word_load(&slot->state),
                           broodi_user_low(BROODI_USER_USING, *use));
}

// Adds the entry in front of the chain; false if the list has ended.
static bool push(const struct entrant *entrant, struct broodi_user_slot *slot)
{
    const uint64_t front =
        (entrant->id & ~(uint64_t)BROODI_SLOT_MASK) | (broodi_slot_index(BROODI_USER, slot) + 1);
    uint64_t first = atomic_load_explicit(&entrant->list->first, memory_order_acquire);
    while (first >> BROODI_SLOT_BITS == entrant->id >> BROODI_SLOT_BITS) {
        atomic_store_explicit(&slot->next, (uint32_t)first & BROODI_SLOT_MASK,
                              memory_order_relaxed);
        // Release: pairs with the acquire in broodi_user_first().
        if (atomic_compare_exchange_weak_explicit(&entrant->list->first, &first, front,
                                                  memory_order_acq_rel, memory_order_acquire))
            return true;
    }
    return false;
}

static brood_status add(const struct entrant *entrant, struct broodi_user *out)
{
    uint32_t index;
    const brood_status status = broodi_slot_allocate(BROODI_USER, low_making(), &index);
    if (status != BROOD_OK)
        return status;
    out->slot = broodi_slot(BROODI_USER, index);
    broodi_step(BROODI_STEP_USER_TAKEN);
    fill(out->slot, entrant, &out->use);
    broodi_step(BROODI_STEP_USER_FILLED);
    if (push(entrant, out->slot))
        return BROOD_OK;
    broodi_user_free(out->slot, entrant->id);
    return BROOD_STALE;
}

static bool has_gone(uint64_t state)
{
    const enum broodi_user_phase phase = broodi_user_phase_of(state);
    return phase == BROODI_USER_LEFT || phase == BROODI_USER_LOST;
}

static int64_t gone_at(const struct broodi_user_slot *slot)
{
    return atomic_load_explicit(&slot->gone_at, memory_order_relaxed);
}

// When the last process went that has gone; INT64_MIN if none has.
static int64_t last_gone_at(const struct entrant *entrant)
{
    const struct broodi_user_slot *slot;
    int64_t last = INT64_MIN;
    uint32_t next = broodi_user_first(entrant->list, entrant->id);
    while ((slot = broodi_user_next(entrant->id, &next)) != NULL)
        if (has_gone(broodi_word_load(&slot->state)) && gone_at(slot) > last)
            last = gone_at(slot);
    return last;
}

// Takes an entry of the chain, of a process that went before `limit` or of none, and makes it
// MAKING; NULL if there is none.
static struct broodi_user_slot *claim(const struct entrant *entrant, int64_t limit)
{
    struct broodi_user_slot *slot;
    uint32_t next = broodi_user_first(entrant->list, entrant->id);
    while ((slot = broodi_user_next(entrant->id, &next)) != NULL) {
        const uint64_t state = broodi_word_load(&slot->state);
        const bool is_free = broodi_user_phase_of(state) == BROODI_USER_UNUSED ||
                             (has_gone(state) && gone_at(slot) < limit);
        if (is_free && broodi_low(broodi_word_load(&slot->count)) == 0 &&
            broodi_word_swap(&slot->state, state, low_making()))
            return slot;
    }
    return NULL;
}

static brood_status enter_uncounted(const struct entrant *entrant, int64_t limit,
                                    struct broodi_user *out)
{
    note_use(entrant->process);
    out->slot = claim(entrant, limit);
    if (!out->slot)
        return add(entrant, out);
    broodi_step(BROODI_STEP_USER_CLAIMED);
    fill(out->slot, entrant, &out->use);
    broodi_fence_after_swap();
    if (broodi_user_list_is_of(entrant->list, entrant->id))
        return BROOD_OK;
    broodi_user_free(out->slot, entrant->id);
    return BROOD_STALE;
}

// Counts the entry when it is complete, and before the caller relies on it: see broodi_users_look.
static brood_status enter(const struct entrant *entrant, int64_t limit, struct broodi_user *out)
{
    const brood_status status = enter_uncounted(entrant, limit, out);
    atomic_fetch_add_explicit(&entrant->list->entered, 1, memory_order_release);
    return status;
}

static brood_status enter_self(struct broodi_user_list *list, uint64_t id, uint32_t number,
                               struct broodi_user *out)
{
    const broodi_owner self = broodi_user_self();
    uint32_t next = broodi_user_first(list, id);
    if (find_own(id, number, self, &next, out))
        return BROOD_OK;
    const struct entrant entrant = {
        .list = list, .id = id, .number = number, .process = self, .thread = broodi_owner_self()
    };
    return enter(&entrant, INT64_MAX, out);
}

brood_status broodi_user_enter(struct broodi_user_list *list, uint64_t id, uint32_t number,
                               struct broodi_user *out)
{
    struct broodi_user user;
    const broodi_owner self = broodi_user_self();
    brood_status status = self ? BROOD_OK : BROOD_NO_RESOURCES;
    if (self && !find_hinted(id, number, self, &user)) {
        status = enter_self(list, id, number, &user);
        if (status == BROOD_OK)
            remember(&user, id, number);
    }
    if (status == BROOD_OK && out)
        *out = user;
    return status;
}

// The start may fail: then the list must tell how the last process went, so its entry is kept.
brood_status broodi_user_enter_for(struct broodi_user_list *list, uint64_t id, uint32_t number,
                                   broodi_owner process, struct broodi_user *out)
{
    const struct entrant entrant = { .list = list, .id = id, .number = number, .process = process };
    return broodi_user_self() ? enter(&entrant, last_gone_at(&entrant), out) : BROOD_NO_RESOURCES;
}

// Leaving

// Ends this use of the entry, unless it has ended.
static bool depart(const struct broodi_user *user, enum broodi_user_phase phase)
{
    const uint64_t state = broodi_word_load(&user->slot->state);
    return broodi_low(state) == broodi_user_low(BROODI_USER_USING, user->use) &&
           broodi_user_depart(user->slot, state, phase);
}

void broodi_user_undo(const struct broodi_user *user)
{
    (void)depart(user, BROODI_USER_UNUSED);
}

bool broodi_user_leave(struct broodi_user_list *list, uint64_t id, uint32_t number)
{
    struct broodi_user user;
    const broodi_owner self = broodi_user_self();
    uint32_t next = broodi_user_first(list, id);
    bool left = false;
    while (self && find_own(id, number, self, &next, &user))
        left |= depart(&user, BROODI_USER_LEFT);
    return left;
}

// Counts

uint32_t broodi_user_count(const struct broodi_user *user)
{
    const uint64_t count = broodi_word_load(&user->slot->count);
    return broodi_generation(count) == user->use ? broodi_low(count) : 0;
}

bool broodi_user_add(const struct broodi_user *user, uint32_t number)
{
    uint64_t count = broodi_word_load(&user->slot->count);
    while (broodi_generation(count) == user->use && broodi_low(count) <= UINT32_MAX - number)
        if (broodi_user_count_swap(user->slot, &count, count + number))
            return true;
    return false;
}

static bool subtract(const struct broodi_user *user)
{
    uint64_t count = broodi_word_load(&user->slot->count);
    while (broodi_generation(count) == user->use && broodi_low(count) > 0)
        if (broodi_user_count_swap(user->slot, &count, count - 1))
            return true;
    return false;
}

bool broodi_user_subtract(struct broodi_user_list *list, uint64_t id, uint32_t number)
{
    struct broodi_user user;
    const broodi_owner self = broodi_user_self();
    if (!self)
        return false;
    if (find_hinted(id, number, self, &user) && subtract(&user))
        return true;
    uint32_t next = broodi_user_first(list, id);
    while (find_own(id, number, self, &next, &user))
        if (subtract(&user))
            return true;
    return false;
}

// Looking

// Adds what an entry tells. `*last` is when the last process went.
static void look_at(const struct broodi_user_slot *slot, struct broodi_users *users, int64_t *last)
{
    const uint64_t state = broodi_word_load(&slot->state);
    const enum broodi_user_phase phase = broodi_user_phase_of(state);
    if (phase == BROODI_USER_UNUSED)
        return;
    users->had = true;
    if (has_gone(state)) {
        if (gone_at(slot) >= *last)
            users->killed = phase == BROODI_USER_LOST;
        if (gone_at(slot) > *last)
            *last = gone_at(slot);
        return;
    }
    users->live = true;
    users->held += broodi_low(broodi_word_load(&slot->count));
}

static struct broodi_users look(const struct broodi_user_list *list, uint64_t id)
{
    struct broodi_users users = { .had = false };
    const struct broodi_user_slot *slot;
    int64_t last = INT64_MIN;
    uint32_t next = broodi_user_first(list, id);
    while ((slot = broodi_user_next(id, &next)) != NULL)
        look_at(slot, &users, &last);
    users.killed &= !users.live;
    return users;
}

// A process may enter by an entry that the scan has passed already, before the one leaves whose
// entry it has yet to pass. So if none was found, none must have entered meanwhile.
struct broodi_users broodi_users_look(const struct broodi_user_list *list, uint64_t id)
{
    struct broodi_users users;
    uint32_t entered;
    do {
        entered = atomic_load_explicit(&list->entered, memory_order_acquire);
        users = look(list, id);
    } while (!users.live && atomic_load_explicit(&list->entered, memory_order_acquire) != entered);
    return users;
}

broodi_owner broodi_users_thread(const struct broodi_user_list *list, uint64_t id)
{
    const struct broodi_user_slot *slot;
    broodi_owner thread = 0;
    uint32_t next = broodi_user_first(list, id);
    while (!thread && (slot = broodi_user_next(id, &next)) != NULL)
        if (broodi_user_phase_of(broodi_word_load(&slot->state)) == BROODI_USER_USING)
            thread = broodi_user_living_thread(slot);
    return thread;
}
