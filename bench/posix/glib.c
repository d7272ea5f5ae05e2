// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L

#include "library.h"

#include "../peers.h"

#include <glib.h>
#include <sys/wait.h>

static bool run_process(const void *image, GSpawnFlags flags)
{
    char argument[] = PEER_NOTHING;
    char *argv[] = { (char *)(guintptr)image, argument, NULL };
    GPid pid;
    int status;
    return g_spawn_async(NULL, argv, NULL, flags | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid,
                         NULL) &&
           waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_default(const void *image)
{
    return run_process(image, G_SPAWN_DEFAULT);
}

// With this flag alone it does not fork.
static bool run_open(const void *image)
{
    return run_process(image, G_SPAWN_LEAVE_DESCRIPTORS_OPEN);
}

static gpointer nothing(gpointer unused)
{
    return unused;
}

static bool run_thread(const void *unused)
{
    (void)unused;
    return g_thread_join(g_thread_new("nothing", nothing, NULL)) == NULL;
}

const struct task library_tasks[] = {
    { "process", run_default }, { "open", run_open }, { "thread", run_thread }, { NULL, NULL }
};
