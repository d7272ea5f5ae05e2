// SPDX-License-Identifier: MIT
// A start that is under way, and its plan. One struct owns everything that a start allocates;
// discard() in start.c releases what has not been moved out of it.
#ifndef PLAN_H
#define PLAN_H

#include "os/os_server.h"
#include "process/boot.h"
#include "process/server.h"

#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>

struct broodi_start {
    bool detached; // starts the fork server of this process instead of a child
    brood_target target;
    const void *arg;
    size_t size;
    const brood_process_options *options;
    broodi_server_start *start_server; // for the method FORKSERVER
    brood_start_method method;
    brood_os_circumstances now;    // for the fork server
    char *identity;                // such as "1:2"
    const char **merged;           // the environment; a forked child keeps using it
    char **merged_storage;         // the strings of `merged`; a forked child keeps using them
    brood_resource *kept;          // a copy of the resources, which a forked child keeps using
    struct broodi_target *encoded; // `target`
    struct broodi_boot boot;
    unsigned char *record; // `boot`, encoded
    size_t record_size;
    brood_process *process; // the child, also before it is launched
    bool beside_threads;    // the start is a fork while other threads run
    bool launched;
    bool replied;
    int protection; // what brood_os_thread_protect returned for the caller's thread
};

// Checks the arguments and options of the start, chooses its method, and fills the rest of the
// struct up to `process`. What it has allocated also belongs to the struct when it fails.
brood_status broodi_plan(struct broodi_start *start);

// Plans another attempt of a served start, with another slot, because the first child may already
// have stored its pid in the old one. The server may be another one, too.
brood_status broodi_plan_again(struct broodi_start *start);

#endif
