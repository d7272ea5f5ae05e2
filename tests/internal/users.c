// SPDX-License-Identifier: MIT
// Lists of the processes that use an object: entering, leaving, orderly ends and deaths, under each
// start method, and a death at each step.
#include "../children.h"

#include "../foreign.h"
#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/here.h"
#include "arena/kinds.h"
#include "arena/process_slot.h"
#include "arena/self.h"
#include "base/atomic.h"
#include "base/step.h"
#include "message/user_entry.h"
#include "message/users.h"
#include "process/burial.h"

// An object with a list, and what the processes of a test tell each other.
struct board {
    struct broodi_user_list list;
    _Atomic uint32_t told; // how often the object was told that a user has gone
    _Atomic uint32_t slot; // of the entry of the child
    _Atomic uint32_t turn;
};

struct object {
    uint64_t id;
    brood_block block;
    struct board *board; // in this process
};

static struct object opened(const void *arg)
{
    struct object object = *(const struct object *)arg;
    object.board = brood_block_data(object.block);
    return object;
}

static struct object made_object(void)
{
    brood_event event = { 0 };
    struct object object;
    assert_status(brood_event_create(&event), BROOD_OK);
    assert_status(brood_block_create(&object.block, sizeof(struct board)), BROOD_OK);
    object.id = event.id;
    object.board = brood_block_data(object.block);
    broodi_users_begin(&object.board->list, object.id);
    return object;
}

static uint32_t entries_live(void)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < broodi_slot_limit(BROODI_USER); i++) {
        const struct broodi_user_slot *slot = broodi_slot(BROODI_USER, i);
        live += broodi_slot_is_live(broodi_word_load(&slot->state));
    }
    return live;
}

// Nothing of the list is left.
static void destroy_object(const struct object *object)
{
    assert_status(brood_event_destroy((brood_event){ object->id }), BROOD_OK);
    broodi_users_end(&object->board->list, object->id);
    assert_false(broodi_users_look(&object->board->list, object->id).had);
    broodi_kind_sweep(BROODI_USER);
    assert_int_equal(entries_live(), 0);
    assert_status(brood_block_destroy(object->block), BROOD_OK);
}

static uint32_t chain_length(const struct object *object)
{
    uint32_t length = 0;
    uint32_t next = broodi_user_first(&object->board->list, object->id);
    while (broodi_user_next(object->id, &next))
        length++;
    return length;
}

static brood_status enter(const struct object *object, struct broodi_user *out)
{
    return broodi_user_enter(&object->board->list, object->id, 0, out);
}

static struct broodi_users seen(const struct object *object)
{
    return broodi_users_look(&object->board->list, object->id);
}

enum { LIVE, CLOSED, KILLED, NEVER };

static int summary(const struct object *object)
{
    const struct broodi_users users = seen(object);
    if (!users.had)
        return NEVER;
    return users.live ? LIVE : users.killed ? KILLED : CLOSED;
}

// Checks, as a caller does whose watched thread has died, until the list tells no live user.
static void check_until_gone(const struct object *object)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    for (uint32_t vain = 1; summary(object) == LIVE; vain++) {
        if (broodi_users_check(&object->board->list, object->id, true))
            continue;
        assert_true(brood_clock() < deadline);
        brood_sleep(broodi_users_pause(vain));
    }
}

// One process

static void a_process_is_in_a_list_once(void **state)
{
    (void)state;
    const struct object object = made_object();
    struct broodi_user first;
    struct broodi_user second;
    assert_int_equal(summary(&object), NEVER);
    assert_false(broodi_user_leave(&object.board->list, object.id, 0));
    for (int i = 0; i < 3; i++) {
        assert_status(enter(&object, &first), BROOD_OK);
        assert_status(enter(&object, &second), BROOD_OK);
        assert_ptr_equal(first.slot, second.slot);
        assert_int_equal(first.use, second.use);
        assert_int_equal(summary(&object), LIVE);
        assert_true(broodi_users_thread(&object.board->list, object.id) == broodi_owner_self());
        assert_true(broodi_user_leave(&object.board->list, object.id, 0));
        assert_false(broodi_user_leave(&object.board->list, object.id, 0));
        assert_int_equal(summary(&object), CLOSED);
    }
    assert_int_equal(chain_length(&object), 1);
    destroy_object(&object);
}

