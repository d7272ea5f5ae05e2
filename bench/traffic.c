// SPDX-License-Identifier: MIT
// Each sender writes one word into each cache line of a message, and each receiver checks them all.
// So every carrier has to bring all of the bytes into the caches of the receiver's processor.
#include <brood/brood.h>

#include "cpu.h"
#include "crew.h"
#include "place.h"
#include "traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, WARM_UP = 8, MOST_MESSAGES = 64 * 1024 * 1024 };

// Shared by all parties.
struct road {
    struct gathering gathering;
    struct freight freight;
    int64_t effort_begin[CREW_MOST];
    int64_t effort_end[CREW_MOST];
    _Atomic uint64_t sent; // the sums of the messages
    _Atomic uint64_t received;
};

// Argument of one party.
struct part {
    int party;
    struct traffic traffic;
};

// What a party works with.
struct worker {
    const struct traffic *traffic;
    int party;
    unsigned char *buffer;
    struct end ends[CARRIER_LANES];
    uint64_t next; // the number of the next message that it sends, or expects
    uint64_t sum;
};

static struct road *road;
static brood_resource road_resource;
static intptr_t handles[CARRIER_HANDLES]; // of this process
static int64_t last_effort;
static bool last_made; // the last run has made its carrier

const struct carrier *traffic_carrier(int at, bool *out_ours)
{
    const struct carrier *ours = carriers_of_brood;
    for (*out_ours = true; ours->name; ours++, at--)
        if (at == 0)
            return ours;
    *out_ours = false;
    const struct carrier *const *theirs = carriers_of_system;
    while (*theirs && at > 0) {
        theirs++;
        at--;
    }
    return *theirs;
}

static const struct carrier *carrier_of(const struct traffic *traffic)
{
    bool ours;
    return traffic_carrier(traffic->at, &ours);
}

const char *traffic_obstacle(const struct traffic *traffic)
{
    const struct carrier *carrier = carrier_of(traffic);
    const size_t bytes = (size_t)traffic->size * (size_t)traffic->batch;
    if (carrier->missing)
        return carrier->missing;
    if (carrier->most != 0 && (size_t)traffic->size > carrier->most)
        return "no messages of that size";
    if (carrier->take && (traffic->round_trip || traffic->batch > 1))
        return "moves one message in a call, one way";
    if (traffic->pairs > 1 && bytes > carrier->shared)
        return carrier->shared > 0 ? "several senders would mix their bytes"
                                   : "one sender and one receiver";
    return NULL;
}

bool traffic_prepare(void)
{
    road = place_make(sizeof *road, &road_resource);
    return road != NULL;
}

// Messages

