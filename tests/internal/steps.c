// SPDX-License-Identifier: MIT
// Kills a process at every step. In a family in which threads and processes use every kind of
// object (the same lock, semaphore, event, condition, barrier and name), create and destroy
// objects and blocks, and start threads that die with a lock, one process, the victim, stops at a
// given step (src/base/step.h) and is killed there. The others must continue. Every step is
// visited; the list is printed.
#include "../meeting.h"

#include "../foreign.h"
#include "../platform.h"
#include "../random.h"
#include "arena/allocator.h"
#include "arena/family.h"
#include "arena/kinds.h"
#include "arena/owner.h"
#include "arena/self.h"
#include "arena/slots.h"
#include "base/atomic.h"
#include "base/step.h"
#include "memory/piece.h"
#include "memory/sweep.h"
#include "message/users.h"

enum {
    COMPANIONS = 3,  // two threads and a process
    ROUNDS = 20,     // that each of them must complete after the victim's death
    HOARD = 8,       // objects made at once, so that tables grow
    SHORT = 5000000, // ns
    MIB = 1 << 20,
};

#define SOON (foreign_is_slow() ? BROOD_SECONDS(30) : BROOD_SECONDS(10))

// Shared by all members besides the objects; in a block.
struct board {
    _Atomic uint32_t reached; // the victim has stopped
    _Atomic uint32_t over;
    _Atomic uint32_t rest; // the companions must not begin another round
    _Atomic uint32_t resting;
    _Atomic uint32_t rounds[COMPANIONS];
    _Atomic uint32_t favoured;  // acts that the companions choose every other time; 0: none
    _Atomic uint32_t inherited; // how many acquisitions returned BROOD_OWNER_DIED
    _Atomic uint64_t event;     // this and the next are replaced repeatedly
    _Atomic uint64_t condition;
    _Atomic uint64_t queue;
    _Atomic uint64_t connection;
};

struct family {
    brood_block board;
    brood_lock lock;
    brood_lock recursive;
    brood_semaphore semaphore;
    brood_event event;
    brood_condition condition;
    brood_barrier barrier;
    brood_queue queue;
    brood_connection ends[2];
    brood_connection bulk[2];
};

// A member of the family, and what it needs.
struct member {
    struct family family;
    struct board *board;
    uint64_t seed;
    uint32_t number; // of a companion
    uint32_t step;   // of the victim
    uint32_t nth;
    uint32_t acts; // a bit for each act that it does; 0: all but the last two
};

static uint32_t number_below(struct member *member, uint32_t limit)
{
    return (uint32_t)(next_random(&member->seed) >> 20) % limit;
}

// Counts the locks that a dead holder has left.
static bool acquired(struct member *member, brood_status status)
{
    if (status == BROOD_OWNER_DIED)
        atomic_fetch_add(&member->board->inherited, 1);
    return brood_status_acquired(status);
}

// The timeout for an acquisition; often too short to wait.
static brood_duration patience(struct member *member)
{
    static const brood_duration some[] = { BROOD_NOW, SHORT / 50, SHORT, 4 * SHORT };
    return some[number_below(member, 4)];
}

// Acts. Each returns 0, or the line of the check that failed.

static int use_lock(struct member *member)
{
    const brood_status status = brood_lock_acquire(member->family.lock, patience(member));
    CHECK(brood_status_acquired(status) || status == BROOD_TIMEOUT);
    if (!acquired(member, status))
        return 0;
    if (number_below(member, 4) == 0)
        brood_sleep(BROOD_MICROSECONDS(300));
    CHECK(brood_lock_release(member->family.lock) == BROOD_OK);
    return 0;
}

static int use_recursive_lock(struct member *member)
{
    const brood_lock lock = member->family.recursive;
    const brood_status status = brood_lock_acquire(lock, patience(member));
    CHECK(brood_status_acquired(status) || status == BROOD_TIMEOUT);
    if (!acquired(member, status))
        return 0;
    CHECK(brood_lock_acquire(lock, BROOD_NOW) == BROOD_OK);
    CHECK(brood_lock_release(lock) == BROOD_OK);
    CHECK(brood_lock_release(lock) == BROOD_OK);
    return 0;
}

// Units that a dead member had acquired are replaced: a member that times out releases one, too.
static int use_semaphore(struct member *member)
{
    const brood_status status = brood_semaphore_acquire(member->family.semaphore, SHORT);
    CHECK(status == BROOD_OK || status == BROOD_TIMEOUT);
    const brood_status released = brood_semaphore_release(member->family.semaphore, 1);
    CHECK(released == BROOD_OK || released == BROOD_OVERFLOW);
    return 0;
}

static int use_event(struct member *member)
{
    const brood_event event = member->family.event;
    const uint32_t what = number_below(member, 4);
    if (what == 0)
        CHECK(brood_event_set(event) == BROOD_OK);
    if (what == 1)
        CHECK(brood_event_clear(event) == BROOD_OK);
    if (what < 2)
        return 0;
    const brood_status status = brood_event_wait(event, SHORT);
    CHECK(status == BROOD_OK || status == BROOD_TIMEOUT);
    return 0;
}

static int wait_for_condition(struct member *member)
{
    const brood_lock lock = member->family.lock;
    const brood_status taken = brood_lock_acquire(lock, patience(member));
    CHECK(brood_status_acquired(taken) || taken == BROOD_TIMEOUT);
    if (!acquired(member, taken))
        return 0;
    const brood_status status = brood_condition_wait(member->family.condition, lock, SHORT);
    CHECK(brood_status_acquired(status) || status == BROOD_TIMEOUT);
    (void)acquired(member, status);
    CHECK(brood_lock_release(lock) == BROOD_OK);
    return 0;
}

