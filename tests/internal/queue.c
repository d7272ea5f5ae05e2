// SPDX-License-Identifier: MIT
// Queues whose users are killed at each step of each call, or held up at the worst moment.
#include "../meeting.h"

#include "../foreign.h"
#include "../platform.h"
#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/heap.h"
#include "base/atomic.h"
#include "base/deadline.h"
#include "base/step.h"
#include "memory/piece.h"
#include "memory/sweep.h"

#include <signal.h>

enum { SMALL = 2000, LARGE = 9000, PUT = 77, LAST = 99 };

struct message {
    uint64_t number;
    uint64_t size;
    unsigned char data[LARGE - 2 * sizeof(uint64_t)];
};

static void fill(struct message *message, uint64_t number, size_t size)
{
    message->number = number;
    message->size = size;
    memset(message->data, (int)number, size - offsetof(struct message, data));
}

static bool is_whole(const struct message *message, size_t size)
{
    const size_t length = size - offsetof(struct message, data);
    return size == message->size && message->data[0] == (unsigned char)message->number &&
           memcmp(message->data, message->data + 1, length - 1) == 0;
}

static uint32_t pieces_live(void)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < broodi_slot_limit(BROODI_PIECE); i++)
        live += broodi_slot_is_live(broodi_word_load(&broodi_piece_at(i)->state));
    return live;
}

static bool joinable; // the next queue

static brood_queue made_queue(void)
{
    brood_queue queue = { 0 };
    if (joinable)
        assert_status(brood_queue_create_joinable(&queue, 8, LARGE), BROOD_OK);
    else
        assert_status(brood_queue_create(&queue, 8, LARGE), BROOD_OK);
    return queue;
}

static void call_done(brood_queue queue)
{
    if (joinable)
        assert_status(brood_queue_task_done(queue), BROOD_OK);
}

static brood_status put(brood_queue queue, uint64_t number, size_t size)
{
    struct message message;
    fill(&message, number, size);
    return brood_queue_put(queue, &message, size, BROOD_SECONDS(10));
}

// The calls in which a process is killed

static int do_put(brood_queue queue)
{
    return put(queue, PUT, SMALL) != BROOD_OK;
}

static int do_put_large(brood_queue queue)
{
    return put(queue, PUT, LARGE) != BROOD_OK;
}

static int do_put_many(brood_queue queue)
{
    struct message messages[3];
    for (int i = 0; i < 3; i++)
        fill(&messages[i], PUT, sizeof messages[i]);
    return brood_queue_put_many(queue, messages, sizeof messages[0], 3, NULL, BROOD_NOW) !=
           BROOD_OK;
}

static int do_commit(brood_queue queue)
{
    brood_message message;
    CHECK(brood_queue_reserve(queue, LARGE, &message, BROOD_NOW) == BROOD_OK);
    fill(message.data, PUT, SMALL);
    CHECK(brood_queue_commit(queue, &message, SMALL) == BROOD_OK);
    return 0;
}

static int do_abort(brood_queue queue)
{
    brood_message message;
    CHECK(brood_queue_reserve(queue, LARGE, &message, BROOD_NOW) == BROOD_OK);
    brood_queue_abort(queue, &message);
    return 0;
}

static int do_get(brood_queue queue)
{
    struct message message;
    const brood_status status = brood_queue_get(queue, &message, sizeof message, NULL, BROOD_NOW);
    return status != BROOD_OK && status != BROOD_TIMEOUT;
}

static int do_take(brood_queue queue)
{
    brood_message message = { 0 };
    const brood_status status = brood_queue_take(queue, &message, BROOD_NOW);
    brood_queue_release(queue, &message);
    return status != BROOD_OK && status != BROOD_TIMEOUT;
}

static int do_get_and_done(brood_queue queue)
{
    struct message message;
    const brood_status status = brood_queue_get(queue, &message, sizeof message, NULL, BROOD_NOW);
    if (status == BROOD_OK)
        (void)brood_queue_task_done(queue);
    return status != BROOD_OK && status != BROOD_TIMEOUT;
}

static int do_clear(brood_queue queue)
{
    return brood_queue_clear(queue, NULL) != BROOD_OK;
}

static int do_close(brood_queue queue)
{
    return brood_queue_close(queue) != BROOD_OK;
}

