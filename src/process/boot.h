// SPDX-License-Identifier: MIT
// The boot record: what a fresh image needs to become a particular child, as plain bytes.
#ifndef BOOT_H
#define BOOT_H

#include "process/target.h"

#include <brood/status.h>
#include <stddef.h>
#include <stdint.h>

// The contents of a boot record. The pointers of a decoded one point into the record.
struct broodi_boot {
    uint64_t token; // the same as in the announcement
    uint64_t family[2];
    uint64_t window;  // bytes of the arena's window
    uint32_t process; // the child's process slot
    uint64_t live;    // the state word of that slot once the child runs
    int32_t daemon;

    // The start method that the parent has chosen as its default; BROOD_START_DEFAULT: none.
    int32_t method;

    int32_t log_level; // of the log's handler

    int64_t parent_pid;
    uint64_t parent_birth;
    uint64_t parent_space; // the PID namespace of `parent_pid`: brood_os_pid_namespace
    const char *name;
    const char *identity;
    const struct broodi_target *target;
    const struct broodi_target *log; // the log's handler; NULL: none
    const void *arg;                 // aligned for any type if the record is aligned to 64
    uint64_t arg_size;
};

// Returns the record, allocated by malloc; NULL when out of memory or when it would be too large.
unsigned char *broodi_boot_encode(const struct broodi_boot *boot, size_t *out_size);

// Stores `size` and the checksum of these bytes into a record: the last step of encoding. A fuzz
// test uses it to make a changed record pass the check for damage.
void broodi_boot_seal(unsigned char *record, size_t size);

// Checks and decodes `size` bytes, which may be anything. Fails with BROOD_MISMATCH for a record of
// another version of the library, BROOD_INVALID for one that is damaged or not for `token`.
brood_status broodi_boot_decode(const unsigned char *record, size_t size, uint64_t token,
                                struct broodi_boot *out);

#endif
