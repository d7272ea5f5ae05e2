// SPDX-License-Identifier: MIT
// The processes that use a shared object, in lists: of an end of a connection its users, of a
// joinable queue its consumers, each with a number.
//
// The slot of the object contains a struct broodi_user_list for each of its lists. A process is in
// a list from its first call of broodi_user_enter on, or from the start on if its starter entered
// it, until it leaves, ends in order (it has stored its exit record), or is killed. A process is
// the owner that arena/owner.h describes: a copy made by fork() is another one, and not in the list
// until it enters. A process whose threads enter at the same time may be in a list twice; that
// changes no answer.
//
// No function takes a lock, except where it says so. The caller need not hold one, and may be
// killed at any step: then the list is whole, and at most one entry that is in no list stays taken
// until the object is destroyed. `id` is always the handle of the object; every function does
// nothing, and finds nothing, once the list belongs to another object. `number` is the number of
// the list in its object.
//
// Whether a process lives that is not a child of this one costs a system call or a few. So
// broodi_users_look does not ask: it tells what has been found so far. broodi_users_check asks.
#ifndef USERS_H
#define USERS_H

#include "arena/slots.h"

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// The entry of a process in a list. It is valid while the object exists and the process is in the
// list; afterwards each function that takes it does nothing.
struct broodi_user {
    struct broodi_user_slot *slot;
    uint32_t use; // the number of this use of the entry
};

// Begins an empty list, for an object whose handle no other thread knows yet.
void broodi_users_begin(struct broodi_user_list *list, uint64_t id);

// Ends the list and frees its entries. The handle is stale already, or the object is ENDING; the
// caller does not free the slot of the object before. Several processes may do so at the same time;
// if one is killed, the next call frees the rest, or a sweep once the object's slot is free.
void broodi_users_end(struct broodi_user_list *list, uint64_t id);

// Enters this process, if it is not in the list, and returns its entry. After the first call in a
// process this is a few loads. Fails with BROOD_STALE, BROOD_NO_MEMORY, BROOD_NO_RESOURCES. `out`
// may be NULL.
brood_status broodi_user_enter(struct broodi_user_list *list, uint64_t id, uint32_t number,
                               struct broodi_user *out);

// Enters another process, which has not begun: the caller is its starter. Fails as
// broodi_user_enter.
brood_status broodi_user_enter_for(struct broodi_user_list *list, uint64_t id, uint32_t number,
                                   broodi_owner process, struct broodi_user *out);

// Undoes broodi_user_enter_for: the start failed. The list is as if the process had never been in
// it.
void broodi_user_undo(const struct broodi_user *user);

// Takes this process out of the list, in order. False if it was not in it.
bool broodi_user_leave(struct broodi_user_list *list, uint64_t id, uint32_t number);

// What is known of a list.
struct broodi_users {
    bool had;      // there are users, or there were some
    bool live;     // there are users that are not known to have gone
    bool killed;   // there are none, and the last one that went was killed
    uint64_t held; // the sum of the counts of users
};

struct broodi_users broodi_users_look(const struct broodi_user_list *list, uint64_t id);

// A thread of a user, which lived just now: once it has died, the caller should check. 0: none, or
// there are no users. Asks the system on some ports, so only a thread that has to wait calls it.
broodi_owner broodi_users_thread(const struct broodi_user_list *list, uint64_t id);

// Finds users that have died, unless the last check of the list, by whatever process, is less than
// a second ago; or a millisecond, if a thread of a user is seen to have died. With `now`, in any
// case. The caller passes `now` when a thread that broodi_users_thread returned has died. True if
// one was found: then broodi_users_look has a new answer, of which the caller should notify others
// that wait for it. A process whose thread has died may need a little until the system knows its
// end: so a caller that found none with `now` should soon check again (broodi_users_pause).
bool broodi_users_check(struct broodi_user_list *list, uint64_t id, bool now);

// How long to wait at most until the next check: a second, and less after a thread was found dead,
// whose process still seemed to live. `vain` is the number of checks with `now` since.
int64_t broodi_users_pause(uint32_t vain);

// The count of an entry.

// The count; 0 if the entry is not the process's any more.
uint32_t broodi_user_count(const struct broodi_user *user);

// Adds to the count. False if the entry is not the process's any more, or the count is too large.
bool broodi_user_add(const struct broodi_user *user, uint32_t number);

// Subtracts 1 from the count of this process; false if that is 0 or the process is not in the list.
bool broodi_user_subtract(struct broodi_user_list *list, uint64_t id, uint32_t number);

// The end of processes.

// Called when a user has gone, once for each list that it was in; for notifying waiters. It does
// not block and takes no lock.
typedef void (*broodi_user_gone)(uint64_t id, uint32_t number);

// Called by brood_init: the function of each kind of object that has lists; NULL for the others.
void broodi_users_prepare(const broodi_user_gone gone[BROODI_HANDLE_KINDS]);

// Called in a child before its target. If its starter has entered it, the calling thread takes a
// slot, so that the others see its death at once.
void broodi_users_show_thread(void);

// This process ends in order, and has stored its exit record: takes it out of all lists.
void broodi_users_leave_all(void);

// A process has ended and is about to lose its slot: takes it out of all lists.
void broodi_users_bury(broodi_owner process);

// Forgets, in a copy made by fork(), what describes its original.
void broodi_users_forget(void);

// Frees entries of objects that do not exist any more.
void broodi_users_sweep(void);

#endif