static int do_destroy(brood_queue queue)
{
    return brood_queue_destroy(queue) != BROOD_OK;
}

// What a call may do to the messages that were in the queue.
static const struct call {
    const char *name;
    int (*run)(brood_queue queue);
    unsigned gets; // messages at most
    bool ends;
    bool is_done; // messages that it has got are done
} calls[] = {
    { "put", do_put, 0, false, true },
    { "put of a large message", do_put_large, 0, false, true },
    { "put of several", do_put_many, 0, false, true },
    { "commit", do_commit, 0, false, true },
    { "abort", do_abort, 0, false, true },
    { "get", do_get, 1, false, false },
    { "take", do_take, 1, false, false },
    { "clear", do_clear, 2, false, true },
    { "close", do_close, 0, true, true },
    { "destroy", do_destroy, 2, true, true },
    { "get and done", do_get_and_done, 1, false, false },
};
enum { CALLS = sizeof calls / sizeof calls[0] };

struct plan {
    brood_queue queue;
    unsigned call;
    unsigned steps; // the process is killed at this one
};

static _Atomic unsigned steps_left;

static void die_at_last(enum broodi_step step)
{
    (void)step;
    if (atomic_fetch_sub(&steps_left, 1) == 1)
        platform_process_kill(brood_self_pid());
}

static int run_and_die(void *arg)
{
    const struct plan *plan = arg;
    struct brood_event event;
    CHECK(brood_event_create(&event) == BROOD_OK); // so that the thread has a slot
    CHECK(brood_event_destroy(event) == BROOD_OK);
    atomic_store(&steps_left, plan->steps);
    broodi_step_hook = die_at_last;
    const int line = calls[plan->call].run(plan->queue);
    broodi_step_hook = NULL;
    return line;
}

// False if the call has returned before. Joins and drops the process.
static bool was_killed(brood_process *process)
{
    brood_exit ended = { .kind = BROOD_RUNNING };
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(process);
    // A line of CHECK, or 0. Windows reports a killed process as one that exited with a larger
    // code.
    const bool has_returned = ended.kind == BROOD_EXITED && ended.code < 10000;
    if (has_returned)
        assert_int_equal(ended.code, 0);
    return !has_returned;
}

static bool kill_at_step(const struct plan *plan)
{
    return was_killed(started_process(run_and_die, plan, sizeof *plan));
}

// What is in the queue before the call

enum { FRESH, WORN, WORN_AND_FILLED, FILLED, FILLINGS };

// Leaves no room for a small message in the first segment.
static void wear(brood_queue queue)
{
    static unsigned char data[8000];
    for (int i = 0; i < 8; i++) {
        assert_status(brood_queue_put(queue, data, sizeof data, BROOD_NOW), BROOD_OK);
        assert_status(brood_queue_get(queue, data, sizeof data, NULL, BROOD_NOW), BROOD_OK);
        call_done(queue);
    }
}

static void prepare(brood_queue queue, int filling)
{
    if (filling == WORN || filling == WORN_AND_FILLED)
        wear(queue);
    if (filling == WORN_AND_FILLED || filling == FILLED) {
        assert_status(put(queue, 1, filling == FILLED ? LARGE : SMALL), BROOD_OK);
        assert_status(put(queue, 2, filling == FILLED ? SMALL : LARGE), BROOD_OK);
    }
}

// Gets all messages; each is whole, and those of before the call come once each. Returns how many
// these are.
static unsigned drain(brood_queue queue)
{
    static struct message message;
    bool seen[LAST + 1] = { false };
    size_t size;
    brood_status status;
    while ((status = brood_queue_get(queue, &message, sizeof message, &size, BROOD_NOW)) ==
           BROOD_OK) {
        assert_true(is_whole(&message, size));
        call_done(queue);
        assert_true(message.number <= LAST && (message.number == PUT || !seen[message.number]));
        seen[message.number] = true;
    }
    assert_true(status == BROOD_TIMEOUT || status == BROOD_CLOSED || status == BROOD_STALE);
    return (unsigned)seen[1] + (unsigned)seen[2] + 100 * (unsigned)seen[LAST];
}

