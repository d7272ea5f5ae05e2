// SPDX-License-Identifier: MIT
#include "method.h"

#include "fail.h"
#include "os/os_process.h"
#include "os/os_thread.h"
#include "self.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int chosen;

brood_start_method broodi_method_chosen(void)
{
    return (brood_start_method)atomic_load_explicit(&chosen, memory_order_relaxed);
}

void broodi_method_inherit(brood_start_method method)
{
    atomic_store_explicit(&chosen, (int)method, memory_order_relaxed);
}

// Whether this system has the method; DEFAULT always.
static brood_status check(int32_t method)
{
    switch ((brood_start_method)method) {
    case BROOD_START_DEFAULT:
    case BROOD_START_SPAWN:
        return BROOD_OK;
    case BROOD_START_FORK:
        return brood_os_process_can_fork() ? BROOD_OK
                                           : broodi_fail(BROOD_UNSUPPORTED, "this system has no fork");
    case BROOD_START_FORKSERVER:
        return broodi_fail(BROOD_UNSUPPORTED, "there is no fork server in this version");
    default:
        return broodi_fail(BROOD_INVALID, "%d is no start method", (int)method);
    }
}

// What the environment asks for. A word that names no method of this system asks for nothing.
static brood_start_method from_environment(void)
{
    const char *word = getenv("BROOD_START_METHOD");
    if (word && strcmp(word, "fork") == 0 && brood_os_process_can_fork())
        return BROOD_START_FORK;
    return BROOD_START_SPAWN;
}

brood_status brood_start_method_set(brood_start_method method)
{
    const brood_status status = check((int32_t)method);
    if (status == BROOD_OK)
        broodi_method_inherit(method);
    return broodi_answer("brood_start_method_set", status);
}

brood_start_method brood_start_method_get(void)
{
    const brood_start_method method = broodi_method_chosen();
    return method == BROOD_START_DEFAULT ? from_environment() : method;
}

brood_status broodi_method_resolve(int32_t wanted, bool with_threads, brood_start_method *out)
{
    const brood_status status = check(wanted);
    if (status != BROOD_OK)
        return status;
    const brood_start_method asked = (brood_start_method)wanted;
    const bool by_name = asked != BROOD_START_DEFAULT || broodi_method_chosen() != BROOD_START_DEFAULT;
    *out = asked != BROOD_START_DEFAULT ? asked : brood_start_method_get();
    if (*out != BROOD_START_FORK || with_threads || brood_os_thread_count() == 1)
        return BROOD_OK;
    if (by_name)
        return broodi_fail(BROOD_WRONG_STATE, "a fork while other threads run; see fork_with_threads");
    *out = BROOD_START_SPAWN;
    return BROOD_OK;
}
