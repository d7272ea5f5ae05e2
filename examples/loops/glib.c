// SPDX-License-Identifier: MIT
// A GLib main loop serves a queue, the end of a child and a timer.

#include "service.h"

#include <glib-unix.h>

static gboolean on_ready(gint descriptor, GIOCondition condition, gpointer service)
{
    (void)descriptor;
    (void)condition;
    return serve(service) ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean on_tick(gpointer arg)
{
    int *ticks = arg;
    return ++*ticks < TICKS ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

int main(void)
{
    brood_init();

    struct service service;
    int ticks = 0;
    begin(&service);
    g_unix_fd_add((gint)service.native, G_IO_IN, on_ready, &service);
    g_timeout_add(10, on_tick, &ticks);

    while (service.left > 0 || ticks < TICKS)
        g_main_context_iteration(NULL, TRUE);
    end(&service, ticks);
    return 0;
}
