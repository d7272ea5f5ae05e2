// SPDX-License-Identifier: MIT
// Traffic: messages from senders to receivers, which are threads or processes, by one carrier.
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include "carrier.h"

struct traffic {
    int at;       // index of the carrier: brood's first, then the system's
    int size;     // bytes of a message
    int pairs;    // senders, and as many receivers
    int batch;    // messages of one call at most
    int capacity; // messages that may wait
    bool processes;
    bool round_trip; // a receiver sends each message back by a lane of its own; one pair
    bool cold;       // measured from the first message on
    long messages;   // in all; traffic_fit sets it
};

// The carrier at that index, and whether it is brood's; NULL after the last.
const struct carrier *traffic_carrier(int at, bool *out_ours);

// Why the carrier cannot do this; NULL: it can.
const char *traffic_obstacle(const struct traffic *traffic);

// Allocates the memory that the parties share. Called once, first.
bool traffic_prepare(void);

// Determines how many messages take about `span`; of cold traffic, as many as may wait; one
// batch of each sender if `span` is 0. False if a run fails.
bool traffic_fit(struct traffic *traffic, int64_t span);

// Nanoseconds from the first party's start, with all present, to the last party's end; negative if
// a party failed, or a message was damaged or lost.
int64_t traffic_run(const struct traffic *traffic);

// Why the last run failed, as far as that is known.
const char *traffic_error(void);

// The nanoseconds of processor time that the parties of the last run used meanwhile.
int64_t traffic_effort(void);

#endif