static int notify(struct member *member)
{
    CHECK(brood_condition_notify(member->family.condition, 1 + number_below(member, 2)) ==
          BROOD_OK);
    if (number_below(member, 2))
        CHECK(brood_condition_notify_all(member->family.condition) == BROOD_OK);
    return 0;
}

static int meet(struct member *member)
{
    const brood_barrier barrier = member->family.barrier;
    const brood_status status = brood_barrier_wait(barrier, SHORT, NULL);
    CHECK(status == BROOD_OK || status == BROOD_TIMEOUT || status == BROOD_BROKEN);
    if (status != BROOD_OK)
        CHECK(brood_barrier_reset(barrier) == BROOD_OK);
    return 0;
}

static bool is_fit(brood_status status)
{
    return status == BROOD_OK || status == BROOD_TIMEOUT || status == BROOD_STALE ||
           status == BROOD_INVALID;
}

// An object may be destroyed while other members wait for it.
static int use_what_may_go(struct member *member)
{
    brood_event fresh;
    const brood_event event = { atomic_load(&member->board->event) };
    CHECK(is_fit(brood_event_wait(event, SHORT)));
    if (number_below(member, 3))
        return 0;
    CHECK(brood_event_create(&fresh) == BROOD_OK);
    const brood_event old = { atomic_exchange(&member->board->event, fresh.id) };
    CHECK(!old.id || brood_event_destroy(old) == BROOD_OK);
    return 0;
}

static int wait_for_what_may_go(struct member *member)
{
    brood_condition fresh;
    brood_lock lock;
    CHECK(brood_lock_create(&lock) == BROOD_OK);
    CHECK(brood_lock_acquire(lock, BROOD_NOW) == BROOD_OK);
    const brood_condition condition = { atomic_load(&member->board->condition) };
    const brood_status status = brood_condition_wait(condition, lock, SHORT);
    CHECK(is_fit(status)); // BROOD_INVALID: other waiters use another lock
    if (status != BROOD_STALE)
        CHECK(brood_lock_release(lock) == BROOD_OK);
    CHECK(brood_lock_destroy(lock) == BROOD_OK);
    CHECK(brood_condition_create(&fresh) == BROOD_OK);
    const brood_condition old = { atomic_exchange(&member->board->condition, fresh.id) };
    CHECK(!old.id || brood_condition_destroy(old) == BROOD_OK);
    return 0;
}

static int make_and_destroy(struct member *member)
{
    brood_semaphore semaphore;
    brood_barrier barrier;
    (void)member;
    CHECK(brood_semaphore_create(&semaphore, 1, 2) == BROOD_OK);
    CHECK(brood_barrier_create(&barrier, 3) == BROOD_OK);
    CHECK(brood_barrier_destroy(barrier) == BROOD_OK);
    CHECK(brood_semaphore_destroy(semaphore) == BROOD_OK);
    return 0;
}

