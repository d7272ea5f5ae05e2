// SPDX-License-Identifier: MIT
#include "process/method.h"

#include "arena/family.h"
#include "arena/self.h"
#include "base/atomic.h"
#include "base/fail.h"
#include "os/os_boot.h"
#include "os/os_process.h"
#include "os/os_server.h"
#include "os/os_stdio.h"
#include "os/os_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char variable[] = "BROOD_START_METHOD";

static bool always(void)
{
    return true;
}

static const struct {
    const char *word; // the value of the variable that names it; NULL for DEFAULT
    bool (*is_supported)(void);
    const char *lacking; // why it is not supported
} methods[] = {
    [BROOD_START_DEFAULT] = { NULL, always, NULL },
    [BROOD_START_SPAWN] = { "spawn", always, NULL },
    [BROOD_START_FORKSERVER] = { "forkserver", brood_os_server_is_supported,
                                 "this system has no fork server" },
    [BROOD_START_FORK] = { "fork", brood_os_process_can_fork, "this system has no fork" },
};

enum { METHODS = sizeof methods / sizeof methods[0] };

static _Atomic int chosen;

brood_start_method broodi_method_chosen(void)
{
    return (brood_start_method)atomic_load_explicit(&chosen, memory_order_relaxed);
}

void broodi_method_inherit(brood_start_method method)
{
    atomic_store_explicit(&chosen, (int)method, memory_order_relaxed);
}

static brood_status check(int32_t method)
{
    if (method < 0 || method >= METHODS)
        return broodi_fail(BROOD_INVALID, "invalid start method %d", (int)method);
    if (!methods[method].is_supported())
        return broodi_fail(BROOD_UNSUPPORTED, "%s", methods[method].lacking);
    return BROOD_OK;
}

// Prints one line for the whole family, since all its processes have the same variable.
static void warn_ignored(const char *word, const char *why)
{
    char line[256];
    if (!broodi_here.initialized ||
        atomic_exchange_explicit(&broodi_family.header->method_warned, 1, memory_order_relaxed))
        return;
    (void)snprintf(line, sizeof line, "%s=%.64s is ignored: %s", variable, word, why);
    brood_os_stdio_print(line);
}

// Returns the method that the environment names; SPAWN if it names none. The environment of a
// program with raised privileges comes from a user with fewer: it is ignored without a message.
static brood_start_method from_environment(void)
{
    const char *word = brood_os_boot_is_privileged() ? NULL : getenv(variable);
    if (!word || !word[0])
        return BROOD_START_SPAWN;
    for (int i = BROOD_START_SPAWN; i < METHODS; i++) {
        if (strcmp(word, methods[i].word) != 0)
            continue;
        if (methods[i].is_supported())
            return (brood_start_method)i;
        warn_ignored(word, methods[i].lacking);
        return BROOD_START_SPAWN;
    }
    warn_ignored(word, "the methods are \"spawn\", \"forkserver\" and \"fork\"");
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
    const bool by_name =
        wanted != BROOD_START_DEFAULT || broodi_method_chosen() != BROOD_START_DEFAULT;
    *out = wanted == BROOD_START_DEFAULT ? brood_start_method_get() : (brood_start_method)wanted;
    if (*out != BROOD_START_FORK || with_threads || brood_os_thread_count() == 1)
        return BROOD_OK;
    if (by_name)
        return broodi_fail(BROOD_WRONG_STATE,
                           "fork while other threads run; see fork_with_threads");
    *out = BROOD_START_SPAWN;
    return BROOD_OK;
}