// Overwrites what was freed.
static void overwrite(brood_queue queue)
{
    enum { PIECES = 4 };
    static const size_t sizes[] = { BROODI_HEAP_CHUNK, LARGE };
    uint32_t pieces[PIECES];
    for (int i = 0; i < PIECES; i++) {
        const size_t size = sizes[i % 2];
        assert_status(broodi_piece_allocate(queue.id, size, &pieces[i]), BROOD_OK);
        memset(broodi_piece_data(pieces[i]), 0xff, size);
    }
    for (int i = 0; i < PIECES; i++)
        broodi_piece_free(pieces[i]);
}

// All messages were called done, but for those that the dead process had got.
static void check_join(brood_queue queue, const struct call *call, unsigned missing)
{
    const brood_status status = brood_queue_join(queue, BROOD_SECONDS(10));
    if (call->run == do_get_and_done && missing > 0)
        assert_true(status == BROOD_OK || status == BROOD_PEER_DIED);
    else if (status != BROOD_STALE || call->run != do_destroy)
        assert_status(status, missing > 0 && !call->is_done ? BROOD_PEER_DIED : BROOD_OK);
    if (status == BROOD_PEER_DIED)
        assert_status(brood_queue_join(queue, BROOD_SECONDS(10)), BROOD_OK);
}

// What the others do first after the death.
enum { PUT_FIRST, GET_FIRST, DESTROY, ORDERS };

static void check_queue(const struct plan *plan, int filling, int order)
{
    const struct call *call = &calls[plan->call];
    const unsigned before = filling >= WORN_AND_FILLED ? 2 : 0;
    size_t count = 0;
    unsigned got = order == GET_FIRST ? drain(plan->queue) : 0;
    overwrite(plan->queue);
    const brood_status status = put(plan->queue, LAST, SMALL);
    if (!call->ends)
        assert_status(status, BROOD_OK);
    got += drain(plan->queue);
    assert_int_equal(got / 100, status == BROOD_OK);
    assert_true(got % 100 + call->gets >= before);
    if (brood_queue_count(plan->queue, &count) == BROOD_OK)
        assert_int_equal(count, 0);
    if (joinable)
        check_join(plan->queue, call, before - got % 100);
}

// Nothing of a destroyed queue is left for the next one in its slot.
static void check_end(brood_queue queue, uint32_t index)
{
    const struct broodi_queue_slot *slot = broodi_slot(BROODI_QUEUE, index);
    const brood_status status = brood_queue_destroy(queue);
    assert_true(status == BROOD_OK || status == BROOD_STALE);
    assert_false(broodi_slot_is_live(broodi_word_load(&slot->state)));
    assert_int_equal(atomic_load(&slot->head), 0);
    assert_int_equal(atomic_load(&slot->first), 0);
    assert_int_equal(atomic_load(&slot->added), 0);
    assert_int_equal(atomic_load(&slot->reserved), 0);
    assert_int_equal(atomic_load(&slot->tail), 0);
    assert_int_equal(atomic_load(&slot->removed), 0);
    assert_int_equal(atomic_load(&slot->taken), 0);
    (void)broodi_memory_sweep();
    assert_int_equal(pieces_live(), 0);
}

// How many steps further the next process is killed. Where starts of processes are slow each tenth
// or so must do.
static unsigned stride(void)
{
    return foreign_is_slow() ? 11 : 1;
}

// Kills a process at the first step of the call, at the second and so on; returns how many deaths
// these are.
static unsigned kill_at_each_step(unsigned call, int filling, int order)
{
    struct plan plan = { .call = call };
    unsigned deaths = 0;
    bool killed;
    do {
        plan.queue = made_queue();
        plan.steps += deaths ? stride() : 1 + (unsigned)(filling + order) % stride();
        prepare(plan.queue, filling);
        killed = kill_at_step(&plan);
        deaths += killed;
        if (order != DESTROY)
            check_queue(&plan, filling, order);
        check_end(plan.queue, (uint32_t)plan.queue.id & BROODI_SLOT_MASK);
    } while (killed);
    return deaths;
}

static void kill_in(unsigned call)
{
    unsigned deaths = 0;
    for (int filling = 0; filling < FILLINGS; filling++)
        for (int order = 0; order < ORDERS; order++)
            deaths += kill_at_each_step(call, filling, order);
    print_message("%s: %u deaths\n", calls[call].name, deaths);
}

