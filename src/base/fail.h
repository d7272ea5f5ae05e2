// SPDX-License-Identifier: MIT
// How a failure gets its error text. A leaf: the ports use it too.
//
// The function that detects the failure calls broodi_fail with the cause; the public function that
// it runs in passes the status through broodi_answer with its own name. Successful calls on a fast
// path use neither.
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

// Stores the cause of a failure for this thread; returns `status`.
brood_status broodi_fail(brood_status status, const char *format, ...) BROODI_PRINTF(2, 3);

// Evaluates `call` for the public function `operation` and returns its status. If that is
// BROOD_OK, errno is set back to what it was before; otherwise `operation` is stored. A function
// called from within `call`, such as a predicate, may store another errno; so broodi_wait,
// broodi_wake and whatever else a fast path calls keep errno themselves.
#define broodi_answer(operation, call) broodi_answer_to((operation), (broodi_keep_errno(), (call)))

// Stores errno for the next broodi_answer_to of this thread.
void broodi_keep_errno(void);
brood_status broodi_answer_to(const char *operation, brood_status status);

// The last failure of a thread. A function of the program that is called in the middle of a call
// may fail in calls of its own: so the caller saves the failure before, and restores it after.
struct broodi_failure {
    const char *operation;
    brood_status status;
    int error;                 // errno before the call
    brood_status cause_status; // the status that `cause` explains; BROOD_OK: none
    char cause[384];
};

void broodi_failure_save(struct broodi_failure *out);
void broodi_failure_restore(const struct broodi_failure *saved);

#endif
