// SPDX-License-Identifier: MIT
#define _GNU_SOURCE

#include "library.h"

#include "../peers.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

static void on_exit_of_child(uv_process_t *process, int64_t code, int signal)
{
    *(bool *)process->data = code == 0 && signal == 0;
    uv_close((uv_handle_t *)process, NULL);
}

static bool run_process(const void *image)
{
    static char name[] = "nothing";
    static char argument[] = PEER_NOTHING;
    char *argv[] = { name, argument, NULL };
    bool ended = false;
    uv_stdio_container_t standard[3];
    for (int i = 0; i < 3; i++)
        standard[i] = (uv_stdio_container_t){ .flags = UV_INHERIT_FD, .data.fd = i };
    const uv_process_options_t options = { .file = image,
                                           .args = argv,
                                           .exit_cb = on_exit_of_child,
                                           .stdio = standard,
                                           .stdio_count = 3 };
    uv_process_t process = { .data = &ended };
    if (uv_spawn(uv_default_loop(), &process, &options) != 0)
        return false;
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT) == 0 && ended;
}

static void nothing(void *unused)
{
    (void)unused;
}

static bool run_thread(const void *unused)
{
    (void)unused;
    uv_thread_t thread;
    return uv_thread_create(&thread, nothing, NULL) == 0 && uv_thread_join(&thread) == 0;
}

const struct task library_tasks[] = { { "process", run_process },
                                      { "thread", run_thread },
                                      { NULL, NULL } };
