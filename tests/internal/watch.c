// SPDX-License-Identifier: MIT
// What waits for native objects and for rings: src/os/os_watch.h. A watch looks again at the end of
// its period; in the tests the period is MEETING_PATIENCE, so a ring or an object that it misses
// shows as a wait of that length.
#include "../methods.h"

#include "../foreign.h"
#include "arena/family.h"
#include "base/atomic.h"
#include "base/fail.h"
#include "base/fault.h"
#include "os/os_watch.h"

// The limit for a wait that something ends.
#define SOON (MEETING_PATIENCE / 2)

enum { MANY = 200, MOST_KEYS = 400 };

// Numbers of watches; a family uses each for one watch.
static brood_os_watch_id next_id(void)
{
    static uint64_t last;
    brood_os_watch_id id = { .number = ++last };
    memcpy(id.family, broodi_family.header->family, sizeof id.family);
    return id;
}

static brood_os_watch *make_watch(brood_os_watch_id *out_id)
{
    brood_os_watch *watch = NULL;
    const brood_os_watch_id id = next_id();
    assert_status(brood_os_watch_create(&id, &watch), BROOD_OK);
    brood_os_watch_set_period(watch, MEETING_PATIENCE);
    if (out_id)
        *out_id = id;
    return watch;
}

static void add(brood_os_watch *watch, const platform_native *native, uint64_t key)
{
    assert_status(brood_os_watch_add(watch, native->object, key), BROOD_OK);
}

static void drop(brood_os_watch *watch, const platform_native *native, uint64_t key)
{
    assert_true(brood_os_watch_remove(watch, native->object, key));
}

// How often each key has been reported since the last call of forget().
static unsigned reported[MOST_KEYS];

static void forget(void)
{
    memset(reported, 0, sizeof reported);
}

static size_t await(brood_os_watch *watch, size_t capacity, int64_t timeout)
{
    uint64_t keys[MOST_KEYS];
    size_t count = 77;
    assert_status(brood_os_watch_await(watch, keys, capacity, timeout, &count), BROOD_OK);
    assert_true(count <= capacity);
    for (size_t i = 0; i < count; i++) {
        assert_true(keys[i] < MOST_KEYS);
        reported[keys[i]]++;
    }
    return count;
}

// The keys that are ready now.
static size_t look(brood_os_watch *watch)
{
    forget();
    return await(watch, MOST_KEYS, 0);
}

// A wait may end early, without a key: waits until there is one.
static size_t await_keys(brood_os_watch *watch)
{
    const int64_t deadline = brood_clock() + SOON;
    size_t count = 0;
    forget();
    while (count == 0 && brood_clock() < deadline)
        count = await(watch, MOST_KEYS, deadline - brood_clock());
    return count;
}

// A watch hears what came before once more.
static void settle(brood_os_watch *watch)
{
    while (await(watch, MOST_KEYS, BROOD_MILLISECONDS(1)) > 0)
        continue;
}

// Objects

static void an_object_is_reported_while_it_is_ready(void **state)
{
    (void)state;
    brood_os_watch *watch = make_watch(NULL);
    platform_native natives[3];
    for (unsigned i = 0; i < 3; i++) {
        natives[i] = platform_native_create();
        add(watch, &natives[i], i);
    }
    assert_int_equal(look(watch), 0);
    platform_native_set(&natives[1], true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(await_keys(watch), 1);
        assert_int_equal(reported[1], 1);
    }
    platform_native_set(&natives[2], true);
    assert_int_equal(look(watch), 2);
    platform_native_set(&natives[1], false);
    assert_int_equal(look(watch), 1);
    assert_int_equal(reported[2], 1);
    platform_native_set(&natives[2], false);
    assert_int_equal(look(watch), 0);
    brood_os_watch_destroy(watch);
    for (int i = 0; i < 3; i++)
        platform_native_destroy(&natives[i]);
}

static void a_wait_lasts_until_its_timeout_or_the_period(void **state)
{
    (void)state;
    brood_os_watch *watch = make_watch(NULL);
    platform_native native = platform_native_create();
    add(watch, &native, 1);
    settle(watch);
    int64_t before = brood_clock();
    assert_int_equal(await(watch, 1, BROOD_MILLISECONDS(30)), 0);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    brood_os_watch_set_period(watch, BROOD_MILLISECONDS(30));
    before = brood_clock();
    assert_int_equal(await(watch, 1, INT64_MAX), 0);
    assert_true(brood_clock() - before >= BROOD_MILLISECONDS(30));
    assert_true(brood_clock() - before < SOON);
    brood_os_watch_destroy(watch);
    platform_native_destroy(&native);
}