static bool is_zero(const unsigned char *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

static int use_block(struct member *member)
{
    static const uint32_t limits[] = { 200, 30000, 200000, MIB, 3 * MIB };
    const size_t size =
        1 + number_below(member, limits[number_below(member, sizeof limits / sizeof limits[0])]);
    brood_block block;
    CHECK(brood_block_create(&block, size) == BROOD_OK);
    unsigned char *data = brood_block_data(block);
    CHECK(data && is_zero(data, size));
    memset(data, 1, size);
    CHECK(brood_block_destroy(block) == BROOD_OK);
    return 0;
}

// Frees more chunks than stay committed at rest. The next call of the heap finds that no chunk was
// allocated for a second.
static int let_the_heap_rest(struct member *member)
{
    brood_block blocks[3];
    for (int i = 0; i < 3; i++)
        CHECK(brood_block_create(&blocks[i], MIB) == BROOD_OK);
    for (int i = 0; i < 3; i++)
        CHECK(brood_block_destroy(blocks[i]) == BROOD_OK);
    if (atomic_load(&broodi_family.header->heap.trim_at))
        atomic_store(&broodi_family.header->heap.trim_at, 1);
    return use_block(member);
}

// A piece of memory that is freed in any of its phases.
static int use_piece(struct member *member)
{
    static const uint32_t limits[] = { 200, 30000, 200000, 3 * MIB };
    const size_t size =
        1 + number_below(member, limits[number_below(member, sizeof limits / sizeof limits[0])]);
    uint32_t index;
    CHECK(broodi_piece_allocate(member->family.event.id, size, &index) == BROOD_OK);
    unsigned char *data = broodi_piece_data(index);
    CHECK(data);
    memset(data, (int)member->number + 1, size);
    const uint32_t what = number_below(member, 4);
    if (what > 0)
        broodi_piece_complete(index);
    if (what > 1)
        CHECK(broodi_piece_claim(index));
    CHECK(data[0] == member->number + 1 && memcmp(data, data + 1, size - 1) == 0);
    broodi_piece_free(index);
    return 0;
}

// Messages: all bytes of one are the same, and say how large it is.

enum { LARGEST = 50000 };

static void write_message(unsigned char *data, size_t size)
{
    memset(data, (int)(size % 251), size);
}

static bool is_whole(const unsigned char *data, size_t size)
{
    return size == 0 ||
           (size <= LARGEST && data[0] == size % 251 && memcmp(data, data + 1, size - 1) == 0);
}

static bool is_moved(brood_status status)
{
    return status == BROOD_OK || status == BROOD_TIMEOUT;
}

static int put_in_place(struct member *member, size_t size)
{
    brood_message message;
    const brood_status status =
        brood_queue_reserve(member->family.queue, size, &message, patience(member));
    CHECK(is_moved(status));
    if (status != BROOD_OK)
        return 0;
    write_message(message.data, size);
    if (number_below(member, 3) == 0)
        brood_queue_abort(member->family.queue, &message);
    else
        CHECK(is_moved(brood_queue_commit(member->family.queue, &message, size)));
    brood_queue_abort(member->family.queue, &message);
    return 0;
}

static int put_message(struct member *member)
{
    static const uint32_t limits[] = { 2, 100, 8185, LARGEST };
    unsigned char data[LARGEST];
    const size_t size = number_below(member, limits[number_below(member, 4)]);
    const uint32_t what = number_below(member, 4);
    if (what == 0)
        return put_in_place(member, size);
    write_message(data, size < 1000 && what == 1 ? 3 * size : size);
    if (what == 1 && size < 1000) {
        for (int i = 0; i < 3; i++)
            write_message(data + (size_t)i * size, size);
        CHECK(is_moved(
            brood_queue_put_many(member->family.queue, data, size, 3, NULL, patience(member))));
        return 0;
    }
    CHECK(is_moved(brood_queue_put(member->family.queue, data, size, patience(member))));
    return 0;
}

static int get_in_place(struct member *member)
{
    brood_message message;
    const brood_status status = brood_queue_take(member->family.queue, &message, patience(member));
    CHECK(is_moved(status));
    if (status != BROOD_OK)
        return 0;
    CHECK(is_whole(message.data, message.size));
    brood_queue_release(member->family.queue, &message);
    return 0;
}

static int get_message(struct member *member)
{
    unsigned char data[2 * LARGEST];
    size_t sizes[2];
    size_t count = 0;
    if (number_below(member, 3) == 0)
        return get_in_place(member);
    CHECK(is_moved(brood_queue_get_many(member->family.queue, data, LARGEST, 2, sizes, &count,
                                        patience(member))));
    for (size_t i = 0; i < count; i++) {
        CHECK(is_whole(data + i * LARGEST, sizes[i]));
        CHECK(number_below(member, 4) == 0 ||
              brood_queue_task_done(member->family.queue) == BROOD_OK);
    }
    const brood_status joined = brood_queue_join(member->family.queue, BROOD_NOW);
    CHECK(is_moved(joined) || joined == BROOD_PEER_DIED);
    return 0;
}

// A queue may be closed and destroyed while other members use it.
static int wait_by_poller(const brood_waitable *all, size_t count, uint32_t first)
{
    brood_ready ready;
    brood_poller *poller;
    CHECK(brood_poller_create(&poller) == BROOD_OK);
    CHECK(brood_poller_add(poller, all[first], NULL) == BROOD_OK);
    const brood_status status = brood_poller_wait(poller, &ready, 1, NULL, SHORT);
    CHECK(status == BROOD_OK || status == BROOD_TIMEOUT);
    for (size_t i = 0; i < count; i++)
        CHECK(i == first || brood_poller_add(poller, all[i], NULL) == BROOD_OK);
    CHECK(brood_poller_wait(poller, &ready, 1, NULL, BROOD_SECONDS(60)) == BROOD_OK);
    brood_poller_destroy(poller);
    return 0;
}

// Waits, for a short time, for any of the things that the other acts change.
static int wait_for_any(struct member *member)
{
    const brood_waitable all[] = {
        brood_waitable_event(member->family.event),
        brood_waitable_semaphore(member->family.semaphore),
        brood_waitable_queue(member->family.queue),
        brood_waitable_queue_room(member->family.queue),
    };
    bool ready[4];
    const uint32_t first = number_below(member, 3);
    const brood_status status = brood_wait_any(&all[first], 1, SHORT, ready);
    CHECK(status == (ready[0] ? BROOD_OK : BROOD_TIMEOUT));
    CHECK(brood_wait_any(all, 4, BROOD_SECONDS(60), ready) == BROOD_OK);
    return number_below(member, 2) ? wait_by_poller(all, 4, first) : 0;
}

static int use_queue_that_may_go(struct member *member)
{
    char byte = 0;
    brood_queue fresh;
    const brood_queue queue = { atomic_load(&member->board->queue) };
    const brood_status put = brood_queue_put(queue, &byte, 1, SHORT);
    CHECK(is_fit(put) || put == BROOD_CLOSED);
    const brood_status got = brood_queue_get(queue, &byte, 1, NULL, SHORT);
    CHECK(is_fit(got) || got == BROOD_CLOSED);
    if (number_below(member, 3))
        return 0;
    CHECK(brood_queue_create(&fresh, 3, 8) == BROOD_OK);
    const brood_queue old = { atomic_exchange(&member->board->queue, fresh.id) };
    if (!old.id)
        return 0;
    CHECK(is_fit(brood_queue_close(old)));
    const brood_status destroyed = brood_queue_destroy(old);
    CHECK(destroyed == BROOD_OK || destroyed == BROOD_TIMEOUT);
    return 0;
}

// A list of users, of an object that this member alone uses.
static int use_list_of_users(struct member *member)
{
    brood_event object;
    struct broodi_user_list list;
    struct broodi_user user;
    const broodi_owner self = broodi_owner_at(BROODI_PROCESS, broodi_self_process());
    CHECK(brood_event_create(&object) == BROOD_OK);
    broodi_users_begin(&list, object.id);
    CHECK(broodi_user_enter_for(&list, object.id, 0, self, &user) == BROOD_OK);
    broodi_user_undo(&user);
    CHECK(!broodi_users_look(&list, object.id).had);
    for (int i = 0; i < 2; i++) {
        CHECK(broodi_user_enter(&list, object.id, 0, &user) == BROOD_OK);
        CHECK(broodi_users_look(&list, object.id).live);
        CHECK(broodi_user_leave(&list, object.id, 0));
    }
    if (number_below(member, 2))
        CHECK(broodi_user_enter(&list, object.id, 0, NULL) == BROOD_OK);
    CHECK(brood_event_destroy(object) == BROOD_OK);
    broodi_users_end(&list, object.id);
    CHECK(!broodi_users_look(&list, object.id).had);
    return 0;
}

// Connections. Every member uses both ends.

static bool has_passed(brood_status status)
{
    return is_moved(status) || status == BROOD_CLOSED || status == BROOD_PEER_DIED;
}

static int send_message(struct member *member)
{
    static const uint32_t limits[] = { 2, 100, 8185, LARGEST };
    unsigned char data[LARGEST];
    const size_t size = number_below(member, limits[number_below(member, 4)]);
    const brood_connection end = member->family.ends[number_below(member, 2)];
    write_message(data, size);
    CHECK(has_passed(brood_connection_send(end, data, size, patience(member))));
    if (number_below(member, 10) == 0)
        CHECK(brood_connection_leave(end) == BROOD_OK);
    return 0;
}

static int receive_message(struct member *member)
{
    unsigned char data[LARGEST];
    size_t size;
    const brood_connection end = member->family.ends[number_below(member, 2)];
    if (number_below(member, 4) == 0)
        CHECK(has_passed(brood_connection_poll(end, patience(member))));
    const brood_status status =
        brood_connection_receive(end, data, sizeof data, &size, patience(member));
    CHECK(has_passed(status) && (status != BROOD_OK || is_whole(data, size)));
    return 0;
}

// Larger than what may be on its way, so that it passes in fragments.
enum { BULK = 3 * MIB / 2 };

static bool is_whole_bulk(const unsigned char *data, size_t size)
{
    return size >= BULK && data[0] == size % 251 && memcmp(data, data + 1, size - 1) == 0;
}

// Large messages, one way.
static int pass_bulk(struct member *member)
{
    size_t size = BULK + number_below(member, 1000);
    unsigned char *data = malloc(2 * BULK);
    CHECK(data);
    if (number_below(member, 2)) {
        write_message(data, size);
        CHECK(has_passed(
            brood_connection_send(member->family.bulk[1], data, size, patience(member))));
    } else {
        const brood_status status = brood_connection_receive(member->family.bulk[0], data, 2 * BULK,
                                                             &size, patience(member));
        CHECK(has_passed(status) && (status != BROOD_OK || is_whole_bulk(data, size)));
    }
    free(data);
    return 0;
}

static bool is_over(brood_status status)
{
    return has_passed(status) || status == BROOD_STALE || status == BROOD_INVALID;
}

// A connection may be closed and destroyed while other members use it.
static int use_connection_that_may_go(struct member *member)
{
    brood_connection fresh[2];
    char byte = 0;
    const brood_connection end = { atomic_load(&member->board->connection) };
    CHECK(is_over(brood_connection_send(end, &byte, 1, SHORT)));
    CHECK(is_over(brood_connection_receive(end, &byte, 1, NULL, SHORT)));
    if (number_below(member, 3))
        return 0;
    CHECK(brood_connection_pair(&fresh[0], &fresh[1], BROOD_DUPLEX) == BROOD_OK);
    CHECK(brood_connection_send(fresh[1], &byte, 1, BROOD_NOW) == BROOD_OK);
    const brood_connection old = { atomic_exchange(&member->board->connection, fresh[0].id) };
    if (number_below(member, 2))
        CHECK(is_over(brood_connection_close(fresh[1])));
    if (old.id && number_below(member, 2))
        CHECK(is_over(brood_connection_close(old)));
    CHECK(!old.id || is_over(brood_connection_destroy(old)));
    return 0;
}

static int take_and_end(void *arg)
{
    struct member *member = *(struct member **)arg;
    (void)acquired(member, brood_lock_acquire(member->family.lock, SHORT));
    return 0;
}

static int start_thread(struct member *member)
{
    brood_thread *thread;
    CHECK(brood_thread_start(&thread, take_and_end, &member, sizeof member, NULL) == BROOD_OK);
    CHECK(brood_thread_join(thread, BROOD_FOREVER, NULL) == BROOD_OK);
    brood_thread_drop(thread);
    return 0;
}

static int use_name(struct member *member)
{
    uint64_t value;
    CHECK(brood_registry_set("a name", 1 + number_below(member, 1000)) == BROOD_OK);
    const brood_status status = brood_registry_get("a name", &value);
    CHECK(status == BROOD_OK || status == BROOD_NOT_FOUND);
    CHECK(brood_registry_set("a name", 0) == BROOD_OK);
    return 0;
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

// Not for companions: it takes too long.
static int start_process(struct member *member)
{
    brood_process *process;
    (void)member;
    CHECK(brood_process_start(&process, do_nothing, NULL, 0, NULL) == BROOD_OK);
    CHECK(brood_process_join(process, BROOD_FOREVER, NULL) == BROOD_OK);
    brood_process_drop(process);
    return 0;
}

// Not for companions: what is made stays, so that tables and the heap must grow.
static int hoard(struct member *member)
{
    (void)member;
    for (int i = 0; i < HOARD; i++) {
        brood_block block;
        brood_semaphore semaphores[HOARD];
        CHECK(brood_block_create(&block, 200000) == BROOD_OK);
        for (int n = 0; n < HOARD; n++)
            CHECK(brood_semaphore_create(&semaphores[n], 0, 0) == BROOD_OK);
    }
    return 0;
}

static int (*const acts[])(struct member *) = {
    use_lock,
    use_recursive_lock,
    wait_for_condition,
    use_semaphore,
    use_event,
    notify,
    meet,
    use_what_may_go,
    make_and_destroy,
    use_block,
    use_name,
    wait_for_what_may_go,
    start_thread,
    use_piece,
    let_the_heap_rest,
    put_message,
    get_message,
    use_queue_that_may_go,
    send_message,
    receive_message,
    pass_bulk,
    use_connection_that_may_go,
    use_list_of_users,
    wait_for_any,
    start_process,
    hoard,
};

enum {
    ACTS = sizeof acts / sizeof acts[0],
    LOCKING = 0x7,
    BLOCKING = 0x200,
    FRAGMENTING = 0x100000,
    ALL = (1 << (ACTS - 2)) - 1,
    STARTING = 1 << (ACTS - 2),
    HOARDING = 1 << (ACTS - 1),
};

static uint32_t acts_of(struct member *member)
{
    const uint32_t favoured = atomic_load(&member->board->favoured);
    if (member->acts)
        return member->acts;
    return favoured && number_below(member, 2) ? favoured : ALL;
}

static int act(struct member *member)
{
    uint32_t which;
    const uint32_t allowed = acts_of(member);
    do
        which = number_below(member, ACTS);
    while (!(allowed >> which & 1));
    return acts[which](member);
}

// Companions

static int take_part(void *arg)
{
    struct member member = *(struct member *)arg;
    member.board = brood_block_data(member.family.board);
    CHECK(member.board);
    while (!atomic_load(&member.board->over)) {
        const int failed = act(&member);
        if (failed)
            return failed;
        atomic_fetch_add(&member.board->rounds[member.number], 1);
        if (!atomic_load(&member.board->rest))
            continue;
        atomic_fetch_add(&member.board->resting, 1);
        while (atomic_load(&member.board->rest))
            brood_sleep(BROOD_MILLISECONDS(1));
        atomic_fetch_sub(&member.board->resting, 1);
    }
    return 0;
}

// The victim

static struct member victim;

static void stop_here(enum broodi_step step)
{
    if ((uint32_t)step != victim.step ||
        atomic_fetch_add(&victim.board->reached, 1) + 1 != victim.nth)
        return;
    atomic_store(&victim.board->reached, UINT32_MAX / 2);
    for (;;)
        brood_sleep(BROOD_SECONDS(1));
}

static int take_part_and_stop(void *arg)
{
    victim = *(struct member *)arg;
    victim.board = brood_block_data(victim.family.board);
    CHECK(victim.board);
    broodi_step_hook = stop_here;
    for (;;) {
        const int failed = act(&victim);
        if (failed)
            return failed;
    }
}

// The test

// Destroys the queues and connections whose handles the victims have taken along.
static void destroy_lost_queues(void)
{
    for (uint32_t i = 0; i < broodi_slot_limit(BROODI_CONNECTION); i++) {
        const struct broodi_connection_slot *slot = broodi_slot(BROODI_CONNECTION, i);
        if (broodi_slot_is_live(broodi_word_load(&slot->state)))
            (void)brood_connection_destroy(
                (brood_connection){ broodi_handle_of(BROODI_CONNECTION, i) });
    }
    for (uint32_t i = 0; i < broodi_slot_limit(BROODI_QUEUE); i++) {
        const struct broodi_queue_slot *slot = broodi_slot(BROODI_QUEUE, i);
        if (broodi_slot_is_live(broodi_word_load(&slot->state)))
            (void)brood_queue_destroy((brood_queue){ broodi_handle_of(BROODI_QUEUE, i) });
    }
}

// Those of which the worker was killed are freed by a sweep, and the others since their object has
// ended.
static uint32_t pieces_left(void)
{
    uint32_t live = 0;
    destroy_lost_queues();
    (void)broodi_memory_sweep();
    for (uint32_t i = 0; i < broodi_slot_limit(BROODI_PIECE); i++)
        live += broodi_slot_is_live(broodi_word_load(&broodi_piece_at(i)->state));
    return live;
}

static uint32_t slots_left(enum broodi_kind kind)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < broodi_slot_limit(kind); i++)
        live += broodi_slot_is_live(broodi_word_load(broodi_slot(kind, i)));
    return live;
}