// Never the same for two messages of a run.
static uint64_t word_of(int sender, uint64_t number)
{
    return ((uint64_t)sender << 48 | number) * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static void write_message(unsigned char *message, size_t size, uint64_t word)
{
    for (size_t at = 0; at < size; at += LINE) {
        const uint64_t here = word + at;
        memcpy(message + at, &here, sizeof here);
    }
}

static uint64_t first_word(const unsigned char *message)
{
    uint64_t word;
    memcpy(&word, message, sizeof word);
    return word;
}

static bool is_whole(const unsigned char *message, size_t size, uint64_t word)
{
    uint64_t wrong = 0;
    for (size_t at = 0; at < size; at += LINE)
        wrong |= first_word(message + at) ^ (word + at);
    return wrong == 0;
}

static bool send_some(struct worker *worker, struct end *end, long count)
{
    const size_t size = (size_t)worker->traffic->size;
    const struct carrier *carrier = carrier_of(worker->traffic);
    unsigned char *messages = carrier->reserve ? carrier->reserve(end) : worker->buffer;
    if (!messages)
        return false;
    for (long i = 0; i < count; i++) {
        const uint64_t word = word_of(worker->party, worker->next++);
        write_message(messages + (size_t)i * size, size, word);
        worker->sum += word;
    }
    return carrier->send(end, messages, (size_t)count);
}

// Checks also the order, if there is one sender.
static bool check(struct worker *worker, const unsigned char *message)
{
    const uint64_t word = first_word(message);
    worker->sum += word;
    return is_whole(message, (size_t)worker->traffic->size, word) &&
           (worker->traffic->pairs > 1 || word == word_of(0, worker->next++));
}

// Checks one message where it is.
static bool take_one(struct worker *worker, struct end *end)
{
    const struct carrier *carrier = carrier_of(worker->traffic);
    const unsigned char *message = carrier->take(end);
    const bool whole = message && check(worker, message);
    return message && carrier->release(end) && whole;
}

// Returns how many it has received; 0 on failure.
static long receive_some(struct worker *worker, struct end *end, long most)
{
    const struct carrier *carrier = carrier_of(worker->traffic);
    if (carrier->take)
        return take_one(worker, end);
    const size_t got = carrier->receive(end, worker->buffer, (size_t)most);
    for (size_t i = 0; i < got; i++)
        if (!check(worker, worker->buffer + i * (size_t)worker->traffic->size))
            return 0;
    return (long)got;
}

static long lesser(long one, long other)
{
    return one < other ? one : other;
}

static bool send_all(struct worker *worker, long count)
{
    for (long some; count > 0; count -= some) {
        some = lesser(count, worker->traffic->batch);
        if (!send_some(worker, &worker->ends[0], some))
            return false;
    }
    return true;
}

static bool receive_all(struct worker *worker, long count)
{
    for (long some; count > 0; count -= some) {
        some = receive_some(worker, &worker->ends[0], lesser(count, worker->traffic->batch));
        if (some <= 0)
            return false;
    }
    return true;
}

// Party 0 sends each message, and party 1 sends it back.
static bool exchange(struct worker *worker, long count)
{
    const struct carrier *carrier = carrier_of(worker->traffic);
    struct end *there = &worker->ends[0];
    struct end *back = &worker->ends[1];
    for (; count > 0; count--) {
        if (worker->party == 0 && !send_some(worker, there, 1))
            return false;
        worker->next -= worker->party == 0; // it comes back as the next one
        if (receive_some(worker, worker->party == 0 ? back : there, 1) <= 0)
            return false;
        if (worker->party == 1 && !carrier->send(back, worker->buffer, 1))
            return false;
    }
    return true;
}

static bool is_sender(const struct worker *worker)
{
    return worker->party < worker->traffic->pairs;
}

static bool work(struct worker *worker, long messages)
{
    const long share = messages / worker->traffic->pairs;
    if (worker->traffic->round_trip)
        return exchange(worker, messages);
    return is_sender(worker) ? send_all(worker, share) : receive_all(worker, share);
}

// One party

static bool open_end(struct worker *worker, int lane, bool sends)
{
    struct end *end = &worker->ends[lane];
    const struct carrier *carrier = carrier_of(worker->traffic);
    *end = (struct end){
        .freight = &road->freight, .lane = lane, .sends = sends, .handle = handles[2 * lane + sends]
    };
    return !carrier->open || carrier->open(end);
}

static bool open_ends(struct worker *worker)
{
    const bool sends = is_sender(worker);
    const size_t bytes = (size_t)worker->traffic->size * (size_t)worker->traffic->batch;
    worker->buffer = malloc(bytes);
    if (!worker->buffer)
        return false;
    memset(worker->buffer, 0, bytes);
    return open_end(worker, 0, sends) &&
           (!worker->traffic->round_trip || open_end(worker, 1, !sends));
}

static void close_ends(struct worker *worker)
{
    const struct carrier *carrier = carrier_of(worker->traffic);
    for (int lane = 0; carrier->close && lane <= worker->traffic->round_trip; lane++)
        carrier->close(&worker->ends[lane]);
    free(worker->buffer);
}

static long warm_up_of(const struct traffic *traffic)
{
    const long step = (long)traffic->pairs * traffic->batch;
    return traffic->cold ? 0 : (traffic->messages / WARM_UP / step + 1) * step;
}

static bool work_measured(struct worker *worker)
{
    const int party = worker->party;
    const int parties = 2 * worker->traffic->pairs;
    if (!work(worker, warm_up_of(worker->traffic)) ||
        !gathering_meet(&road->gathering, 2 * parties))
        return false;
    road->effort_begin[party] = cpu_time();
    road->gathering.begin[party] = brood_clock();
    const bool done = work(worker, worker->traffic->messages);
    road->gathering.end[party] = brood_clock();
    road->effort_end[party] = cpu_time();
    return done;
}

// No party closes its end before all have finished.
static int attend(void *arg)
{
    const struct part *part = arg;
    struct gathering *gathering = &road->gathering;
    struct worker worker = { .traffic = &part->traffic, .party = part->party };
    const int parties = 2 * part->traffic.pairs;
    if (!open_ends(&worker) || !gathering_meet(gathering, parties) || !work_measured(&worker))
        gathering_fail(gathering);
    atomic_fetch_add_explicit(is_sender(&worker) ? &road->sent : &road->received, worker.sum,
                              memory_order_relaxed);
    (void)gathering_meet(gathering, 3 * parties);
    close_ends(&worker);
    return gathering_has_failed(gathering);
}

// In a process of its own: maps the shared memory, and finds its copies of the handles.
static bool come(void)
{
    brood_resource resource;
    if (brood_self_resource(0, &resource) != BROOD_OK ||
        !(road = place_open(&resource, sizeof *road)))
        return false;
    for (int i = 0; i < road->freight.handle_count; i++) {
        if (brood_self_resource((size_t)i + 1, &resource) != BROOD_OK)
            return false;
        handles[i] = resource.value;
    }
    return true;
}

static int attend_as_process(void *arg)
{
    return come() ? attend(arg) : 1;
}

// All parties

static bool open_road(const struct traffic *traffic)
{
    static int count;
    memset(road, 0, sizeof *road);
    road->freight = (struct freight){ .size = (size_t)traffic->size,
                                      .capacity = (size_t)traffic->capacity,
                                      .lanes = traffic->round_trip ? 2 : 1 };
    (void)snprintf(road->freight.name, sizeof road->freight.name, "brood-bench-%lld-%d",
                   (long long)brood_self_pid(), count++);
    last_made = carrier_of(traffic)->make(&road->freight);
    if (!last_made)
        return false;
    memcpy(handles, road->freight.handles, sizeof handles);
    return true;
}

static void close_road(const struct traffic *traffic)
{
    if (carrier_of(traffic)->destroy)
        carrier_of(traffic)->destroy(&road->freight);
}

static bool run_crew(const struct traffic *traffic)
{
    struct part part = { .traffic = *traffic };
    brood_resource resources[1 + CARRIER_HANDLES] = { road_resource };
    for (int i = 0; i < road->freight.handle_count; i++)
        resources[1 + i] = (brood_resource){ road_resource.kind, handles[i] };
    const struct crew crew = {
        .gathering = &road->gathering,
        .parties = 2 * traffic->pairs,
        .as_thread = attend,
        .as_process = attend_as_process,
        .processes = traffic->processes,
        .resources = resources,
        .resource_count = 1 + (size_t)road->freight.handle_count,
        .part = &part,
        .part_size = sizeof part,
    };
    return crew_run(&crew);
}

// The parties of one process have its processor time in common.
static int64_t add_efforts(const struct traffic *traffic)
{
    int64_t sum = 0;
    int64_t begin = INT64_MAX;
    int64_t end = 0;
    for (int i = 0; i < 2 * traffic->pairs; i++) {
        sum += road->effort_end[i] - road->effort_begin[i];
        begin = road->effort_begin[i] < begin ? road->effort_begin[i] : begin;
        end = road->effort_end[i] > end ? road->effort_end[i] : end;
    }
    return traffic->processes ? sum : end - begin;
}

int64_t traffic_run(const struct traffic *traffic)
{
    if (!open_road(traffic))
        return -1;
    const bool done = run_crew(traffic);
    close_road(traffic);
    last_effort = add_efforts(traffic);
    if (!done ||
        (!traffic->round_trip && atomic_load_explicit(&road->sent, memory_order_relaxed) !=
                                     atomic_load_explicit(&road->received, memory_order_relaxed)))
        return -1;
    return gathering_time(&road->gathering, 2 * traffic->pairs);
}

const char *traffic_error(void)
{
    return last_made ? "a party failed" : "refused by the system: its limits, or rights";
}

int64_t traffic_effort(void)
{
    return last_effort;
}

// The shorter of two runs, so that a disturbance does not count as work.
static int64_t try_out(const struct traffic *traffic)
{
    const int64_t first = traffic_run(traffic);
    const int64_t second = first < 0 ? first : traffic_run(traffic);
    return second < first ? second : first;
}

// All senders send, and all receivers receive, the same number of whole batches.
static long rounded(const struct traffic *traffic, double messages)
{
    const long step = (long)traffic->pairs * traffic->batch;
    const double most = messages < MOST_MESSAGES ? messages : MOST_MESSAGES;
    return ((long)most / step + 1) * step;
}

bool traffic_fit(struct traffic *traffic, int64_t span)
{
    traffic->messages = rounded(traffic, traffic->cold && span > 0 ? traffic->capacity - 1 : 0);
    while (span > 0) {
        const int64_t spent = try_out(traffic);
        if (spent < 0)
            return false;
        const double needed =
            (double)traffic->messages * (double)span / (double)(spent > 0 ? spent : 1);
        if (traffic->cold || needed < 4.0 * (double)traffic->messages) {
            traffic->messages = traffic->cold ? traffic->messages : rounded(traffic, needed);
            return true;
        }
        traffic->messages = rounded(traffic, 8.0 * (double)traffic->messages - 1);
    }
    return true;
}
