// SPDX-License-Identifier: MIT
#ifndef REGISTRY_H
#define REGISTRY_H

#include <brood/registry.h>
#include <stdbool.h>
#include <stdint.h>

// Makes the registry of a new family.
brood_status broodi_registry_prepare(void);

// A name under which this value stands; false when there is none. `out` has room for
// BROOD_REGISTRY_NAME_MAX + 2 bytes.
bool broodi_registry_name_of(uint64_t id, char *out);

#endif