static void a_death_at_any_step_leaves_a_whole_queue(void **state)
{
    (void)state;
    for (unsigned call = 0; call < CALLS - 1; call++)
        kill_in(call);
}

static void a_death_at_any_step_loses_what_the_dead_had_got_and_no_more(void **state)
{
    (void)state;
    joinable = true;
    for (unsigned call = 0; call < CALLS; call++)
        if (calls[call].gets > 0)
            kill_in(call);
    joinable = false;
}

// Threads that are held up

// Up to two, each at a step of its own.

enum { FREE, WANTED, STOPPED };

static _Atomic int stops[2]; // FREE, or WANTED until a thread is STOPPED
static enum broodi_step stop_steps[2];

static void hold_up(enum broodi_step step)
{
    for (int i = 0; i < 2; i++) {
        int expected = WANTED;
        if (step != stop_steps[i] || !atomic_compare_exchange_strong(&stops[i], &expected, STOPPED))
            continue;
        while (atomic_load(&stops[i]) == STOPPED)
            brood_sleep(BROOD_MILLISECONDS(1));
    }
}

// The next thread that comes to the step is held up.
static void stop_at(int stop, enum broodi_step step)
{
    stop_steps[stop] = step;
    atomic_store(&stops[stop], WANTED);
    broodi_step_hook = hold_up;
}

static void await_stop(int stop)
{
    while (atomic_load(&stops[stop]) != STOPPED)
        brood_sleep(BROOD_MILLISECONDS(1));
}

static void let_go(int stop)
{
    atomic_store(&stops[stop], FREE);
}

static int get_one(void *arg)
{
    struct message message;
    size_t size = 0;
    const brood_status status =
        brood_queue_get(*(brood_queue *)arg, &message, sizeof message, &size, BROOD_FOREVER);
    return status == BROOD_OK && !is_whole(&message, size) ? -1 : (int)status;
}

static int get_number(void *arg)
{
    uint64_t number;
    return (int)brood_queue_get(*(brood_queue *)arg, &number, sizeof number, NULL, BROOD_FOREVER);
}

static void a_get_during_which_the_queue_is_destroyed_fails(void **state)
{
    (void)state;
    const brood_queue queue = made_queue();
    assert_status(put(queue, 1, LARGE), BROOD_OK);
    stop_at(0, BROODI_STEP_QUEUE_BODY_READ);
    brood_thread *thread = started_thread(get_one, &queue, sizeof queue);
    await_stop(0);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    let_go(0);
    assert_thread_ends(thread, BROOD_STALE);
    broodi_step_hook = NULL;
    assert_int_equal(pieces_live(), 0);
}

// One consumer has its message and only has to release it, and another one is stopped with the
// lock.
static void a_stopped_consumer_does_not_block_one_that_has_its_message(void **state)
{
    (void)state;
    const brood_queue queue = made_queue();
    assert_status(put(queue, 1, LARGE), BROOD_OK);
    assert_status(put(queue, 2, SMALL), BROOD_OK);
    stop_at(0, BROODI_STEP_QUEUE_BODY_READ);
    brood_thread *first = started_thread(get_one, &queue, sizeof queue);
    await_stop(0);
    stop_at(1, BROODI_STEP_QUEUE_READ);
    brood_thread *second = started_thread(get_one, &queue, sizeof queue);
    await_stop(1);
    struct message message;
    assert_status(brood_queue_get(queue, &message, sizeof message, NULL, BROOD_NOW), BROOD_TIMEOUT);
    assert_status(brood_queue_destroy(queue), BROOD_TIMEOUT);
    let_go(0);
    assert_thread_ends(first, BROOD_OK);
    let_go(1);
    assert_thread_ends(second, BROOD_OK);
    broodi_step_hook = NULL;
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    assert_int_equal(pieces_live(), 0);
}

// Copies of this process that are killed at each step of a put

static void a_death_of_a_guest_in_a_put_leaves_a_whole_queue(void **state)
{
    (void)state;
    for (unsigned call = 0; calls[call].run != do_put_many && platform_has_fork(); call++) {
        struct plan plan = { .call = call };
        int code;
        do {
            plan.queue = made_queue();
            plan.steps++;
            prepare(plan.queue, WORN_AND_FILLED);
            code = platform_guest(run_and_die, &plan);
            assert_true(code == 0 || code == -2); // has returned, or was killed
            check_queue(&plan, WORN_AND_FILLED, PUT_FIRST);
            check_end(plan.queue, (uint32_t)plan.queue.id & BROODI_SLOT_MASK);
        } while (code != 0);
        assert_true(plan.steps > 5);
    }
}

