// SPDX-License-Identifier: MIT
#include "meeting.h"

#include "../src/base/atomic.h"
#include "foreign.h"
#include "platform.h"
#include "random.h"

enum { MIB = 1 << 20 };

// Sizes on both sides of every boundary: of units, pages and chunks, and where sections begin.
static const size_t sizes[] = { 1,       63,     64,          65,          512,   513,
                                4095,    4096,   4097,        16384,       32767, 32768,
                                32769,   65536,  65537,       MIB - 1,     MIB,   MIB + 1,
                                5 * MIB, 3,      8,           100,         1000,  100000,
                                1000000, 300000, 3 * MIB + 7, 2 * MIB - 1, 640,   32000 };

enum { SIZES = sizeof sizes / sizeof sizes[0] };

static brood_block made_block(size_t size)
{
    brood_block block = { 0 };
    assert_status(brood_block_create(&block, size), BROOD_OK);
    return block;
}

static unsigned char *data_of(brood_block block)
{
    unsigned char *data = brood_block_data(block);
    if (!data)
        fail_msg("%s", brood_last_error());
    return data;
}

// A loop over the bytes would be slow under a sanitizer.
static bool is_all(const unsigned char *data, size_t size, unsigned char value)
{
    return data[0] == value && memcmp(data, data + 1, size - 1) == 0;
}

static unsigned char value_for(uint64_t id)
{
    return (unsigned char)(1 + (id ^ id >> 20) % 255);
}

static void a_block_is_zero_and_aligned_and_overlaps_no_other(void **state)
{
    (void)state;
    brood_block blocks[SIZES];
    for (int turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < SIZES; i++) {
            blocks[i] = made_block(sizes[i]);
            assert_int_equal(brood_block_size(blocks[i]), sizes[i]);
            unsigned char *data = data_of(blocks[i]);
            assert_int_equal((uintptr_t)data % 64, 0);
            assert_true(is_all(data, sizes[i], 0));
            memset(data, value_for(blocks[i].id), sizes[i]);
        }
        for (size_t i = 0; i < SIZES; i++) {
            assert_ptr_equal(data_of(blocks[i]), brood_block_data(blocks[i]));
            assert_true(is_all(data_of(blocks[i]), sizes[i], value_for(blocks[i].id)));
        }
        for (size_t i = 0; i < SIZES; i++)
            assert_status(brood_block_destroy(blocks[(i * 7 + (size_t)turn) % SIZES]), BROOD_OK);
    }
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    brood_block block = { 1 };
    brood_lock lock = { 0 };
    assert_status(brood_block_create(NULL, 1), BROOD_INVALID);
    assert_status(brood_block_create(&block, 0), BROOD_INVALID);
    assert_status(brood_block_create_lazy(&block, 0), BROOD_INVALID);
    assert_last_error_names("brood_block_create_lazy");
    assert_int_equal(block.id, 1);
    assert_status(brood_lock_create(&lock), BROOD_OK);
    const brood_block evil[] = { { 0 }, { 1 }, { UINT64_MAX }, { lock.id } };
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        assert_null(brood_block_data(evil[i]));
        assert_last_error_names("brood_block_data");
        assert_int_equal(brood_block_size(evil[i]), 0);
        assert_status(brood_block_destroy(evil[i]), BROOD_INVALID);
    }
    assert_status(brood_lock_destroy(lock), BROOD_OK);
}

static void a_destroyed_block_is_stale(void **state)
{
    (void)state;
    const size_t some[] = { 1, 100000, 2 * MIB };
    for (size_t i = 0; i < 3; i++) {
        const brood_block block = made_block(some[i]);
        assert_status(brood_block_destroy(block), BROOD_OK);
        const brood_block next = made_block(some[i]);
        assert_null(brood_block_data(block));
        assert_int_equal(brood_block_size(block), 0);
        assert_status(brood_block_destroy(block), BROOD_STALE);
        assert_last_error_names("brood_block_destroy");
        assert_non_null(brood_block_data(next));
        assert_status(brood_block_destroy(next), BROOD_OK);
    }
}

// More than any machine has: with 32 bits, up to the end of the address space.
#define TOO_MUCH (SIZE_MAX > UINT32_MAX ? SIZE_MAX / 64 : SIZE_MAX - 8192)

