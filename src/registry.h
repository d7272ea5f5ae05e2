// SPDX-License-Identifier: MIT
#ifndef REGISTRY_H
#define REGISTRY_H

#include <brood/status.h>

// Makes the registry of a new family.
brood_status broodi_registry_prepare(void);

#endif