static void set_later(void *native)
{
    brood_sleep(BROOD_MILLISECONDS(30));
    platform_native_set(native, true);
}

static void an_object_that_becomes_ready_ends_a_wait(void **state)
{
    (void)state;
    brood_os_watch *watch = make_watch(NULL);
    platform_native native = platform_native_create();
    add(watch, &native, 1);
    for (int i = 0; i < 3; i++) {
        foreign_thread *thread = foreign_thread_start(set_later, &native);
        assert_int_equal(await_keys(watch), 1);
        foreign_thread_join(thread);
        platform_native_set(&native, false);
        assert_int_equal(look(watch), 0);
    }
    brood_os_watch_destroy(watch);
    platform_native_destroy(&native);
}

static void each_key_of_an_object_is_reported(void **state)
{
    (void)state;
    brood_os_watch *watch = make_watch(NULL);
    platform_native native = platform_native_create();
    platform_native other = platform_native_create();
    for (unsigned key = 1; key <= 3; key++)
        add(watch, &native, key);
    add(watch, &other, 4);
    platform_native_set(&native, true);
    platform_native_set(&other, true);
    assert_int_equal(look(watch), 4);
    forget();
    for (int i = 0; i < 40; i++) // with room for one, all have their turn
        assert_int_equal(await(watch, 1, 0), 1);
    for (unsigned key = 1; key <= 4; key++)
        assert_true(reported[key] > 0);
    drop(watch, &native, 2);
    assert_int_equal(look(watch), 3);
    assert_int_equal(reported[2], 0);
    drop(watch, &native, 3);
    drop(watch, &native, 1);
    assert_int_equal(look(watch), 1);
    assert_int_equal(reported[4], 1);
    add(watch, &native, 5);
    assert_int_equal(look(watch), 2);
    brood_os_watch_destroy(watch);
    platform_native_destroy(&native);
    platform_native_destroy(&other);
}

static void make_many(brood_os_watch *watch, platform_native natives[MANY])
{
    for (unsigned i = 0; i < MANY; i++) {
        natives[i] = platform_native_create();
        add(watch, &natives[i], i);
    }
}

static void destroy_many(platform_native natives[MANY])
{
    for (unsigned i = 0; i < MANY; i++)
        platform_native_destroy(&natives[i]);
}

static void two_hundred_objects_are_waited_for_at_once(void **state)
{
    (void)state;
    static platform_native natives[MANY];
    static const unsigned some[] = { 0, 61, 62, 63, 64, 199 };
    brood_os_watch *watch = make_watch(NULL);
    make_many(watch, natives);
    assert_int_equal(look(watch), 0);
    for (size_t i = 0; i < 6; i++) {
        foreign_thread *thread = foreign_thread_start(set_later, &natives[some[i]]);
        assert_int_equal(await_keys(watch), 1);
        assert_int_equal(reported[some[i]], 1);
        foreign_thread_join(thread);
        assert_int_equal(look(watch), 1);
        platform_native_set(&natives[some[i]], false);
        assert_int_equal(look(watch), 0);
    }
    for (unsigned i = 0; i < MANY; i++)
        platform_native_set(&natives[i], true);
    const int64_t deadline = brood_clock() + SOON;
    while (look(watch) < MANY && brood_clock() < deadline)
        continue;
    assert_int_equal(look(watch), MANY);
    forget();
    for (unsigned i = 0; i < 4 * MANY; i++)
        assert_int_equal(await(watch, 1, 0), 1);
    for (unsigned i = 0; i < MANY; i++)
        assert_true(reported[i] > 0);
    brood_os_watch_destroy(watch);
    destroy_many(natives);
}

