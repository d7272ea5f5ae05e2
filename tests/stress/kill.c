// SPDX-License-Identifier: MIT
// A process is killed while it starts children, and no process of its family must be left. Each
// round is a family of its own: another process of this program, with its part as the argument.
// All processes of the round are found by the mark in their environment or by their descent (see
// platform_relatives), so that processes that were killed or left before they could report are
// found, too.
//
// A few rounds in an ordinary test; all with BROOD_SOAK=1, N with another BROOD_SOAK=N.
// BROOD_SOAK_SEED=<number> repeats a run, as far as that is possible.
#include "meeting.h"

#include "foreign.h"
#include "platform.h"
#include "random.h"

#include <string.h>

enum {
    STARTS = 50,
    SHORT_ROUNDS = 10,
    SHORT_ROUNDS_WHERE_SLOW = 4,
    WHOLE_ROUNDS = 100,
    MOST_RELATIVES = 1000,
};

// The parts of a family
enum { MAIN_DIES = 1, FROM_A_THREAD = 2, PARTS = 4 };

struct part {
    int kind;
    int starts_before; // the victim kills itself after this many starts; 0: it is killed from
                       // outside
};

// The family's side

static void say(const char *what)
{
    (void)printf("%s %lld\n", what, (long long)brood_self_pid());
    (void)fflush(stdout);
}

static int wait_for_the_end(void *arg)
{
    (void)arg;
    brood_sleep(MEETING_PATIENCE * 3); // shares nothing that could end it
    return 0;
}

static int have_a_child(void *arg)
{
    CHECK(brood_process_start(NULL, wait_for_the_end, NULL, 0, NULL) == BROOD_OK);
    return wait_for_the_end(arg);
}

static int start_many(void *arg)
{
    const struct part *part = arg;
    const brood_process_options daemon = { .daemon = BROOD_DAEMON_YES };
    for (int i = 1; i <= STARTS; i++) {
        const brood_target target = i % 8 == 0 ? have_a_child : wait_for_the_end;
        CHECK(brood_process_start(NULL, target, NULL, 0, i % 3 == 0 ? &daemon : NULL) == BROOD_OK);
        if (i == part->starts_before)
            platform_process_kill(brood_self_pid());
    }
    return wait_for_the_end(NULL);
}

static int be_victim(void *arg)
{
    const struct part *part = arg;
    brood_thread *thread;
    say("victim");
    if (!(part->kind & FROM_A_THREAD))
        return start_many(arg);
    CHECK(brood_thread_start(&thread, start_many, part, sizeof *part, NULL) == BROOD_OK);
    return wait_for_the_end(NULL);
}

// If another process is the victim, the main process ends by itself after it.
static int play(struct part part)
{
    brood_init();
    if (part.kind & MAIN_DIES)
        return be_victim(&part);
    brood_process *victim;
    brood_exit ended;
    CHECK(brood_process_start(&victim, be_victim, &part, sizeof part, NULL) == BROOD_OK);
    CHECK(brood_process_join(victim, BROOD_FOREVER, &ended) == BROOD_OK);
    brood_process_drop(victim);
    CHECK(ended.kind == BROOD_SIGNALLED || !platform_has_signals());
    return 0;
}

// The test's side

static uint64_t state_of_random;

static int random_below(int limit)
{
    return (int)(next_random(&state_of_random) % (uint64_t)limit);
}

struct family {
    platform_program program;
    char path[512];
    char mark[64];
    brood_pid members[MOST_RELATIVES];
    size_t count;
};

static void begin_family(struct family *family, struct part part, int round)
{
    char argument[64];
    (void)snprintf(argument, sizeof argument, "play-%d-%d", part.kind, part.starts_before);
    (void)snprintf(family->mark, sizeof family->mark, "BROOD_SOAK_MARK=%lld-%d",
                   (long long)brood_self_pid(), round);
    foreign_file_name(family->path, sizeof family->path, "soak");
    FILE *empty = fopen(family->path, "w");
    assert_non_null(empty);
    (void)fclose(empty);
    family->program = platform_program_start(argument, family->mark, family->path);
    family->members[0] = family->program.pid;
    family->count = 1;
}

static void find_relatives(struct family *family)
{
    family->count =
        platform_relatives(family->mark, family->members, family->count, MOST_RELATIVES);
    assert_true(family->count < MOST_RELATIVES);
}

