// SPDX-License-Identifier: MIT
#include "posix/linux/spare.h"

#include "posix/descriptor.h"
#include "posix/launch.h"
#include "posix/linux/signals.h"
#include "posix/posix.h"

#include "base/fail.h"

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

// Of the child. Volatile, because it is never read: the pointer keeps the list reachable for memory
// checkers if the program replaces `environ`.
static char **volatile environment;

// The received descriptors are above the standard ones, which the server keeps open on the null
// device.
static void set_standard(const struct server_job *job, int channel, const int *descriptors)
{
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        if (!(job->standard & 1U << i))
            continue;
        if (broodi_posix_fault(EMFILE) || dup2(*descriptors, i) < 0)
            broodi_channel_give_up(channel, errno, "dup");
        close(*descriptors++);
    }
}

// Closes the standard descriptors that the requester does not have. Last of all, since otherwise
// a received descriptor would get the number.
static void close_standard(const struct server_job *job)
{
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (job->closed & 1U << i)
            close(i);
}

// The server has ignored those of `now`.
static void set_ignored(uint64_t wanted, uint64_t now)
{
    for (int bit = 0; bit < LINUX_SIGNALS; bit++)
        if ((wanted ^ now) >> bit & 1)
            (void)signal(bit + 1, wanted >> bit & 1 ? SIG_IGN : SIG_DFL);
}

void broodi_spare_discard_signals(void)
{
    const struct timespec none = { 0, 0 };
    sigset_t pending;
    if (sigpending(&pending) == 0 && !sigisemptyset(&pending))
        while (sigtimedwait(&pending, NULL, &none) > 0)
            continue;
}

static void receive_resources(brood_os_boot *boot, size_t count)
{
    boot->resources = count ? broodi_alloc(count * sizeof *boot->resources) : NULL;
    boot->resource_count = count;
    if (count && !boot->resources)
        broodi_channel_give_up((int)boot->channel, ENOMEM, "malloc");
    for (size_t known = 0; known < count;) {
        int batch[CHANNEL_MOST_DESCRIPTORS];
        size_t got = 0;
        char byte;
        errno = 0;
        if (!broodi_channel_await((int)boot->channel) ||
            !broodi_channel_receive_with((int)boot->channel, &byte, 1, 0, batch, &got) ||
            got == 0 || got > count - known)
            broodi_channel_give_up((int)boot->channel, errno ? errno : EBADF,
                                   "receiving resources");
        for (size_t i = 0; i < got; i++)
            boot->resources[known++].value = batch[i];
    }
}

// Receives the directory and the environment. The texts stay allocated: the environment points to
// them.
static void receive_texts(int channel, size_t size)
{
    static const char announcement[] = CHANNEL_VARIABLE "="; // removed from the environment
    char *texts = broodi_alloc(size);
    if (!texts)
        broodi_channel_give_up(channel, ENOMEM, "malloc");
    if (!broodi_channel_receive(channel, texts, size) || texts[size - 1] != 0)
        broodi_channel_give_up(channel, EPIPE, "receiving the environment");
    size_t count = 0;
    for (size_t at = 0; at < size; at += strlen(texts + at) + 1)
        count++;
    char **list = broodi_alloc(count * sizeof *list); // a NULL instead of the directory
    if (!list)
        broodi_channel_give_up(channel, ENOMEM, "malloc");
    const char *directory = texts;
    size_t kept = 0;
    for (size_t at = strlen(texts) + 1; at < size; at += strlen(texts + at) + 1)
        if (strncmp(texts + at, announcement, sizeof announcement - 1) != 0)
            list[kept++] = texts + at;
    list[kept] = NULL;
    environment = list;
    environ = list;
    broodi_launch_set_directory(directory[0] ? directory : NULL, channel);
}

static void unblock(uint64_t blocked)
{
    sigset_t set;
    sigemptyset(&set);
    memcpy(&set, &blocked, sizeof blocked);
    (void)sigprocmask(SIG_SETMASK, &set, NULL);
}

static void enter_directory(int channel, int directory)
{
    if (broodi_posix_fault(ENOMEM) || fchdir(directory) != 0)
        broodi_channel_give_up(channel, errno, "changing to the parent's directory");
    close(directory);
}

brood_status broodi_spare_become_child(const struct server_job *job, const int *descriptors,
                                       uint64_t ignored, brood_os_boot *out)
{
    *out = (brood_os_boot){ .token = job->token, .arena = -1, .channel = descriptors[0] };
    if (!job->tied)
        (void)prctl(PR_SET_PDEATHSIG, 0);
    set_standard(job, descriptors[0], descriptors + 1 + job->has_directory);
    set_ignored(job->ignored, ignored);
    (void)umask((mode_t)job->umask);
    (void)prctl(PR_SET_TIMERSLACK, (unsigned long)job->slack, 0, 0, 0);
    if (job->has_directory)
        enter_directory(descriptors[0], descriptors[1]);
    receive_resources(out, (size_t)job->resources);
    receive_texts(descriptors[0], (size_t)job->texts);
    bool is_letter;
    const brood_status status = broodi_channel_receive_letter(out, &is_letter);
    broodi_channel_attach(broodi_descriptor_of_process(getpid()));
    close_standard(job);
    unblock(job->blocked);
    return status;
}

static int stop_at_first(struct dl_phdr_info *module, size_t size, void *unused)
{
    (void)module;
    (void)size;
    (void)unused;
    return 1;
}

void broodi_spare_rehearse(void)
{
    void *volatile memory = malloc(1);
    free(memory);
    (void)dl_iterate_phdr(stop_at_first, NULL);
}