static void the_lists_of_an_object_are_separate(void **state)
{
    (void)state;
    const struct object object = made_object();
    struct broodi_user_list other;
    struct broodi_user here;
    struct broodi_user there;
    broodi_users_begin(&other, object.id);
    assert_status(enter(&object, &here), BROOD_OK);
    assert_false(broodi_users_look(&other, object.id).had);
    assert_status(broodi_user_enter(&other, object.id, 1, &there), BROOD_OK);
    assert_ptr_not_equal(here.slot, there.slot);
    for (int i = 0; i < 3; i++) {
        struct broodi_user again;
        assert_status(enter(&object, &again), BROOD_OK);
        assert_ptr_equal(again.slot, here.slot);
        assert_status(broodi_user_enter(&other, object.id, 1, &again), BROOD_OK);
        assert_ptr_equal(again.slot, there.slot);
    }
    assert_true(broodi_user_leave(&other, object.id, 1));
    assert_int_equal(summary(&object), LIVE);
    broodi_users_end(&other, object.id);
    assert_int_equal(summary(&object), LIVE);
    destroy_object(&object);
}

static void an_entry_of_an_earlier_use_changes_nothing(void **state)
{
    (void)state;
    const struct object object = made_object();
    struct broodi_user before;
    struct broodi_user now;
    assert_status(enter(&object, &before), BROOD_OK);
    assert_true(broodi_user_leave(&object.board->list, object.id, 0));
    assert_false(broodi_user_add(&before, 1));
    assert_status(enter(&object, &now), BROOD_OK);
    assert_ptr_equal(before.slot, now.slot);
    assert_true(broodi_user_add(&now, 2));
    assert_false(broodi_user_add(&before, 1));
    assert_int_equal(broodi_user_count(&before), 0);
    assert_int_equal(broodi_user_count(&now), 2);
    broodi_user_undo(&before);
    assert_int_equal(summary(&object), LIVE);
    destroy_object(&object);
    assert_false(broodi_user_add(&now, 1));
}

static void a_count_is_bounded(void **state)
{
    (void)state;
    const struct object object = made_object();
    struct broodi_user user;
    assert_false(broodi_user_subtract(&object.board->list, object.id, 0));
    assert_status(enter(&object, &user), BROOD_OK);
    assert_false(broodi_user_subtract(&object.board->list, object.id, 0));
    assert_true(broodi_user_add(&user, UINT32_MAX));
    assert_false(broodi_user_add(&user, 1));
    assert_true(seen(&object).held == UINT32_MAX);
    assert_true(broodi_user_subtract(&object.board->list, object.id, 0));
    assert_true(broodi_user_count(&user) == UINT32_MAX - 1);
    destroy_object(&object);
}

// Objects that have ended

static void a_list_that_has_ended_admits_nobody(void **state)
{
    (void)state;
    const struct object object = made_object();
    const uint64_t next = object.id + (UINT64_C(2) << BROODI_SLOT_BITS); // the slot's next object
    assert_status(enter(&object, NULL), BROOD_OK);
    broodi_users_end(&object.board->list, object.id);
    assert_status(enter(&object, NULL), BROOD_STALE);
    broodi_users_begin(&object.board->list, next);
    assert_status(enter(&object, NULL), BROOD_STALE);
    assert_status(broodi_user_enter(&object.board->list, next, 0, NULL), BROOD_OK);
    assert_int_equal(summary(&object), NEVER);
    assert_false(broodi_users_check(&object.board->list, object.id, true));
    assert_false(broodi_user_leave(&object.board->list, object.id, 0));
    broodi_users_end(&object.board->list, object.id);
    assert_true(broodi_users_look(&object.board->list, next).live);
    broodi_users_end(&object.board->list, next);
    assert_int_equal(entries_live(), 0);
    destroy_object(&object);
}

static void a_sweep_frees_entries_of_destroyed_objects_only(void **state)
{
    (void)state;
    const struct object object = made_object();
    assert_status(enter(&object, NULL), BROOD_OK);
    broodi_kind_sweep(BROODI_USER);
    assert_int_equal(summary(&object), LIVE);
    assert_status(brood_event_destroy((brood_event){ object.id }), BROOD_OK);
    broodi_kind_sweep(BROODI_USER);
    assert_int_equal(entries_live(), 0);
    broodi_users_end(&object.board->list, object.id);
    assert_status(brood_block_destroy(object.block), BROOD_OK);
}