// Those of which the process was killed are freed by a sweep, once the objects are destroyed that
// the victims have taken along.
static uint32_t users_left(void)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < broodi_slot_limit(BROODI_EVENT); i++) {
        const struct broodi_event_slot *slot = broodi_slot(BROODI_EVENT, i);
        if (broodi_slot_is_live(broodi_word_load(&slot->state)))
            (void)brood_event_destroy((brood_event){ broodi_handle_of(BROODI_EVENT, i) });
    }
    broodi_kind_sweep(BROODI_USER);
    for (uint32_t i = 0; i < broodi_slot_limit(BROODI_USER); i++) {
        const struct broodi_user_slot *slot = broodi_slot(BROODI_USER, i);
        live += broodi_slot_is_live(broodi_word_load(&slot->state));
    }
    return live;
}

static const struct {
    const char *name;
    const char *text;
} steps[] = {
#define ROW(name, text) { #name, text },
    BROODI_STEPS(ROW)
#undef ROW
};

static bool has_step(enum broodi_step step)
{
#if defined(BROOD_TESTING_PORTABLE)
    (void)step;
    return true;
#else
    return step != BROODI_STEP_WAIT_PUBLISHED && step != BROODI_STEP_WAIT_RUNG &&
           step != BROODI_STEP_WAKE_CLAIMED;
#endif
}

