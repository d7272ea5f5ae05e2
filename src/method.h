// SPDX-License-Identifier: MIT
#ifndef METHOD_H
#define METHOD_H

#include <brood/process.h>
#include <stdbool.h>

// What the program chose by brood_start_method_set, here or in an ancestor; BROOD_START_DEFAULT:
// nothing. For a child, to begin with.
brood_start_method broodi_method_chosen(void);
void broodi_method_inherit(brood_start_method method);

// The method for a start that asks for `wanted`; never DEFAULT. Checks what FORK needs: no other
// threads, or `with_threads`. Named by the environment only, FORK beside threads becomes SPAWN.
brood_status broodi_method_resolve(int32_t wanted, bool with_threads, brood_start_method *out);

#endif
