// SPDX-License-Identifier: MIT
// Inside the POSIX port: what a child does before the program runs in it.
#ifndef POSIX_LAUNCH_H
#define POSIX_LAUNCH_H

#include "os/os_process.h"
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct image;

// Everything that a child needs, prepared before it exists: between vfork and exec it makes
// system calls only.
struct launch {
    const brood_os_plan *plan;
    int channel;               // the child's end
    pid_t starter;             // the parent: this process
    sigset_t mask;             // of the calling thread
    bool has_handlers;         // the child begins with the signal handlers of the parent
    const struct image *image; // for exec
    char *const *envp;
    int *moved;                      // an array for one descriptor per resource
    void (*entry)(void *, intptr_t); // for fork, instead of exec
    void *arg;
    pid_t child; // the result
    int error;   // errno when there is no child
};

// Turns the system's report of the end of a child into a brood_exit.
brood_exit broodi_launch_end(const siginfo_t *info);

// Called in a child that has its channel: if the parent has no pid in the child's namespace,
// notes the parent's pidfd and returns true.
bool broodi_launch_note_parent(int channel);

// The standard streams of a child while they are being set. A stream that changes is first copied
// to a higher number, since each may have the number of another.
struct launch_streams {
    int from[BROOD_OS_STREAMS]; // its own number: unchanged; a higher one; or one of the next two
};
enum { LAUNCH_STREAM_NULL = -1, LAUNCH_STREAM_CLOSED = -2 };

// Returns the descriptor of this process, open or not, that becomes this stream of the child, or
// LAUNCH_STREAM_NULL.
int broodi_launch_stream(const brood_os_plan *plan, int stream);

// The child's steps; each sends an error to the channel and ends the child. broodi_launch_tie: a
// tied child dies with its parent, at once if that has died already. Streams are collected, to
// `least` and above, before any of their numbers is used for something else; they are placed when
// everything else in the child has been copied away from their numbers; the null device is opened
// last, when a descriptor is free for it.
void broodi_launch_tie(const struct launch *launch);
void broodi_launch_restore_mask(const struct launch *launch);
struct launch_streams broodi_launch_collect_streams(const struct launch *launch, int least);
void broodi_launch_place_streams(const struct launch_streams *streams, int channel);
void broodi_launch_open_null(const struct launch_streams *streams, int channel);
void broodi_launch_set_directory(const char *directory, int channel); // NULL: unchanged

// All steps. Never return.
_Noreturn void broodi_launch_exec(const struct launch *launch);
_Noreturn void broodi_launch_entry(const struct launch *launch);

#endif
