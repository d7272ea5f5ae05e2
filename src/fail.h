// SPDX-License-Identifier: MIT
// How a failure gets its sentence. A leaf: the ports use it too.
//
// Whoever meets the failure calls broodi_fail with the cause; the public function that it happens in passes the status
// through broodi_answer with its own name. Successful calls touch neither.
#ifndef FAIL_H
#define FAIL_H

#include <brood/status.h>

#if defined(__clang__)
#define BROODI_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#elif defined(__GNUC__)
#define BROODI_PRINTF(text, first) __attribute__((__format__(__gnu_printf__, text, first)))
#else
#define BROODI_PRINTF(text, first)
#endif

// Notes the cause of a failure for this thread; returns `status`.
brood_status broodi_fail(brood_status status, const char *format, ...) BROODI_PRINTF(2, 3);

// Ends a public call: returns `status`, having noted `operation` unless it is BROOD_OK.
brood_status broodi_answer(const char *operation, brood_status status);

#endif