static void too_large_a_size_is_refused_and_uses_nothing_up(void **state)
{
    (void)state;
    const size_t many[] = { SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2, SIZE_MAX / 2 + 1, TOO_MUCH };
    brood_block block = { 0 };
    for (int turn = 0; turn < 20; turn++)
        for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
            if (many[i] < TOO_MUCH)
                continue;
            assert_status(brood_block_create(&block, many[i]), BROOD_NO_MEMORY);
            assert_last_error_names("brood_block_create");
            assert_status(brood_block_create_lazy(&block, many[i]), BROOD_NO_MEMORY);
        }
    block = made_block(2 * MIB);
    assert_status(brood_block_destroy(block), BROOD_OK);
}

// Between processes

struct pair {
    brood_block small;
    brood_block large;
};

static int turn_ones_into_twos(void *arg)
{
    const struct pair *pair = arg;
    const brood_block blocks[] = { pair->small, pair->large };
    for (size_t i = 0; i < 2; i++) {
        unsigned char *data = brood_block_data(blocks[i]);
        CHECK(data);
        CHECK(is_all(data, brood_block_size(blocks[i]), 1));
        memset(data, 2, brood_block_size(blocks[i]));
    }
    return 0;
}

static void another_process_sees_the_same_bytes(void **state)
{
    (void)state;
    const struct pair pair = { made_block(1000), made_block(3 * MIB) };
    memset(data_of(pair.small), 1, 1000);
    memset(data_of(pair.large), 1, 3 * MIB);
    assert_process_ends(started_process(turn_ones_into_twos, &pair, sizeof pair), 0);
    assert_true(is_all(data_of(pair.small), 1000, 2));
    assert_true(is_all(data_of(pair.large), 3 * MIB, 2));
    assert_status(brood_block_destroy(pair.small), BROOD_OK);
    assert_status(brood_block_destroy(pair.large), BROOD_OK);
}

static int leave_two(void *arg)
{
    struct pair pair;
    const bool wait = *(const bool *)arg;
    CHECK(brood_block_create(&pair.small, 50) == BROOD_OK);
    CHECK(brood_block_create(&pair.large, 2 * MIB + 50) == BROOD_OK);
    memset(brood_block_data(pair.small), 7, 50);
    memset(brood_block_data(pair.large), 8, 2 * MIB + 50);
    note("left small", pair.small.id);
    note("left large", pair.large.id);
    while (wait)
        brood_sleep(BROOD_SECONDS(1));
    return 0;
}

static void expect_two(void)
{
    const struct pair pair = { { noted("left small") }, { noted("left large") } };
    assert_true(is_all(data_of(pair.small), 50, 7));
    assert_true(is_all(data_of(pair.large), 2 * MIB + 50, 8));
    assert_status(brood_block_destroy(pair.small), BROOD_OK);
    assert_status(brood_block_destroy(pair.large), BROOD_OK);
    note("left small", 0);
    note("left large", 0);
}

static void a_block_outlives_its_creator(void **state)
{
    (void)state;
    bool wait = false;
    assert_process_ends(started_process(leave_two, &wait, sizeof wait), 0);
    expect_two();
    wait = true;
    brood_process *child = started_process(leave_two, &wait, sizeof wait);
    assert_true(await_note("left large", 1));
    kill_process(child);
    expect_two();
}

static int expect_both_to_become_stale(void *arg)
{
    const struct pair *pair = arg;
    CHECK(brood_block_data(pair->small) && brood_block_data(pair->large));
    note("seen", 1);
    CHECK(await_note("gone", 1));
    CHECK(!brood_block_data(pair->small) && !brood_block_data(pair->large));
    CHECK(brood_block_destroy(pair->small) == BROOD_STALE);
    CHECK(brood_block_destroy(pair->large) == BROOD_STALE);
    // The next block may take the same place, and is a different one.
    brood_block next;
    CHECK(brood_block_create(&next, 2 * MIB) == BROOD_OK);
    CHECK(is_all(brood_block_data(next), 2 * MIB, 0));
    CHECK(brood_block_destroy(next) == BROOD_OK);
    return 0;
}

