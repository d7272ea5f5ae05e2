// SPDX-License-Identifier: MIT
// The boot record: all that a fresh image must know to become a certain child, as plain bytes.
#ifndef BOOT_H
#define BOOT_H

#include "os/os_module.h"

#include <brood/status.h>
#include <stddef.h>
#include <stdint.h>

// What stands in it. Pointers of a decoded one point into the record.
struct broodi_boot {
    uint64_t token; // as in the announcement
    uint64_t family[2];
    uint64_t window;  // bytes of the arena's window
    uint32_t process; // slot
    uint64_t live;    // its state once the child is there
    int32_t daemon;
    int32_t
        method; // what the default is, as the starter has chosen; BROOD_START_DEFAULT: it has not
    int64_t parent_pid;
    uint64_t parent_birth;
    uint64_t parent_space; // where `parent_pid` is its number: brood_os_process_space
    const char *name;
    const char *identity;
    brood_os_module target;
    const void *arg; // aligned for any type if the record is
    uint64_t arg_size;
};

// The record as one block from malloc; NULL when out of memory.
unsigned char *broodi_boot_encode(const struct broodi_boot *boot, size_t *out_size);

// Makes of so many bytes that were a record, and have been changed, one that looks whole: gives it
// their size and checksum.
void broodi_boot_seal(unsigned char *record, size_t size);

// Believes nothing: BROOD_MISMATCH for a record of another version, BROOD_INVALID for one that is
// damaged or not meant for `token`.
brood_status broodi_boot_decode(const unsigned char *record, size_t size, uint64_t token,
                                struct broodi_boot *out);

#endif
