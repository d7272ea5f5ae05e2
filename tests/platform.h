// SPDX-License-Identifier: MIT
// What the tests query from the system itself about processes, without the library. Where a
// system lacks something, the returned value says so, so that the same test serves all systems. A
// function that fails otherwise ends the program.
#ifndef PLATFORM_H
#define PLATFORM_H

#include <brood/process.h>
#include <brood/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Whether a process can be copied: BROOD_START_FORK.
bool platform_has_fork(void);

// Whether a copy of this process can start threads. The thread sanitizer allows it only if the
// copied process had a single thread: "starting new threads after multi-threaded fork is not
// supported".
bool platform_copy_may_start_threads(void);

// Whether the first thread of a copy can end before others. With musl 1.2.3, each thread of a
// forked process waits for ever in pthread_exit() after the first thread has ended.
bool platform_copy_outlives_its_first_thread(void);

// Whether a process whose first thread has ended ends with its last thread. The thread sanitizer
// has a thread of its own in each process, which stays.
bool platform_ends_with_the_last_thread(void);

// Whether a process can be copied while it has other threads. An emulator asserts that there is
// only one, and sometimes ends or hangs.
bool platform_copy_can_be_made_beside_threads(void);

// Whether a child can be started, by any method, while other threads of the process start children
// or end. An emulator makes a copy for each start.
bool platform_child_can_be_started_beside_threads(void);

// Whether a copy that the program makes of this process beside busy threads can be used: not if
// one of them may have locked a sanitizer's allocator.
bool platform_copy_is_safe_beside_threads(void);

// Disables the search for leaks at the end of this process and of each copy of it: the sanitizer
// cannot search there, or would report memory that only the stack of the first thread points to
// after that thread has ended.
void platform_leaks_ignore(void);

// Whether a joined thread is gone for the system at once, or within microseconds. In an emulator
// the host's thread ends later than the guest's that it runs.
bool platform_joined_thread_is_gone(void);

// Whether an end by a signal differs from other ends.
bool platform_has_signals(void);

// The number of descriptors or handles that this process has open.
size_t platform_descriptor_count(void);

// The number of descriptors that may stay open after the ends of `ended` others: on Windows the
// library keeps handles to doorbells that it has rung, until their slots are reused.
size_t platform_descriptors_kept(size_t ended);

// The number of mappings of this process; 0 if it cannot be determined, or if they are a
// sanitizer's.
size_t platform_mapping_count(void);

// The number of files that brood's named shared memory and semaphores would have; 0 on a system
// that has no such files.
size_t platform_shared_file_count(void);

// How often the calling thread has gone to sleep; -1 if the system does not count it.
long platform_thread_sleeps(void);

// Sets the machine's wall clock ahead, and back after `span`, which must be short because all
// programs share the clock. False if this process may not.
bool platform_wall_clock_jump(brood_duration ahead, brood_duration span);

// Limits this process to `more` descriptors beyond those that it has open; false on a system
// without such a limit.
bool platform_descriptors_limit(unsigned more);
void platform_descriptors_unlimit(void);

// Whether the process runs; a zombie does not.
bool platform_process_lives(brood_pid pid);

