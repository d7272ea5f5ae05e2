// SPDX-License-Identifier: MIT
#include "base/invariant.h"

#include "os/os_stdio.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(BROOD_ASSERTS)
// Without stdio's stderr, which a thread that has ended may have left locked.
_Noreturn void broodi_invariant_fail(const char *file, int line, const char *condition)
{
    char text[512];
    (void)snprintf(text, sizeof text, "%s:%d: assertion failed: %s", file, line, condition);
    brood_os_stdio_print(text);
    abort();
}
#endif
