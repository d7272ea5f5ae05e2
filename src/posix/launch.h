// SPDX-License-Identifier: MIT
// Inside the POSIX port: what happens in a child before the program runs in it.
#ifndef POSIX_LAUNCH_H
#define POSIX_LAUNCH_H

#include "image.h"

#include "os/os_process.h"
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

// Everything that a child needs, prepared before it exists: between its birth and exec it makes
// system calls only.
struct launch {
    const brood_os_plan *plan;
    int channel;               // the child's end
    pid_t starter;             // this process
    sigset_t mask;             // of the thread that starts
    bool has_handlers;         // the child has the signal handlers of the starter
    const struct image *image; // for exec
    char *const *envp;
    int *moved;                      // room for one number for each resource
    void (*entry)(void *, intptr_t); // instead of exec
    void *arg;
    pid_t child; // the result
    int error;   // errno when there is no child
};

// How the system tells the end of a child.
brood_exit broodi_launch_end(const siginfo_t *info);

// In the child, once it has its channel: notes its starter if that has no number here. Whether that
// is so.
bool broodi_launch_note_starter(int channel);

// The standard streams of a child while they are set. A stream that becomes what it is not is
// copied to a higher number first, because each may stand in the place of another.
struct launch_streams {
    int from[BROOD_OS_STREAMS]; // its own number: stays; a higher one; or one of the next two
};
enum { LAUNCH_STREAM_NULL = -1, LAUNCH_STREAM_CLOSED = -2 };

// The descriptor of this process that a stream of the child is to be, open or not;
// LAUNCH_STREAM_NULL.
int broodi_launch_stream(const brood_os_plan *plan, int stream);

// The child's steps: an error goes to the channel and ends it. It dies with the starter if it is
// tied; if that is dead already, now. Streams are collected before any number is used for something
// else, to `least` and above; they are placed when the child has all else that stood at a number of
// theirs; the null device is opened last, when there is room for one more.
void broodi_launch_tie(const struct launch *launch);
void broodi_launch_restore_mask(const struct launch *launch);
struct launch_streams broodi_launch_collect_streams(const struct launch *launch, int least);
void broodi_launch_place_streams(const struct launch_streams *streams, int channel);
void broodi_launch_open_null(const struct launch_streams *streams, int channel);
void broodi_launch_set_directory(const char *directory, int channel); // NULL: stays

// All of them. Never returns.
_Noreturn void broodi_launch_exec(const struct launch *launch);
_Noreturn void broodi_launch_entry(const struct launch *launch);

#endif
