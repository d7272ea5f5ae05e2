// SPDX-License-Identifier: MIT
// The heap itself, under its lock, and what remains of the work of dead processes.
#include "../meeting.h"
#include "../random.h"

#include "../foreign.h"
#include "../platform.h"
#include "arena/allocator.h"
#include "arena/chunk.h"
#include "arena/family.h"
#include "arena/heap.h"
#include "arena/self.h"
#include "arena/space.h"
#include "base/fault.h"
#include "base/step.h"
#include "memory/heap_lock.h"
#include "memory/sweep.h"
#include "sync/lock.h"

enum { CHUNK = BROODI_HEAP_CHUNK, UNIT = BROODI_HEAP_UNIT, SPARE = 16, KEPT = 1024 };

static struct broodi_heap *heap(void)
{
    return &broodi_family.header->heap;
}

static struct broodi_chunk *chunk_at(uint32_t index)
{
    return broodi_slot(BROODI_CHUNK, index);
}

static int enter(void **state)
{
    (void)state;
    return broodi_own_lock_acquire(heap()->lock) != BROOD_OK;
}

static int leave(void **state)
{
    (void)state;
    broodi_own_lock_release(heap()->lock);
    return 0;
}

// Cells with a stamp in every cache line, so that an overlap of two is detected.

struct cell {
    uint64_t place;
    size_t size;
};

static uint64_t *line_of(const struct cell *cell, size_t offset)
{
    return (uint64_t *)(void *)(broodi_family.arena.base + cell->place + offset);
}

static void stamp(const struct cell *cell)
{
    for (size_t offset = 0; offset < cell->size; offset += UNIT)
        *line_of(cell, offset) = cell->place ^ cell->size;
}

static bool is_stamped(const struct cell *cell)
{
    for (size_t offset = 0; offset < cell->size; offset += UNIT)
        if (*line_of(cell, offset) != (cell->place ^ cell->size))
            return false;
    return true;
}

static bool is_zero(const struct cell *cell)
{
    for (size_t offset = 0; offset < cell->size; offset += UNIT)
        if (*line_of(cell, offset) != 0)
            return false;
    return true;
}

static brood_status take(struct cell *cell, size_t size)
{
    bool zero = true;
    const brood_status status = broodi_heap_allocate(BROODI_HEAP_BLOCKS, size, &cell->place, &zero);
    if (status != BROOD_OK)
        return status;
    cell->size = size;
    assert_int_equal(cell->place % UNIT, 0);
    assert_true(cell->place >= broodi_family.heap_at);
    assert_true(cell->place + size <= broodi_family.arena.size);
    assert_status(broodi_heap_access(cell->place, size), BROOD_OK);
    if (zero)
        assert_true(is_zero(cell));
    stamp(cell);
    return BROOD_OK;
}

static void free_cell(struct cell *cell)
{
    assert_true(is_stamped(cell));
    broodi_heap_free(cell->place, cell->size);
    cell->size = 0;
}

enum { HELD = 400 };

static struct cell held[HELD];

static size_t random_size(uint64_t *seed)
{
    const uint64_t number = next_random(seed);
    const size_t most = number % 64 == 0  ? BROODI_HEAP_LARGEST
                        : number % 8 == 0 ? CHUNK + 5
                        : number % 2 == 0 ? 5000
                                          : 600;
    return 1 + (size_t)(next_random(seed) % most);
}

static void exchange(uint64_t *seed, int turns)
{
    for (int i = 0; i < turns; i++) {
        struct cell *cell = &held[next_random(seed) % HELD];
        if (cell->size)
            free_cell(cell);
        else
            assert_status(take(cell, random_size(seed)), BROOD_OK);
    }
}

static void free_all(void)
{
    for (size_t i = 0; i < HELD; i++)
        if (held[i].size)
            free_cell(&held[i]);
}

// The memory that the arena has committed, by its own account.
static size_t memory_kept(void)
{
    size_t kept = BROODI_BOOT;
    for (int kind = 1; kind < BROODI_KINDS; kind++)
        kept += broodi_table_size((enum broodi_kind)kind);
    for (uint32_t index = 0; index < heap()->chunks; index++)
        kept += chunk_at(index)->committed ? CHUNK : 0;
    return kept;
}

