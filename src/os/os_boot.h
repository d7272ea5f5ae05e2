// SPDX-License-Identifier: MIT
// Port contract: how a fresh image learns that it is a child: the child's side of os_process.h.
#ifndef OS_BOOT_H
#define OS_BOOT_H

#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a child has received from its parent.
typedef struct brood_os_boot {
    unsigned char *record; // aligned for any type; stays for the life of the process
    size_t size;
    uint64_t token;            // from the announcement; the record repeats it
    intptr_t arena;            // the object for brood_os_arena_open
    intptr_t channel;          // to brood_os_boot_reply
    brood_resource *resources; // passed to the child, in the order of the plan; from malloc
    size_t resource_count;
} brood_os_boot;

// Returns whether this process was announced as a child and the announcement has not been taken
// yet. An announcement is accepted only if this process's parent made it, running as the same
// user, and never in a program with raised privileges. An announcement that is not accepted is
// erased from the environment; the descriptors or handles that it names are neither closed nor
// changed. Ends the process if the announcement would be accepted but the parent has already
// ended. An empty variable announces nothing.
bool brood_os_boot_is_announced(void);

// Erases the announcement in every case, then receives what it announces, without trusting any of
// it. Fails, with a sentence, with BROOD_INVALID for a missing descriptor or an absurd size, and
// with BROOD_SYSTEM if the sender goes away. On failure only `out->channel` is set, and only if a
// parent certainly waits for a reply there.
brood_status brood_os_boot_take(brood_os_boot *out);

// Replies to the parent: BROOD_OK when the target is about to run, otherwise the status and its
// sentence. Called once; closes the channel. Returns false if the reply could not be sent, because
// the parent has ended or no longer receives: then the target must not run. Where a reply is a
// store into shared memory, which cannot fail, it returns true in these cases too. There a parent
// that has ended counts as one that ended after the reply: a tied child is ended with it, another
// one runs. A parent that no longer receives kills the child.
bool brood_os_boot_reply(intptr_t channel, brood_status status, const char *text);

// Returns whether the program runs with raised privileges, so that it must neither accept nor
// make an announcement.
bool brood_os_boot_is_privileged(void);

#endif