static void a_removed_object_is_not_reported(void **state)
{
    (void)state;
    static platform_native natives[MANY];
    brood_os_watch *watch = make_watch(NULL);
    make_many(watch, natives);
    for (unsigned i = 0; i < MANY; i++)
        platform_native_set(&natives[i], true);
    (void)await(watch, 3, 0);
    for (unsigned i = 0; i < MANY; i += 2)
        drop(watch, &natives[i], i);
    const int64_t deadline = brood_clock() + SOON;
    while (look(watch) < MANY / 2 && brood_clock() < deadline)
        continue;
    assert_int_equal(look(watch), MANY / 2);
    for (unsigned i = 0; i < MANY; i += 2)
        assert_int_equal(reported[i], 0);
    for (unsigned i = 1; i < MANY; i += 2)
        drop(watch, &natives[i], i);
    assert_int_equal(look(watch), 0);
    add(watch, &natives[7], 1);
    assert_int_equal(look(watch), 1);
    assert_false(brood_os_watch_remove(watch, natives[7].object, 2));
    assert_false(brood_os_watch_remove(watch, natives[8].object, 1));
    brood_os_watch_destroy(watch);
    destroy_many(natives);
}

static void what_cannot_be_watched_is_refused(void **state)
{
    (void)state;
    intptr_t own = -1;
    platform_native native = platform_native_create();
    brood_os_watch *watch = make_watch(NULL);
    platform_native_destroy(&native);
    assert_status(broodi_answer("add", brood_os_watch_add(watch, native.object, 1)), BROOD_INVALID);
    assert_non_null(strstr(brood_last_error(), "is not open"));
    assert_status(brood_os_watch_add(watch, -77, 1), BROOD_INVALID);
    assert_false(brood_os_watch_remove(watch, -77, 1));
    assert_status(brood_os_watch_native(watch, &own), BROOD_OK);
    assert_status(brood_os_watch_add(watch, own, 1), BROOD_INVALID);
    assert_int_equal(look(watch), 0);
    brood_os_watch_destroy(watch);
}

// Rings

static void a_ring_before_a_wait_ends_it(void **state)
{
    (void)state;
    brood_os_watch_id id;
    brood_os_watch *watch = make_watch(&id);
    settle(watch);
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(brood_os_watch_ring(&id), BROOD_OS_RING_LOST);
        const int64_t before = brood_clock();
        assert_int_equal(await(watch, 1, MEETING_PATIENCE), 0);
        assert_true(brood_clock() - before < SOON);
    }
    brood_os_watch_destroy(watch);
    // The watch has ended.
    assert_int_not_equal(brood_os_watch_ring(&id), BROOD_OS_RING_LOST);
}

// Each process rings after it has counted, and waits until its ring was heard.
struct bout {
    brood_os_watch_id id;
    brood_block block; // of two counters: what was counted, what was heard
    uint32_t rounds;
};

static _Atomic uint32_t *counters_of(const struct bout *bout)
{
    return brood_block_data(bout->block);
}

static int ring_and_wait(void *arg)
{
    const struct bout *bout = arg;
    _Atomic uint32_t *counters = counters_of(bout);
    const int64_t deadline = brood_clock() + 2 * MEETING_PATIENCE;
    CHECK(counters);
    for (uint32_t i = 1; i <= bout->rounds; i++) {
        atomic_store(&counters[0], i);
        CHECK(brood_os_watch_ring(&bout->id) != BROOD_OS_RING_LOST);
        while (atomic_load(&counters[1]) < i && brood_clock() < deadline)
            brood_sleep(BROOD_MILLISECONDS(1));
        CHECK(atomic_load(&counters[1]) >= i);
    }
    return 0;
}

static struct bout begin_bout(uint32_t rounds, brood_os_watch **out_watch)
{
    struct bout bout = { .rounds = rounds };
    assert_status(brood_block_create(&bout.block, 2 * sizeof(uint32_t)), BROOD_OK);
    *out_watch = make_watch(&bout.id);
    return bout;
}

static void end_bout(const struct bout *bout, brood_os_watch *watch)
{
    brood_os_watch_destroy(watch);
    assert_status(brood_block_destroy(bout->block), BROOD_OK);
}

// Every wait ends by a ring.
static void hear_all(const struct bout *bout, brood_os_watch *watch)
{
    _Atomic uint32_t *counters = counters_of(bout);
    while (atomic_load(&counters[1]) < bout->rounds) {
        const int64_t before = brood_clock();
        (void)await(watch, 1, MEETING_PATIENCE);
        assert_true(brood_clock() - before < SOON);
        atomic_store(&counters[1], atomic_load(&counters[0]));
    }
}

