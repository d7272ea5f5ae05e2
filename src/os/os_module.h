// SPDX-License-Identifier: MIT
// Port contract: naming a function so that another process of the same program can find it.
#ifndef OS_MODULE_H
#define OS_MODULE_H

#include <brood/status.h>
#include <stdint.h>

enum { BROOD_OS_MODULE_IDENTITY = 32 };

// An address in a module, valid in every process. Plain data, except the path.
typedef struct brood_os_module {
    char *path;      // absolute, UTF-8, from malloc; "" is the executable itself
    uint64_t offset; // of the code from the module's base, free of address randomisation
    // Of the file: its build id, or the port's substitute for one; padded with zeros.
    unsigned char identity[BROOD_OS_MODULE_IDENTITY];
} brood_os_module;

// Fills `out` for the code at `code`. The caller frees `out->path`. Fails with BROOD_INVALID if
// the address is in no module or is not code; BROOD_NO_MEMORY.
brood_status brood_os_module_find(void (*code)(void), brood_os_module *out);

// Finds the code in this process, and loads the module if it is not loaded yet. If that succeeds
// the module stays loaded for the life of the process. Fails with BROOD_NOT_FOUND if it cannot be
// loaded; BROOD_MISMATCH, with a sentence that names both builds, if it is not the same module.
brood_status brood_os_module_resolve(const brood_os_module *module, void (**out)(void));

// Returns a number that becomes greater, and never equal to an earlier one, when a module is
// unloaded from this process; it may also change without that. It has changed before another
// module can be loaded at the address. Makes no system call.
uint64_t brood_os_module_unloads(void);

#endif
