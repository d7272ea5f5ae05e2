// SPDX-License-Identifier: MIT
// A target, encoded: plain bytes by which another process of the same program finds the function.
// Boot records and messages contain them.
#ifndef TARGET_H
#define TARGET_H

#include "os/os_module.h"

#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// Has no padding, so two encodings are the same if their bytes are.
struct broodi_target {
    uint64_t size;   // bytes of the whole encoding, with the path and its terminating zero
    uint64_t offset; // this and the rest: as in brood_os_module
    unsigned char identity[BROOD_OS_MODULE_IDENTITY];
    char path[];
};

// Encodes the function; `*out` is allocated by malloc. Fails with BROOD_INVALID if the function is
// in no module or is not code; BROOD_NO_MEMORY.
brood_status broodi_target_encode(brood_target function, struct broodi_target **out);

// Returns whether the first of `size` bytes, which may be anything, are an encoding. `bytes` is
// aligned for struct broodi_target.
bool broodi_target_is_whole(const void *bytes, uint64_t size);

// Finds the function in this process, and loads its module if it is not loaded yet. The module
// stays loaded for the life of the process. Fails with BROOD_NOT_FOUND if it cannot be loaded;
// BROOD_MISMATCH, with a sentence that names both builds, if it is not the same module.
brood_status broodi_target_resolve(const struct broodi_target *target, brood_target *out);

#endif
