// SPDX-License-Identifier: MIT
// Port contract: starting child processes, waiting for them and ending them.
//
// A start is: brood_os_process_spawn or brood_os_process_fork (the child exists),
// brood_os_process_await_ready (the child has replied, or died), later
// brood_os_process_await_end, brood_os_process_reap, brood_os_process_release.
//
// "Parent" is the process that called brood_process_start, also when a fork server made the
// child.
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include "os/os_memory.h"
#include <brood/process.h>
#include <brood/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The source of a standard stream of a new process: the stream of this process with the number 0
// to 2, or one of these.
enum brood_os_stream_source { BROOD_OS_STREAM_NULL = 3, BROOD_OS_STREAM_RESOURCE = 4 };

typedef struct brood_os_stream {
    int source;              // 0 to 2, or a brood_os_stream_source
    brood_resource resource; // for BROOD_OS_STREAM_RESOURCE; checked
} brood_os_stream;

enum { BROOD_OS_STREAMS = 3 };

// What a new process is made from. The call borrows all of it.
typedef struct brood_os_plan {
    const unsigned char *record; // the boot record, and its size
    size_t size;
    uint64_t token;                            // goes into the announcement
    const brood_os_arena *arena;               // passed to the child
    const char *directory;                     // NULL: the current one
    const char *const *environment;            // complete; a forked child uses the list itself
    brood_os_stream streams[BROOD_OS_STREAMS]; // standard input, output, error
    bool tied;                                 // the child dies with this process
    bool detached;                   // spawn: the child does not stay a child of this process
    uint64_t place[2];               // slot of the child and its generation, for brood_os_serve
    const brood_resource *resources; // to pass to the child; checked
    size_t resource_count;
    brood_resource *kept; // fork: a copy of the resources, which belongs to the child
} brood_os_plan;

// A child, as the operating system knows it.
typedef struct brood_os_child {
    int64_t pid;
    intptr_t handle;  // process HANDLE or pidfd; -1 where there is no pidfd
    intptr_t channel; // delivers the child's reply
    intptr_t memory;  // the boot record's own object, on systems that pass it in one; -1: none
    // Not reaped by this process: made by a fork server, or detached. Its pid and handle come
    // with its reply.
    bool served;
} brood_os_child;

// The reply of a child.
typedef struct brood_os_reply {
    brood_status status;
    char text[512];
} brood_os_reply;

// Checks that a resource is of a kind that this system has (otherwise BROOD_UNSUPPORTED) and open
// (otherwise BROOD_INVALID).
brood_status brood_os_resource_check(const brood_resource *resource);

// Makes a child from a fresh image of the running program, with the announcement in its
// environment. Its standard streams are those of the plan, none of them close-on-exec; all other
// descriptors are closed, except those that the child receives with brood_os_boot_take. A missing
// directory is BROOD_NOT_FOUND. Fails with BROOD_DENIED, BROOD_NO_MEMORY, BROOD_NO_RESOURCES,
// BROOD_SYSTEM; then there is no child. An error that occurs in the child may come with its reply
// instead.
brood_status brood_os_process_spawn(const brood_os_plan *plan, brood_os_child *out);

// Makes a child by copying this process. In the parent it returns like brood_os_process_spawn.
// The child sets directory, environment and standard streams and then calls entry(arg, channel),
// which must not return; it replies to `channel`. In the child plan->kept then names its own
// descriptors: a resource that is a standard descriptor, or that occurs earlier in the list, is
// copied to another number; all are close-on-exec. BROOD_UNSUPPORTED where there is no fork.
brood_status brood_os_process_fork(const brood_os_plan *plan,
                                   void (*entry)(void *arg, intptr_t channel), void *arg,
                                   brood_os_child *out);

// Waits for the child's reply until `deadline`. BROOD_OK: it has arrived. BROOD_SYSTEM: the child
// ended without a reply. BROOD_TIMEOUT otherwise. Closes the channel in every case.
brood_status brood_os_process_await_ready(brood_os_child *child, int64_t deadline,
                                          brood_os_reply *out);

// Waits until the child has ended, or until `deadline` (BROOD_TIMEOUT). Does not reap it; several
// threads may wait for one child. Affects no other child. BROOD_UNSUPPORTED for a served child
// without a handle.
brood_status brood_os_process_await_end(const brood_os_child *child, int64_t deadline);

// Reaps the child if it has ended and reports how, as the operating system saw it; false while it
// runs. Called by one thread at a time. If the child was reaped by other code of the program:
// true, with BROOD_LOST.
bool brood_os_process_reap(const brood_os_child *child, brood_exit *out);

// Ends the child: by SIGTERM, or with `hard` so that it cannot resist. Windows has only the
// latter. The child must not have been reaped. BROOD_OK also if it has just ended.
brood_status brood_os_process_end(const brood_os_child *child, bool hard);

// Opens a handle to the process that has the pid of the child now, and stores it in `child`.
// Returns false if that is not possible.
bool brood_os_process_open(brood_os_child *child);

// Closes the handle and the channel in `child`; the process itself is not affected.
void brood_os_process_release(brood_os_child *child);

// Returns the pid of this process.
int64_t brood_os_process_id(void);

// Returns a number for the pid namespace of this process, where the system has several; 0 if it
// has only one, or if the namespace is not known. A pid is meaningless in another namespace.
uint64_t brood_os_pid_namespace(void);

// Called in a fresh image before brood_os_pid_namespace, with the namespace that the parent
// reports and the pid that the parent has there. If that pid is this process's parent here, both
// are in the same namespace, since a process in another namespace cannot see its parent. Saves
// the child a system call.
void brood_os_pid_namespace_offer(uint64_t space, int64_t starter);

// Returns when that process was started, in a unit of the system; 0 if there is none (a zombie
// does not count), BROOD_OS_BIRTH_UNKNOWN if that cannot be determined now. Together with the pid
// it identifies a process uniquely.
#define BROOD_OS_BIRTH_UNKNOWN UINT64_MAX
uint64_t brood_os_process_birth(int64_t pid);

// Returns the environment of this process as a list of "NAME=value" that ends with NULL, in one
// block from malloc; NULL if out of memory.
char **brood_os_process_environment(void);

// Returns whether two names of environment variables, both of this length, name the same
// variable.
bool brood_os_process_same_name(const char *a, const char *b, size_t length);

// Waits until the process that started this one has ended, or until `deadline`: BROOD_TIMEOUT.
// `pid` and `birth` are those of that process; reuse of the pid does no harm.
brood_status brood_os_parent_await_end(int64_t pid, uint64_t birth, int64_t deadline);

// Returns whether this system has fork.
bool brood_os_process_can_fork(void);

#endif