static void rings_of_all_kinds_of_processes_are_heard(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        brood_os_watch *watch;
        const struct bout bout = begin_bout(foreign_is_slow() ? 5 : 50, &watch);
        const brood_process_options options = { .method = methods[i] };
        brood_process *process = NULL;
        assert_status(brood_process_start(&process, ring_and_wait, &bout, sizeof bout, &options),
                      BROOD_OK);
        hear_all(&bout, watch);
        assert_process_ends(process, 0);
        end_bout(&bout, watch);
    }
}

static int start_and_join(void *arg)
{
    brood_process *process = NULL;
    brood_exit ended;
    CHECK(brood_process_start(&process, ring_and_wait, arg, sizeof(struct bout), NULL) == BROOD_OK);
    CHECK(brood_process_join(process, MEETING_PATIENCE, &ended) == BROOD_OK);
    brood_process_drop(process);
    return ended.code;
}

static void rings_of_grandchildren_are_heard(void **state)
{
    (void)state;
    brood_os_watch *watch;
    const struct bout bout = begin_bout(3, &watch);
    brood_process *process = started_process(start_and_join, &bout, sizeof bout);
    hear_all(&bout, watch);
    assert_process_ends(process, 0);
    end_bout(&bout, watch);
}

// The parent rings: the child has the watch.
static int hear_in_child(void *arg)
{
    struct bout bout = *(struct bout *)arg;
    brood_os_watch *watch = NULL;
    uint64_t keys[1];
    size_t count;
    CHECK(brood_os_watch_create(&bout.id, &watch) == BROOD_OK);
    brood_os_watch_set_period(watch, MEETING_PATIENCE);
    _Atomic uint32_t *counters = counters_of(&bout);
    note("child hears", 1);
    while (atomic_load(&counters[1]) < bout.rounds) {
        const int64_t before = brood_clock();
        CHECK(brood_os_watch_await(watch, keys, 1, MEETING_PATIENCE, &count) == BROOD_OK);
        CHECK(brood_clock() - before < SOON);
        atomic_store(&counters[1], atomic_load(&counters[0]));
    }
    brood_os_watch_destroy(watch);
    return 0;
}

static void children_hear_rings(void **state)
{
    (void)state;
    int32_t methods[MOST_METHODS];
    const size_t count = methods_of_this_system(methods);
    for (size_t i = 0; i < count; i++) {
        struct bout bout = { .id = next_id(), .rounds = 5 };
        assert_status(brood_block_create(&bout.block, 2 * sizeof(uint32_t)), BROOD_OK);
        const brood_process_options options = { .method = methods[i] };
        brood_process *process = NULL;
        note("child hears", 0);
        assert_status(brood_process_start(&process, hear_in_child, &bout, sizeof bout, &options),
                      BROOD_OK);
        assert_true(await_note("child hears", 1));
        assert_int_equal(ring_and_wait(&bout), 0);
        assert_process_ends(process, 0);
        assert_status(brood_block_destroy(bout.block), BROOD_OK);
    }
}

static int ring_as_guest(void *arg)
{
    return ring_and_wait(arg) != 0;
}

static void a_guest_rings(void **state)
{
    (void)state;
    brood_os_watch *watch;
    struct bout bout = begin_bout(3, &watch);
    const brood_pid guest = platform_guest_start(ring_as_guest, &bout);
    if (guest != 0) {
        hear_all(&bout, watch);
        assert_int_equal(platform_guest_end(guest), 0);
    }
    end_bout(&bout, watch);
}

struct copied {
    brood_os_watch *watch;
    platform_native *native;
};

static int use_the_copy(void *arg)
{
    const struct copied *copied = arg;
    uint64_t keys[1];
    size_t count = 0;
    intptr_t native;
    CHECK(brood_os_watch_await(copied->watch, keys, 1, 0, &count) == BROOD_WRONG_STATE);
    CHECK(count == 0);
    CHECK(brood_os_watch_add(copied->watch, copied->native->object, 9) == BROOD_WRONG_STATE);
    CHECK(brood_os_watch_native(copied->watch, &native) == BROOD_WRONG_STATE);
    CHECK(!brood_os_watch_remove(copied->watch, copied->native->object, 1));
    brood_os_watch_keep_ready(copied->watch, true);
    brood_os_watch_destroy(copied->watch);
    const size_t open = platform_descriptor_count();
    brood_os_watch *own = NULL;
    const brood_os_watch_id id = { .number = UINT64_C(1) << 41 };
    CHECK(brood_os_watch_create(&id, &own) == BROOD_OK);
    CHECK(brood_os_watch_add(own, copied->native->object, 2) == BROOD_OK);
    brood_os_watch_destroy(own);
    CHECK(platform_descriptor_count() == open);
    return 0;
}