static void assert_account(void)
{
    const size_t seen = platform_memory_allocated(broodi_family.arena.object);
    if (seen > 0)
        assert_int_equal(seen, memory_kept());
}

// Lets the next call of the heap find that no chunk was allocated for a second.
static void rest(void)
{
    if (atomic_load(&heap()->trim_at))
        atomic_store(&heap()->trim_at, 1);
}

// Also: all of the memory is decommitted after a rest, if this system can do that.
static void assert_empty(bool shrunk)
{
    uint32_t spare = 0;
    assert_true(heap()->spare <= KEPT || !shrunk);
    rest();
    broodi_chunks_trim_if_due();
    for (uint32_t index = 0; index < heap()->chunks; index++) {
        assert_int_equal(chunk_at(index)->use, 0);
        assert_true(heap()->free[index / 64] >> (index % 64) & 1);
        spare += chunk_at(index)->committed;
    }
    for (uint32_t list = 0; list < BROODI_HEAP_LISTS; list++)
        assert_int_equal(heap()->room[list], 0);
    assert_int_equal(heap()->spare, spare);
    assert_true(spare <= SPARE || !shrunk);
    assert_account();
}

// Whether this system can decommit memory of the window.
static bool can_decommit(void)
{
    return platform_memory_allocated(broodi_family.arena.object) > 0;
}

static void cells_do_not_overlap_and_freed_memory_is_decommitted(void **state)
{
    (void)state;
    uint64_t seed = 2463534242;
    for (int turn = 0; turn < 20; turn++) {
        exchange(&seed, 1000);
        assert_account();
        free_all();
        assert_empty(can_decommit());
    }
}

static void every_size_has_as_many_cells_in_a_chunk_as_fit(void **state)
{
    (void)state;
    static struct cell cells[CHUNK / UNIT + 1];
    uint64_t last = 0;
    uint32_t sizes = 0;
    for (uint64_t units = 1; units <= CHUNK / UNIT / 2; units++) {
        size_t count = 0;
        do
            assert_status(take(&cells[count], (size_t)units * UNIT), BROOD_OK);
        while (cells[count++].place / CHUNK == cells[0].place / CHUNK);
        const uint64_t size = (cells[1].place - cells[0].place) / UNIT;
        assert_true(size >= units && (size - units) * 5 <= size);
        assert_int_equal(count - 1, CHUNK / UNIT / size);
        sizes += size != last;
        last = size;
        while (count > 0)
            free_cell(&cells[--count]);
    }
    assert_int_equal(sizes, BROODI_HEAP_CLASSES);
    assert_empty(can_decommit());
}

// Limits the window, as this process sees it, to a few chunks after those in use.

enum { LEFT = 40 };

static size_t narrow(uint32_t left)
{
    const size_t whole = broodi_family.arena.size;
    broodi_family.arena.size = broodi_family.heap_at + (size_t)(heap()->chunks + left) * CHUNK;
    return whole;
}

static uint32_t fill(struct cell *cells, uint32_t most, size_t size)
{
    uint32_t count = 0;
    while (count < most && take(&cells[count], size) == BROOD_OK)
        count++;
    assert_true(count < most);
    assert_status(take(&cells[count], size), BROOD_NO_MEMORY);
    return count;
}

static void a_full_window_is_reported_and_usable_again_after_a_free(void **state)
{
    (void)state;
    enum { MOST = 4000 };
    static struct cell cells[MOST * 8];
    static const size_t sizes[] = { CHUNK, CHUNK / 2, 3 * CHUNK, 10000, 1000 };
    const size_t whole = narrow(LEFT);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t count = fill(cells, MOST * 8, sizes[i]);
        assert_true(count * sizes[i] >= (heap()->chunks - 3) * (size_t)CHUNK * 3 / 4);
        free_cell(&cells[count / 2]);
        assert_status(take(&cells[count / 2], sizes[i]), BROOD_OK);
        assert_status(take(&cells[count], sizes[i]), BROOD_NO_MEMORY);
        while (count > 0)
            free_cell(&cells[--count]);
        assert_empty(can_decommit());
    }
    broodi_family.arena.size = whole;
}

