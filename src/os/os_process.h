// SPDX-License-Identifier: MIT
// Port contract: making, awaiting and ending child processes.
//
// A start is: brood_os_process_spawn or brood_os_process_fork (the child exists),
// brood_os_process_await_ready (it has replied, or died), later brood_os_process_await_end,
// brood_os_process_reap, brood_os_process_forget.
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include "os/os_memory.h"
#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a standard stream of a new process is: that of this process with the number 0 to 2, or one
// of the others.
enum brood_os_stream_source { BROOD_OS_STREAM_NULL = 3, BROOD_OS_STREAM_RESOURCE = 4 };

typedef struct brood_os_stream {
    int source;              // 0 to 2, or a brood_os_stream_source
    brood_resource resource; // for BROOD_OS_STREAM_RESOURCE; checked
} brood_os_stream;

enum { BROOD_OS_STREAMS = 3 };

// What a new process is made from. All of it is borrowed for the call.
typedef struct brood_os_plan {
    const unsigned char *record; // the boot record, and its size
    size_t size;
    uint64_t token;                            // goes into the announcement
    const brood_os_arena *arena;               // handed to the child
    const char *directory;                     // NULL: as here
    const char *const *environment;            // the whole of it; stays as it is in a forked child
    brood_os_stream streams[BROOD_OS_STREAMS]; // standard input, output, error
    bool tied;                                 // dies with this process
    bool detached;     // spawn: no child of this process, which the system would keep for it
    uint64_t place[2]; // of the child in the family, for `taken` of brood_os_serve
    const brood_resource *resources; // to hand over; checked
    size_t resource_count;
    brood_resource *kept; // fork: a copy of the resources, which belongs to the child
} brood_os_plan;

// A child, as the operating system knows it.
typedef struct brood_os_child {
    int64_t pid;
    intptr_t handle;  // process HANDLE or pidfd; -1 where there is no pidfd
    intptr_t channel; // where the child's reply comes from
    intptr_t memory;  // the record's own object, on systems that hand it over in one
    bool served;      // not reaped by this process: made by a fork server, or detached; its pid and
                      // handle come with its reply
} brood_os_child;

// What a child has replied.
typedef struct brood_os_reply {
    brood_status status;
    char text[512];
} brood_os_reply;

// Whether a resource is of a kind that this system has (BROOD_UNSUPPORTED) and open
// (BROOD_INVALID).
brood_status brood_os_resource_check(const brood_resource *resource);

// Makes a fresh image of the running program, with the announcement in its environment. It has the
// standard streams that the plan says, and none of them close-on-exec; all other descriptors are
// closed but those that the child takes with brood_os_boot_take. A missing directory is
// BROOD_NOT_FOUND. Fails with BROOD_DENIED, BROOD_NO_MEMORY, BROOD_NO_RESOURCES, BROOD_SYSTEM; then
// there is no child. An error that only the child can meet may come with its reply instead.
brood_status brood_os_process_spawn(const brood_os_plan *plan, brood_os_child *out);

// Copies this process. In the parent it returns like brood_os_process_spawn; the child runs
// entry(arg, channel), which must not return, after directory, environment and standard streams
// were set; its reply goes to `channel`. plan->kept then names the descriptors of the child: a
// standard descriptor, or one that stands in the list before, is copied to another number; all are
// close-on-exec. BROOD_UNSUPPORTED where there is no fork.
brood_status brood_os_process_fork(const brood_os_plan *plan,
                                   void (*entry)(void *arg, intptr_t channel), void *arg,
                                   brood_os_child *out);

// Waits for the child's reply until `deadline`. BROOD_OK: it has come. BROOD_SYSTEM: the child
// ended without one. BROOD_TIMEOUT. Closes the channel in every case.
brood_status brood_os_process_await_ready(brood_os_child *child, int64_t deadline,
                                          brood_os_reply *out);

// Waits until the child has ended, or until `deadline` (BROOD_TIMEOUT). Does not reap; many threads
// may wait. Blocks for that child only. BROOD_UNSUPPORTED for a served child whose handle is gone.
brood_status brood_os_process_await_end(const brood_os_child *child, int64_t deadline);

// Reaps the child if it has ended and tells how the operating system saw that; false while it runs.
// One thread at a time. When somebody else has reaped it: true, with BROOD_LOST.
bool brood_os_process_reap(const brood_os_child *child, brood_exit *out);

// Ends the child: softly (SIGTERM), or so that it cannot resist. The same on Windows. Only for a
// child that has not been reaped. BROOD_OK when it has just ended.
brood_status brood_os_process_end(const brood_os_child *child, bool hard);

// Gets a handle of the process that has the child's number now. False when there is none to be had.
bool brood_os_process_hold(brood_os_child *child);

// Gives back what brood_os_child holds; not the process.
void brood_os_process_forget(brood_os_child *child);

// This process.
int64_t brood_os_process_id(void);

// Which namespace this process is in where the system has several for the numbers of processes; 0:
// it has one, or does not tell. A number means nothing in another one.
uint64_t brood_os_process_space(void);

// In a fresh image, before that is asked for: the namespace that its starter reports, with the
// starter's number there. It is this process's too if that number is its parent's here, since a
// process in another namespace cannot see its parent. Saves a child the question.
void brood_os_process_space_offer(uint64_t space, int64_t starter);

// When that process was started, in units of the system's own; 0 when there is none (a zombie is
// none), BROOD_OS_BIRTH_UNKNOWN when that cannot be told now. With the pid it names a process for
// ever.
#define BROOD_OS_BIRTH_UNKNOWN UINT64_MAX
uint64_t brood_os_process_birth(int64_t pid);

// The environment of this process as a list of "NAME=value" that ends with NULL, in one block from
// malloc; NULL when out of memory.
char **brood_os_process_environment(void);

// Whether two names of environment variables of these lengths are the same one.
bool brood_os_process_same_name(const char *a, const char *b, size_t length);

// Waits until the process that started this one has ended, or until `deadline`: BROOD_TIMEOUT.
// `pid` and `birth` are the starter's; pid reuse is no concern.
brood_status brood_os_parent_await_end(int64_t pid, uint64_t birth, int64_t deadline);

// Whether this system has the method.
bool brood_os_process_can_fork(void);

#endif