// Whether the victim holds a lock at that step that the others want.
static bool holds_a_lock(enum broodi_step step)
{
    return step == BROODI_STEP_LOCK_TAKEN || step == BROODI_STEP_LOCK_TAKEN_LATE ||
           step == BROODI_STEP_CONDITION_ENTERED || step == BROODI_STEP_CONDITION_TICKET ||
           step == BROODI_STEP_CONDITION_SEATED;
}

static uint32_t acts_towards(enum broodi_step step)
{
    // Where the heap does not shrink, a chunk is committed only once.
    if (step == BROODI_STEP_TABLE_COMMITTED || step == BROODI_STEP_SPACE_CLAIMED ||
        step == BROODI_STEP_HEAP_GROWN || step == BROODI_STEP_HEAP_COMMITTED)
        return HOARDING;
    if (step == BROODI_STEP_HEAP_FORGOTTEN)
        return BLOCKING;
    if (step == BROODI_STEP_PROCESS_TAKEN || step == BROODI_STEP_PROCESS_DYING)
        return STARTING;
    // Two members seldom meet for one message, and the victim is seldom the one that continues it.
    if (step >= BROODI_STEP_BULK_BEGUN && step <= BROODI_STEP_BULK_TAKEN_OVER)
        return FRAGMENTING;
    return holds_a_lock(step) || step == BROODI_STEP_LOCK_LEFT ? LOCKING : 0;
}

