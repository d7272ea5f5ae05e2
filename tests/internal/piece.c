// SPDX-License-Identifier: MIT
// Pieces: the library's own memory in the heap, and what remains of them after deaths.
#include "../meeting.h"

#include "../foreign.h"
#include "../random.h"
#include "arena/allocator.h"
#include "arena/chunk.h"
#include "arena/family.h"
#include "arena/heap.h"
#include "arena/space.h"
#include "base/step.h"
#include "memory/heap_lock.h"
#include "memory/memory_slot.h"
#include "memory/piece.h"
#include "memory/sweep.h"
#include "message/reference.h"
#include "sync/lock.h"

enum { CHUNK = BROODI_HEAP_CHUNK, UNIT = BROODI_HEAP_UNIT, MIB = 1 << 20 };

static uint32_t pieces_live(void)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < broodi_slot_limit(BROODI_PIECE); i++)
        live += broodi_slot_is_live(broodi_word_load(&broodi_piece_at(i)->state));
    return live;
}

static uint64_t place_of(uint32_t index)
{
    return atomic_load(&broodi_piece_at(index)->place);
}

static brood_event new_object(void)
{
    brood_event object;
    assert_status(brood_event_create(&object), BROOD_OK);
    return object;
}

static uint32_t new_piece(brood_event object, size_t size)
{
    uint32_t index = BROODI_NONE;
    assert_status(broodi_piece_allocate(object.id, size, &index), BROOD_OK);
    unsigned char *data = broodi_piece_data(index);
    assert_non_null(data);
    memset(data, (int)(index % 251), size);
    return index;
}

static bool is_intact(uint32_t index)
{
    const size_t size = (size_t)atomic_load(&broodi_piece_at(index)->size);
    const unsigned char *data = broodi_piece_data(index);
    return data && data[0] == index % 251 && memcmp(data, data + 1, size - 1) == 0;
}

static int check_piece(void *arg)
{
    return is_intact(*(const uint32_t *)arg) ? 0 : 1;
}

static void a_piece_has_its_sizes_bytes_in_every_process(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 64, 1000, CHUNK, CHUNK + 1, MIB, MIB + 1, 7 * MIB + 5 };
    const brood_event object = new_object();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const uint32_t index = new_piece(object, sizes[i]);
        const struct broodi_piece_slot *piece = broodi_piece_at(index);
        assert_int_equal(atomic_load(&piece->size), sizes[i]);
        assert_int_equal(atomic_load(&piece->data), 0);
        assert_int_equal(atomic_load(&piece->next), 0);
        broodi_piece_complete(index);
        assert_process_ends(started_process(check_piece, &index, sizeof index), 0);
        broodi_piece_free(index);
    }
    assert_int_equal(pieces_live(), 0);
    assert_status(brood_event_destroy(object), BROOD_OK);
}

static void a_power_of_two_is_aligned_to_its_size(void **state)
{
    (void)state;
    enum { EACH = 5 };
    const brood_event object = new_object();
    for (size_t size = UNIT; size <= CHUNK; size *= 2) {
        uint32_t pieces[EACH];
        for (int i = 0; i < EACH; i++) {
            pieces[i] = new_piece(object, size);
            assert_int_equal((place_of(pieces[i]) - broodi_family.heap_at) % size, 0);
            assert_int_equal(place_of(pieces[i]) % size, 0);
        }
        for (int i = 0; i < EACH; i++)
            broodi_piece_free(pieces[i]);
    }
    assert_status(brood_event_destroy(object), BROOD_OK);
}

static uint64_t chunk_of_block(brood_block block)
{
    const struct broodi_block_slot *slot =
        broodi_slot(BROODI_BLOCK, (uint32_t)block.id & BROODI_SLOT_MASK);
    return atomic_load(&slot->place) / CHUNK;
}

