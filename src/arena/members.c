// SPDX-License-Identifier: MIT
#include "arena/members.h"

#include "arena/race.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/fault.h"
#include "base/invariant.h"
#include "os/os_guard.h"

#include <stdlib.h>
#include <string.h>

// Guarded by the guard.
static uint64_t added; // how many times a member was added to a list

// Objects of ancestors in a forked child, linked by `next`: reachable, never used.
static struct broodi_member *inherited;

// One object

void *broodi_member_new(size_t size, const char *name)
{
    const size_t length = strlen(name) + 1;
    struct broodi_member *member = broodi_alloc(size + length);
    if (!member)
        return NULL;
    memset(member, 0, size);
    member->name = memcpy((char *)member + size, name, length);
    member->serial = broodi_here.serial;
    atomic_init(&member->references, 1);
    broodi_race_ignore(&member->references, sizeof member->references);
    return member;
}

void broodi_member_retain(struct broodi_member *member)
{
    const uint32_t before = atomic_fetch_add_explicit(&member->references, 1, memory_order_relaxed);
    broodi_assert(before > 0);
    (void)before;
}

bool broodi_member_release(void *reference)
{
    struct broodi_member *member = reference;
    if (!member)
        return false;
    broodi_race_release(member);
    // Each release of a reference pairs with the acquire in the release of the last one: all uses
    // of the object come before it is freed.
    if (atomic_fetch_sub_explicit(&member->references, 1, memory_order_acq_rel) > 1)
        return false;
    broodi_race_acquire(member);
    broodi_assert(member->added == 0); // a list holds a reference
    return true;
}

void broodi_member_inherit(struct broodi_member *member)
{
    member->next = inherited;
    inherited = member;
}

bool broodi_member_is_ours(const void *reference)
{
    const struct broodi_member *member = reference;
    return member && member->serial == broodi_here.serial;
}

brood_status broodi_member_check(const void *reference, const char *argument, const char *kind)
{
    if (!reference)
        return broodi_fail(BROOD_INVALID, "%s is NULL", argument);
    if (!broodi_member_is_ours(reference))
        return broodi_fail(BROOD_WRONG_STATE, "a %s of another process: %s", kind,
                           broodi_member_name(reference));
    return BROOD_OK;
}

const char *broodi_member_name(const void *reference)
{
    const struct broodi_member *member = reference;
    return member ? member->name : "";
}

// Lists

bool broodi_members_add(struct broodi_members *list, struct broodi_member *member)
{
    broodi_assert(brood_os_guard_is_held() && member->added == 0);
    if (list->closed)
        return false;
    broodi_member_retain(member);
    member->added = ++added;
    member->previous = list->last;
    member->next = NULL;
    *(list->last ? &list->last->next : &list->first) = member;
    list->last = member;
    list->count++;
    return true;
}

bool broodi_members_remove(struct broodi_members *list, struct broodi_member *member)
{
    broodi_assert(brood_os_guard_is_held());
    if (member->added == 0)
        return false;
    broodi_assert((member->previous ? member->previous->next : list->first) == member);
    broodi_assert((member->next ? member->next->previous : list->last) == member);
    *(member->previous ? &member->previous->next : &list->first) = member->next;
    *(member->next ? &member->next->previous : &list->last) = member->previous;
    if (list->next_turn == member)
        list->next_turn = member->next;
    member->added = 0;
    list->count--;
    return true;
}

struct broodi_member *broodi_members_turn(struct broodi_members *list)
{
    broodi_assert(brood_os_guard_is_held() && list->count > 0);
    struct broodi_member *member = list->next_turn ? list->next_turn : list->first;
    list->next_turn = member->next;
    return member;
}

size_t broodi_members_find(const struct broodi_members *list,
                           bool (*fits)(const struct broodi_member *), struct broodi_member **out,
                           size_t capacity)
{
    size_t count = 0;
    brood_os_guard_lock();
    for (struct broodi_member *member = list->last; member && count < capacity;
         member = member->previous) {
        if (!fits(member))
            continue;
        broodi_member_retain(member);
        out[count++] = member;
    }
    brood_os_guard_unlock();
    return count;
}

void *broodi_members_any(const struct broodi_members *list,
                         bool (*fits)(const struct broodi_member *))
{
    struct broodi_member *found = NULL;
    (void)broodi_members_find(list, fits, &found, 1);
    return found;
}

void *broodi_members_oldest(const struct broodi_members *list)
{
    brood_os_guard_lock();
    struct broodi_member *oldest = list->first;
    if (oldest)
        broodi_member_retain(oldest);
    brood_os_guard_unlock();
    return oldest;
}

unsigned broodi_members_number(struct broodi_members *list)
{
    brood_os_guard_lock();
    const unsigned number = ++list->numbered;
    brood_os_guard_unlock();
    return number;
}

void broodi_members_close(struct broodi_members *list)
{
    brood_os_guard_lock();
    list->closed = true;
    brood_os_guard_unlock();
}

void broodi_members_forget(struct broodi_members *list)
{
    if (list->last) {
        list->last->next = inherited;
        inherited = list->first;
    }
    *list = (struct broodi_members){ 0 };
}

// Checks

brood_status broodi_start_check_target(brood_target target)
{
    const brood_status status = broodi_ready();
    if (status != BROOD_OK)
        return status;
    return target ? BROOD_OK : broodi_fail(BROOD_INVALID, "target is NULL");
}

brood_status broodi_start_check_options(int32_t daemon, const uint64_t *reserved, size_t count)
{
    if (daemon < BROOD_DAEMON_INHERIT || daemon > BROOD_DAEMON_NO)
        return broodi_fail(BROOD_INVALID, "invalid daemon mode %d", (int)daemon);
    for (size_t i = 0; i < count; i++)
        if (reserved[i])
            return broodi_fail(BROOD_INVALID, "a reserved member of the options is not zero");
    return BROOD_OK;
}