static struct family made_family(void)
{
    struct family family;
    assert_status(brood_block_create(&family.board, sizeof(struct board)), BROOD_OK);
    assert_status(brood_lock_create(&family.lock), BROOD_OK);
    assert_status(brood_lock_create_recursive(&family.recursive), BROOD_OK);
    assert_status(brood_semaphore_create(&family.semaphore, 2, 2), BROOD_OK);
    assert_status(brood_event_create(&family.event), BROOD_OK);
    assert_status(brood_condition_create(&family.condition), BROOD_OK);
    assert_status(brood_barrier_create(&family.barrier, 2), BROOD_OK);
    assert_status(brood_queue_create_joinable(&family.queue, 4, LARGEST), BROOD_OK);
    assert_status(brood_connection_pair(&family.ends[0], &family.ends[1], BROOD_DUPLEX), BROOD_OK);
    assert_status(brood_connection_pair(&family.bulk[0], &family.bulk[1], BROOD_ONE_WAY), BROOD_OK);
    return family;
}

static void destroy_family(const struct family *family)
{
    assert_status(brood_connection_destroy(family->bulk[0]), BROOD_OK);
    assert_status(brood_connection_destroy(family->ends[0]), BROOD_OK);
    assert_status(brood_queue_destroy(family->queue), BROOD_OK);
    assert_status(brood_barrier_destroy(family->barrier), BROOD_OK);
    assert_status(brood_condition_destroy(family->condition), BROOD_OK);
    assert_status(brood_event_destroy(family->event), BROOD_OK);
    assert_status(brood_semaphore_destroy(family->semaphore), BROOD_OK);
    assert_status(brood_lock_destroy(family->recursive), BROOD_OK);
    assert_status(brood_lock_destroy(family->lock), BROOD_OK);
    assert_status(brood_block_destroy(family->board), BROOD_OK);
}

struct companions {
    brood_thread *threads[COMPANIONS - 1];
    brood_process *process;
};

// Daemons, because a failed test does not wait for them.
static struct companions started_companions(const struct member *member)
{
    struct companions companions;
    struct member companion = { .family = member->family };
    for (; companion.number < COMPANIONS - 1; companion.number++) {
        companion.seed = 7 + companion.number;
        assert_status(brood_thread_start(&companions.threads[companion.number], take_part,
                                         &companion, sizeof companion,
                                         &(brood_thread_options){ .daemon = BROOD_DAEMON_YES }),
                      BROOD_OK);
    }
    companion.seed = 99;
    assert_status(brood_process_start(&companions.process, take_part, &companion, sizeof companion,
                                      &(brood_process_options){ .daemon = BROOD_DAEMON_YES }),
                  BROOD_OK);
    return companions;
}

static brood_process *started_victim(const struct member *member)
{
    brood_process *process = NULL;
    const brood_process_options options = {
        .daemon = BROOD_DAEMON_YES,
        .method =
            platform_has_fork() && member->step % 2 ? BROOD_START_FORKSERVER : BROOD_START_SPAWN,
    };
    assert_status(
        brood_process_start(&process, take_part_and_stop, member, sizeof *member, &options),
        BROOD_OK);
    return process;
}

static void await_stop(struct board *board, brood_process *process, enum broodi_step step)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (atomic_load(&board->reached) < UINT32_MAX / 2) {
        if (!brood_process_is_alive(process) || brood_clock() > deadline) {
            brood_exit ended = { 0 };
            (void)brood_process_report(process, &ended);
            fail_msg("the victim did not reach %s: %d %d", steps[step].name, (int)ended.kind,
                     (int)ended.code);
        }
        brood_sleep(BROOD_MICROSECONDS(500));
    }
}

static void await_rounds(const struct board *board, const char *step)
{
    uint32_t before[COMPANIONS];
    const uint32_t wanted = foreign_is_slow() ? ROUNDS / 4 : ROUNDS;
    const int64_t deadline = brood_clock() + SOON;
    for (int i = 0; i < COMPANIONS; i++)
        before[i] = atomic_load(&board->rounds[i]);
    for (int i = 0; i < COMPANIONS;) {
        if (atomic_load(&board->rounds[i]) - before[i] >= wanted)
            i++;
        else if (brood_clock() > deadline)
            fail_msg("%s: companion %d makes no progress", step, i);
        else
            brood_sleep(BROOD_MICROSECONDS(500));
    }
}

