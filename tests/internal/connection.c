// SPDX-License-Identifier: MIT
// Connections of which a thread is held up at the worst moment.
#include "../meeting.h"

#include "../platform.h"
#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/kinds.h"
#include "base/atomic.h"
#include "base/step.h"
#include "message/call.h"

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
    assert_thread_ends(thread, (int)expected);
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

// Bodies

enum { LARGE = 9000 };

static brood_status send_large(brood_connection end, unsigned char byte)
{
    unsigned char data[LARGE];
    memset(data, byte, sizeof data);
    return brood_connection_send(end, data, sizeof data, BROOD_NOW);
}

static brood_status receive_large(brood_connection end, unsigned char *out_byte)
{
    unsigned char data[LARGE] = { 0 };
    const brood_status status =
        brood_connection_receive(end, data, sizeof data, NULL, BROOD_MILLISECONDS(100));
    *out_byte = data[LARGE - 1];
    return status;
}

static int receive_it(void *arg)
{
    unsigned char byte;
    return (int)receive_large(*(brood_connection *)arg, &byte);
}

static void the_end_comes_after_a_body_that_another_thread_copies(void **state)
{
    (void)state;
    unsigned char byte;
    const struct ends ends = made_ends();
    assert_status(send_large(ends.a, 1), BROOD_OK);
    stop_at(BROODI_STEP_QUEUE_BODY_READ);
    brood_thread *thread = started_thread(receive_it, &ends.b, sizeof ends.b);
    await_stop();
    assert_status(brood_connection_close(ends.a), BROOD_OK);
    assert_status(receive_large(ends.b, &byte), BROOD_TIMEOUT);
    assert_status(brood_connection_poll(ends.b, BROOD_NOW), BROOD_TIMEOUT);
    let_go();
    assert_thread_ends(thread, BROOD_OK);
    broodi_step_hook = NULL;
    assert_status(receive_large(ends.b, &byte), BROOD_CLOSED);
    assert_status(brood_connection_destroy(ends.b), BROOD_OK);
}

static void die(enum broodi_step step)
{
    if (step == BROODI_STEP_QUEUE_BODY_READ)
        platform_process_kill(brood_self_pid());
}

static int receive_and_die(void *arg)
{
    broodi_step_hook = die;
    return receive_it(arg);
}

static void what_dead_receivers_had_taken_comes_first(void **state)
{
    (void)state;
    unsigned char byte;
    const struct ends ends = made_ends();
    for (unsigned char i = 1; i <= 3; i++)
        assert_status(send_large(ends.a, i), BROOD_OK);
    stop_at(BROODI_STEP_QUEUE_BODY_READ);
    brood_thread *thread = started_thread(receive_it, &ends.b, sizeof ends.b); // the first one
    await_stop();
    brood_process *process = started_process(receive_and_die, &ends.b, sizeof ends.b);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
    assert_status(receive_large(ends.b, &byte), BROOD_OK);
    assert_int_equal(byte, 2);
    assert_status(receive_large(ends.b, &byte), BROOD_OK);
    assert_int_equal(byte, 3);
    let_go();
    assert_thread_ends(thread, BROOD_OK);
    broodi_step_hook = NULL;
    assert_status(brood_connection_destroy(ends.b), BROOD_OK);
}

// Fragments

enum { BULK = 3 << 19 };

static void stay(enum broodi_step step)
{
    while (step == BROODI_STEP_BULK_APPENDED)
        brood_sleep(BROOD_MILLISECONDS(10));
}

static int begin_bulk(void *arg)
{
    void *data = calloc(1, BULK);
    CHECK(data);
    broodi_step_hook = stay;
    return (int)brood_connection_send(*(brood_connection *)arg, data, BULK, BROOD_FOREVER);
}

static int receive_bulk(void *arg)
{
    void *data = malloc(BULK);
    CHECK(data);
    const brood_connection end = *(brood_connection *)arg;
    CHECK(brood_connection_poll(end, MEETING_PATIENCE) == BROOD_OK);
    const brood_status status =
        brood_connection_receive(end, data, BULK, NULL, BROOD_MILLISECONDS(800));
    free(data);
    return (int)status;
}

// A thread holds the lock while the receiver's time ends, so that the receiver continues; and then
// the sender is killed, while its end has another user.
static void a_receiver_that_cannot_stop_in_time_does_so_later(void **state)
{
    (void)state;
    const struct ends ends = made_ends();
    const struct broodi_connection_slot *slot = broodi_handle_slot(BROODI_CONNECTION, ends.a.id);
    struct broodi_queue_slot *queue =
        broodi_handle_slot(BROODI_QUEUE, atomic_load(&slot->directions[0]));
    assert_works(ends);
    brood_process *sender = started_process(begin_bulk, &ends.a, sizeof ends.a);
    brood_thread *receiver = started_thread(receive_bulk, &ends.b, sizeof ends.b);
    while (atomic_load(&queue->received) == 0 || atomic_load(&queue->receiver) == 0)
        brood_sleep(BROOD_MILLISECONDS(1));
    assert_status(broodi_queue_acquire(queue, BROODI_CONSUMERS, BROOD_SECONDS(10)), BROOD_OK);
    brood_sleep(BROOD_MILLISECONDS(2300));
    assert_status(brood_process_kill(sender), BROOD_OK);
    assert_status(brood_process_join(sender, MEETING_PATIENCE, NULL), BROOD_OK);
    broodi_queue_release(queue, BROODI_CONSUMERS);
    assert_thread_ends(receiver, BROOD_TIMEOUT);
    brood_process_drop(sender);
    assert_status(brood_connection_destroy(ends.b), BROOD_OK);
}

// Also after a failure: the next test must not run with the hook of this one, and a thread that is
// held up must be able to end.
static int forget_hook(void **state)
{
    (void)state;
    broodi_step_hook = NULL;
    let_go();
    return 0;
}

#define hooked_test(test) cmocka_unit_test_teardown(test, forget_hook)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        hooked_test(a_late_close_leaves_the_next_connection),
        hooked_test(a_late_destruction_leaves_the_next_connection),
        hooked_test(the_end_comes_after_a_body_that_another_thread_copies),
        hooked_test(what_dead_receivers_had_taken_comes_first),
        hooked_test(a_receiver_that_cannot_stop_in_time_does_so_later),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