// A run at the end of the window may also use free chunks before the end of the used ones.
static void the_last_of_the_window_is_used(void **state)
{
    (void)state;
    enum { MOST = 8000 };
    static struct cell cells[MOST];
    struct cell run;
    const size_t whole = narrow(0);
    uint32_t count = fill(cells, MOST, CHUNK);
    for (int i = 0; i < 5; i++)
        free_cell(&cells[--count]);
    broodi_family.arena.size = whole;
    (void)narrow(7);
    assert_status(take(&run, 12 * CHUNK + 1), BROOD_NO_MEMORY);
    assert_status(take(&run, 12 * CHUNK), BROOD_OK);
    broodi_family.arena.size = whole;
    free_cell(&run);
    while (count > 0)
        free_cell(&cells[--count]);
    assert_empty(can_decommit());
}

// The heap's map, without what depends on the order of operations.
struct picture {
    uint64_t free[BROODI_HEAP_CHUNKS / 64];
    uint32_t taken;
    uint32_t room[BROODI_HEAP_LISTS];
    uint32_t spare;
};

static uint32_t length_of(uint32_t list)
{
    uint32_t length = 0;
    for (uint32_t next = heap()->room[list]; next; next = chunk_at(next - 1)->next)
        length++;
    return length;
}

static void draw(struct picture *picture)
{
    memset(picture, 0, sizeof *picture);
    memcpy(picture->free, heap()->free, sizeof picture->free);
    picture->spare = heap()->spare;
    for (uint32_t index = 0; index < heap()->chunks; index++)
        picture->taken += chunk_at(index)->use ? chunk_at(index)->taken : 0;
    for (uint32_t list = 0; list < BROODI_HEAP_LISTS; list++)
        picture->room[list] = length_of(list);
}

// Spoils the map as a process that dies with the lock may leave it.
static void spoil(void)
{
    heap()->spare = 12345;
    heap()->lowest = 99999;
    memset(heap()->room, 7, sizeof heap()->room);
    memset(heap()->free, 0, sizeof heap()->free);
    for (uint32_t index = 0; index < heap()->chunks; index++) {
        chunk_at(index)->taken = 99;
        chunk_at(index)->next = chunk_at(index)->previous = 3;
        memset(chunk_at(index)->cells, 0x55, sizeof chunk_at(index)->cells);
    }
}

static void a_rebuilt_map_is_the_same(void **state)
{
    (void)state;
    static struct picture before;
    static struct picture after;
    uint64_t seed = 4711;
    for (int turn = 0; turn < 20; turn++) {
        exchange(&seed, 700);
        (void)broodi_chunks_trim();
        draw(&before);
        if (turn % 2)
            spoil();
        broodi_heap_forget();
        for (size_t i = 0; i < HELD; i++)
            if (held[i].size)
                broodi_heap_mark(BROODI_HEAP_BLOCKS, held[i].place, held[i].size);
        (void)broodi_chunks_trim();
        draw(&after);
        assert_memory_equal(&before, &after, sizeof before);
    }
    free_all();
    assert_empty(can_decommit());
}

static void memory_left_committed_by_a_death_is_decommitted(void **state)
{
    (void)state;
    struct cell runs[8];
    for (size_t i = 0; i < 8; i++)
        assert_status(take(&runs[i], BROODI_HEAP_LARGEST), BROOD_OK);
    broodi_heap_forget();
    (void)broodi_chunks_trim();
    assert_empty(can_decommit());
}

// More chunks than stay committed at rest, fewer than stay so while the heap is used.
enum { MANY = 200 };

static void free_many(void)
{
    struct cell runs[MANY];
    for (size_t i = 0; i < MANY; i++)
        assert_status(take(&runs[i], CHUNK), BROOD_OK);
    for (size_t i = 0; i < MANY; i++)
        free_cell(&runs[i]);
}

