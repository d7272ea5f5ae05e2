// SPDX-License-Identifier: MIT
#ifndef METHOD_H
#define METHOD_H

#include <brood/process.h>
#include <stdbool.h>

// Returns the method that the program has chosen by brood_start_method_set, in this process or in
// an ancestor; BROOD_START_DEFAULT: none.
brood_start_method broodi_method_chosen(void);

// Sets it in a new child to the parent's.
void broodi_method_inherit(brood_start_method method);

// Returns the method for a start that requests `wanted`; never DEFAULT. FORK requires that the
// process has one thread, or `with_threads`: otherwise the call fails with BROOD_WRONG_STATE, or
// returns SPAWN if only the environment names FORK.
brood_status broodi_method_resolve(int32_t wanted, bool with_threads, brood_start_method *out);

#endif
