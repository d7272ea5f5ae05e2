// SPDX-License-Identifier: MIT
// The peers of brood: calls of the operating system. One provider per system, in posix/ and
// win32/.
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>

// The argument that makes the program end at once: a peer executes this program, with nothing to
// do.
#define PEER_NOTHING "--nothing"

// What a peer starts.
enum peer {
    PEER_IMAGE,  // this program in a fresh process, by the cheapest call
    PEER_LAUNCH, // the same, by the standard call
    PEER_COPY,   // a copy of this process
    PEER_THREAD  // a thread
};

// The name of the call that starts it; NULL if the system has none.
const char *peer_name(enum peer peer);

// Starts it, waits for its end and frees everything. False if the start failed, if the child did
// not exit with 0, or if there is no such peer.
bool peer_run(enum peer peer);

// The absolute path of this program; NULL if it cannot be determined.
const char *peer_image(void);

// Allocates this much memory and touches all of it, in pages of the smallest size, after freeing
// what the call before allocated. False if there is not enough memory.
bool peer_touch(int megabytes);

// The average number of other runnable processes over the last minute; negative if unknown.
double peer_load(void);

#endif