// The children

enum { END_BY_RETURN, END_BY_EXIT, END_BY_LEAVING, END_BY_DEATH, ENDS };

struct errand {
    struct object object;
    int end;
    uint32_t count;
};

static int use_and_end(void *arg)
{
    const struct errand *errand = arg;
    const struct object object = opened(&errand->object);
    struct broodi_user user;
    CHECK(enter(&object, &user) == BROOD_OK);
    CHECK(summary(&object) == LIVE);
    CHECK(broodi_user_add(&user, errand->count));
    if (errand->end == END_BY_EXIT)
        exit(0);
    if (errand->end == END_BY_LEAVING)
        CHECK(broodi_user_leave(&object.board->list, object.id, 0));
    if (errand->end == END_BY_DEATH)
        platform_process_kill(brood_self_pid());
    return 0;
}

static void run(const struct errand *errand, int32_t method)
{
    brood_process *process = started_by(method, use_and_end, errand, sizeof *errand);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
}

static void the_list_tells_how_the_last_one_went(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        struct errand errand = { .object = made_object() };
        for (errand.end = 0; errand.end < ENDS; errand.end++) {
            run(&errand, methods[i]);
            assert_int_equal(summary(&errand.object), errand.end == END_BY_DEATH ? KILLED : CLOSED);
        }
        errand.end = END_BY_RETURN;
        run(&errand, methods[i]);
        assert_int_equal(summary(&errand.object), CLOSED);
        assert_int_equal(chain_length(&errand.object), 1);
        destroy_object(&errand.object);
    }
}

static void a_death_is_found_before_the_burial(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        for (int end = END_BY_RETURN; end <= END_BY_DEATH; end++) {
            const struct errand errand = { .object = made_object(), .end = end };
            brood_process *process = started_by(methods[i], use_and_end, &errand, sizeof errand);
            while (summary(&errand.object) == NEVER)
                brood_sleep(BROOD_MILLISECONDS(1));
            check_until_gone(&errand.object);
            assert_int_equal(summary(&errand.object), end == END_BY_DEATH ? KILLED : CLOSED);
            assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
            brood_process_drop(process);
            assert_int_equal(summary(&errand.object), end == END_BY_DEATH ? KILLED : CLOSED);
            destroy_object(&errand.object);
        }
    }
}

static void the_last_of_several_decides(void **state)
{
    (void)state;
    struct errand errand = { .object = made_object(), .end = END_BY_DEATH };
    assert_status(enter(&errand.object, NULL), BROOD_OK);
    run(&errand, BROOD_START_DEFAULT);
    assert_int_equal(summary(&errand.object), LIVE);
    assert_true(broodi_user_leave(&errand.object.board->list, errand.object.id, 0));
    assert_int_equal(summary(&errand.object), CLOSED);
    assert_int_equal(chain_length(&errand.object), 2);
    destroy_object(&errand.object);
}

static void a_process_comes_again(void **state)
{
    (void)state;
    struct errand errand = { .object = made_object(), .end = END_BY_DEATH };
    for (int i = 0; i < 3; i++) {
        run(&errand, BROOD_START_DEFAULT);
        assert_int_equal(summary(&errand.object), KILLED);
        assert_status(enter(&errand.object, NULL), BROOD_OK);
        assert_int_equal(summary(&errand.object), LIVE);
        assert_true(broodi_user_leave(&errand.object.board->list, errand.object.id, 0));
    }
    assert_int_equal(chain_length(&errand.object), 1);
    destroy_object(&errand.object);
}

static void take_off_counts(const struct object *object)
{
    struct broodi_user_slot *slot;
    uint32_t next = broodi_user_first(&object->board->list, object->id);
    while ((slot = broodi_user_next(object->id, &next)) != NULL) {
        uint64_t count = broodi_word_load(&slot->count);
        assert_true(
            broodi_user_count_swap(slot, &count, broodi_state(broodi_generation(count), 0)));
    }
}

