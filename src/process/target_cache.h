// SPDX-License-Identifier: MIT
// A cache of encoded targets, for callers that encode or resolve the same ones again and again. A
// call whose result is cached makes no system call and does not search the loaded modules. All of
// this may be called by several threads at once, and in a copy of the process.
#ifndef TARGET_CACHE_H
#define TARGET_CACHE_H

#include "process/target.h"

// As broodi_target_encode, but `*out` belongs to the cache: it is constant and stays for the life
// of the process, also after the function's module has been unloaded. During the call the module
// is loaded.
brood_status broodi_target_encode_cached(brood_target function, const struct broodi_target **out);

// As broodi_target_resolve. Failures are not cached.
brood_status broodi_target_resolve_cached(const struct broodi_target *target, brood_target *out);

#endif