static void a_copy_of_the_process_does_not_disturb_a_watch(void **state)
{
    (void)state;
    intptr_t object;
    brood_os_watch *watch = make_watch(NULL);
    platform_native native = platform_native_create();
    add(watch, &native, 1);
    assert_status(brood_os_watch_native(watch, &object), BROOD_OK);
    struct copied copied = { watch, &native };
    const int code = platform_guest(use_the_copy, &copied);
    if (code != -1)
        assert_int_equal(code, 0);
    settle(watch);
    assert_false(platform_is_ready(object, 0));
    platform_native_set(&native, true);
    assert_true(platform_is_ready(object, SOON));
    assert_int_equal(look(watch), 1);
    brood_os_watch_destroy(watch);
    platform_native_destroy(&native);
}

// The object for a loop of the program's own

static intptr_t native_of(brood_os_watch *watch)
{
    intptr_t object = -1;
    intptr_t again = -1;
    assert_status(brood_os_watch_native(watch, &object), BROOD_OK);
    assert_status(brood_os_watch_native(watch, &again), BROOD_OK);
    assert_int_equal(object, again);
    settle(watch);
    return object;
}

// Neither a ring nor the objects of the watch itself take the place of a ready object.
static void a_ring_hides_no_object(void **state)
{
    (void)state;
    brood_os_watch_id id;
    brood_os_watch *watch = make_watch(&id);
    platform_native natives[2] = { platform_native_create(), platform_native_create() };
    for (unsigned i = 0; i < 2; i++) {
        platform_native_set(&natives[i], true);
        add(watch, &natives[i], i);
    }
    for (int i = 0; i < 20; i++) {
        if (i == 10) {
            intptr_t object;
            assert_status(brood_os_watch_native(watch, &object), BROOD_OK);
            brood_os_watch_keep_ready(watch, true);
        }
        forget();
        (void)brood_os_watch_ring(&id);
        assert_int_equal(await(watch, 1, 0), 1);
        assert_int_equal(await(watch, 1, 0), 1);
        assert_true(reported[0] == 1 && reported[1] == 1);
    }
    brood_os_watch_destroy(watch);
    platform_native_destroy(&natives[0]);
    platform_native_destroy(&natives[1]);
}

static void its_object_is_ready_while_an_object_is(void **state)
{
    (void)state;
    brood_os_watch *watch = make_watch(NULL);
    platform_native natives[2] = { platform_native_create(), platform_native_create() };
    add(watch, &natives[0], 0);
    const intptr_t object = native_of(watch);
    add(watch, &natives[1], 1);
    settle(watch);
    assert_false(platform_is_ready(object, BROOD_MILLISECONDS(20)));
    for (unsigned i = 0; i < 2; i++) {
        platform_native_set(&natives[i], true);
        for (int turn = 0; turn < 3; turn++) {
            assert_true(platform_is_ready(object, SOON));
            assert_int_equal(look(watch), 1);
            assert_int_equal(reported[i], 1);
        }
        platform_native_set(&natives[i], false);
        settle(watch);
        assert_false(platform_is_ready(object, BROOD_MILLISECONDS(20)));
    }
    platform_native_set(&natives[0], true);
    assert_true(platform_is_ready(object, SOON));
    drop(watch, &natives[0], 0);
    settle(watch);
    assert_false(platform_is_ready(object, BROOD_MILLISECONDS(20)));
    brood_os_watch_destroy(watch);
    platform_native_destroy(&natives[0]);
    platform_native_destroy(&natives[1]);
}

static void its_object_is_ready_from_a_ring_until_a_wait(void **state)
{
    (void)state;
    brood_os_watch_id id;
    brood_os_watch *watch = make_watch(&id);
    const intptr_t object = native_of(watch);
    for (int i = 0; i < 3; i++) {
        assert_false(platform_is_ready(object, 0));
        (void)brood_os_watch_ring(&id);
        (void)brood_os_watch_ring(&id);
        assert_true(platform_is_ready(object, SOON));
        assert_true(platform_is_ready(object, SOON));
        assert_int_equal(look(watch), 0);
    }
    brood_os_watch_destroy(watch);
}