// A producer that is killed at each step of a put, while another one puts

enum { BESIDE = 1000 };

static int put_beside(void *arg)
{
    const brood_queue queue = *(brood_queue *)arg;
    for (uint64_t i = 0; i < BESIDE; i++)
        CHECK(put(queue, PUT + 1 + i, i % 10 ? SMALL : LARGE) == BROOD_OK);
    return 0;
}

static void get_those_beside(brood_queue queue)
{
    struct message message;
    size_t size;
    for (uint64_t next = PUT + 1; next < PUT + 1 + BESIDE;) {
        assert_status(brood_queue_get(queue, &message, sizeof message, &size, MEETING_PATIENCE),
                      BROOD_OK);
        assert_true(is_whole(&message, size));
        assert_true(message.number == next || message.number == PUT);
        next += message.number == next;
    }
}

static void a_death_in_a_put_leaves_the_messages_of_others_in_order(void **state)
{
    (void)state;
    for (unsigned call = 0; calls[call].run != do_put_many; call++) {
        struct plan plan = { .call = call };
        bool killed;
        do {
            plan.queue = made_queue();
            plan.steps += stride();
            brood_thread *thread = started_thread(put_beside, &plan.queue, sizeof plan.queue);
            brood_process *process = started_process(run_and_die, &plan, sizeof plan);
            get_those_beside(plan.queue);
            assert_thread_ends(thread, 0);
            killed = was_killed(process);
            (void)drain(plan.queue);
            check_end(plan.queue, (uint32_t)plan.queue.id & BROODI_SLOT_MASK);
        } while (killed);
    }
}

// A signal handler that calls for the queue while its thread is inside a call for it, at each step

static struct {
    brood_queue queue;
    bool gets;
    unsigned done;
    unsigned refused;
    unsigned failed;
} interrupting;

static void interrupt(enum broodi_step step);

static void handle_signal(int number)
{
    struct message message;
    broodi_step_hook = NULL;
    fill(&message, LAST, SMALL);
    const brood_status status =
        interrupting.gets
            ? brood_queue_get(interrupting.queue, &message, sizeof message, NULL, BROOD_NOW)
            : brood_queue_put(interrupting.queue, &message, SMALL, BROOD_NOW);
    interrupting.done += status == BROOD_OK;
    interrupting.refused += status == BROOD_DEADLOCK;
    interrupting.failed += status != BROOD_OK && status != BROOD_DEADLOCK;
    (void)signal(number, handle_signal);
    broodi_step_hook = interrupt;
}

static void interrupt(enum broodi_step step)
{
    (void)step;
    (void)raise(SIGTERM);
}

enum { INTERRUPTED = 20, MANY = 400 };

static void begin_interrupting(brood_queue queue, bool gets)
{
    memset(&interrupting, 0, sizeof interrupting);
    interrupting.queue = queue;
    interrupting.gets = gets;
    assert_true(signal(SIGTERM, handle_signal) != SIG_ERR);
    broodi_step_hook = interrupt;
}

static void end_interrupting(void)
{
    broodi_step_hook = NULL;
    (void)signal(SIGTERM, SIG_DFL);
    assert_true(interrupting.refused > INTERRUPTED);
    assert_int_equal(interrupting.failed, 0);
}

// Messages of the calls that were interrupted, in order, and of the handler.
static void check_interrupted(brood_queue queue)
{
    struct message message;
    size_t size;
    uint64_t next = 0;
    unsigned others = 0;
    while (brood_queue_get(queue, &message, sizeof message, &size, BROOD_NOW) == BROOD_OK) {
        assert_true(is_whole(&message, size));
        assert_true(message.number == next || message.number == LAST);
        others += message.number == LAST;
        next += message.number != LAST;
    }
    assert_int_equal(next, INTERRUPTED);
    assert_int_equal(others, interrupting.done);
}

