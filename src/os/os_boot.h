// SPDX-License-Identifier: MIT
// Port contract: how a fresh image learns that it is a child: the child's side of os_process.h.
#ifndef OS_BOOT_H
#define OS_BOOT_H

#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a child has got from its starter.
typedef struct brood_os_boot {
    unsigned char *record; // aligned for any type; stays for the life of the process
    size_t size;
    uint64_t token;            // from the announcement; the record repeats it
    intptr_t arena;            // the object for brood_os_arena_open
    intptr_t channel;          // where the reply goes
    brood_resource *resources; // handed over, in their order; from malloc
    size_t resource_count;
} brood_os_boot;

// Whether this process was announced as a child and the announcement has not been taken. It is
// believed only of the parent of this process, running as the same user, and never in a program
// with raised privileges. One that is not believed is erased; what it names is neither closed nor
// changed. Ends the process when a starter that would be believed has ended. An empty variable
// announces nothing.
bool brood_os_boot_is_announced(void);

// Erases the announcement, whatever follows, then takes what it announces. Nothing of it is
// believed: a descriptor that is not there or a size that is absurd are BROOD_INVALID, a sender
// that goes away is BROOD_SYSTEM, with a sentence. Of `out`, a failure sets the channel alone, and
// that only when there surely is a starter to be told.
brood_status brood_os_boot_take(brood_os_boot *out);

// Answers the starter: BROOD_OK, about to run the target; or the status and the sentence of what
// went wrong. Once; closes the channel. False when the starter does not listen any more: the target
// is not to run.
bool brood_os_boot_reply(intptr_t channel, brood_status status, const char *text);

// Whether the program runs with raised privileges, so that no announcement may be believed nor
// made.
bool brood_os_boot_is_privileged(void);

#endif