// Waits until the victim has reported itself; returns its pid.
static brood_pid await_victim(struct family *family)
{
    const int64_t deadline = brood_clock() + MEETING_PATIENCE;
    while (brood_clock() < deadline) {
        long long pid = 0;
        char line[64] = "";
        FILE *file = fopen(family->path, "r");
        assert_non_null(file);
        const bool whole = fgets(line, sizeof line, file) && strchr(line, '\n');
        (void)fclose(file);
        if (whole && sscanf(line, "victim %lld", &pid) == 1)
            return pid;
        brood_sleep(BROOD_MICROSECONDS(200));
    }
    fail_msg("no victim within a minute");
    return 0;
}

static size_t count_living(const struct family *family)
{
    size_t living = 0;
    for (size_t i = 0; i < family->count; i++)
        living += platform_process_lives(family->members[i]);
    return living;
}

// The library promises two seconds; a loaded machine gets more.
static void expect_all_to_end(struct family *family)
{
    const int64_t deadline = brood_clock() + BROOD_SECONDS(15);
    do {
        find_relatives(family);
        if (count_living(family) == 0)
            return;
        brood_sleep(BROOD_MILLISECONDS(1));
    } while (brood_clock() < deadline);
    for (size_t i = 0; i < family->count; i++)
        if (platform_process_lives(family->members[i]))
            print_error("%lld is still alive\n", (long long)family->members[i]);
    fail_msg("a process is left");
}

// How long the victim's starts take, so that kills from outside come at any moment of them.
static brood_duration longest_start = BROOD_MILLISECONDS(20);

static void make_an_end(struct family *family, brood_pid victim, struct part part)
{
    if (part.starts_before == 0) {
        brood_sleep(longest_start * random_below(1000) / 1000);
        find_relatives(family);
        platform_process_kill(victim);
        return;
    }
    const int64_t before = brood_clock();
    while (platform_process_lives(victim) && brood_clock() - before < MEETING_PATIENCE) {
        find_relatives(family);
        brood_sleep(BROOD_MILLISECONDS(5));
    }
    assert_false(platform_process_lives(victim));
    const brood_duration of_all = (brood_clock() - before) * STARTS / part.starts_before;
    if (of_all > longest_start)
        longest_start = of_all;
}

// Returns how long it took until no process was left; adds the number of processes to `*seen`.
static brood_duration run_round(struct part part, int round, size_t *seen)
{
    static struct family family;
    begin_family(&family, part, round);
    const brood_pid victim = await_victim(&family);
    make_an_end(&family, victim, part);
    const int64_t dead = brood_clock();
    expect_all_to_end(&family);
    const brood_duration took = brood_clock() - dead;
    platform_program_close_input(family.program);
    const int code = platform_program_wait(family.program);
    assert_int_equal(code, part.kind & MAIN_DIES ? -1 : 0);
    foreign_file_remove(family.path);
    *seen += family.count;
    return took;
}

static void no_process_is_left_when_one_is_killed_during_its_starts(void **state)
{
    (void)state;
    const int rounds =
        soak_amount(foreign_is_slow() ? SHORT_ROUNDS_WHERE_SLOW : SHORT_ROUNDS, WHOLE_ROUNDS);
    brood_duration worst = 0;
    size_t seen = 0;
    state_of_random = soak_seed();
    for (int round = 0; round < rounds; round++) {
        const bool by_itself = round < PARTS ? round % 2 == 0 : random_below(2) == 0;
        const struct part part = { .kind = round % PARTS,
                                   .starts_before = by_itself ? 1 + random_below(STARTS) : 0 };
        const brood_duration took = run_round(part, round, &seen);
        if (took > worst)
            worst = took;
    }
    print_message("%d rounds, %d processes, all gone %d ms after the kill at most\n", rounds,
                  (int)seen, (int)(worst / 1000000));
    assert_true(seen > 2 * (size_t)rounds); // otherwise the mark does not work
}

int main(int argc, char **argv)
{
    struct part part;
    if (argc > 1 && sscanf(argv[1], "play-%d-%d", &part.kind, &part.starts_before) == 2)
        return play(part);
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_process_is_left_when_one_is_killed_during_its_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