static void a_put_that_interrupts_a_put_is_refused(void **state)
{
    (void)state;
    brood_queue queue = { 0 };
    assert_status(brood_queue_create(&queue, INTERRUPTED * MANY, LARGE), BROOD_OK);
    begin_interrupting(queue, false);
    for (uint64_t i = 0; i < INTERRUPTED; i++)
        assert_status(put(queue, i, SMALL), BROOD_OK);
    end_interrupting();
    check_interrupted(queue);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    assert_int_equal(pieces_live(), 0);
}

static void a_get_that_interrupts_a_get_is_refused(void **state)
{
    (void)state;
    brood_queue queue = { 0 };
    struct message message;
    assert_status(brood_queue_create(&queue, INTERRUPTED * MANY, LARGE), BROOD_OK);
    for (uint64_t i = 0; i < MANY; i++)
        assert_status(put(queue, LAST, i % 5 ? SMALL : LARGE), BROOD_OK);
    begin_interrupting(queue, true);
    for (uint64_t i = 0; i < INTERRUPTED; i++) {
        size_t size;
        assert_status(brood_queue_get(queue, &message, sizeof message, &size, BROOD_NOW), BROOD_OK);
        assert_true(is_whole(&message, size));
    }
    end_interrupting();
    size_t count = 0;
    assert_status(brood_queue_count(queue, &count), BROOD_OK);
    assert_int_equal(count, MANY - INTERRUPTED - interrupting.done);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    assert_int_equal(pieces_live(), 0);
}

// Wakes. Without one a waiter checks again after a second, which would hide a lost wake: so that
// check is off here, and a consumer that misses its wake waits for longer than its join.

enum { ROUNDS = 60, CONSUMERS = 4 };
static const brood_duration until_asleep = BROOD_MILLISECONDS(20);

static void put_several(brood_queue queue, bool at_once)
{
    static struct message messages[CONSUMERS];
    for (uint64_t i = 0; i < CONSUMERS; i++)
        fill(&messages[i], i, sizeof messages[i]);
    const size_t each = at_once ? CONSUMERS : 1;
    for (size_t i = 0; i < CONSUMERS; i += each)
        assert_status(
            brood_queue_put_many(queue, &messages[i], sizeof messages[i], each, NULL, BROOD_NOW),
            BROOD_OK);
}