static void no_chunk_has_both_pieces_and_blocks(void **state)
{
    (void)state;
    enum { EACH = 40 };
    static const size_t sizes[] = { 64, 512, 4096, 20000 };
    uint32_t pieces[EACH];
    brood_block blocks[EACH];
    const brood_event object = new_object();
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (int i = 0; i < EACH; i++) {
            assert_status(brood_block_create(&blocks[i], sizes[s]), BROOD_OK);
            pieces[i] = new_piece(object, sizes[s]);
        }
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++)
                assert_true(chunk_of_block(blocks[i]) != place_of(pieces[j]) / CHUNK);
        for (int i = 0; i < EACH; i++) {
            assert_true(is_intact(pieces[i]));
            broodi_piece_free(pieces[i]);
            assert_status(brood_block_destroy(blocks[i]), BROOD_OK);
        }
    }
    assert_status(brood_event_destroy(object), BROOD_OK);
}

static void more_than_the_window_is_refused(void **state)
{
    (void)state;
    uint32_t index = 77;
    const brood_event object = new_object();
    const size_t sizes[] = { SIZE_MAX, SIZE_MAX - UNIT, broodi_family.arena.size,
                             broodi_family.arena.size - broodi_family.heap_at + 1 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_status(broodi_piece_allocate(object.id, sizes[i], &index), BROOD_NO_MEMORY);
    assert_int_equal(index, 77);
    assert_int_equal(pieces_live(), 0);
    assert_status(brood_event_destroy(object), BROOD_OK);
}

static bool is_in_phase(uint32_t index, uint32_t phase)
{
    const uint64_t state = broodi_word_load(&broodi_piece_at(index)->state);
    return broodi_slot_is_live(state) && broodi_memory_phase_of(state) == phase;
}

static void a_whole_piece_is_claimed_once(void **state)
{
    (void)state;
    const brood_event object = new_object();
    const uint32_t index = new_piece(object, 100);
    assert_true(is_in_phase(index, BROODI_MEMORY_MAKING));
    assert_false(broodi_piece_claim(index));
    broodi_piece_complete(index);
    assert_true(is_in_phase(index, BROODI_MEMORY_WHOLE));
    assert_true(broodi_piece_claim(index));
    assert_true(is_in_phase(index, BROODI_MEMORY_ENDING));
    assert_false(broodi_piece_claim(index));
    broodi_piece_free(index);
    assert_false(broodi_piece_claim(index));
    assert_int_equal(pieces_live(), 0);
    assert_status(brood_event_destroy(object), BROOD_OK);
}

// Several threads claim the same pieces.

enum { CLAIMED = 500, CLAIMERS = 3 };

static uint32_t claimed_pieces[CLAIMED];
static _Atomic uint32_t claims[CLAIMED];

static int claim_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < CLAIMED; i++)
        atomic_fetch_add(&claims[i], broodi_piece_claim(claimed_pieces[i]));
    return 0;
}

static void one_of_several_threads_claims_a_piece(void **state)
{
    (void)state;
    brood_thread *threads[CLAIMERS];
    const brood_event object = new_object();
    for (int i = 0; i < CLAIMED; i++) {
        claimed_pieces[i] = new_piece(object, 64);
        broodi_piece_complete(claimed_pieces[i]);
    }
    for (int i = 0; i < CLAIMERS; i++)
        threads[i] = started_thread(claim_all, NULL, 0);
    for (int i = 0; i < CLAIMERS; i++)
        assert_thread_ends(threads[i], 0);
    for (int i = 0; i < CLAIMED; i++)
        assert_int_equal(atomic_load(&claims[i]), 1);
    assert_true(broodi_memory_sweep()); // the claimers have ended
    assert_int_equal(pieces_live(), 0);
    assert_status(brood_event_destroy(object), BROOD_OK);
}

// Pieces whose worker has ended

struct left {
    brood_event object;
    uint32_t pieces[3]; // MAKING, WHOLE, ENDING
};

static int leave_pieces(void *arg)
{
    struct left *left = *(struct left **)arg;
    for (int i = 0; i < 3; i++) {
        left->pieces[i] = new_piece(left->object, 3000);
        if (i > 0)
            broodi_piece_complete(left->pieces[i]);
    }
    return broodi_piece_claim(left->pieces[2]) ? 0 : 1;
}

