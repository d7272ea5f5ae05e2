// SPDX-License-Identifier: MIT
// What the programs of this folder serve beside a timer of their loop: a child, and the queue that
// it puts messages into. A poller watches both; the loop watches the one descriptor, or handle on
// Windows, of the poller, and calls serve() when it is ready.

#ifndef SERVICE_H
#define SERVICE_H

#include <brood/brood.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { MESSAGES = 3, TICKS = 3 };

struct service {
    brood_queue queue;
    brood_process *child;
    brood_poller *poller;
    intptr_t native; // of the poller, for the loop
    int left;        // things that are not at their end: the queue and the child
    brood_exit end;  // of the child
};

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

// The child.
static int produce(void *arg)
{
    const brood_queue *queue = arg;
    for (int i = 1; i <= MESSAGES; i++) {
        brood_sleep(BROOD_MILLISECONDS(20));
        check(brood_queue_put(*queue, &i, sizeof i, BROOD_FOREVER));
    }
    check(brood_queue_close(*queue)); // no more messages follow
    return 0;
}

static void begin(struct service *service)
{
    *service = (struct service){ .left = 2 };
    check(brood_queue_create(&service->queue, MESSAGES, sizeof(int)));
    check(brood_process_start(&service->child, produce, &service->queue, sizeof service->queue,
                              NULL));
    check(brood_poller_create(&service->poller));
    check(brood_poller_add(service->poller, brood_waitable_queue(service->queue), &service->queue));
    check(
        brood_poller_add(service->poller, brood_waitable_process(service->child), &service->child));
    check(brood_poller_native(service->poller, &service->native));
}

static void at_end(struct service *service, brood_waitable waitable)
{
    check(brood_poller_remove(service->poller, waitable));
    service->left--;
}

static void serve_queue(struct service *service, brood_waitable waitable)
{
    int message;
    const brood_status status =
        brood_queue_get(service->queue, &message, sizeof message, NULL, BROOD_NOW);
    if (status == BROOD_OK)
        printf("message %d\n", message);
    else if (status == BROOD_CLOSED)
        at_end(service, waitable);
    else if (status != BROOD_TIMEOUT) // another consumer was faster
        check(status);
}

static void serve_child(struct service *service, brood_waitable waitable)
{
    check(brood_process_join(service->child, BROOD_NOW, &service->end));
    at_end(service, waitable);
}

// Serves what is ready now, without waiting. Returns false once there is nothing more to serve.
static bool serve(struct service *service)
{
    brood_ready ready[2];
    size_t count;
    const brood_status status = brood_poller_wait(service->poller, ready, 2, &count, BROOD_NOW);
    if (status == BROOD_TIMEOUT) // nothing is ready any more
        return true;
    check(status);
    for (size_t i = 0; i < count; i++) {
        if (ready[i].user == &service->queue)
            serve_queue(service, ready[i].waitable);
        else
            serve_child(service, ready[i].waitable);
    }
    return service->left > 0;
}

static void end(struct service *service, int ticks)
{
    char text[64];
    (void)brood_exit_text(service->end, text, sizeof text);
    printf("the child %s, after %d ticks\n", text, ticks);
    brood_poller_destroy(service->poller);
    brood_process_drop(service->child);
    check(brood_queue_destroy(service->queue));
}

#endif