static void chunks_stay_committed_while_the_heap_is_used(void **state)
{
    (void)state;
    struct cell small;
    free_many();
    assert_in_range(heap()->spare, MANY, KEPT);
    assert_account();
    free_many();
    assert_in_range(heap()->spare, MANY, KEPT);
    rest();
    assert_status(take(&small, 100), BROOD_OK);
    assert_true(heap()->spare <= SPARE || !can_decommit());
    free_cell(&small);
    assert_account();
}

static void no_more_than_64_mib_stay_committed(void **state)
{
    (void)state;
    enum { MOST = KEPT + 100 };
    static struct cell runs[MOST];
    for (size_t i = 0; i < MOST; i++)
        if (take(&runs[i], CHUNK) != BROOD_OK)
            runs[i].size = 0;
    for (size_t i = 0; i < MOST; i++)
        if (runs[i].size)
            free_cell(&runs[i]);
    assert_true(heap()->spare <= KEPT || !can_decommit());
    assert_account();
    assert_empty(can_decommit());
}

static void a_run_may_be_larger_than_a_group(void **state)
{
    (void)state;
    struct cell run;
    assert_status(take(&run, 5 * BROODI_HEAP_LARGEST + 3), BROOD_OK);
    free_cell(&run);
    assert_status(take(&run, broodi_family.arena.size + 1), BROOD_NO_MEMORY);
    const uint32_t chunks = heap()->chunks;
    assert_status(take(&run, broodi_family.arena.size), BROOD_NO_MEMORY);
    assert_int_equal(heap()->chunks, chunks);
    assert_empty(can_decommit());
}

// Without the lock: a thread that waits.
static void free_memory_is_returned_after_a_second_of_rest(void **state)
{
    (void)state;
    assert_int_equal(enter(NULL), 0);
    free_many();
    assert_int_equal(leave(NULL), 0);
    broodi_heap_rest();
    if (!can_decommit()) {
        print_message("this system does not decommit memory of the window\n");
        skip();
    }
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (heap()->spare > SPARE) {
        assert_true(brood_clock() < deadline);
        brood_sleep(BROOD_MILLISECONDS(20));
        broodi_heap_rest();
    }
    assert_int_equal(atomic_load(&heap()->trim_at), 0);
    assert_account();
}

// Large blocks

static const struct broodi_block_slot *slot_of_block(brood_block block)
{
    return broodi_slot(BROODI_BLOCK, broodi_handle_unpack(block.id).slot);
}

static uint64_t place_of_block(brood_block block)
{
    return atomic_load(&slot_of_block(block)->place);
}

static uint64_t end_of_block(brood_block block)
{
    const uint64_t size = atomic_load(&slot_of_block(block)->size);
    return place_of_block(block) + (size + CHUNK - 1) / CHUNK * CHUNK;
}

// The range is too large for any other gap, and is not the one that was freed last, so only a
// search finds it.
static void a_search_that_runs_out_of_memory_does_not_hide_a_gap(void **state)
{
    (void)state;
    const uint64_t end = broodi_space_end();
    const size_t size = (size_t)end + (2 << 20);
    brood_block large;
    brood_block small;
    brood_block fresh[2];
    assert_status(brood_block_create_lazy(&large, size), BROOD_OK);
    assert_status(brood_block_create_lazy(&small, 2 << 20), BROOD_OK);
    const uint64_t place = place_of_block(large);
    assert_status(brood_block_destroy(large), BROOD_OK);
    assert_status(brood_block_destroy(small), BROOD_OK);
    broodi_fault_set(1);
    assert_status(brood_block_create_lazy(&fresh[0], size), BROOD_OK);
    assert_int_equal(broodi_fault_left(), 0);
    assert_true(place_of_block(fresh[0]) > place);
    assert_status(brood_block_create_lazy(&fresh[1], size), BROOD_OK);
    assert_int_equal(place_of_block(fresh[1]), place);
    assert_status(brood_block_destroy(fresh[0]), BROOD_OK);
    assert_status(brood_block_destroy(fresh[1]), BROOD_OK);
}

static void assert_apart(const brood_block *blocks, size_t count, brood_block fresh)
{
    for (size_t i = 0; i < count; i++)
        if (blocks[i].id)
            assert_true(end_of_block(blocks[i]) <= place_of_block(fresh) ||
                        end_of_block(fresh) <= place_of_block(blocks[i]));
}