static void a_sweep_frees_the_pieces_of_dead_workers(void **state)
{
    (void)state;
    struct left left = { .object = new_object() };
    struct left *out = &left;
    const uint32_t own = new_piece(left.object, 3000);
    assert_thread_ends(started_thread(leave_pieces, &out, sizeof out), 0);
    assert_int_equal(pieces_live(), 4);
    assert_true(broodi_memory_sweep());
    assert_int_equal(pieces_live(), 2);
    assert_true(is_in_phase(own, BROODI_MEMORY_MAKING));
    assert_true(is_in_phase(left.pieces[1], BROODI_MEMORY_WHOLE));
    assert_true(is_intact(own) && is_intact(left.pieces[1]));
    assert_true(broodi_piece_claim(left.pieces[1]));
    broodi_piece_free(left.pieces[1]);
    broodi_piece_free(own);
    assert_int_equal(pieces_live(), 0);
    assert_status(brood_event_destroy(left.object), BROOD_OK);
}

// While a thread is the worker it may use the bytes, whatever becomes of the object.
static void a_sweep_frees_the_whole_pieces_of_an_ended_object(void **state)
{
    (void)state;
    const brood_event object = new_object();
    const brood_event other = new_object();
    uint32_t pieces[4];
    for (int i = 0; i < 4; i++)
        pieces[i] = new_piece(i == 3 ? other : object, 3000);
    for (int i = 1; i < 4; i++)
        broodi_piece_complete(pieces[i]);
    assert_true(broodi_piece_claim(pieces[2]));
    assert_status(brood_event_destroy(object), BROOD_OK);
    assert_true(broodi_memory_sweep());
    assert_int_equal(pieces_live(), 3);
    assert_true(is_in_phase(pieces[0], BROODI_MEMORY_MAKING));
    assert_true(is_in_phase(pieces[2], BROODI_MEMORY_ENDING));
    assert_true(is_in_phase(pieces[3], BROODI_MEMORY_WHOLE));
    broodi_piece_complete(pieces[0]);
    broodi_piece_free(pieces[2]);
    assert_true(broodi_memory_sweep());
    assert_int_equal(pieces_live(), 1);
    broodi_piece_free(pieces[3]);
    assert_status(brood_event_destroy(other), BROOD_OK);
}

// A thread dies with the heap's lock: the map is rebuilt.

static int end_with_the_lock(void *arg)
{
    uint32_t index;
    uint64_t place;
    bool zero;
    (void)arg;
    CHECK(broodi_heap_lock() == BROOD_OK);
    CHECK(broodi_slot_allocate(BROODI_PIECE, BROODI_MEMORY_NEW, &index) == BROOD_OK);
    CHECK(broodi_heap_allocate(BROODI_HEAP_PIECES, 100000, &place, &zero) == BROOD_OK);
    CHECK(broodi_heap_allocate(BROODI_HEAP_PIECES, 100, &place, &zero) == BROOD_OK);
    return 0;
}

static void pieces_outlive_a_holder_of_the_heap(void **state)
{
    (void)state;
    enum { COUNT = 6 };
    static const size_t sizes[COUNT] = { 100, 100, 5000, 3 * MIB, 5000, 200000 };
    uint32_t pieces[COUNT];
    uint32_t later[COUNT];
    const brood_event object = new_object();
    for (int i = 0; i < COUNT; i++)
        pieces[i] = new_piece(object, sizes[i]);
    broodi_piece_complete(pieces[1]);
    broodi_piece_complete(pieces[2]);
    assert_true(broodi_piece_claim(pieces[2]));
    assert_thread_ends(started_thread(end_with_the_lock, "", 1), 0);
    for (int i = 0; i < COUNT; i++)
        later[i] = new_piece(object, sizes[i]);
    assert_int_equal(pieces_live(), 2 * COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_true(is_intact(pieces[i]));
        assert_true(is_intact(later[i]));
        broodi_piece_free(pieces[i]);
        broodi_piece_free(later[i]);
    }
    assert_int_equal(pieces_live(), 0);
    assert_status(brood_event_destroy(object), BROOD_OK);
}