static void its_object_is_ready_while_the_caller_says_so(void **state)
{
    (void)state;
    brood_os_watch_id id;
    brood_os_watch *watch = make_watch(&id);
    brood_os_watch_keep_ready(watch, true); // before there is an object
    intptr_t object = -1;
    assert_status(brood_os_watch_native(watch, &object), BROOD_OK);
    for (int i = 0; i < 3; i++) {
        assert_true(platform_is_ready(object, SOON));
        (void)await(watch, 1, 0);
        brood_os_watch_keep_ready(watch, true);
    }
    (void)await(watch, 1, 0);
    brood_os_watch_keep_ready(watch, false);
    assert_false(platform_is_ready(object, BROOD_MILLISECONDS(20)));
    // A ring between the wait and the report is not lost.
    (void)await(watch, 1, 0);
    (void)brood_os_watch_ring(&id);
    brood_os_watch_keep_ready(watch, false);
    assert_true(platform_is_ready(object, SOON));
    brood_os_watch_destroy(watch);
}

static void its_object_is_ready_once_in_each_period(void **state)
{
    (void)state;
    brood_os_watch *watch = make_watch(NULL);
    const intptr_t object = native_of(watch);
    assert_false(platform_is_ready(object, BROOD_MILLISECONDS(20)));
    brood_os_watch_set_period(watch, BROOD_MILLISECONDS(30));
    for (int i = 0; i < 3; i++) {
        assert_true(platform_is_ready(object, SOON));
        assert_int_equal(look(watch), 0);
    }
    brood_os_watch_destroy(watch);
}

static void two_hundred_objects_make_its_object_ready(void **state)
{
    (void)state;
    static platform_native natives[MANY];
    brood_os_watch *watch = make_watch(NULL);
    make_many(watch, natives);
    const intptr_t object = native_of(watch);
    assert_false(platform_is_ready(object, 0));
    for (unsigned i = 0; i < MANY; i += 33) {
        platform_native_set(&natives[i], true);
        assert_true(platform_is_ready(object, SOON));
        assert_int_equal(look(watch), 1);
        platform_native_set(&natives[i], false);
        settle(watch);
        assert_false(platform_is_ready(object, 0));
    }
    brood_os_watch_destroy(watch);
    destroy_many(natives);
}

static void a_watch_can_watch_another_one(void **state)
{
    (void)state;
    brood_os_watch_id id;
    brood_os_watch *inner = make_watch(&id);
    brood_os_watch *outer = make_watch(NULL);
    platform_native native = platform_native_create();
    add(inner, &native, 1);
    const intptr_t object = native_of(inner);
    assert_status(brood_os_watch_add(outer, object, 5), BROOD_OK);
    const intptr_t outermost = native_of(outer);
    assert_false(platform_is_ready(outermost, 0));
    platform_native_set(&native, true);
    assert_true(platform_is_ready(outermost, SOON));
    assert_int_equal(look(outer), 1);
    assert_int_equal(reported[5], 1);
    platform_native_set(&native, false);
    settle(inner);
    settle(outer);
    (void)brood_os_watch_ring(&id);
    assert_int_equal(await_keys(outer), 1);
    assert_true(brood_os_watch_remove(outer, object, 5));
    brood_os_watch_destroy(inner);
    brood_os_watch_destroy(outer);
    platform_native_destroy(&native);
}

// Resources

static brood_status use_all(platform_native *natives, unsigned count)
{
    brood_os_watch *watch = NULL;
    intptr_t object;
    const brood_os_watch_id id = next_id();
    brood_status status = brood_os_watch_create(&id, &watch);
    for (unsigned i = 0; status == BROOD_OK && i < count; i++)
        status = brood_os_watch_add(watch, natives[i].object, i);
    if (status == BROOD_OK)
        status = brood_os_watch_native(watch, &object);
    if (status == BROOD_OK)
        status = brood_os_watch_add(watch, natives[0].object, MANY);
    platform_native_set(&natives[count - 1], true);
    if (status == BROOD_OK && await_keys(watch) == 0)
        status = BROOD_TIMEOUT;
    (void)brood_os_watch_ring(&id);
    platform_native_set(&natives[count - 1], false);
    brood_os_watch_destroy(watch);
    return status;
}

