// SPDX-License-Identifier: MIT
// Pipes, by epoll and by poll. The descriptors are those of the process, so that both parties are
// threads of it.
#define _GNU_SOURCE

#include "../any.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

// Of each party the reading ends, then the writing ones.
static struct {
    int count;
    unsigned run; // so that a thread sees that the pipes are others
    int ends[2][ANY_MANY][2];
} pipes;

static bool raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static bool make(int count)
{
    if (!raise_limit())
        return false;
    pipes.count = 0;
    pipes.run++;
    for (; pipes.count < count; pipes.count++)
        for (int party = 0; party < 2; party++)
            if (pipe2(pipes.ends[party][pipes.count], O_CLOEXEC) != 0)
                return false;
    return write(pipes.ends[0][0][1], "", 1) == 1;
}

static bool make_few(void *object, int parties)
{
    (void)object, (void)parties;
    return make(ANY_FEW);
}

static bool make_some(void *object, int parties)
{
    (void)object, (void)parties;
    return make(ANY_SOME);
}

static bool make_many(void *object, int parties)
{
    (void)object, (void)parties;
    return make(ANY_MANY);
}

static void destroy(void *object)
{
    (void)object;
    for (int i = 0; i < pipes.count; i++)
        for (int party = 0; party < 2; party++) {
            close(pipes.ends[party][i][0]);
            close(pipes.ends[party][i][1]);
        }
}

static bool pass(int reading, int party)
{
    char byte;
    return read(reading, &byte, 1) == 1 &&
           write(pipes.ends[1 - party][any_next(pipes.count)][1], "", 1) == 1;
}

// Watches the pipes of a party.
static bool watch(int epoll, int party)
{
    for (int i = 0; i < pipes.count; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data = { .fd = pipes.ends[party][i][0] } };
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, pipes.ends[party][i][0], &event) != 0)
            return false;
    }
    return true;
}

static bool step_epoll(void *object, const struct visit *visit)
{
    static _Thread_local int epoll;
    static _Thread_local unsigned run;
    struct epoll_event event;
    (void)object;
    if (run != pipes.run) {
        if (run != 0)
            close(epoll);
        run = pipes.run;
        epoll = epoll_create1(EPOLL_CLOEXEC);
        if (epoll < 0 || !watch(epoll, visit->party))
            return false;
    }
    return epoll_wait(epoll, &event, 1, -1) == 1 && pass(event.data.fd, visit->party);
}

static bool step_poll(void *object, const struct visit *visit)
{
    static _Thread_local struct pollfd all[ANY_MANY];
    static _Thread_local unsigned run;
    (void)object;
    for (int i = 0; run != pipes.run && i < pipes.count; i++)
        all[i] = (struct pollfd){ pipes.ends[visit->party][i][0], POLLIN, 0 };
    run = pipes.run;
    if (poll(all, (nfds_t)pipes.count, -1) != 1)
        return false;
    int at = 0;
    while (!all[at].revents)
        at++;
    return pass(all[at].fd, visit->party);
}

#define EPOLL(maker)                                                               \
    {                                                                              \
        "epoll, pipes", maker, destroy, .step = step_epoll, .within_process = true \
    }
#define POLL(maker)                                                              \
    {                                                                            \
        "poll, pipes", maker, destroy, .step = step_poll, .within_process = true \
    }

static const struct variant few[] = { EPOLL(make_few), POLL(make_few) };
static const struct variant some[] = { EPOLL(make_some), POLL(make_some) };
static const struct variant many[] = { EPOLL(make_many), POLL(make_many) };

const struct variant *const *any_of_system(enum kind kind)
{
    static const struct variant *const all[][3] = {
        { &few[0], &few[1] },
        { &some[0], &some[1] },
        { &many[0], &many[1] },
    };
    return all[kind - KIND_ANY_FEW];
}