// A process is stopped while it holds the heap's lock.

struct holding {
    brood_event held;
    brood_event go_on;
};

static int hold(void *arg)
{
    const struct holding *holding = arg;
    CHECK(broodi_heap_lock() == BROOD_OK);
    CHECK(brood_event_set(holding->held) == BROOD_OK);
    CHECK(brood_event_wait(holding->go_on, MEETING_PATIENCE) == BROOD_OK);
    broodi_heap_unlock();
    return 0;
}

static void a_piece_that_cannot_be_freed_in_time_is_swept(void **state)
{
    (void)state;
    const struct holding holding = { .held = new_object(), .go_on = new_object() };
    const brood_event object = new_object();
    const uint32_t making = new_piece(object, 1000);
    const uint32_t whole = new_piece(object, 1000);
    uint32_t none = 77;
    broodi_piece_complete(whole);
    const brood_duration patience = broodi_own_lock_patience;
    brood_process *holder = started_process(hold, &holding, sizeof holding);
    assert_status(brood_event_wait(holding.held, MEETING_PATIENCE), BROOD_OK);
    broodi_own_lock_patience = BROOD_MILLISECONDS(30);
    broodi_piece_free(making);
    broodi_piece_free(whole);
    broodi_heap_rest();
    assert_status(broodi_piece_allocate(object.id, 10, &none), BROOD_TIMEOUT);
    assert_int_equal(none, 77);
    broodi_own_lock_patience = patience;
    assert_int_equal(pieces_live(), 2);
    assert_true(is_in_phase(whole, BROODI_MEMORY_ENDING));
    assert_status(brood_event_set(holding.go_on), BROOD_OK);
    assert_process_ends(holder, 0);
    assert_true(broodi_memory_sweep());
    assert_int_equal(pieces_live(), 0);
    assert_status(brood_event_destroy(holding.held), BROOD_OK);
    assert_status(brood_event_destroy(holding.go_on), BROOD_OK);
    assert_status(brood_event_destroy(object), BROOD_OK);
}

// A process is killed at any moment.

struct grinding {
    brood_event object;
    uint64_t seed;
};