static void large_blocks_do_not_overlap(void **state)
{
    (void)state;
    enum { BLOCKS = 40, TURNS = 400, MIB = 1 << 20 };
    brood_block blocks[BLOCKS] = { { 0 } };
    uint64_t seed = 521288629;
    for (int turn = 0; turn < TURNS; turn++) {
        brood_block *block = &blocks[next_random(&seed) % BLOCKS];
        if (block->id)
            assert_status(brood_block_destroy(*block), BROOD_OK);
        block->id = 0;
        brood_block fresh;
        assert_status(brood_block_create_lazy(&fresh, MIB + 1 + next_random(&seed) % (4 * MIB)),
                      BROOD_OK);
        assert_apart(blocks, BLOCKS, fresh);
        *block = fresh;
    }
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].id)
            assert_status(brood_block_destroy(blocks[i]), BROOD_OK);
}

// The range is found by a search when two ranges that adjoin have become free one after the
// other; then it is found without one.
static void the_ranges_of_large_blocks_are_reused(void **state)
{
    (void)state;
    enum { BLOCKS = 8, SIZE = 2 << 20 };
    brood_block blocks[BLOCKS];
    brood_block fresh;
    for (size_t i = 0; i < BLOCKS; i++)
        assert_status(brood_block_create_lazy(&blocks[i], SIZE), BROOD_OK);
    const uint64_t first = place_of_block(blocks[0]);
    const uint64_t end = end_of_block(blocks[BLOCKS - 1]);
    for (size_t i = BLOCKS - 1; i > 0; i--)
        assert_status(brood_block_destroy(blocks[i]), BROOD_OK);
    assert_status(brood_block_create_lazy(&fresh, (BLOCKS - 1) * SIZE), BROOD_OK);
    assert_true(place_of_block(fresh) < end);
    assert_status(brood_block_destroy(fresh), BROOD_OK);
    assert_status(brood_block_destroy(blocks[0]), BROOD_OK);
    assert_status(brood_block_create_lazy(&fresh, SIZE), BROOD_OK);
    assert_int_equal(place_of_block(fresh), first);
    assert_status(brood_block_destroy(fresh), BROOD_OK);
}

// Without the lock: unfinished work of dead threads

static uint32_t blocks_live(void)
{
    return atomic_load(&broodi_family.header->tables[BROODI_BLOCK].live);
}

static int end_with_the_lock(void *arg)
{
    uint32_t index;
    uint64_t place;
    bool zero;
    (void)arg;
    CHECK(broodi_own_lock_acquire(heap()->lock) == BROOD_OK);
    CHECK(broodi_slot_allocate(BROODI_BLOCK, 0, &index) == BROOD_OK);
    CHECK(broodi_heap_allocate(BROODI_HEAP_BLOCKS, 100000, &place, &zero) == BROOD_OK);
    CHECK(broodi_heap_allocate(BROODI_HEAP_BLOCKS, 100, &place, &zero) == BROOD_OK);
    heap()->gap = 1; // half of a pair
    heap()->gap_length = 1 << 30;
    return 0;
}

static void a_thread_that_dies_with_the_lock_leaves_nothing(void **state)
{
    (void)state;
    enum { MIB = 1 << 20 };
    brood_block small;
    brood_block large[2];
    assert_status(brood_block_create(&large[0], 2 * MIB), BROOD_OK);
    memset(brood_block_data(large[0]), 1, 2 * MIB);
    const uint32_t before = blocks_live();
    assert_thread_ends(started_thread(end_with_the_lock, "", 1), 0);
    assert_status(brood_block_create(&small, 10), BROOD_OK);
    assert_int_equal(blocks_live(), before + 1);
    assert_status(brood_block_create(&large[1], 2 * MIB), BROOD_OK);
    memset(brood_block_data(large[1]), 2, 2 * MIB);
    assert_int_equal(((unsigned char *)brood_block_data(large[0]))[MIB], 1);
    assert_status(brood_block_destroy(large[0]), BROOD_OK);
    assert_status(brood_block_destroy(large[1]), BROOD_OK);
    assert_status(brood_block_destroy(small), BROOD_OK);
    assert_empty(can_decommit());
}