static void a_block_destroyed_by_another_process_is_stale(void **state)
{
    (void)state;
    const struct pair pair = { made_block(10), made_block(2 * MIB) };
    brood_process *child = started_process(expect_both_to_become_stale, &pair, sizeof pair);
    assert_true(await_note("seen", 1));
    memset(data_of(pair.large), 9, 2 * MIB);
    assert_status(brood_block_destroy(pair.small), BROOD_OK);
    assert_status(brood_block_destroy(pair.large), BROOD_OK);
    note("gone", 1);
    assert_process_ends(child, 0);
    note("seen", 0);
    note("gone", 0);
}

// Large blocks

#define GIB ((uint64_t)1 << 30)

static int mark_the_ends(void *arg)
{
    const brood_block block = *(const brood_block *)arg;
    unsigned char *data = brood_block_data(block);
    CHECK(data);
    const size_t size = brood_block_size(block);
    CHECK(data[0] == 1 && data[size / 2] == 2 && data[size - 1] == 3);
    data[0] = 4;
    data[size - 1] = 5;
    return 0;
}

// False if the machine has less memory.
static bool pass_to_and_fro(brood_status (*create)(brood_block *, size_t), uint64_t size)
{
    brood_block block;
    const brood_status status =
        size > SIZE_MAX / 2 ? BROOD_NO_MEMORY : create(&block, (size_t)size);
    if (status == BROOD_NO_MEMORY)
        return false;
    assert_status(status, BROOD_OK);
    unsigned char *data = data_of(block);
    assert_int_equal(brood_block_size(block), size);
    assert_int_equal(data[0] | data[size / 2] | data[size - 1], 0);
    data[0] = 1;
    data[size / 2] = 2;
    data[size - 1] = 3;
    assert_process_ends(started_process(mark_the_ends, &block, sizeof block), 0);
    assert_true(data[0] == 4 && data[size - 1] == 5);
    assert_status(brood_block_destroy(block), BROOD_OK);
    return true;
}

static void a_block_may_have_gigabytes(void **state)
{
    (void)state;
    if (!pass_to_and_fro(brood_block_create, 2 * GIB + 1)) {
        print_message("this machine has less than 2 GiB free\n");
        skip();
    }
}

static void a_lazy_block_may_have_many_gigabytes(void **state)
{
    (void)state;
    assert_true(pass_to_and_fro(brood_block_create_lazy, 1000));
    if (!pass_to_and_fro(brood_block_create_lazy, 5 * GIB + 1)) {
        print_message("this machine has less than 5 GiB free\n");
        skip();
    }
}

// Blocks that cannot be mapped use up the places for sections, so that the next sections go into
// the gaps.
static void large_blocks_do_not_overlap_when_places_are_reused(void **state)
{
    (void)state;
    enum { SIZE = 2 * MIB, COUNT = 6 };
    brood_block blocks[COUNT];
    brood_block none = { 77 };
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = made_block(SIZE);
        memset(data_of(blocks[i]), i + 1, SIZE);
    }
    for (int i = 0; i < 70; i++)
        assert_status(brood_block_create_lazy(&none, TOO_MUCH), BROOD_NO_MEMORY);
    assert_int_equal(none.id, 77);
    for (int i = 0; i < COUNT; i += 3)
        assert_status(brood_block_destroy(blocks[i]), BROOD_OK);
    for (int i = 0; i < COUNT; i += 3) {
        blocks[i] = made_block(SIZE);
        memset(data_of(blocks[i]), i + 1, SIZE);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_true(is_all(data_of(blocks[i]), SIZE, (unsigned char)(i + 1)));
        assert_status(brood_block_destroy(blocks[i]), BROOD_OK);
    }
}

static void the_memory_of_a_large_block_is_freed(void **state)
{
    (void)state;
    enum { SIZE = 64 * MIB };
    assert_status(brood_block_destroy(made_block(2 * MIB)), BROOD_OK);
    const size_t before = platform_memory_used();
    for (int turn = 0; turn < 4; turn++) {
        const brood_block block = made_block(SIZE);
        memset(data_of(block), 1, SIZE);
        assert_true(platform_memory_used() >= before + SIZE / 2);
        assert_status(brood_block_destroy(block), BROOD_OK);
        assert_true(platform_memory_used() < before + SIZE / 4);
    }
}

// Many at once

enum { HELD = 24 };

