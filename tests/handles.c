// SPDX-License-Identifier: MIT
// Bad handles: each operation of each kind of shared object refuses them, and acts on no object.
#include "meeting.h"

#include "objects.h"
#include "random.h"

// The bits of a handle: {family 18, kind 4, generation 22, slot 20}.
enum { SLOT_BITS = 20, KIND_AT = 42, KIND_VALUES = 16, FAMILY_AT = 46 };

#define SLOT_MASK ((UINT64_C(1) << SLOT_BITS) - 1)

static uint64_t made(int kind)
{
    const uint64_t id = object_create(kind);
    if (!id)
        fail_msg("no object of kind %d: %s", kind, brood_last_error());
    return id;
}

static void destroy(int kind, uint64_t id)
{
    assert_status(object_destroy(kind, id), BROOD_OK);
}

static void assert_untouched(int kind, uint64_t id)
{
    if (!object_is_untouched(kind, id))
        fail_msg("the object of kind %d has changed: %s", kind, brood_last_error());
}

static void assert_refused(const struct operation *operation, uint64_t id, brood_status expected)
{
    const brood_status status = operation->fn(id);
    if (status != expected)
        fail_msg("%s of %llx: %s", operation->name, (unsigned long long)id,
                 brood_status_name(status));
}

// All operations of the kind refuse the handle.
static void assert_all_refuse(int kind, uint64_t id, brood_status expected)
{
    for (int i = 0; i < OPERATIONS; i++)
        if (operations[i].kind == kind)
            assert_refused(&operations[i], id, expected);
}

static void a_value_that_was_never_a_handle_is_invalid(void **state)
{
    (void)state;
    static const uint64_t evil[] = { 0,
                                     1,
                                     UINT64_MAX,
                                     INT64_MAX,
                                     UINT64_C(1) << 63,
                                     UINT64_C(0xdeadbeefdeadbeef),
                                     UINT64_C(0xcdcdcdcdcdcdcdcd),
                                     UINT64_C(0x00007fffffffe000) };
    for (int kind = 0; kind < OBJECT_KINDS; kind++)
        for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++)
            assert_all_refuse(kind, evil[i], BROOD_INVALID);
}

static void handles_of_another_family_are_invalid(void **state)
{
    (void)state;
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        const uint64_t id = made(kind);
        for (int bit = FAMILY_AT; bit < 64; bit++)
            assert_all_refuse(kind, id ^ UINT64_C(1) << bit, BROOD_INVALID);
        assert_all_refuse(kind, id & ((UINT64_C(1) << FAMILY_AT) - 1), BROOD_INVALID);
        assert_untouched(kind, id);
        destroy(kind, id);
    }
}

static void handles_of_another_kind_are_invalid(void **state)
{
    (void)state;
    uint64_t ids[OBJECT_KINDS];
    for (int kind = 0; kind < OBJECT_KINDS; kind++)
        ids[kind] = made(kind);
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        // Including kinds that have no objects.
        for (uint64_t change = 1; change < KIND_VALUES; change++)
            assert_all_refuse(kind, ids[kind] ^ change << KIND_AT, BROOD_INVALID);
        for (int other = 0; other < OBJECT_KINDS; other++)
            if (other != kind)
                assert_all_refuse(kind, ids[other], BROOD_INVALID);
    }
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        assert_untouched(kind, ids[kind]);
        destroy(kind, ids[kind]);
    }
}

static uint64_t state_of_random = 88172645463325252u;

static void assert_invalid_or_stale(int kind, uint64_t id)
{
    for (int i = 0; i < OPERATIONS; i++) {
        const brood_status status =
            operations[i].kind == kind ? operations[i].fn(id) : BROOD_INVALID;
        if (status != BROOD_INVALID && status != BROOD_STALE)
            fail_msg("%s of %llx: %s", operations[i].name, (unsigned long long)id,
                     brood_status_name(status));
    }
}

// Random in all bits, and only in those that do not hold family and kind.
static void random_handles_are_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        const uint64_t id = made(kind);
        const uint64_t family_and_kind = id >> KIND_AT << KIND_AT;
        for (int i = 0; i < 200; i++) {
            const uint64_t random = next_random(&state_of_random);
            const uint64_t rest = random & ((UINT64_C(1) << KIND_AT) - 1);
            assert_invalid_or_stale(kind, random);
            assert_invalid_or_stale(kind, family_and_kind | rest);
            assert_invalid_or_stale(kind, (family_and_kind | rest) &
                                              ~UINT64_C(0xffc00)); // handles of the first slots
        }
        // The object's slot, with another generation.
        for (int bit = SLOT_BITS; bit < KIND_AT; bit++)
            assert_invalid_or_stale(kind, id ^ UINT64_C(1) << bit);
        assert_untouched(kind, id);
        destroy(kind, id);
    }
}

// Stale handles

struct stale {
    int kind;
    uint64_t id;
};

// Returns the number of the first operation that does not report BROOD_STALE, from 1, or 0.
static int find_stale(void *arg)
{
    const struct stale *stale = arg;
    for (int i = 0; i < OPERATIONS; i++)
        if (operations[i].kind == stale->kind && operations[i].fn(stale->id) != BROOD_STALE)
            return i + 1;
    return 0;
}

// Creates an object in the slot that another one had.
static uint64_t made_successor(struct stale stale)
{
    for (;;) {
        const uint64_t id = made(stale.kind);
        if (((id ^ stale.id) & SLOT_MASK) == 0)
            return id;
        destroy(stale.kind, id);
    }
}

static void a_destroyed_object_is_stale_everywhere_and_its_successor_is_left_alone(void **state)
{
    (void)state;
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        struct stale stale = { kind, made(kind) };
        destroy(kind, stale.id);
        assert_int_equal(find_stale(&stale), 0);
        const uint64_t successor = made_successor(stale);
        assert_true(successor != stale.id);
        assert_int_equal(find_stale(&stale), 0);
        assert_thread_ends(started_thread(find_stale, &stale, sizeof stale), 0);
        assert_process_ends(started_process(find_stale, &stale, sizeof stale), 0);
        assert_untouched(kind, successor);
        destroy(kind, successor);
        assert_int_equal(find_stale(&stale), 0);
    }
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_was_never_a_handle_is_invalid),
        cmocka_unit_test(handles_of_another_family_are_invalid),
        cmocka_unit_test(handles_of_another_kind_are_invalid),
        cmocka_unit_test(random_handles_are_refused),
        cmocka_unit_test(a_destroyed_object_is_stale_everywhere_and_its_successor_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
