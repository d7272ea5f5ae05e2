// SPDX-License-Identifier: MIT
// What brood_thread and brood_process have in common. Each of these objects begins with a member.
// An object is private to the process that created it; the program holds counted references to it.
//
// References. The caller that creates an object has a reference to it, the list that the object is
// on has another, and each function that returns a reference adds one. The caller that releases the
// last reference frees the object.
//
// Locking. The guard (os/os_guard.h) protects the lists and the links of members. Each function
// below either takes the guard or says that the caller holds it. References need no lock, and the
// serial and the name are constant.
//
// Closing. The end of the process closes a list: from then on no object is added, while objects are
// removed as before. So a list that is closed and empty stays empty.
//
// Forks. The child of a fork has copies of its parent's objects. Their serial differs from the
// child's, so calls with them fail. The child forgets its lists: they become empty and open. The
// program may hold references to the copies, so they are not freed; they are kept in a list of
// their own, so that a leak checker finds them.
#ifndef MEMBERS_H
#define MEMBERS_H

#include "arena/here.h"
#include "base/atomic.h"

#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The first field of an object.
struct broodi_member {
    _Atomic uint32_t references;
    uint64_t serial;  // of the process that created the object
    const char *name; // part of the object's memory
    uint64_t added;   // order of the additions to all lists; 0: on no list
    // Neighbours on the list. The caller that removes a member may use its links.
    struct broodi_member *next;
    struct broodi_member *previous;
};

// The members of one kind, in the order of their additions. The list holds a reference to each. All
// zero: empty and open.
struct broodi_members {
    struct broodi_member *first;
    struct broodi_member *last;
    struct broodi_member *next_turn; // what broodi_members_turn returns next; NULL: the first
    size_t count;
    unsigned numbered; // how many numbers broodi_members_number has returned
    bool closed;
};

// Objects. A `reference` is the address of an object, or NULL.

// Allocates an object of `size` bytes, all zero except for its member, with one reference and a
// copy of the name. NULL when out of memory. The object is freed with free().
void *broodi_member_new(size_t size, const char *name);

void broodi_member_retain(struct broodi_member *member);

// Releases a reference. Returns true if it was the last one: then the caller frees the object.
// False for NULL.
bool broodi_member_release(void *reference);

// In a forked child: keeps an object of an ancestor reachable, so that it is no leak. The object is
// on no list and is never used; the caller's reference is never released.
void broodi_member_inherit(struct broodi_member *member);

// Whether this process created the object; false for NULL.
bool broodi_member_is_ours(const void *reference);

// Fails unless this process created the object: with BROOD_INVALID for NULL, where `argument` names
// the reference, and with BROOD_WRONG_STATE for another process's, where `kind` names the object.
brood_status broodi_member_check(const void *reference, const char *argument, const char *kind);

// "" for NULL.
const char *broodi_member_name(const void *reference);

// Lists: the caller of these three holds the guard.

// Appends an object that is on no list. Returns false if the list is closed.
bool broodi_members_add(struct broodi_members *list, struct broodi_member *member);

// Removes an object from its list, whose reference passes to the caller. Returns false if the
// object is on no list.
bool broodi_members_remove(struct broodi_members *list, struct broodi_member *member);

// Returns the members in turn, one at each call: after the last the first again. The list is not
// empty.
struct broodi_member *broodi_members_turn(struct broodi_members *list);

// Lists: these take the guard.

// Stores references to the newest members that fit, `capacity` at most, newest first, and returns
// their number. `fits` is called under the guard.
size_t broodi_members_find(const struct broodi_members *list,
                           bool (*fits)(const struct broodi_member *), struct broodi_member **out,
                           size_t capacity);

// Returns a reference to the newest object that fits; NULL if there is none.
void *broodi_members_any(const struct broodi_members *list,
                         bool (*fits)(const struct broodi_member *));

// Returns a reference to the oldest object; NULL if the list is empty.
void *broodi_members_oldest(const struct broodi_members *list);

// Returns the number of the next object, from 1, for its default name.
unsigned broodi_members_number(struct broodi_members *list);

void broodi_members_close(struct broodi_members *list);

// In a forked child, whose only thread calls it without the guard: makes the list empty and open,
// and its numbers begin with 1 again.
void broodi_members_forget(struct broodi_members *list);

// Checks that the starts of all kinds have in common.

// Fails with BROOD_NOT_INITIALIZED before brood_init, and with BROOD_INVALID if `target` is NULL.
brood_status broodi_start_check_target(brood_target target);

// Checks the daemon mode, and that the reserved fields of the options are zero. Fails with
// BROOD_INVALID.
brood_status broodi_start_check_options(int32_t daemon, const uint64_t *reserved, size_t count);

// Whether a start with this daemon mode makes a daemon; `inherited` answers for
// BROOD_DAEMON_INHERIT.
static inline bool broodi_start_is_daemon(int32_t mode, bool inherited)
{
    return mode == BROOD_DAEMON_YES || (mode == BROOD_DAEMON_INHERIT && inherited);
}

#endif
