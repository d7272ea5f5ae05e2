// SPDX-License-Identifier: MIT
// A start that is under way, and its plan. One struct owns everything that a start allocates;
// discard() in start.c frees it at every end of the start.
#ifndef PLAN_H
#define PLAN_H

#include "os/os_server.h"
#include "process/boot.h"
#include "process/ends.h"
#include "process/server.h"

#include <brood/log.h>
#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>

// What the parent knows of the child's reply.
enum broodi_reply {
    BROODI_REPLY_NONE,    // it has not arrived
    BROODI_REPLY_FAILURE, // the child cannot run its target, and ends by itself
    BROODI_REPLY_READY,   // the child runs its target
};

struct broodi_start {
    // What is to be started. Constant.
    brood_target target;
    const void *arg;
    size_t size;
    const brood_process_options *options;
    bool detached;                     // a fork server of this process, not a child
    broodi_server_start *start_server; // for the method FORKSERVER
    int protection; // what brood_os_thread_protect returned for the caller's thread

    // The plan.
    brood_start_method method;     // never DEFAULT
    brood_os_circumstances now;    // for the fork server
    char *identity;                // such as "1:2"
    const char **merged;           // the environment
    char **merged_storage;         // the strings of `merged`
    brood_resource *kept;          // a copy of the resources, for a forked child
    struct broodi_target *encoded; // `target`
    brood_log_handler log;         // the log's handler, for the child; NULL: none
    brood_log_level log_level;
    struct broodi_target *encoded_log; // `log`
    struct broodi_boot boot; // points to `identity` and `encoded`, and to the caller's `arg`
    unsigned char *record;   // `boot`, encoded
    size_t record_size;
    struct broodi_ends ends; // entered when the child has its slot
    // The child, with its slot and, for FORKSERVER, a reference to its server. The start owns the
    // first reference to it, which becomes the caller's.
    brood_process *process;

    // How far the start has come.
    bool beside_threads; // the child is forked while other threads run
    bool launched;       // the child was made
    enum broodi_reply reply;
};

// Checks the arguments and options of the start, chooses its method, and fills the plan. Also when
// it fails, what it has allocated belongs to the struct. No process is made, except a fork server.
brood_status broodi_plan(struct broodi_start *start);

// Plans another attempt of a served start, after the child of the last one has ended without a
// reply. The slot is another one, because that child may have stored its pid in the old one, which
// is freed. The server may be another one, too.
brood_status broodi_plan_again(struct broodi_start *start);

#endif