enum { MAKING = 1, WHOLE, ENDING };

static int report_owner(void *arg)
{
    atomic_store(*(_Atomic broodi_owner **)arg, broodi_owner_self());
    return 0;
}

// A block whose slot names a worker.
static brood_block made_with(broodi_owner worker, uint32_t phase)
{
    brood_block block;
    assert_status(brood_block_create(&block, 1000), BROOD_OK);
    struct broodi_block_slot *slot = broodi_slot(BROODI_BLOCK, broodi_handle_unpack(block.id).slot);
    atomic_store(&slot->worker, worker);
    assert_true(broodi_word_swap(&slot->state, broodi_word_load(&slot->state), phase));
    return block;
}

static bool is_swept(brood_block block)
{
    assert_int_equal(enter(NULL), 0);
    (void)broodi_blocks_sweep();
    assert_int_equal(leave(NULL), 0);
    struct broodi_block_slot *slot = broodi_slot(BROODI_BLOCK, broodi_handle_unpack(block.id).slot);
    const uint64_t found = broodi_word_load(&slot->state);
    if (!broodi_handle_is_current(block.id, found))
        return true;
    (void)broodi_word_swap(&slot->state, found, WHOLE);
    assert_status(brood_block_destroy(block), BROOD_OK);
    return false;
}

static void only_blocks_with_a_dead_worker_are_swept(void **state)
{
    (void)state;
    _Atomic broodi_owner dead = 0;
    _Atomic broodi_owner *out = &dead;
    const uint32_t before = blocks_live();
    assert_thread_ends(started_thread(report_owner, &out, sizeof out), 0);
    const broodi_owner self = broodi_owner_self();
    assert_true(is_swept(made_with(atomic_load(&dead), MAKING)));
    assert_true(is_swept(made_with(atomic_load(&dead), ENDING)));
    assert_true(is_swept(made_with(0, MAKING))); // abandoned
    assert_true(is_swept(made_with(0, ENDING)));
    assert_false(is_swept(made_with(0, WHOLE)));
    assert_false(is_swept(made_with(atomic_load(&dead), WHOLE)));
    assert_false(is_swept(made_with(self, MAKING)));
    assert_false(is_swept(made_with(self, ENDING)));
    assert_int_equal(blocks_live(), before);
}

// A process that is stopped while it holds a lock of the library

struct holding {
    uint64_t lock;
    brood_event held;
    brood_event go_on;
};

static int hold(void *arg)
{
    const struct holding *holding = arg;
    CHECK(broodi_own_lock_acquire(holding->lock) == BROOD_OK);
    CHECK(brood_event_set(holding->held) == BROOD_OK);
    CHECK(brood_event_wait(holding->go_on, MEETING_PATIENCE) == BROOD_OK);
    broodi_own_lock_release(holding->lock);
    return 0;
}

static brood_process *started_holder(struct holding *holding, uint64_t lock)
{
    holding->lock = lock;
    assert_status(brood_event_create(&holding->held), BROOD_OK);
    assert_status(brood_event_create(&holding->go_on), BROOD_OK);
    brood_process *holder = started_process(hold, holding, sizeof *holding);
    assert_status(brood_event_wait(holding->held, MEETING_PATIENCE), BROOD_OK);
    broodi_own_lock_patience = BROOD_MILLISECONDS(30);
    return holder;
}

static void end_holder(struct holding *holding, brood_process *holder)
{
    broodi_own_lock_patience = MEETING_PATIENCE;
    assert_status(brood_event_set(holding->go_on), BROOD_OK);
    assert_process_ends(holder, 0);
    assert_status(brood_event_destroy(holding->held), BROOD_OK);
    assert_status(brood_event_destroy(holding->go_on), BROOD_OK);
}

