// SPDX-License-Identifier: MIT
// How a failure gets its sentence. A leaf: the ports use it too.
//
// Whoever meets the failure calls broodi_fail with the cause; the public function that it happens
// in passes the status through broodi_answer with its own name. Successful calls touch neither.
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

// Makes a public call of `call`: returns its status, having noted `operation` unless that is
// BROOD_OK. Then errno is what it was before. What is called from within a call, by a predicate for
// example, may note another errno: so broodi_wait, broodi_wake and what else a fast path comes to
// keep errno by themselves.
#define broodi_answer(operation, call) broodi_answer_to((operation), (broodi_keep_errno(), (call)))

// Notes errno for the next broodi_answer_to of this thread.
void broodi_keep_errno(void);
brood_status broodi_answer_to(const char *operation, brood_status status);

#endif