static int grind(void *arg)
{
    enum { AT_ONCE = 8, NONE = -1 };
    struct grinding grinding = *(const struct grinding *)arg;
    int64_t pieces[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        pieces[i] = NONE;
    for (;;) {
        const uint64_t number = next_random(&grinding.seed);
        int64_t *piece = &pieces[number % AT_ONCE];
        uint32_t index = (uint32_t)*piece;
        if (*piece == NONE) {
            const size_t size = 1 + (size_t)(number >> 16) % (number & 256 ? 5000 : 3 * MIB);
            CHECK(broodi_piece_allocate(grinding.object.id, size, &index) == BROOD_OK);
            *piece = index;
            if (number & 512)
                broodi_piece_complete(index);
            continue;
        }
        if (is_in_phase(index, BROODI_MEMORY_WHOLE) && (number & 512))
            CHECK(broodi_piece_claim(index));
        broodi_piece_free(index);
        *piece = NONE;
    }
}

static void assert_heap_is_empty(void)
{
    for (uint32_t index = 0; index < broodi_family.header->heap.chunks; index++)
        assert_int_equal(broodi_chunk_at(index)->use, 0);
}

static void a_process_killed_at_any_moment_leaves_nothing(void **state)
{
    (void)state;
    const int rounds = foreign_is_slow() ? 4 : 40;
    uint64_t seed = 88172645463325252;
    for (int round = 0; round < rounds; round++) {
        const struct grinding one = { new_object(), next_random(&seed) };
        const struct grinding other = { one.object, next_random(&seed) };
        brood_process *first = started_process(grind, &one, sizeof one);
        brood_process *second = started_process(grind, &other, sizeof other);
        brood_sleep(BROOD_MICROSECONDS((double)(next_random(&seed) % 3000)));
        kill_process(first);
        kill_process(second);
        assert_status(brood_event_destroy(one.object), BROOD_OK);
        (void)broodi_memory_sweep();
        assert_int_equal(pieces_live(), 0);
        assert_heap_is_empty();
    }
}

// The table of slots is swept when it is full of pieces of ended objects.
static void the_slots_of_ended_objects_are_reused(void **state)
{
    (void)state;
    for (int turn = 0; turn < 6; turn++) {
        const brood_event object = new_object();
        uint32_t index;
        for (int i = 0; i < 2 * CLAIMED; i++) {
            assert_status(broodi_piece_allocate(object.id, 64, &index), BROOD_OK);
            broodi_piece_complete(index);
        }
        assert_status(brood_event_destroy(object), BROOD_OK);
    }
    assert_true(pieces_live() < 6 * 2 * CLAIMED);
    (void)broodi_memory_sweep();
    assert_int_equal(pieces_live(), 0);
}

// The heir of a producer's log frees a piece, whose maker has died, while a sweep frees it too and
// the slot gets the next piece.

static uint64_t left_reference;

static int leave_unfinished(void *arg)
{
    const brood_event object = *(brood_event *)arg;
    return broodi_reference_allocate(object.id, 3000, &left_reference) == BROOD_OK ? 0 : 1;
}

static int free_what_was_left(void *arg)
{
    (void)arg;
    broodi_reference_free(left_reference);
    return 0;
}

// Takes slots until this one is taken, and makes it a piece as broodi_piece_allocate does. The
// caller holds the heap's lock.
static void take_slot(uint32_t wanted, brood_event object)
{
    uint64_t place = 0;
    bool zero;
    uint32_t index;
    do
        assert_status(broodi_slot_allocate(BROODI_PIECE, BROODI_MEMORY_NEW, &index), BROOD_OK);
    while (index != wanted);
    struct broodi_piece_slot *piece = broodi_piece_at(index);
    assert_status(broodi_heap_allocate(BROODI_HEAP_PIECES, 3000, &place, &zero), BROOD_OK);
    broodi_memory_set_worker(broodi_memory_at(BROODI_PIECE, index));
    atomic_store(&piece->place, place);
    atomic_store(&piece->size, 3000);
    atomic_store(&piece->object, object.id);
    (void)broodi_word_swap(&piece->state, broodi_word_load(&piece->state), BROODI_MEMORY_MAKING);
}

static void a_late_free_does_not_free_the_next_piece(void **state)
{
    (void)state;
    brood_event object = new_object();
    assert_thread_ends(started_thread(leave_unfinished, &object, sizeof object), 0);
    assert_status(broodi_heap_lock(), BROOD_OK);
    brood_thread *heir = started_thread(free_what_was_left, NULL, 0);
    brood_sleep(BROOD_MILLISECONDS(300)); // it waits for the lock by then
    (void)broodi_pieces_sweep();
    assert_false(broodi_reference_is_current(left_reference));
    take_slot((uint32_t)left_reference, object);
    broodi_heap_unlock();
    assert_thread_ends(heir, 0);
    assert_true(is_in_phase((uint32_t)left_reference, BROODI_MEMORY_MAKING));
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_piece_has_its_sizes_bytes_in_every_process),
        cmocka_unit_test(a_power_of_two_is_aligned_to_its_size),
        cmocka_unit_test(no_chunk_has_both_pieces_and_blocks),
        cmocka_unit_test(more_than_the_window_is_refused),
        cmocka_unit_test(a_whole_piece_is_claimed_once),
        cmocka_unit_test(one_of_several_threads_claims_a_piece),
        cmocka_unit_test(a_sweep_frees_the_pieces_of_dead_workers),
        cmocka_unit_test(a_sweep_frees_the_whole_pieces_of_an_ended_object),
        cmocka_unit_test(pieces_outlive_a_holder_of_the_heap),
        cmocka_unit_test(a_piece_that_cannot_be_freed_in_time_is_swept),
        cmocka_unit_test(a_process_killed_at_any_moment_leaves_nothing),
        cmocka_unit_test(the_slots_of_ended_objects_are_reused),
        cmocka_unit_test(a_late_free_does_not_free_the_next_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