static void all_sleeping_consumers_get_what_is_put(void **state)
{
    (void)state;
    const brood_queue queue = made_queue();
    broodi_longest_wait_set(2 * MEETING_PATIENCE);
    for (int round = 0; round < ROUNDS; round++) {
        brood_thread *threads[CONSUMERS];
        for (int i = 0; i < CONSUMERS; i++)
            threads[i] = started_thread(get_one, &queue, sizeof queue);
        brood_sleep(until_asleep);
        put_several(queue, round % 2);
        for (int i = 0; i < CONSUMERS; i++)
            assert_thread_ends(threads[i], BROOD_OK);
    }
    broodi_longest_wait_set(BROOD_SECONDS(1));
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static int get_too_little(void *arg)
{
    char byte;
    return (int)brood_queue_get(*(brood_queue *)arg, &byte, 1, NULL, BROOD_FOREVER);
}

static void a_consumer_that_fails_passes_its_wake_on(void **state)
{
    (void)state;
    const brood_queue queue = made_queue();
    broodi_longest_wait_set(2 * MEETING_PATIENCE);
    for (int round = 0; round < ROUNDS; round++) {
        brood_thread *first = started_thread(get_too_little, &queue, sizeof queue);
        brood_sleep(until_asleep);
        brood_thread *second = started_thread(get_one, &queue, sizeof queue);
        brood_sleep(until_asleep);
        assert_status(put(queue, 1, SMALL), BROOD_OK);
        assert_thread_ends(second, BROOD_OK);
        assert_status(put(queue, 2, SMALL), BROOD_OK); // if the second one was woken
        assert_thread_ends(first, BROOD_TOO_SMALL);
        (void)drain(queue);
    }
    broodi_longest_wait_set(BROOD_SECONDS(1));
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static int get_until_then(void *arg)
{
    struct message message;
    return (int)brood_queue_get(*(brood_queue *)arg, &message, sizeof message, NULL, until_asleep);
}

static void a_consumer_whose_time_is_over_passes_its_wake_on(void **state)
{
    (void)state;
    const brood_queue queue = made_queue();
    broodi_longest_wait_set(2 * MEETING_PATIENCE);
    for (int round = 0; round < ROUNDS; round++) {
        int status = -1;
        brood_thread *first = started_thread(get_until_then, &queue, sizeof queue);
        brood_thread *second = started_thread(get_one, &queue, sizeof queue);
        brood_sleep(until_asleep + (round - ROUNDS / 2) * BROOD_MICROSECONDS(20));
        assert_status(put(queue, 1, SMALL), BROOD_OK);
        assert_status(brood_thread_join(first, MEETING_PATIENCE, &status), BROOD_OK);
        brood_thread_drop(first);
        assert_true(status == BROOD_OK || status == BROOD_TIMEOUT);
        if (status == BROOD_OK)
            assert_status(put(queue, 2, SMALL), BROOD_OK);
        assert_thread_ends(second, BROOD_OK);
    }
    broodi_longest_wait_set(BROOD_SECONDS(1));
    assert_status(brood_queue_destroy(queue), BROOD_OK);
}

static void die_when_woken(enum broodi_step step)
{
    static bool waits;
    if (waits && step != BROODI_STEP_WAIT_PUBLISHED)
        platform_process_kill(brood_self_pid());
    if (waits || step != BROODI_STEP_QUEUE_ANNOUNCED)
        return;
    note("announced", 1);
    waits = true;
}

static int get_and_die_when_woken(void *arg)
{
    broodi_step_hook = die_when_woken;
    return get_one(arg);
}

static void a_consumer_that_was_woken_and_killed_leaves_the_message_to_others(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        const brood_queue queue = made_queue();
        note("announced", 0);
        brood_process *first = started_process(get_and_die_when_woken, &queue, sizeof queue);
        assert_true(await_note("announced", 1));
        brood_sleep(until_asleep);
        brood_thread *second = started_thread(get_one, &queue, sizeof queue);
        brood_sleep(until_asleep);
        assert_status(put(queue, 1, SMALL), BROOD_OK);
        assert_thread_ends(second, BROOD_OK);
        assert_status(put(queue, 2, SMALL), BROOD_OK);
        assert_true(was_killed(first));
        assert_int_equal(drain(queue), 1);
        assert_status(brood_queue_destroy(queue), BROOD_OK);
    }
}

// A producer is stopped with the lock, and another one gives up a reservation.

static int put_one(void *arg)
{
    return (int)put(*(brood_queue *)arg, 1, SMALL);
}

static void a_stopped_producer_does_not_keep_a_reservation_that_was_given_up(void **state)
{
    (void)state;
    const brood_queue queue = made_queue();
    brood_message message;
    unsigned more = 0;
    assert_status(brood_queue_reserve(queue, LARGE, &message, BROOD_NOW), BROOD_OK);
    stop_at(0, BROODI_STEP_QUEUE_CLEARED);
    brood_thread *thread = started_thread(put_one, &queue, sizeof queue);
    await_stop(0);
    const int64_t begun = brood_clock();
    brood_queue_abort(queue, &message);
    assert_true(brood_clock() - begun < BROOD_SECONDS(10));
    assert_null(message.data);
    assert_status(brood_queue_clear(queue, NULL), BROOD_OK);
    let_go(0);
    assert_thread_ends(thread, BROOD_OK);
    broodi_step_hook = NULL;
    while (brood_queue_put(queue, "", 0, BROOD_NOW) == BROOD_OK)
        more++;
    assert_int_equal(more, 7);
    assert_status(brood_queue_destroy(queue), BROOD_OK);
    assert_int_equal(pieces_live(), 0);
}

// A handle that the program has not been given.
static void the_queues_of_a_connection_are_refused(void **state)
{
    (void)state;
    brood_connection ends[2];
    char byte = 'a';
    size_t count;
    assert_status(brood_connection_pair(&ends[0], &ends[1], BROOD_DUPLEX), BROOD_OK);
    const struct broodi_connection_slot *slot =
        broodi_slot(BROODI_CONNECTION, (uint32_t)ends[0].id & BROODI_SLOT_MASK);
    for (int i = 0; i < 2; i++) {
        const brood_queue queue = { atomic_load(&slot->directions[i]) };
        const brood_waitable waitable = brood_waitable_queue(queue);
        brood_message message = { 0 };
        assert_status(brood_queue_put(queue, &byte, 1, BROOD_NOW), BROOD_INVALID);
        assert_status(brood_queue_get(queue, &byte, 1, NULL, BROOD_NOW), BROOD_INVALID);
        assert_status(brood_queue_reserve(queue, 1, &message, BROOD_NOW), BROOD_INVALID);
        assert_status(brood_queue_take(queue, &message, BROOD_NOW), BROOD_INVALID);
        assert_status(brood_queue_count(queue, &count), BROOD_INVALID);
        assert_status(brood_queue_clear(queue, NULL), BROOD_INVALID);
        assert_status(brood_queue_close(queue), BROOD_INVALID);
        assert_status(brood_queue_task_done(queue), BROOD_INVALID);
        assert_status(brood_queue_join(queue, BROOD_NOW), BROOD_INVALID);
        assert_status(brood_queue_destroy(queue), BROOD_INVALID);
        assert_status(brood_wait_any(&waitable, 1, BROOD_NOW, NULL), BROOD_INVALID);
        assert_status(brood_connection_send(ends[i], &byte, 1, BROOD_NOW), BROOD_OK);
        assert_status(brood_connection_receive(ends[!i], &byte, 1, NULL, BROOD_NOW), BROOD_OK);
    }
    assert_status(brood_connection_destroy(ends[0]), BROOD_OK);
    assert_int_equal(pieces_live(), 0);
}

// Batches

static brood_queue batched;
static size_t count_at_wake;

static void note_first_wake(enum broodi_step step)
{
    if (step == BROODI_STEP_QUEUE_TOLD && count_at_wake == 0)
        (void)brood_queue_count(batched, &count_at_wake);
}

// The consumer is held up between its flag and its sleep, so that only the producer wakes.
static void a_batch_wakes_a_consumer_before_its_end(void **state)
{
    static const uint64_t numbers[3000] = { 0 };
    (void)state;
    assert_status(brood_queue_create(&batched, 3000, sizeof numbers[0]), BROOD_OK);
    stop_at(0, BROODI_STEP_QUEUE_ANNOUNCED);
    brood_thread *thread = started_thread(get_number, &batched, sizeof batched);
    await_stop(0);
    count_at_wake = 0;
    broodi_step_hook = note_first_wake;
    assert_status(brood_queue_put_many(batched, numbers, sizeof numbers[0], 3000, NULL, BROOD_NOW),
                  BROOD_OK);
    broodi_step_hook = NULL;
    assert_in_range(count_at_wake, 1, 1500);
    let_go(0);
    assert_thread_ends(thread, BROOD_OK);
    assert_status(brood_queue_destroy(batched), BROOD_OK);
}

// Also after a failure: the next test must not run with the hook of this one, and a thread that is
// held up must be able to end.
static int forget_hook(void **state)
{
    (void)state;
    broodi_step_hook = NULL;
    let_go(0);
    let_go(1);
    (void)signal(SIGTERM, SIG_DFL);
    joinable = false;
    return 0;
}

#define hooked_test(test) cmocka_unit_test_teardown(test, forget_hook)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        hooked_test(the_queues_of_a_connection_are_refused),
        hooked_test(a_batch_wakes_a_consumer_before_its_end),
        hooked_test(all_sleeping_consumers_get_what_is_put),
        hooked_test(a_consumer_that_fails_passes_its_wake_on),
        hooked_test(a_consumer_whose_time_is_over_passes_its_wake_on),
        hooked_test(a_consumer_that_was_woken_and_killed_leaves_the_message_to_others),
        hooked_test(a_stopped_producer_does_not_keep_a_reservation_that_was_given_up),
        hooked_test(a_death_of_a_guest_in_a_put_leaves_a_whole_queue),
        hooked_test(a_death_in_a_put_leaves_the_messages_of_others_in_order),
        hooked_test(a_put_that_interrupts_a_put_is_refused),
        hooked_test(a_get_that_interrupts_a_get_is_refused),
        hooked_test(a_get_during_which_the_queue_is_destroyed_fails),
        hooked_test(a_stopped_consumer_does_not_block_one_that_has_its_message),
        hooked_test(a_death_at_any_step_leaves_a_whole_queue),
        hooked_test(a_death_at_any_step_loses_what_the_dead_had_got_and_no_more),
    };
    brood_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