static void a_stopped_holder_of_the_heap_delays_others_until_a_timeout(void **state)
{
    (void)state;
    struct holding holding;
    brood_block small;
    brood_block large;
    brood_block none = { 5 };
    const uint32_t before = blocks_live();
    assert_status(brood_block_create(&small, 100), BROOD_OK);
    assert_status(brood_block_create(&large, 3 << 20), BROOD_OK);
    brood_process *holder = started_holder(&holding, heap()->lock);
    assert_status(brood_block_create(&none, 100), BROOD_TIMEOUT);
    assert_last_error_names("brood_block_create");
    assert_status(brood_block_create_lazy(&none, 3 << 20), BROOD_TIMEOUT);
    assert_int_equal(none.id, 5);
    assert_status(brood_block_destroy(small), BROOD_TIMEOUT);
    assert_status(brood_block_destroy(large), BROOD_TIMEOUT);
    assert_non_null(brood_block_data(small));
    assert_int_equal(brood_block_size(large), 3 << 20);
    end_holder(&holding, holder);
    assert_status(brood_block_destroy(small), BROOD_OK);
    assert_status(brood_block_destroy(large), BROOD_OK);
    assert_int_equal(blocks_live(), before);
}

static struct holding held_up;
static brood_process *holder_of_the_heap;

// Lets another process acquire the heap's lock once the memory of the large block is freed.
static void hold_the_heap(enum broodi_step step)
{
    if (step != BROODI_STEP_BLOCK_EMPTIED)
        return;
    broodi_step_hook = NULL;
    holder_of_the_heap = started_holder(&held_up, heap()->lock);
}

static void a_block_that_cannot_be_freed_in_time_is_freed_later(void **state)
{
    (void)state;
    brood_block large;
    brood_block next;
    const uint32_t before = blocks_live();
    assert_status(brood_block_create(&large, 3 << 20), BROOD_OK);
    broodi_step_hook = hold_the_heap;
    assert_status(brood_block_destroy(large), BROOD_OK);
    assert_null(broodi_step_hook);
    assert_status(brood_block_destroy(large), BROOD_STALE);
    assert_int_equal(blocks_live(), before + 1);
    end_holder(&held_up, holder_of_the_heap);
    assert_status(brood_block_create(&next, 3 << 20), BROOD_OK);
    assert_int_equal(blocks_live(), before + 1);
    assert_status(brood_block_destroy(next), BROOD_OK);
    assert_int_equal(blocks_live(), before);
}

static void a_stopped_setter_of_the_registry_delays_others_until_a_timeout(void **state)
{
    (void)state;
    struct holding holding;
    uint64_t value = 0;
    assert_status(brood_registry_set("there", 5), BROOD_OK);
    brood_process *holder = started_holder(&holding, broodi_family.header->names);
    assert_status(brood_registry_set("there", 6), BROOD_TIMEOUT);
    assert_last_error_names("brood_registry_set");
    assert_status(brood_registry_set("new", 6), BROOD_TIMEOUT);
    assert_status(brood_registry_get("there", &value), BROOD_OK);
    assert_int_equal(value, 5);
    assert_status(brood_registry_get("new", &value), BROOD_NOT_FOUND);
    end_holder(&holding, holder);
    assert_status(brood_registry_set("there", 0), BROOD_OK);
    assert_status(brood_registry_get("there", &value), BROOD_NOT_FOUND);
}

// Creates and destroys blocks until it is killed.
static int grind(void *arg)
{
    enum { AT_ONCE = 8 };
    uint64_t seed = *(const uint64_t *)arg;
    brood_block blocks[AT_ONCE] = { { 0 } };
    for (;;) {
        brood_block *block = &blocks[next_random(&seed) % AT_ONCE];
        if (block->id)
            CHECK(brood_block_destroy(*block) == BROOD_OK);
        const size_t size = next_random(&seed) % 4 ? random_size(&seed) : 3 << 20;
        CHECK((next_random(&seed) % 4 ? brood_block_create(block, size)
                                      : brood_block_create_lazy(block, size)) == BROOD_OK);
    }
}

// Destroys the blocks of killed processes; all that are left are complete.
static void destroy_orphans(void)
{
    const uint32_t limit = broodi_slot_limit(BROODI_BLOCK);
    for (uint32_t index = 0; index < limit; index++) {
        const struct broodi_block_slot *slot = broodi_slot(BROODI_BLOCK, index);
        if (!broodi_slot_is_live(broodi_word_load(&slot->state)))
            continue;
        const brood_block orphan = { broodi_handle_of(BROODI_BLOCK, index) };
        assert_status(brood_block_destroy(orphan), BROOD_OK);
    }
}