static void await_inheritance(const struct board *board, uint32_t before, const char *step)
{
    const int64_t deadline = brood_clock() + SOON;
    while (atomic_load(&board->inherited) == before) {
        if (brood_clock() > deadline)
            fail_msg("%s: no member received BROOD_OWNER_DIED", step);
        brood_sleep(BROOD_MICROSECONDS(500));
    }
}

static brood_process *stopped_victim(struct member *member, enum broodi_step step)
{
    atomic_store(&member->board->reached, 0);
    member->step = (uint32_t)step;
    member->acts = acts_towards(step);
    atomic_store(&member->board->favoured, member->acts == FRAGMENTING ? FRAGMENTING : 0);
    member->seed = member->seed * 6364136223846793005 + 1442695040888963407;
    brood_process *process = started_victim(member);
    await_stop(member->board, process, step);
    return process;
}

static void kill_at(struct member *member, enum broodi_step step)
{
    brood_process *process = stopped_victim(member, step);
    const uint32_t inherited = atomic_load(&member->board->inherited);
    const int64_t before = brood_clock();
    kill_process(process);
    if (holds_a_lock(step))
        await_inheritance(member->board, inherited, steps[step].name);
    const int64_t inherited_at = brood_clock();
    await_rounds(member->board, steps[step].name);
    print_message("%-19s %5.1f + %6.1f ms  %s\n", steps[step].name,
                  (double)(inherited_at - before) / 1e6,
                  (double)(brood_clock() - inherited_at) / 1e6, steps[step].text);
}

// A process must first die with the heap's lock, and the companions must not be the first to
// notice.
static void kill_while_rebuilding(struct member *member)
{
    struct member heir = *member;
    atomic_store(&member->board->rest, 1);
    while (atomic_load(&member->board->resting) < COMPANIONS)
        brood_sleep(BROOD_MICROSECONDS(500));
    brood_process *first = stopped_victim(member, BROODI_STEP_BLOCK_TAKEN);
    atomic_store(&member->board->reached, 0);
    heir.step = BROODI_STEP_HEAP_FORGOTTEN;
    heir.acts = BLOCKING;
    heir.nth = 1;
    brood_process *second = started_victim(&heir);
    kill_process(first);
    await_stop(member->board, second, BROODI_STEP_HEAP_FORGOTTEN);
    kill_process(second);
    atomic_store(&member->board->rest, 0);
    await_rounds(member->board, steps[BROODI_STEP_HEAP_FORGOTTEN].name);
    print_message("%-19s                     %s\n", steps[BROODI_STEP_HEAP_FORGOTTEN].name,
                  steps[BROODI_STEP_HEAP_FORGOTTEN].text);
}

static void the_others_continue_when_one_is_killed_at_any_step(void **state)
{
    (void)state;
    struct member member = { .family = made_family(), .seed = 20, .nth = 1 };
    struct board *board = brood_block_data(member.family.board);
    member.board = board;
    struct companions companions = started_companions(&member);
    for (int step = 0; step < BROODI_STEP_COUNT; step++) {
        member.nth = 1 + number_below(&member, 3);
        if (!has_step((enum broodi_step)step))
            print_message("%-19s not in this provider\n", steps[step].name);
        else if (step == BROODI_STEP_HEAP_FORGOTTEN)
            kill_while_rebuilding(&member);
        else
            kill_at(&member, (enum broodi_step)step);
    }
    atomic_store(&board->over, 1);
    for (int i = 0; i < COMPANIONS - 1; i++)
        assert_thread_ends(companions.threads[i], 0);
    assert_process_ends(companions.process, 0);
    const brood_event event = { atomic_load(&board->event) };
    const brood_condition condition = { atomic_load(&board->condition) };
    assert_true(!event.id || brood_event_destroy(event) == BROOD_OK);
    assert_true(!condition.id || brood_condition_destroy(condition) == BROOD_OK);
    const brood_queue queue = { atomic_load(&board->queue) };
    assert_true(!queue.id || brood_queue_destroy(queue) == BROOD_OK);
    destroy_family(&member.family);
    assert_int_equal(pieces_left(), 0);
    assert_int_equal(slots_left(BROODI_QUEUE), 0);
    assert_int_equal(slots_left(BROODI_CONNECTION), 0);
    assert_int_equal(users_left(), 0);
}

// Unfinished work of a killed process

static uint32_t process_slots(void)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < broodi_slot_limit(BROODI_PROCESS); i++) {
        const struct broodi_process_slot *slot = broodi_slot(BROODI_PROCESS, i);
        live += broodi_slot_is_live(atomic_load(&slot->state.state));
    }
    return live;
}

static void unfinished_starts_of_a_dead_parent_are_swept(void **state)
{
    (void)state;
    static const enum broodi_step some[] = { BROODI_STEP_PROCESS_TAKEN, BROODI_STEP_PROCESS_DYING };
    struct member member = { .family = made_family(), .seed = 3, .nth = 1 };
    member.board = brood_block_data(member.family.board);
    for (int turn = 0; turn < 2; turn++)
        for (size_t i = 0; i < 2; i++) {
            brood_process *process = stopped_victim(&member, some[i]);
            const int64_t deadline = brood_clock() + MEETING_PATIENCE;
            kill_process(process);
            // The remaining slots are this process's and, if the first victim needed one, its
            // fork server's; the slot of the victim's own server is about to be freed.
            const uint32_t expected = platform_has_fork() ? 2 : 1;
            while (process_slots() > expected && brood_clock() < deadline) {
                broodi_kind_sweep(BROODI_PROCESS);
                brood_sleep(BROOD_MILLISECONDS(1));
            }
            assert_in_range(process_slots(), 1, expected);
        }
    destroy_family(&member.family);
}

