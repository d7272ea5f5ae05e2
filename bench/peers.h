// SPDX-License-Identifier: MIT
// The calls of the operating system that brood is compared with. One provider per system, in posix/ and win32/.
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>

// The argument that makes the program end at once: what a peer starts is this program itself, with nothing to do.
#define PEER_NOTHING "--nothing"

// What is started.
enum peer {
    PEER_IMAGE, // this program anew
    PEER_COPY,  // a copy of this process
    PEER_THREAD // a thread
};

// Names the call that starts it; NULL when the system has none.
const char *peer_name(enum peer peer);

// Starts it, waits for its end and leaves nothing behind. `program` is argv[0]. False when the system refused,
// when it ended in any other way than by itself with 0, or when there is no such peer.
bool peer_run(enum peer peer, const char *program);

#endif
