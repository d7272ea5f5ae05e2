// SPDX-License-Identifier: MIT
// What bench/messages compares: a carrier of messages from senders to receivers. brood's carriers
// are in queues.c, those of the operating system and of libraries in posix/ and win32/, one
// provider each. C++ code includes this header, too.
#ifndef BENCH_CARRIER_H
#define BENCH_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CARRIER_LANES = 2, CARRIER_HANDLES = 2 * CARRIER_LANES };

// One or two lanes of a carrier, in memory that all parties share. `handles` are passed to each
// process, which finds its own there: of each lane the receiving end, then the sending one.
struct freight {
    size_t size;     // bytes of each message
    size_t capacity; // how many messages a lane holds, if that can be chosen
    int lanes;
    intptr_t handles[CARRIER_HANDLES];
    int handle_count;
    uint64_t ids[CARRIER_HANDLES]; // of brood's objects
    char name[64]; // of this freight, unique in the system; valid as a part of a file's name
};

// An end of a lane, of one party. Only `room` is the carrier's to change.
struct end {
    const struct freight *freight;
    int lane;
    bool sends;
    intptr_t handle; // the end's of `handles`, in this process
    void *room[2];
};

struct carrier {
    const char *name;     // NULL: the last of a list
    const char *missing;  // why it is not available; NULL: it is
    const char *survives; // a kill of one that sends or receives: "yes", or what happens
    size_t most;          // bytes of the largest message; 0: any, also of 256 MiB
    // The largest `size * count` of a call with several senders or receivers; 0: it has one of each
    size_t shared;
    double at_most; // a goal for brood's first, as a multiple of this one; 0: none
    bool (*make)(struct freight *freight);
    void (*destroy)(struct freight *freight); // may be NULL, like the next two
    bool (*open)(struct end *end);
    void (*close)(struct end *end);
    // Sends `count` messages, one behind the other. False on failure.
    bool (*send)(struct end *end, const unsigned char *data, size_t count);
    // Receives 1 to `most` messages; returns how many, 0 on failure.
    size_t (*receive)(struct end *end, unsigned char *buffer, size_t most);
    // Of a carrier that copies nothing, which has one lane and moves one message in each call; NULL
    // for the others. Returns where the next message is to be written, which `send` then gets; NULL
    // on failure.
    unsigned char *(*reserve)(struct end *end);
    // In place of `receive`: returns the next message, which is valid until `release`; NULL on
    // failure.
    const unsigned char *(*take)(struct end *end);
    bool (*release)(struct end *end);
};

#ifdef __cplusplus
extern "C" {
#endif

// Lists that end with a carrier without a name.
extern const struct carrier carriers_of_brood[];
extern const struct carrier *const carriers_of_system[]; // ends with NULL

#ifdef __cplusplus
}
#endif

#endif