// A thread that returns is stopped between the end of its life and that of its slot.

static _Atomic uint32_t held_up; // 1: the thread has stopped; 2: it may continue

static void hold_up(enum broodi_step step)
{
    uint32_t none = 0;
    if (step != BROODI_STEP_THREAD_ENDED || !atomic_compare_exchange_strong(&held_up, &none, 1))
        return;
    while (atomic_load(&held_up) != 2)
        brood_sleep(BROOD_MILLISECONDS(1));
}

static int pass(void *arg)
{
    return (int)brood_barrier_wait(*(brood_barrier *)arg, MEETING_PATIENCE, NULL);
}

static void a_returning_thread_is_not_treated_as_dead(void **state)
{
    (void)state;
    brood_barrier barrier;
    assert_status(brood_barrier_create(&barrier, 2), BROOD_OK);
    broodi_step_hook = hold_up;
    brood_thread *first = started_thread(pass, &barrier, sizeof barrier);
    assert_int_equal(pass(&barrier), BROOD_OK);
    while (atomic_load(&held_up) == 0)
        brood_sleep(BROOD_MILLISECONDS(1));
    // The first thread took part in the round before this one.
    brood_thread *second = started_thread(pass, &barrier, sizeof barrier);
    assert_int_equal(pass(&barrier), BROOD_OK);
    atomic_store(&held_up, 2);
    assert_thread_ends(first, BROOD_OK);
    assert_thread_ends(second, BROOD_OK);
    broodi_step_hook = NULL;
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

// A thread stops after it has taken an entry and before it is counted; then its process ends
// normally.

static void stay_uncounted(enum broodi_step step)
{
    if (step != BROODI_STEP_BARRIER_ENTRY)
        return;
    atomic_store(&held_up, 1);
    for (;;)
        brood_sleep(BROOD_SECONDS(1));
}

static int come_and_go(void *arg)
{
    const brood_thread_options daemon = { .daemon = BROOD_DAEMON_YES };
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    atomic_store(&held_up, 0);
    broodi_step_hook = stay_uncounted;
    CHECK(brood_thread_start(NULL, pass, arg, sizeof(brood_barrier), &daemon) == BROOD_OK);
    while (atomic_load(&held_up) == 0) {
        CHECK(brood_clock() < deadline);
        brood_sleep(BROOD_MILLISECONDS(1));
    }
    return 0;
}

static void the_entry_of_an_uncounted_participant_is_freed(void **state)
{
    (void)state;
    brood_barrier barrier;
    assert_status(brood_barrier_create(&barrier, 2), BROOD_OK);
    for (int i = 0; i < 3; i++) {
        assert_process_ends(started_process(come_and_go, &barrier, sizeof barrier), 0);
        brood_thread *thread = started_thread(pass, &barrier, sizeof barrier);
        assert_int_equal(pass(&barrier), BROOD_OK);
        assert_thread_ends(thread, BROOD_OK);
    }
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
}

// A sweeper is stopped after it has found a participant's slot and before it frees it; meanwhile
// another sweeper frees the slot, and a new barrier takes it.

static brood_barrier successor;
static uint32_t freed; // index of the slot

static void move_slot_to_successor(enum broodi_step step)
{
    if (step != BROODI_STEP_PARTY_ENDED)
        return;
    broodi_step_hook = NULL;
    broodi_kind_sweep(BROODI_PARTY);
    for (;;) {
        assert_status(brood_barrier_create(&successor, 1), BROOD_OK);
        const struct broodi_barrier_slot *slot = broodi_handle_slot(BROODI_BARRIER, successor.id);
        if (atomic_load(&slot->first) == freed)
            return;
        assert_status(brood_barrier_destroy(successor), BROOD_OK);
    }
}

static void sweep_once(enum broodi_step step)
{
    if (step != BROODI_STEP_OBJECT_ENDED)
        return;
    broodi_step_hook = move_slot_to_successor;
    broodi_kind_sweep(BROODI_PARTY);
}

static void a_late_sweeper_does_not_free_the_next_barriers_slot(void **state)
{
    (void)state;
    brood_barrier barrier;
    uint32_t index = 7;
    assert_status(brood_barrier_create(&barrier, 1), BROOD_OK);
    const struct broodi_barrier_slot *slot = broodi_handle_slot(BROODI_BARRIER, barrier.id);
    freed = atomic_load(&slot->first);
    broodi_step_hook = sweep_once;
    assert_status(brood_barrier_destroy(barrier), BROOD_OK);
    assert_null(broodi_step_hook);
    assert_status(brood_barrier_wait(successor, BROOD_NOW, &index), BROOD_OK);
    assert_int_equal(index, 0);
    assert_status(brood_barrier_destroy(successor), BROOD_OK);
}

// Also after a failure: the next test must not run with the hook of this one.
static int forget_hook(void **state)
{
    (void)state;
    broodi_step_hook = NULL;
    return 0;
}

#define hooked_test(test) cmocka_unit_test_teardown(test, forget_hook)

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        hooked_test(the_entry_of_an_uncounted_participant_is_freed),
        hooked_test(a_late_sweeper_does_not_free_the_next_barriers_slot),
        hooked_test(a_returning_thread_is_not_treated_as_dead),
        hooked_test(unfinished_starts_of_a_dead_parent_are_swept),
        hooked_test(the_others_continue_when_one_is_killed_at_any_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
