// SPDX-License-Identifier: MIT
// Objects are created and destroyed as fast as possible, while other threads use handles of
// objects that are destroyed, or just being destroyed. No such operation may affect the next
// object in the slot.
//
// The owner creates victims, whose handles are known to all, and witnesses, whose handles only
// the owner knows. All may use a victim until it is destroyed; afterwards every operation must
// return BROOD_STALE. A witness may be in the slot of a former victim; it must stay as it was
// created. There are so many witnesses that few slots are free, so a victim's slot soon holds
// one.
#include "../meeting.h"

#include "../../src/base/atomic.h"
#include "../foreign.h"
#include "../objects.h"
#include "../random.h"

enum { SHOWN = 16, WITNESSES = 740, EACH_NTH_IN_REGISTRY = 64 };

// Handles of each kind, for the threads of this process. The threads of the other process find
// handles in the registry.
static struct {
    _Atomic uint64_t victims[SHOWN];
    _Atomic uint64_t dead[SHOWN];
} shown[OBJECT_KINDS];

static atomic_bool enough;
static _Atomic int focus; // the kind that is created and destroyed at the moment

static const char *name_in_registry(char name[32], const char *what, int kind)
{
    (void)snprintf(name, 32, "%s %d", what, kind);
    return name;
}

// Any status that a valid handle can produce; BROOD_INVALID, for a handle that never existed,
// only for a condition.
static bool may_be(int kind, brood_status status)
{
    return status != BROOD_INVALID || kind == A_CONDITION; // its waiters use locks of their own
}

// Attackers

struct attack {
    uint64_t seed;
    bool by_registry;
};

static uint64_t one_of(const struct attack *attack, int kind, bool dead, uint64_t random)
{
    char name[32];
    if (attack->by_registry)
        return noted(name_in_registry(name, dead ? "dead" : "victim", kind));
    const _Atomic uint64_t *ids = dead ? shown[kind].dead : shown[kind].victims;
    return atomic_load(&ids[random % SHOWN]);
}

// Returns the line of the failed check, or 0.
static int strike(const struct attack *attack, uint64_t random)
{
    const struct operation *operation = &operations[random % OPERATIONS];
    if (!attack->by_registry && operation->kind != atomic_load(&focus) && (random >> 48) % 8 != 0)
        return 0;
    const uint64_t dead = one_of(attack, operation->kind, true, random >> 8);
    const uint64_t victim = one_of(attack, operation->kind, false, random >> 8);
    if (dead)
        CHECK(operation->fn(dead) == BROOD_STALE);
    if (victim && (!operation->is_long || (random >> 40) % 64 == 0))
        CHECK(may_be(operation->kind, operation->fn(victim)));
    return 0;
}

static bool is_enough(const struct attack *attack)
{
    return attack->by_registry ? noted("enough") != 0 : atomic_load(&enough);
}

static int attack_on(void *arg)
{
    struct attack *attack = arg;
    int line = 0;
    while (line == 0 && !is_enough(attack))
        for (int i = 0; line == 0 && i < 100; i++)
            line = strike(attack, next_random(&attack->seed));
    return line;
}

// The owner

static void show(int kind, const char *what, _Atomic uint64_t *place, uint64_t id, long turn)
{
    char name[32];
    atomic_store(place, id);
    if (turn % EACH_NTH_IN_REGISTRY == 0)
        note(name_in_registry(name, what, kind), id);
}

// Destroys a victim. Another thread may hold the lock for a moment, or have destroyed the victim.
static void end_victim(int kind, uint64_t id)
{
    brood_status status;
    do
        status = object_destroy(kind, id);
    while (status == BROOD_BUSY);
    if (status != BROOD_STALE)
        assert_status(status, BROOD_OK);
}

static uint64_t made(int kind)
{
    const uint64_t id = object_create(kind);
    assert_true(id != 0);
    return id;
}

// Witnesses that an attacker has changed. Counted, because a test that fails at once would leave
// the attackers running.
static long changed;

static void end_witness(int kind, uint64_t id)
{
    changed += !object_is_untouched(kind, id) || object_destroy(kind, id) != BROOD_OK;
}

static uint64_t victims[OBJECT_KINDS][SHOWN];
static uint64_t witnesses[OBJECT_KINDS][WITNESSES];

// Replaces the oldest victim and the two oldest witnesses.
static void take_turn(int kind, long turn)
{
    const size_t place = (size_t)turn % SHOWN;
    end_victim(kind, victims[kind][place]);
    show(kind, "dead", &shown[kind].dead[place], victims[kind][place], turn);
    victims[kind][place] = made(kind);
    show(kind, "victim", &shown[kind].victims[place], victims[kind][place], turn);
    for (int i = 0; i < 2; i++) {
        uint64_t *witness = &witnesses[kind][(2 * turn + i) % WITNESSES];
        end_witness(kind, *witness);
        *witness = made(kind);
    }
}

// One kind after the other, so that the slots of the current kind are reused sooner.
static long churn(void)
{
    enum { TURNS_OF_ONE = 1000 };
    long turns[OBJECT_KINDS] = { 0 };
    long all = 0;
    for (const int64_t end = brood_clock() + BROOD_SECONDS(soak_amount(2, 20)); brood_clock() < end;
         all += TURNS_OF_ONE) {
        const int kind = (int)(all / TURNS_OF_ONE % OBJECT_KINDS);
        atomic_store(&focus, kind);
        for (int i = 0; i < TURNS_OF_ONE; i++)
            take_turn(kind, turns[kind]++);
    }
    return all;
}

static void make_all(void)
{
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        for (int i = 0; i < SHOWN; i++)
            victims[kind][i] = made(kind);
        for (int i = 0; i < WITNESSES; i++)
            witnesses[kind][i] = made(kind);
    }
}

// Destroys the victims first, so that their waiters return.
static void end_all(void)
{
    for (int kind = 0; kind < OBJECT_KINDS; kind++)
        for (int i = 0; i < SHOWN; i++)
            end_victim(kind, victims[kind][i]);
    for (int kind = 0; kind < OBJECT_KINDS; kind++)
        for (int i = 0; i < WITNESSES; i++)
            end_witness(kind, witnesses[kind][i]);
}

static void no_stale_handle_reaches_a_successor(void **state)
{
    (void)state;
    enum { ATTACKERS = 2 };
    brood_thread *threads[ATTACKERS];
    make_all();
    brood_process *process;
    const struct attack from_afar = { .seed = 1, .by_registry = true };
    // A daemon does not outlive a failed test.
    const brood_process_options daemon = { .daemon = BROOD_DAEMON_YES };
    assert_status(brood_process_start(&process, attack_on, &from_afar, sizeof from_afar, &daemon),
                  BROOD_OK);
    for (int i = 0; i < ATTACKERS; i++)
        threads[i] = started_thread(attack_on, &(struct attack){ .seed = (uint64_t)i + 2 },
                                    sizeof(struct attack));
    const long turns = churn();
    note("enough", 1);
    atomic_store(&enough, true);
    end_all();
    for (int i = 0; i < ATTACKERS; i++)
        assert_thread_ends(threads[i], 0);
    assert_process_ends(process, 0);
    assert_int_equal(changed, 0);
    print_message("%ld objects created and destroyed\n", 3 * turns);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_stale_handle_reaches_a_successor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