static uint64_t lost(const struct object *object)
{
    uint64_t sum = 0;
    struct broodi_user_slot *slot;
    uint32_t next = broodi_user_first(&object->board->list, object->id);
    while ((slot = broodi_user_next(object->id, &next)) != NULL)
        sum += broodi_low(broodi_word_load(&slot->count));
    return sum;
}

static void the_counts_of_those_that_went_are_lost(void **state)
{
    (void)state;
    struct errand errand = { .object = made_object(), .end = END_BY_DEATH, .count = 3 };
    run(&errand, BROOD_START_DEFAULT);
    errand.end = END_BY_RETURN;
    run(&errand, BROOD_START_DEFAULT);
    assert_int_equal(chain_length(&errand.object), 2); // an entry with a count is not reused
    assert_true(lost(&errand.object) == 6 && seen(&errand.object).held == 0);
    take_off_counts(&errand.object);
    errand.count = 0;
    run(&errand, BROOD_START_DEFAULT);
    assert_int_equal(chain_length(&errand.object), 2);
    destroy_object(&errand.object);
}

// A process that has not begun.
static uint32_t prepared_process(void)
{
    const struct broodi_process_facts facts = { .parent = broodi_here_process(),
                                                .origin = BROODI_ORIGIN_SPAWN,
                                                .name = "a child" };
    uint32_t index = BROODI_NONE;
    return broodi_process_slot_allocate(&facts, &index) == BROOD_OK ? index : BROODI_NONE;
}

// Enters a process that never begins, and dies.
static int start_in_vain(void *arg)
{
    const struct object object = opened(arg);
    const uint32_t index = prepared_process();
    struct broodi_user user;
    CHECK(index != BROODI_NONE);
    CHECK(broodi_user_enter_for(&object.board->list, object.id, 0,
                                broodi_owner_at(BROODI_PROCESS, index), &user) == BROOD_OK);
    platform_process_kill(brood_self_pid());
    return 0;
}

// Adds an entry of a process that is not found dead yet: a child whose starter was killed.
static void fill_with_dead(const struct object *object)
{
    brood_process *process = started_process(start_in_vain, object, sizeof *object);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
}

// Checks are rare

static uint32_t milliseconds(int64_t time)
{
    return (uint32_t)(time / BROOD_MILLISECONDS(1));
}

// A user whose threads are not known: a child that never begins, since its starter was killed.
static void a_list_is_checked_once_a_second(void **state)
{
    (void)state;
    const struct object object = made_object();
    struct broodi_user_list *list = &object.board->list;
    fill_with_dead(&object);
    const int64_t before = brood_clock();
    atomic_store(&list->checked, milliseconds(before));
    const bool found = broodi_users_check(list, object.id, false);
    assert_true(!found || brood_clock() - before > BROOD_MILLISECONDS(900));
    assert_int_equal(summary(&object), found ? KILLED : LIVE);
    atomic_store(&list->checked, milliseconds(brood_clock() - BROOD_SECONDS(1)));
    assert_true(found || broodi_users_check(list, object.id, false));
    assert_int_equal(summary(&object), KILLED);
    broodi_kind_sweep(BROODI_PROCESS);
    destroy_object(&object);
}

static void a_list_is_checked_at_once_when_a_thread_has_died(void **state)
{
    (void)state;
    const struct errand errand = { .object = made_object(), .end = END_BY_DEATH };
    struct broodi_user_list *list = &errand.object.board->list;
    brood_process *process = started_process(use_and_end, &errand, sizeof errand);
    assert_true(platform_process_ends(brood_process_pid(process)));
    assert_int_equal(summary(&errand.object), LIVE);
    atomic_store(&list->checked, milliseconds(brood_clock() - BROOD_MILLISECONDS(2)));
    assert_true(broodi_users_check(list, errand.object.id, false));
    assert_int_equal(summary(&errand.object), KILLED);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
    destroy_object(&errand.object);
}

static void the_pause_grows_to_a_second(void **state)
{
    (void)state;
    assert_true(broodi_users_pause(0) == BROOD_SECONDS(1));
    assert_true(broodi_users_pause(1) == BROOD_MILLISECONDS(1));
    for (uint32_t vain = 1; vain < 100; vain++) {
        assert_true(broodi_users_pause(vain) <= broodi_users_pause(vain + 1));
        assert_true(broodi_users_pause(vain) <= BROOD_SECONDS(1));
    }
    assert_true(broodi_users_pause(100) == BROOD_SECONDS(1));
}

