// SPDX-License-Identifier: MIT
#include <brood/status.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "base/fault.h"
#include "base/step.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static const struct {
    const char *name;
    const char *text;
} table[] = {
#define BROOD_STATUS_ROW(name, value, text) [value] = { "BROOD_" #name, text },
    BROOD_STATUS_LIST(BROOD_STATUS_ROW)
#undef BROOD_STATUS_ROW
};

// brood_last_error composes the sentence, so failures stay cheap.
static BROODI_THREAD_LOCAL struct broodi_failure last;
static BROODI_THREAD_LOCAL char sentence[512];

static bool is_status(brood_status status)
{
    return (size_t)status < sizeof table / sizeof table[0] && table[status].name;
}

const char *brood_status_name(brood_status status)
{
    return is_status(status) ? table[status].name : "BROOD_?";
}

const char *brood_status_text(brood_status status)
{
    return is_status(status) ? table[status].text : "unknown status";
}

bool brood_status_acquired(brood_status status)
{
    return status == BROOD_OK || status == BROOD_OWNER_DIED;
}

brood_status broodi_fail(brood_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(last.cause, sizeof last.cause, format, arguments);
    va_end(arguments);
    last.cause_status = status;
    return status;
}

void broodi_keep_errno(void)
{
    last.error = errno;
}

brood_status broodi_answer_to(const char *operation, brood_status status)
{
    if (status == BROOD_OK) {
        errno = last.error;
        return status;
    }
    if (last.cause_status != status)
        last.cause[0] = 0;
    last.operation = operation;
    last.status = status;
    last.cause_status = BROOD_OK;
    return status;
}

void broodi_failure_save(struct broodi_failure *out)
{
    *out = last;
}

void broodi_failure_restore(const struct broodi_failure *saved)
{
    last = *saved;
}

const char *brood_last_error(void)
{
    if (!last.operation)
        return "";
    (void)snprintf(sentence, sizeof sentence, "%s: %s%s%s", last.operation,
                   brood_status_text(last.status), last.cause[0] ? ": " : "", last.cause);
    return sentence;
}

#if defined(BROOD_TESTING)
void (*broodi_step_hook)(enum broodi_step step);

static _Atomic unsigned own_countdown;
static _Atomic unsigned *countdown = &own_countdown;

void broodi_fault_set(unsigned n)
{
    atomic_store(countdown, n);
}

unsigned broodi_fault_left(void)
{
    return atomic_load(countdown);
}

void broodi_fault_share(void *word)
{
    countdown = word;
}

bool broodi_fault(void)
{
    unsigned left = atomic_load(countdown);
    while (left > 0 && !atomic_compare_exchange_weak(countdown, &left, left - 1))
        continue;
    return left == 1;
}
#endif
