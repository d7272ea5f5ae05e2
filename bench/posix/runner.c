// SPDX-License-Identifier: MIT
// A runner gets the size of its memory and the path of the benchmark as arguments. Its standard
// input and output are one socket: a request is a line "task starts budget", the reply a line
// with a number.
#define _GNU_SOURCE

#include "../runner.h"

#include "../peers.h"

#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { ARGUMENTS = 4, LONGEST_LINE = 64 };

static struct {
    pid_t pid; // 0: not available
    int socket;
} running[RUNNERS];

// The path of a file beside this program.
static bool beside(const char *name, char *out, size_t capacity)
{
    const char *image = peer_image();
    const char *end = image ? strrchr(image, '/') : NULL;
    return end &&
           snprintf(out, capacity, "%.*s/%s", (int)(end - image), image, name) < (int)capacity;
}

static bool make_command(enum runner runner, char *file, char *memory, char **argv)
{
    static const char *const files[] = {
        [RUNNER_UV] = "start_uv", [RUNNER_GLIB] = "start_glib", [RUNNER_PYTHON] = "peers.py"
    };
    static char python[] = "python3";
    if (!beside(files[runner], file, PATH_MAX))
        return false;
    if (runner == RUNNER_PYTHON)
        *argv++ = python;
    *argv++ = file;
    *argv++ = memory;
    *argv++ = runner == RUNNER_PYTHON ? NULL : (char *)(uintptr_t)peer_image();
    *argv = NULL;
    return true;
}

static pid_t start(char **argv, int socket)
{
    pid_t pid = 0;
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return 0;
    if (posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, socket, STDOUT_FILENO) != 0 ||
        posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0)
        pid = 0;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

void runner_open(enum runner runner, int megabytes)
{
    int ends[2];
    char file[PATH_MAX];
    char memory[16];
    char *argv[ARGUMENTS + 1];
    (void)snprintf(memory, sizeof memory, "%d", megabytes);
    if (!make_command(runner, file, memory, argv) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return;
    running[runner].pid = start(argv, ends[1]);
    running[runner].socket = ends[0];
    close(ends[1]);
    if (running[runner].pid == 0)
        close(ends[0]);
}

static bool receive_line(int socket, char *line, size_t capacity)
{
    for (size_t i = 0; i < capacity && recv(socket, line + i, 1, 0) == 1; i++) {
        if (line[i] != '\n')
            continue;
        line[i] = 0;
        return true;
    }
    return false;
}

double runner_ask(enum runner runner, const char *task, const struct quota *quota)
{
    char line[LONGEST_LINE];
    if (running[runner].pid == 0)
        return -1;
    const int length =
        snprintf(line, sizeof line, "%s %d %lld\n", task, quota->starts, (long long)quota->budget);
    const int socket = running[runner].socket;
    if (send(socket, line, (size_t)length, MSG_NOSIGNAL) != length ||
        !receive_line(socket, line, sizeof line))
        return -1;
    return strtod(line, NULL);
}

void runner_close(enum runner runner)
{
    if (running[runner].pid == 0)
        return;
    close(running[runner].socket);
    (void)waitpid(running[runner].pid, NULL, 0);
    running[runner].pid = 0;
}