// Starters

static void a_start_that_fails_leaves_the_list_as_it_was(void **state)
{
    (void)state;
    struct errand errand = { .object = made_object() };
    struct board *board = errand.object.board;
    const uint32_t index = prepared_process();
    const broodi_owner child = broodi_owner_at(BROODI_PROCESS, index);
    static const int before[] = { NEVER, CLOSED, KILLED };
    for (int i = 0; i < 3; i++) {
        struct broodi_user user;
        errand.end = before[i] == KILLED ? END_BY_DEATH : END_BY_RETURN;
        if (before[i] != NEVER)
            run(&errand, BROOD_START_DEFAULT);
        assert_int_equal(summary(&errand.object), before[i]);
        assert_status(broodi_user_enter_for(&board->list, errand.object.id, 0, child, &user),
                      BROOD_OK);
        assert_int_equal(summary(&errand.object), LIVE);
        assert_false(broodi_users_check(&board->list, errand.object.id, true));
        broodi_user_undo(&user);
        assert_int_equal(summary(&errand.object), before[i]);
    }
    assert_true(chain_length(&errand.object) <= 2);
    broodi_process_slot_end(index);
    destroy_object(&errand.object);
}

static void a_child_that_dies_before_it_begins_was_a_user(void **state)
{
    (void)state;
    const struct object object = made_object();
    const uint32_t index = prepared_process();
    const broodi_owner child = broodi_owner_at(BROODI_PROCESS, index);
    struct broodi_user user;
    assert_status(broodi_user_enter_for(&object.board->list, object.id, 0, child, &user), BROOD_OK);
    broodi_process_slot_end(index);
    assert_int_equal(summary(&object), KILLED);
    destroy_object(&object);
}

static void a_child_whose_starter_dies_is_no_user_for_long(void **state)
{
    (void)state;
    const struct object object = made_object();
    brood_process *process = started_process(start_in_vain, &object, sizeof object);
    assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
    brood_process_drop(process);
    assert_int_equal(summary(&object), LIVE);
    assert_true(broodi_users_check(&object.board->list, object.id, true));
    assert_int_equal(summary(&object), KILLED);
    broodi_kind_sweep(BROODI_PROCESS);
    destroy_object(&object);
}

// Guests

static int use_as_a_guest(void *arg)
{
    const struct object *object = arg;
    struct broodi_user user;
    if (enter(object, &user) != BROOD_OK || chain_length(object) != 2)
        return 1;
    atomic_store(&object->board->slot, broodi_slot_index(BROODI_USER, user.slot));
    return 0;
}

static int use_and_exit_as_a_guest(void *arg)
{
    exit(use_as_a_guest(arg));
}

static int use_and_die_as_a_guest(void *arg)
{
    (void)use_as_a_guest(arg);
    platform_process_kill(brood_self_pid());
    return 0;
}

static void a_guest_is_a_user_of_its_own(void **state)
{
    (void)state;
    if (!platform_has_fork())
        skip();
    int (*const targets[])(void *) = { use_and_exit_as_a_guest, use_and_die_as_a_guest };
    for (int i = 0; i < 2; i++) {
        struct object object = made_object();
        struct broodi_user own;
        assert_status(enter(&object, &own), BROOD_OK);
        (void)platform_guest(targets[i], &object);
        assert_int_equal(chain_length(&object), 2);
        assert_true(atomic_load(&object.board->slot) != broodi_slot_index(BROODI_USER, own.slot));
        assert_true(broodi_user_leave(&object.board->list, object.id, 0));
        check_until_gone(&object);
        assert_int_equal(summary(&object), i == 0 ? CLOSED : KILLED);
        destroy_object(&object);
    }
}

// The object is told

static struct board *told_board;

static void tell(uint64_t id, uint32_t number)
{
    (void)id;
    if (told_board && number == 0)
        atomic_fetch_add(&told_board->told, 1);
}

static const broodi_user_gone tellers[BROODI_HANDLE_KINDS] = { [BROODI_EVENT] = tell };