struct mill {
    uint64_t seed;
    int turns;
};

// Most sizes are small.
static size_t random_size(uint64_t *seed)
{
    const uint64_t number = next_random(seed);
    const size_t most = number % 64 == 0 ? 2 * MIB : number % 8 == 0 ? 200000 : 3000;
    return 1 + (size_t)(next_random(seed) % most);
}

static int exchange(brood_block *held, uint64_t *seed)
{
    if (held->id) {
        const size_t size = brood_block_size(*held);
        CHECK(size > 0 && is_all(brood_block_data(*held), size, value_for(held->id)));
        CHECK(brood_block_destroy(*held) == BROOD_OK);
    }
    const size_t size = random_size(seed);
    CHECK(brood_block_create(held, size) == BROOD_OK);
    unsigned char *data = brood_block_data(*held);
    CHECK(data && is_all(data, size, 0));
    memset(data, value_for(held->id), size);
    return 0;
}

// Creates and destroys blocks. Each must be zero at first, and changed by no other until it is
// destroyed.
static int grind(void *arg)
{
    struct mill mill = *(const struct mill *)arg;
    brood_block held[HELD] = { { 0 } };
    for (int i = 0; mill.turns < 0 || i < mill.turns; i++) {
        const int failed = exchange(&held[next_random(&mill.seed) % HELD], &mill.seed);
        if (failed)
            return failed;
    }
    for (size_t i = 0; i < HELD; i++)
        if (held[i].id)
            CHECK(brood_block_destroy(held[i]) == BROOD_OK);
    return 0;
}

static void threads_and_processes_create_and_destroy_at_once(void **state)
{
    (void)state;
    enum { THREADS = 3, PROCESSES = 3 };
    brood_thread *threads[THREADS];
    brood_process *processes[PROCESSES];
    for (int i = 0; i < THREADS; i++) {
        const struct mill mill = { 77 + (uint64_t)i, foreign_is_slow() ? 100 : 3000 };
        threads[i] = started_thread(grind, &mill, sizeof mill);
    }
    for (int i = 0; i < PROCESSES; i++) {
        const struct mill mill = { 99 + (uint64_t)i, foreign_is_slow() ? 100 : 3000 };
        processes[i] = started_process(grind, &mill, sizeof mill);
    }
    for (int i = 0; i < THREADS; i++)
        assert_thread_ends(threads[i], 0);
    for (int i = 0; i < PROCESSES; i++)
        assert_process_ends(processes[i], 0);
}

// Each killed process leaves the few blocks that it had.
static void creators_killed_at_any_moment_leave_a_usable_heap(void **state)
{
    (void)state;
    const int rounds = foreign_is_slow() ? 5 : 40;
    uint64_t seed = 4711;
    for (int round = 0; round < rounds; round++) {
        const struct mill endless = { next_random(&seed), -1 };
        const struct mill mine = { next_random(&seed), 50 };
        brood_process *first = started_process(grind, &endless, sizeof endless);
        brood_process *second = started_process(grind, &endless, sizeof endless);
        brood_sleep(BROOD_MICROSECONDS((double)(next_random(&seed) % 3000)));
        kill_process(first);
        assert_int_equal(grind((void *)(uintptr_t)&mine), 0);
        kill_process(second);
    }
    const struct mill last = { 5, 1000 };
    assert_int_equal(grind((void *)(uintptr_t)&last), 0);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_zero_and_aligned_and_overlaps_no_other),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_destroyed_block_is_stale),
        cmocka_unit_test(too_large_a_size_is_refused_and_uses_nothing_up),
        cmocka_unit_test(another_process_sees_the_same_bytes),
        cmocka_unit_test(a_block_outlives_its_creator),
        cmocka_unit_test(a_block_destroyed_by_another_process_is_stale),
        cmocka_unit_test(a_block_may_have_gigabytes),
        cmocka_unit_test(a_lazy_block_may_have_many_gigabytes),
        cmocka_unit_test(large_blocks_do_not_overlap_when_places_are_reused),
        cmocka_unit_test(the_memory_of_a_large_block_is_freed),
        cmocka_unit_test(threads_and_processes_create_and_destroy_at_once),
        cmocka_unit_test(creators_killed_at_any_moment_leave_a_usable_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