// Whether the process ends in time: the library promises two seconds; a loaded machine gets ten.
static inline bool platform_process_ends(brood_pid pid)
{
    const int64_t deadline = brood_clock() + BROOD_SECONDS(10);
    while (platform_process_lives(pid) && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    return !platform_process_lives(pid);
}

// Ends a process from outside, without the library: SIGKILL, TerminateProcess. It may have ended.
void platform_process_kill(brood_pid pid);

// Lists the processes that run the same executable as this one, including this one; 0 if the
// system cannot tell.
size_t platform_images(brood_pid *out, size_t capacity);

// For tests that kill the parent of a served child: only images of this program may be killed, and
// the parent of a child whose server has been killed is another process.
static inline bool platform_is_of_this_program(brood_pid pid)
{
    static brood_pid images[1000]; // including those of the same test under other methods
    const size_t count = platform_images(images, sizeof images / sizeof images[0]);
    for (size_t i = 0; i < count; i++)
        if (images[i] == pid)
            return true;
    return false;
}

// The memory that this process uses, in bytes, without what is only reserved.
size_t platform_memory_used(void);

// The memory that the system has allocated for this shared memory object, in bytes; 0 if it does
// not report it.
size_t platform_memory_allocated(intptr_t object);

// Zeroed memory that this process shares with forked children. It is never freed.
void *platform_memory_shared(size_t size);

// Whether the system still has a child of this process, alive or a zombie. False on a system
// without zombies.
bool platform_has_child(void);

// Waits until this child has been reaped, as programs do that reap all their children themselves;
// false on a system without reaping, and if it is not a child of this process.
bool platform_reap(brood_pid pid);

// The parent and the children of a process, as the system reports them; 0 if it does not.
brood_pid platform_parent_of(brood_pid pid);
size_t platform_children_of(brood_pid pid, brood_pid *out, size_t capacity);

// Stops a process as a debugger would; false where that is not possible.
bool platform_process_stop(brood_pid pid);

// The process group that receives a terminal's signals; a process can leave its group. On a
// system without groups these return 0 and do nothing.
brood_pid platform_group_of(brood_pid pid);
void platform_group_leave(void);

// Puts this process, and so its later children, into a new job; does nothing on a system without
// jobs.
void platform_job_join(void);

// Finds the processes of this test run: extends the list by the processes that had `mark`
// ("NAME=value") in their initial environment or, where the system does not show the environment,
// by copies of this program that descend from a process in the list. Returns the new count.
size_t platform_relatives(const char *mark, brood_pid *list, size_t count, size_t capacity);

// Redirects standard output to this file until it is restored.
int platform_output_redirect(const char *path);
void platform_output_restore(int saved);

// Makes the system discard children at their end (SIGCHLD ignored), or keep them again; false on
// a system that never keeps them.
bool platform_children_ignore(bool ignore);
bool platform_children_are_ignored(void);

// Makes a copy of this process without brood, a guest; waits for it and returns what fn(arg)
// returned there, 0 to 255; -1 if no process can be copied, -2 if the copy did not end by itself.
int platform_guest(int (*fn)(void *arg), void *arg);

// The same without the wait; 0 if no process can be copied.
brood_pid platform_guest_start(int (*fn)(void *arg), void *arg);

// Waits for a copy, however it was made, and returns what platform_guest() does.
int platform_guest_end(brood_pid guest);

// A pipe of two C library descriptors, the reading end first; not inherited, unless made by
// platform_pipe_inheritable. platform_read blocks until there is data, and returns 0 at the end.
void platform_pipe(intptr_t ends[2]);
void platform_pipe_inheritable(intptr_t ends[2]);
size_t platform_read(intptr_t descriptor, char *buffer, size_t capacity);

// Whether the pipe is at its end, without data, within a minute, because no process has its
// writing end open any more.
bool platform_pipe_ends(intptr_t reading);
void platform_write(intptr_t descriptor, const char *text);
void platform_close(intptr_t descriptor);

// The descriptor as a system resource of another kind: a HANDLE on Windows; elsewhere, where
// every resource is a descriptor, as a socket.
brood_resource platform_resource(intptr_t descriptor);

// Opens a file for reading.
intptr_t platform_file_open(const char *path);

// Writes to standard stream 1 or 2 of the system, past the C library.
void platform_print(int number, const char *text);

// platform_stream_is_passed: whether a program that is executed without brood inherits this
// standard stream. platform_stream_keep_from_programs stops that.
bool platform_stream_is_passed(int number);
void platform_stream_keep_from_programs(int number);

// platform_stream makes a stream that reads from a descriptor; platform_input_replace makes the
// descriptor standard input.
FILE *platform_stream(intptr_t descriptor);
void platform_input_replace(intptr_t descriptor);

// A system object that any carelessly executed program inherits, under its number in this
// process. A program that has it under that number can touch it; a number that denotes something
// else, or nothing, is left alone.
typedef struct platform_bait {
    intptr_t number;
    intptr_t other; // on POSIX: the end at which a touch shows
} platform_bait;
platform_bait platform_bait_lay(void);
void platform_bait_touch(intptr_t number);
bool platform_bait_is_touched(platform_bait bait);
void platform_bait_remove(platform_bait bait);

// Closes all descriptors but the standard streams, as a daemon does that knows of no library; does
// nothing on a system without descriptors.
void platform_descriptors_close(void);

// Describes what this process has open besides the standard streams, in lines of "<number>
// <what>"; an empty text if the system does not tell.
void platform_descriptors_describe(char *buffer, size_t capacity);

// Whether the object that brood_process_native() returns becomes ready within the time.
bool platform_is_ready(intptr_t native, brood_duration timeout);

// An object that the program can make ready, and not ready, for platform_is_ready and whatever
// waits for native objects: the end of a pipe, an event.
typedef struct platform_native {
    intptr_t object;
    intptr_t other; // on POSIX: the pipe's other end
    bool ready;
} platform_native;
platform_native platform_native_create(void);
void platform_native_set(platform_native *native, bool ready);
void platform_native_destroy(platform_native *native);

// An object that a wait resets; its `object` is 0 on a system without one.
platform_native platform_native_create_reset(void);

// From now on SIGTERM does not end this process; does nothing on a system without it.
void platform_terminate_ignore(void);

// Another process of this executable, with one argument. `variable` ("NAME=value", or NULL) is
// added to its environment. Its output, on both streams, is appended to the file `output`; it has
// no input until its input is closed.
typedef struct platform_program {
    brood_pid pid;
    intptr_t handle;
    intptr_t input;
} platform_program;
platform_program platform_program_start(const char *argument, const char *variable,
                                        const char *output);
void platform_program_close_input(platform_program program);

// Waits for its end and returns the low eight bits of its exit code; -1 if it did not end by
// itself.
int platform_program_wait(platform_program program);

// Crashes by a write to unmapped memory, without a sanitizer's report or a core dump.
_Noreturn void platform_crash(void);

// Crashes by an illegal instruction, an integer division by zero, an overflow of the stack.
_Noreturn void platform_crash_illegal(void);
_Noreturn void platform_crash_arithmetic(void);
_Noreturn void platform_crash_stack(void);

// Ends this process as Ctrl+C at its console does.
_Noreturn void platform_interrupt(void);

// The exit code that platform_interrupt produces on this system; 0 if it has none.
int platform_interrupt_code(void);

// Changes the environment of this process; NULL removes the variable.
void platform_environment_set(const char *name, const char *value);

#endif