static int use_and_tell(void *arg)
{
    const struct errand *errand = arg;
    told_board = opened(&errand->object).board;
    broodi_users_prepare(tellers);
    return use_and_end(arg);
}

// Once for each user, by the process itself or by its burial.
static void the_object_is_told_of_each_end(void **state)
{
    (void)state;

    struct errand errand = { .object = made_object() };
    told_board = errand.object.board;
    broodi_users_prepare(tellers);
    for (errand.end = 0; errand.end < ENDS; errand.end++) {
        const uint32_t before = atomic_load(&told_board->told);
        brood_process *process = started_process(use_and_tell, &errand, sizeof errand);
        assert_status(brood_process_join(process, MEETING_PATIENCE, NULL), BROOD_OK);
        brood_process_drop(process);
        assert_int_equal(atomic_load(&told_board->told) - before, errand.end != END_BY_LEAVING);
    }
    broodi_users_prepare(broodi_users_gone);
    told_board = NULL;
    destroy_object(&errand.object);
}

// Many at once

enum { ROUNDS = 300, THREADS = 4 };

static int come_and_go(void *arg)
{
    const struct object object = opened(arg);
    for (int i = 0; i < ROUNDS; i++) {
        struct broodi_user user;
        CHECK(enter(&object, &user) == BROOD_OK);
        CHECK(summary(&object) == LIVE);
        (void)broodi_user_leave(&object.board->list, object.id, 0);
        (void)broodi_users_check(&object.board->list, object.id, i % 64 == 0);
    }
    return 0;
}

static int come_and_go_in_threads(void *arg)
{
    brood_thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(brood_thread_start(&threads[i], come_and_go, arg, sizeof(struct object), NULL) ==
              BROOD_OK);
    for (int i = 0; i < THREADS; i++) {
        int code = -1;
        CHECK(brood_thread_join(threads[i], BROOD_FOREVER, &code) == BROOD_OK && code == 0);
        brood_thread_drop(threads[i]);
    }
    return 0;
}

static void processes_and_threads_come_and_go_at_once(void **state)
{
    (void)state;
    enum { MOST = 12 };
    const int count = foreign_is_slow() ? 3 : MOST;
    const struct object object = made_object();
    brood_process *processes[MOST];
    // While another user is there, the list never tells that there is none.
    assert_status(enter(&object, NULL), BROOD_OK);
    for (int i = 0; i < count; i++)
        processes[i] = started_process(come_and_go_in_threads, &object, sizeof object);
    for (int i = 0; i < count; i++)
        assert_process_ends(processes[i], 0);
    assert_true(broodi_user_leave(&object.board->list, object.id, 0));
    assert_int_equal(summary(&object), CLOSED);
    assert_in_range(chain_length(&object), 2, (uint32_t)(count + 1) * THREADS);
    destroy_object(&object);
}

// Two processes take turns: each leaves, and enters again, while the other one is a user.

enum { TURNS = 400, APART = 12000 };

struct player {
    struct object object;
    uint32_t number; // 0 or 1
};

static int take_turns(void *arg)
{
    const struct player *player = arg;
    const struct object object = opened(&player->object);
    struct broodi_user user = { 0 };
    for (uint32_t turn = player->number; turn < TURNS; turn += 2) {
        while (atomic_load(&object.board->turn) != turn)
            brood_sleep(BROOD_NOW);
        // As broodi_user_leave, without a scan, so that a scan may take longer than a turn.
        if (user.slot)
            CHECK(broodi_user_depart(user.slot, broodi_word_load(&user.slot->state),
                                     BROODI_USER_LEFT));
        CHECK(enter(&object, &user) == BROOD_OK);
        atomic_store(&object.board->turn, turn + 1);
    }
    CHECK(await_note("turns are over", 1));
    return 0;
}

// Entries between those of the two players, so that a scan takes long. They have a count, so no
// process reuses them.
static void set_apart(const struct object *object)
{
    struct broodi_user_list *list = &object->board->list;
    for (int i = 0; i < APART; i++) {
        uint32_t index;
        assert_status(
            broodi_slot_allocate(BROODI_USER, broodi_user_low(BROODI_USER_LEFT, 0), &index),
            BROOD_OK);
        struct broodi_user_slot *slot = broodi_slot(BROODI_USER, index);
        const uint32_t turn = broodi_generation(broodi_word_load(&slot->count));
        atomic_store(&slot->count.state, broodi_state(turn, 1));
        atomic_store(&slot->object, object->id);
        atomic_store(&slot->next, broodi_user_first(list, object->id));
        atomic_store(&list->first, (object->id & ~(uint64_t)BROODI_SLOT_MASK) | (index + 1));
    }
}

