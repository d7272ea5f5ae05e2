// SPDX-License-Identifier: MIT
// Port contract: naming a function so that another process of the same program can find it.
#ifndef OS_MODULE_H
#define OS_MODULE_H

#include <brood/status.h>
#include <stdint.h>

enum { BROOD_OS_MODULE_IDENTITY = 32 };

// A place in a module. Plain data, but for the path.
typedef struct brood_os_module {
    char *path;      // absolute, UTF-8, from malloc; "" is the executable itself
    uint64_t offset; // of the code from the module's base, free of address randomisation
    unsigned char identity[BROOD_OS_MODULE_IDENTITY]; // of the file: its build id, or what comes
                                                      // closest; zero-padded
} brood_os_module;

// Names the code at `code`. The path of `out` is the caller's to free. Fails with BROOD_INVALID
// when the address is in no module or is not code; BROOD_NO_MEMORY.
brood_status brood_os_module_find(void (*code)(void), brood_os_module *out);

// Finds the code again, loading the module when this process does not have it. Fails with
// BROOD_NOT_FOUND when it cannot be loaded, BROOD_MISMATCH when it is not the same module, with a
// sentence that names both.
brood_status brood_os_module_resolve(const brood_os_module *module, void (**out)(void));

#endif
