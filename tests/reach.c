// SPDX-License-Identifier: MIT
// Every process can use what others have created since it was started, however much that is.
#include "meeting.h"

enum { LOCKS = 3000, BLOCKS = 300, QUEUES = 300, PAIRS = 300, SIZE = 10000, LARGE = 3 << 20 };

// Stored in a block of the test.
struct made {
    brood_lock locks[LOCKS];
    brood_block blocks[BLOCKS];
    brood_block large;
    brood_queue queues[QUEUES];
    brood_connection ends[PAIRS][2];
};

struct arguments {
    brood_block made;
    brood_event parent_done;
    brood_event child_done;
};

// Each queue and each direction has a message; some have a piece of memory of their own.

static size_t size_of(int i)
{
    return i % 3 ? sizeof i : SIZE;
}

static int make_messages(struct made *made)
{
    unsigned char data[SIZE] = { 0 };
    for (int i = 0; i < QUEUES; i++) {
        memcpy(data, &i, sizeof i);
        CHECK(brood_queue_create(&made->queues[i], 2, SIZE) == BROOD_OK);
        CHECK(brood_queue_put(made->queues[i], data, size_of(i), BROOD_NOW) == BROOD_OK);
    }
    for (int i = 0; i < PAIRS; i++) {
        memcpy(data, &i, sizeof i);
        brood_connection *ends = made->ends[i];
        CHECK(brood_connection_pair(&ends[0], &ends[1], BROOD_DUPLEX) == BROOD_OK);
        for (int end = 0; end < 2; end++)
            CHECK(brood_connection_send(ends[end], data, size_of(i), BROOD_NOW) == BROOD_OK);
    }
    return 0;
}

// Moves the messages on, for the next one.
static int use_messages(const struct made *made)
{
    unsigned char data[SIZE];
    size_t size;
    for (int i = QUEUES - 1; i >= 0; i--) {
        CHECK(brood_queue_get(made->queues[i], data, SIZE, &size, BROOD_NOW) == BROOD_OK);
        CHECK(size == size_of(i) && memcmp(data, &i, sizeof i) == 0);
        CHECK(brood_queue_put(made->queues[i], data, size, BROOD_NOW) == BROOD_OK);
    }
    for (int i = PAIRS - 1; i >= 0; i--)
        for (int end = 0; end < 2; end++) {
            const brood_connection *ends = made->ends[i];
            CHECK(brood_connection_receive(ends[end], data, SIZE, &size, BROOD_NOW) == BROOD_OK);
            CHECK(size == size_of(i) && memcmp(data, &i, sizeof i) == 0);
            CHECK(brood_connection_send(ends[!end], data, size, BROOD_NOW) == BROOD_OK);
        }
    return 0;
}

static int destroy_messages(const struct made *made)
{
    for (int i = 0; i < QUEUES; i++)
        CHECK(brood_queue_destroy(made->queues[i]) == BROOD_OK);
    for (int i = 0; i < PAIRS; i++)
        CHECK(brood_connection_destroy(made->ends[i][i % 2]) == BROOD_OK);
    return 0;
}

static int make(struct made *made)
{
    for (int i = 0; i < LOCKS; i++)
        CHECK(brood_lock_create(&made->locks[i]) == BROOD_OK);
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(brood_block_create(&made->blocks[i], SIZE) == BROOD_OK);
        memset(brood_block_data(made->blocks[i]), i, SIZE);
    }
    CHECK(brood_block_create(&made->large, LARGE) == BROOD_OK);
    memset(brood_block_data(made->large), 7, LARGE);
    return make_messages(made);
}

static int use(const struct made *made)
{
    for (int i = LOCKS - 1; i >= 0; i--) {
        CHECK(brood_lock_acquire(made->locks[i], BROOD_NOW) == BROOD_OK);
        CHECK(brood_lock_release(made->locks[i]) == BROOD_OK);
    }
    for (int i = BLOCKS - 1; i >= 0; i--) {
        const unsigned char *data = brood_block_data(made->blocks[i]);
        CHECK(data && data[0] == (unsigned char)i && data[SIZE - 1] == (unsigned char)i);
    }
    const unsigned char *data = brood_block_data(made->large);
    CHECK(data && data[0] == 7 && data[LARGE - 1] == 7);
    return use_messages(made);
}

static int destroy(const struct made *made)
{
    for (int i = 0; i < LOCKS; i++)
        CHECK(brood_lock_destroy(made->locks[i]) == BROOD_OK);
    for (int i = 0; i < BLOCKS; i++)
        CHECK(brood_block_destroy(made->blocks[i]) == BROOD_OK);
    CHECK(brood_block_destroy(made->large) == BROOD_OK);
    return destroy_messages(made);
}

static int use_and_make(void *arg)
{
    const struct arguments *arguments = arg;
    CHECK(brood_event_wait(arguments->parent_done, MEETING_PATIENCE) == BROOD_OK);
    struct made *made = brood_block_data(arguments->made);
    CHECK(made);
    int failed = use(&made[0]);
    if (!failed)
        failed = make(&made[1]);
    CHECK(brood_event_set(arguments->child_done) == BROOD_OK);
    return failed;
}

static int use_what_both_made(void *arg)
{
    struct made *made = brood_block_data(*(const brood_block *)arg);
    const int failed = made ? use(&made[0]) : 1;
    return failed ? failed : use(&made[1]);
}

static void what_was_made_later_can_be_used_by_all(void **state)
{
    (void)state;
    struct arguments arguments;
    assert_status(brood_block_create(&arguments.made, 2 * sizeof(struct made)), BROOD_OK);
    assert_status(brood_event_create(&arguments.parent_done), BROOD_OK);
    assert_status(brood_event_create(&arguments.child_done), BROOD_OK);
    brood_process *child = started_process(use_and_make, &arguments, sizeof arguments);
    struct made *made = brood_block_data(arguments.made);
    assert_int_equal(make(&made[0]), 0);
    assert_status(brood_event_set(arguments.parent_done), BROOD_OK);
    assert_status(brood_event_wait(arguments.child_done, MEETING_PATIENCE), BROOD_OK);
    assert_process_ends(child, 0);
    assert_int_equal(use(&made[1]), 0);
    // A child that is started late and a thread can use it too.
    assert_process_ends(started_process(use_what_both_made, &arguments.made, sizeof arguments.made),
                        0);
    assert_thread_ends(started_thread(use_what_both_made, &arguments.made, sizeof arguments.made),
                       0);
    assert_int_equal(destroy(&made[0]), 0);
    assert_int_equal(destroy(&made[1]), 0);
    assert_status(brood_event_destroy(arguments.child_done), BROOD_OK);
    assert_status(brood_event_destroy(arguments.parent_done), BROOD_OK);
    assert_status(brood_block_destroy(arguments.made), BROOD_OK);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_made_later_can_be_used_by_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