static void assert_list_is_never_empty(const struct object *object)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (atomic_load(&object->board->turn) < TURNS) {
        assert_int_equal(summary(object), LIVE);
        assert_true(brood_clock() < deadline);
    }
}

static void a_list_that_passes_from_hand_to_hand_is_never_empty(void **state)
{
    (void)state;
    struct player player = { .object = made_object() };
    brood_process *players[2];
    note("turns are over", 0);
    players[0] = started_process(take_turns, &player, sizeof player);
    while (atomic_load(&player.object.board->turn) < 1)
        brood_sleep(BROOD_MILLISECONDS(1));
    set_apart(&player.object);
    player.number = 1;
    players[1] = started_process(take_turns, &player, sizeof player);
    assert_list_is_never_empty(&player.object);
    note("turns are over", 1);
    for (int i = 0; i < 2; i++)
        assert_process_ends(players[i], 0);
    destroy_object(&player.object);
}

// The table is full

static void a_full_table_is_an_answer(void **state)
{
    (void)state;
    const struct object object = made_object();
    const uint32_t others = broodi_user_low(BROODI_USER_USING, 1);
    uint32_t index;
    brood_status status;
    uint32_t taken = 0;
    while ((status = broodi_slot_allocate(BROODI_USER, others, &index)) == BROOD_OK)
        taken++;
    assert_true(status == BROOD_NO_RESOURCES || status == BROOD_NO_MEMORY);
    assert_status(enter(&object, NULL), status);
    assert_int_equal(summary(&object), NEVER);
    for (uint32_t i = 0; i < broodi_slot_limit(BROODI_USER); i++) {
        const struct broodi_user_slot *slot = broodi_slot(BROODI_USER, i);
        const uint64_t word = broodi_word_load(&slot->state);
        if (broodi_slot_is_live(word) && broodi_low(word) == others)
            assert_true(broodi_slot_free(BROODI_USER, i, word));
    }
    assert_true(taken > 1000);
    assert_status(enter(&object, NULL), BROOD_OK);
    destroy_object(&object);
}

// A death at each step

struct plan {
    struct object object;
    unsigned act;
    unsigned steps; // the process is killed at this one
};

static int do_enter(const struct object *object)
{
    return enter(object, NULL) != BROOD_OK;
}

static int do_enter_and_leave(const struct object *object)
{
    CHECK(enter(object, NULL) == BROOD_OK);
    CHECK(broodi_user_leave(&object->board->list, object->id, 0));
    return 0;
}

static int do_start_and_fail(const struct object *object)
{
    struct broodi_user user;
    const uint32_t index = prepared_process();
    CHECK(broodi_user_enter_for(&object->board->list, object->id, 0,
                                broodi_owner_at(BROODI_PROCESS, index), &user) == BROOD_OK);
    broodi_user_undo(&user);
    broodi_process_slot_end(index);
    return 0;
}

static int do_check(const struct object *object)
{
    (void)broodi_users_check(&object->board->list, object->id, true);
    return 0;
}

static int do_destroy(const struct object *object)
{
    (void)enter(object, NULL);
    CHECK(brood_event_destroy((brood_event){ object->id }) == BROOD_OK);
    broodi_users_end(&object->board->list, object->id);
    return 0;
}

static int (*const acts[])(const struct object *) = { do_enter, do_enter_and_leave,
                                                      do_start_and_fail, do_check, do_destroy };
enum { ACTS = sizeof acts / sizeof acts[0], DESTROY = ACTS - 1 };

static _Atomic unsigned steps_left;

static void die_at_last(enum broodi_step step)
{
    (void)step;
    if (atomic_fetch_sub(&steps_left, 1) == 1)
        platform_process_kill(brood_self_pid());
}

