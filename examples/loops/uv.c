// SPDX-License-Identifier: MIT
// A libuv loop serves a queue, the end of a child and a timer.

#include "service.h"

#include <uv.h>

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    if (!serve(poll->data))
        uv_close((uv_handle_t *)poll, NULL);
}

static void on_tick(uv_timer_t *timer)
{
    int *ticks = timer->data;
    if (++*ticks == TICKS)
        uv_close((uv_handle_t *)timer, NULL);
}

int main(void)
{
    brood_init();

    struct service service;
    int ticks = 0;
    uv_poll_t poll = { .data = &service };
    uv_timer_t timer = { .data = &ticks };
    begin(&service);
    uv_poll_init(uv_default_loop(), &poll, (int)service.native);
    uv_poll_start(&poll, UV_READABLE, on_ready);
    uv_timer_init(uv_default_loop(), &timer);
    uv_timer_start(&timer, on_tick, 10, 10);

    uv_run(uv_default_loop(), UV_RUN_DEFAULT); // until both are closed
    uv_loop_close(uv_default_loop());
    end(&service, ticks);
    return 0;
}
