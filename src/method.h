// SPDX-License-Identifier: MIT
#ifndef METHOD_H
#define METHOD_H

#include <brood/process.h>
#include <stdbool.h>

// What the program chose by brood_start_method_set, here or in an ancestor; BROOD_START_DEFAULT: nothing. For a child, to begin with.
brood_start_method broodi_method_chosen(void);
void broodi_method_inherit(brood_start_method method);

// Whether a start that asks for `wanted` leaves the choice to the library.
bool broodi_method_is_free(int32_t wanted);

// The method for a start that asks for `wanted`. Checks what FORK needs: no other threads, or `with_threads`.
brood_status broodi_method_resolve(int32_t wanted, bool with_threads, brood_start_method *out);

#endif