static int act_and_die(void *arg)
{
    const struct plan *plan = arg;
    const struct object object = opened(&plan->object);
    brood_event event;
    CHECK(brood_event_create(&event) == BROOD_OK); // so that the thread has a slot
    CHECK(brood_event_destroy(event) == BROOD_OK);
    atomic_store(&steps_left, plan->steps);
    broodi_step_hook = die_at_last;
    const int line = acts[plan->act](&object);
    broodi_step_hook = NULL;
    return line;
}

static bool is_killed_at_step(const struct plan *plan)
{
    brood_exit ended = { .kind = BROOD_RUNNING };
    brood_process *process = started_process(act_and_die, plan, sizeof *plan);
    assert_status(brood_process_join(process, MEETING_PATIENCE, &ended), BROOD_OK);
    brood_process_drop(process);
    const bool has_returned = ended.kind == BROOD_EXITED && ended.code < 10000;
    if (has_returned)
        assert_int_equal(ended.code, 0);
    return !has_returned;
}

// All others have gone, and the list still works.
static void assert_list_is_whole(const struct object *object)
{
    check_until_gone(object);
    assert_status(enter(object, NULL), BROOD_OK);
    assert_int_equal(summary(object), LIVE);
    assert_true(broodi_user_leave(&object->board->list, object->id, 0));
    assert_int_equal(summary(object), CLOSED);
}

static unsigned kill_at_each_step(unsigned act, bool filled)
{
    const unsigned stride = foreign_is_slow() ? 5 : 1;
    struct plan plan = { .act = act, .steps = 1 };
    unsigned deaths = 0;
    bool killed;
    do {
        plan.object = made_object();
        if (filled)
            fill_with_dead(&plan.object);
        killed = is_killed_at_step(&plan);
        deaths += killed;
        plan.steps += stride;
        broodi_kind_sweep(BROODI_PROCESS);
        if (act == DESTROY)
            (void)brood_event_destroy((brood_event){ plan.object.id });
        else
            assert_list_is_whole(&plan.object);
        if (act == DESTROY) {
            broodi_users_end(&plan.object.board->list, plan.object.id);
            broodi_kind_sweep(BROODI_USER);
            assert_int_equal(entries_live(), 0);
            assert_status(brood_block_destroy(plan.object.block), BROOD_OK);
        } else
            destroy_object(&plan.object);
    } while (killed);
    return deaths;
}

static void a_death_at_any_step_leaves_a_whole_list(void **state)
{
    (void)state;
    for (unsigned act = 0; act < ACTS; act++)
        for (int filled = 0; filled < 2; filled++)
            print_message("act %u, %s: %u deaths\n", act, filled ? "filled" : "fresh",
                          kill_at_each_step(act, filled));
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_in_a_list_once),
        cmocka_unit_test(the_lists_of_an_object_are_separate),
        cmocka_unit_test(an_entry_of_an_earlier_use_changes_nothing),
        cmocka_unit_test(a_count_is_bounded),
        cmocka_unit_test(a_list_that_has_ended_admits_nobody),
        cmocka_unit_test(a_sweep_frees_entries_of_destroyed_objects_only),
        cmocka_unit_test(the_list_tells_how_the_last_one_went),
        cmocka_unit_test(a_death_is_found_before_the_burial),
        cmocka_unit_test(the_last_of_several_decides),
        cmocka_unit_test(a_process_comes_again),
        cmocka_unit_test(the_counts_of_those_that_went_are_lost),
        cmocka_unit_test(a_list_is_checked_once_a_second),
        cmocka_unit_test(a_list_is_checked_at_once_when_a_thread_has_died),
        cmocka_unit_test(the_pause_grows_to_a_second),
        cmocka_unit_test(a_start_that_fails_leaves_the_list_as_it_was),
        cmocka_unit_test(a_child_that_dies_before_it_begins_was_a_user),
        cmocka_unit_test(a_child_whose_starter_dies_is_no_user_for_long),
        cmocka_unit_test(a_guest_is_a_user_of_its_own),
        cmocka_unit_test(the_object_is_told_of_each_end),
        cmocka_unit_test(processes_and_threads_come_and_go_at_once),
        cmocka_unit_test(a_list_that_passes_from_hand_to_hand_is_never_empty),
        cmocka_unit_test(a_full_table_is_an_answer),
        cmocka_unit_test(a_death_at_any_step_leaves_a_whole_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