static void every_fault_is_a_status_and_leaves_nothing(void **state)
{
    (void)state;
    static platform_native natives[MANY];
    enum { SOME = 70 };
    for (unsigned i = 0; i < SOME; i++)
        natives[i] = platform_native_create();
    assert_status(use_all(natives, SOME), BROOD_OK);
    const size_t before = platform_descriptor_count();
    unsigned failures = 0;
    for (unsigned fault = 1;; fault++) {
        broodi_fault_set(fault);
        const brood_status status = use_all(natives, SOME);
        const bool hit = broodi_fault_left() == 0;
        broodi_fault_set(0);
        if (status != BROOD_OK && status != BROOD_NO_MEMORY)
            assert_int_equal(status, BROOD_NO_RESOURCES);
        failures += status != BROOD_OK;
        if (!hit)
            break;
    }
    assert_true(failures > 3);
    assert_true(platform_descriptor_count() <= before + platform_descriptors_kept(0));
    for (unsigned i = 0; i < SOME; i++)
        platform_native_destroy(&natives[i]);
}

static void nothing_is_left_of_many_watches(void **state)
{
    (void)state;
    static platform_native natives[1];
    natives[0] = platform_native_create();
    assert_status(use_all(natives, 1), BROOD_OK);
    const size_t before = platform_descriptor_count();
    for (int i = 0; i < 100; i++)
        assert_status(use_all(natives, 1), BROOD_OK);
    assert_true(platform_descriptor_count() <= before + platform_descriptors_kept(0));
    platform_native_destroy(&natives[0]);
}

static void a_limit_of_descriptors_is_a_status(void **state)
{
    (void)state;
    const size_t before = platform_descriptor_count();
    if (!platform_descriptors_limit(1))
        skip();
    brood_os_watch *watch = NULL;
    brood_os_watch *second = NULL;
    intptr_t object = -7;
    const brood_os_watch_id ids[2] = { next_id(), next_id() };
    const brood_status first = brood_os_watch_create(&ids[0], &watch);
    const brood_status more = brood_os_watch_create(&ids[1], &second);
    const brood_status native = brood_os_watch_native(watch, &object);
    platform_descriptors_unlimit();
    assert_status(first, BROOD_OK);
    assert_status(more, BROOD_NO_RESOURCES);
    assert_status(native, BROOD_NO_RESOURCES);
    assert_int_equal(object, -7);
    assert_status(brood_os_watch_native(watch, &object), BROOD_OK);
    brood_os_watch_destroy(watch);
    assert_int_equal(platform_descriptor_count(), before);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_reported_while_it_is_ready),
        cmocka_unit_test(a_wait_lasts_until_its_timeout_or_the_period),
        cmocka_unit_test(an_object_that_becomes_ready_ends_a_wait),
        cmocka_unit_test(each_key_of_an_object_is_reported),
        cmocka_unit_test(two_hundred_objects_are_waited_for_at_once),
        cmocka_unit_test(a_removed_object_is_not_reported),
        cmocka_unit_test(what_cannot_be_watched_is_refused),
        cmocka_unit_test(a_ring_before_a_wait_ends_it),
        cmocka_unit_test(a_ring_hides_no_object),
        cmocka_unit_test(rings_of_all_kinds_of_processes_are_heard),
        cmocka_unit_test(rings_of_grandchildren_are_heard),
        cmocka_unit_test(children_hear_rings),
        cmocka_unit_test(a_guest_rings),
        cmocka_unit_test(a_copy_of_the_process_does_not_disturb_a_watch),
        cmocka_unit_test(its_object_is_ready_while_an_object_is),
        cmocka_unit_test(its_object_is_ready_from_a_ring_until_a_wait),
        cmocka_unit_test(its_object_is_ready_while_the_caller_says_so),
        cmocka_unit_test(its_object_is_ready_once_in_each_period),
        cmocka_unit_test(two_hundred_objects_make_its_object_ready),
        cmocka_unit_test(a_watch_can_watch_another_one),
        cmocka_unit_test(every_fault_is_a_status_and_leaves_nothing),
        cmocka_unit_test(nothing_is_left_of_many_watches),
        cmocka_unit_test(a_limit_of_descriptors_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
