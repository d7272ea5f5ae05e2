// SPDX-License-Identifier: MIT
// Connections of which a thread is held up at the worst moment.
#include "../meeting.h"

#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/kinds.h"
#include "base/atomic.h"
#include "base/step.h"

enum { FREE, WANTED, STOPPED };

static _Atomic int stop; // FREE, or WANTED until a thread is STOPPED
static enum broodi_step stop_step;

static void hold_up(enum broodi_step step)
{
    int expected = WANTED;
    if (step != stop_step || !atomic_compare_exchange_strong(&stop, &expected, STOPPED))
        return;
    while (atomic_load(&stop) == STOPPED)
        brood_sleep(BROOD_MILLISECONDS(1));
}

// The next thread that comes to the step is held up.
static void stop_at(enum broodi_step step)
{
    stop_step = step;
    atomic_store(&stop, WANTED);
    broodi_step_hook = hold_up;
}

static void await_stop(void)
{
    while (atomic_load(&stop) != STOPPED)
        brood_sleep(BROOD_MILLISECONDS(1));
}

static void let_go(void)
{
    atomic_store(&stop, FREE);
}

struct ends {
    brood_connection a;
    brood_connection b;
};

static struct ends made_ends(void)
{
    struct ends ends = { { 0 }, { 0 } };
    assert_status(brood_connection_pair(&ends.a, &ends.b, BROOD_DUPLEX), BROOD_OK);
    return ends;
}

static uint32_t slot_of(brood_connection end)
{
    return (uint32_t)end.id & (BROODI_SLOT_MASK >> 1);
}

// Creates and destroys connections until one has this slot: slots are taken in turn.
static struct ends made_at(uint32_t slot)
{
    struct ends ends;
    while (slot_of((ends = made_ends()).a) != slot)
        assert_status(brood_connection_destroy(ends.a), BROOD_OK);
    return ends;
}

static void assert_works(struct ends ends)
{
    char byte = 0;
    assert_status(brood_connection_send(ends.a, "x", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_connection_receive(ends.b, &byte, 1, NULL, BROOD_NOW), BROOD_OK);
    assert_status(brood_connection_send(ends.b, "y", 1, BROOD_NOW), BROOD_OK);
    assert_status(brood_connection_receive(ends.a, &byte, 1, NULL, BROOD_NOW), BROOD_OK);
    assert_int_equal(byte, 'y');
}

static int close_it(void *arg)
{
    return (int)brood_connection_close(*(brood_connection *)arg);
}

static int destroy_it(void *arg)
{
    return (int)brood_connection_destroy(*(brood_connection *)arg);
}

// A thread that ends a connection is held up while another one does so, and a new one gets the
// slot.
static void end_late(int (*end)(void *), enum broodi_step step, brood_status expected)
{
    const struct ends old = made_ends();
    stop_at(step);
    brood_thread *thread = started_thread(end, &old.a, sizeof old.a);
    await_stop();
    if (end == close_it)
        assert_status(brood_connection_close(old.b), BROOD_OK);
    else
        broodi_kind_sweep(BROODI_CONNECTION);
    const struct ends successor = made_at(slot_of(old.a));
    let_go();
    assert_thread_ends(thread, expected);
    broodi_step_hook = NULL;
    assert_works(successor);
    assert_status(brood_connection_destroy(successor.a), BROOD_OK);
}

static void a_late_close_leaves_the_next_connection(void **state)
{
    (void)state;
    end_late(close_it, BROODI_STEP_CONNECTION_CLOSING, BROOD_OK);
    end_late(close_it, BROODI_STEP_CONNECTION_CLOSED, BROOD_OK);
}

static void a_late_destruction_leaves_the_next_connection(void **state)
{
    (void)state;
    end_late(destroy_it, BROODI_STEP_CONNECTION_ENDING, BROOD_OK);
    end_late(destroy_it, BROODI_STEP_CONNECTION_EMPTIED, BROOD_OK);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_close_leaves_the_next_connection),
        cmocka_unit_test(a_late_destruction_leaves_the_next_connection),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