static void a_process_killed_at_any_moment_leaves_blocks_or_nothing(void **state)
{
    (void)state;
    const int rounds = foreign_is_slow() ? 4 : 40;
    uint64_t seed = 362436069;
    brood_block block;
    for (int round = 0; round < rounds; round++) {
        const uint64_t theirs[] = { next_random(&seed), next_random(&seed) };
        brood_process *first = started_process(grind, &theirs[0], sizeof theirs[0]);
        brood_process *second = started_process(grind, &theirs[1], sizeof theirs[1]);
        brood_sleep(BROOD_MICROSECONDS((double)(next_random(&seed) % 3000)));
        kill_process(first);
        kill_process(second);
        // Also frees blocks that were left unfinished.
        assert_status(brood_block_create(&block, 2 << 20), BROOD_OK);
        assert_status(brood_block_destroy(block), BROOD_OK);
        destroy_orphans();
        assert_empty(can_decommit());
    }
}

static void a_later_process_with_the_keepers_id_keeps_nothing(void **state)
{
    (void)state;
    brood_os_section section = { .length = 2 << 20, .keeper = brood_os_section_keeper() };
    void *address = NULL;
    if (section.keeper == 0) {
        print_message("sections have no keeper on this system\n");
        skip();
    }
    assert_status(brood_os_section_create(&broodi_family.arena, false, &section), BROOD_OK);
    assert_status(brood_os_section_map(&broodi_family.arena, &section, &address), BROOD_OK);
    brood_os_section_unmap(address, section.length);
    brood_os_section other = section;
    other.keeper ^= INT64_C(1) << 40; // a process that was created at another time
    assert_status(brood_os_section_map(&broodi_family.arena, &other, &address), BROOD_NOT_FOUND);
    brood_os_section_destroy(&broodi_family.arena, &other);
    assert_status(brood_os_section_map(&broodi_family.arena, &section, &address), BROOD_OK);
    brood_os_section_unmap(address, section.length);
    brood_os_section_destroy(&broodi_family.arena, &section);
    assert_status(brood_os_section_map(&broodi_family.arena, &section, &address), BROOD_NOT_FOUND);
}

// Also after a failure: the next test must not run with the hook of this one.
static int forget_hook(void **state)
{
    (void)state;
    broodi_step_hook = NULL;
    return 0;
}

#define locked_test(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        locked_test(cells_do_not_overlap_and_freed_memory_is_decommitted),
        locked_test(every_size_has_as_many_cells_in_a_chunk_as_fit),
        locked_test(a_full_window_is_reported_and_usable_again_after_a_free),
        locked_test(the_last_of_the_window_is_used),
        locked_test(a_rebuilt_map_is_the_same),
        locked_test(memory_left_committed_by_a_death_is_decommitted),
        locked_test(chunks_stay_committed_while_the_heap_is_used),
        locked_test(no_more_than_64_mib_stay_committed),
        locked_test(a_run_may_be_larger_than_a_group),
        cmocka_unit_test(free_memory_is_returned_after_a_second_of_rest),
        cmocka_unit_test(a_search_that_runs_out_of_memory_does_not_hide_a_gap),
        cmocka_unit_test(large_blocks_do_not_overlap),
        cmocka_unit_test(the_ranges_of_large_blocks_are_reused),
        cmocka_unit_test(a_thread_that_dies_with_the_lock_leaves_nothing),
        cmocka_unit_test(only_blocks_with_a_dead_worker_are_swept),
        cmocka_unit_test(a_stopped_holder_of_the_heap_delays_others_until_a_timeout),
        cmocka_unit_test_teardown(a_block_that_cannot_be_freed_in_time_is_freed_later, forget_hook),
        cmocka_unit_test(a_stopped_setter_of_the_registry_delays_others_until_a_timeout),
        cmocka_unit_test(a_process_killed_at_any_moment_leaves_blocks_or_nothing),
        cmocka_unit_test(a_later_process_with_the_keepers_id_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
