// SPDX-License-Identifier: MIT
#include "method.h"

#include "atomic.h"
#include "fail.h"
#include "os/os_boot.h"
#include "os/os_process.h"
#include "os/os_server.h"
#include "os/os_thread.h"
#include "self.h"
#include "server.h"

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
        return brood_os_server_is_supported()
                   ? BROOD_OK
                   : broodi_fail(BROOD_UNSUPPORTED, "this system has no fork server");
    default:
        return broodi_fail(BROOD_INVALID, "%d is no start method", (int)method);
    }
}

static bool exists(brood_start_method method)
{
    switch (method) {
    case BROOD_START_FORK:
        return brood_os_process_can_fork();
    case BROOD_START_FORKSERVER:
        return brood_os_server_is_supported();
    default:
        return true;
    }
}

// What the environment asks for; BROOD_START_DEFAULT: nothing. So is a word that names no method of this system, and any word in a program
// with raised privileges, whose environment is somebody else's.
static brood_start_method from_environment(void)
{
    static const struct {
        const char *word;
        brood_start_method method;
    } words[] = { { "spawn", BROOD_START_SPAWN },
                  { "forkserver", BROOD_START_FORKSERVER },
                  { "fork", BROOD_START_FORK } };
    const char *word = brood_os_boot_is_privileged() ? NULL : getenv("BROOD_START_METHOD");
    for (size_t i = 0; word && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i].word) == 0 && exists(words[i].method))
            return words[i].method;
    return BROOD_START_DEFAULT;
}

// A fresh image, by what costs less now.
static brood_start_method cheapest(bool starting)
{
    return broodi_server_pays(starting) ? BROOD_START_FORKSERVER : BROOD_START_SPAWN;
}

brood_status brood_start_method_set(brood_start_method method)
{
    const brood_status status = check((int32_t)method);
    if (status == BROOD_OK)
        broodi_method_inherit(method);
    return broodi_answer("brood_start_method_set", status);
}

// What has been asked for, by the program or by the environment; BROOD_START_DEFAULT: the choice is ours.
static brood_start_method asked_for(int32_t wanted)
{
    if (wanted != BROOD_START_DEFAULT)
        return (brood_start_method)wanted;
    const brood_start_method method = broodi_method_chosen();
    return method == BROOD_START_DEFAULT ? from_environment() : method;
}

brood_start_method brood_start_method_get(void)
{
    const brood_start_method method = asked_for(BROOD_START_DEFAULT);
    return method == BROOD_START_DEFAULT ? cheapest(false) : method;
}

bool broodi_method_is_free(int32_t wanted)
{
    return asked_for(wanted) == BROOD_START_DEFAULT;
}

brood_status broodi_method_resolve(int32_t wanted, bool with_threads, brood_start_method *out)
{
    const brood_status status = check(wanted);
    if (status != BROOD_OK)
        return status;
    *out = asked_for(wanted);
    const bool by_name = wanted != BROOD_START_DEFAULT || broodi_method_chosen() != BROOD_START_DEFAULT;
    if (*out == BROOD_START_FORK && !with_threads && brood_os_thread_count() > 1) {
        if (by_name)
            return broodi_fail(BROOD_WRONG_STATE, "a fork while other threads run; see fork_with_threads");
        *out = brood_os_server_is_supported() ? BROOD_START_FORKSERVER : BROOD_START_SPAWN;
    }
    if (*out == BROOD_START_DEFAULT)
        *out = cheapest(true);
    return BROOD_OK;
}
