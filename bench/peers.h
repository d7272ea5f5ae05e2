// SPDX-License-Identifier: MIT
// What brood is compared with: the calls of the operating system. One provider per system, in
// posix/ and win32/.
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>

// The argument that makes the program end at once: what a peer executes is this program itself,
// with nothing to do.
#define PEER_NOTHING "--nothing"

// What is started.
enum peer {
    PEER_IMAGE,  // this program anew, by the cheapest call there is
    PEER_LAUNCH, // the same, by the call that is meant for it
    PEER_COPY,   // a copy of this process
    PEER_THREAD  // a thread
};

// Names the call that starts it; NULL when the system has none.
const char *peer_name(enum peer peer);

// Starts it, waits for its end and leaves nothing behind. False when the system refused, when it
// ended in any other way than by itself with 0, or when there is no such peer.
bool peer_run(enum peer peer);

// The absolute path of this program; NULL when it cannot be had.
const char *peer_image(void);

// Gives this process so much memory, all of it touched, in pages of the smallest size, instead of
// what it had from here before. False when there is not so much.
bool peer_touch(int megabytes);

// How many others want to run, on average over the last minute; negative when that is not known.
double peer_load(void);

#endif
