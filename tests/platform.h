// SPDX-License-Identifier: MIT
// What the tests ask the system itself about processes, past the library. What a system does not
// have is said by the answer, so that one test serves them all. A function that fails otherwise
// ends the program.
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

// Whether a copy of this process can start threads. The thread sanitizer allows it only where the
// copied process had none but one: "starting new threads after multi-threaded fork is not
// supported".
bool platform_copy_may_start_threads(void);

// Whether the first thread of a copy can end before others do: with musl 1.2.3 each thread of a
// forked process waits for ever in pthread_exit() once the first has ended there.
bool platform_copy_outlives_its_first_thread(void);

// Whether a process whose first thread has left ends with its last thread: the thread sanitizer has
// a thread of its own in each process, which stays.
bool platform_ends_with_the_last_thread(void);

// Whether a process can be copied while it has other threads: an emulator asserts that there is
// one, and now and then ends or hangs.
bool platform_copy_can_be_made_beside_threads(void);

// Whether a copy that the program makes of this process beside busy threads can be used: not where
// the allocator of a sanitizer may have been locked by one of them.
bool platform_copy_is_safe_beside_threads(void);

// This process, and each copy of it, is not searched for leaks at its end any more: the sanitizer
// could not, or would not find what only the stack of the first thread has pointed to, once that
// thread has ended.
void platform_leaks_ignore(void);

// Whether the system knows at once, or in some microseconds, that a thread is gone that was joined:
// in an emulator it ends later than the one that it has run.
bool platform_joined_thread_is_gone(void);

// Whether the end by a signal is told from others.
bool platform_has_signals(void);

// The descriptors or handles that this process has open.
size_t platform_descriptor_count(void);

// How many more it may have open after so many others have ended: on Windows the library keeps the
// doorbells of some whom it has rung, until others have their places.
size_t platform_descriptors_kept(size_t ended);

// The mappings in the memory of this process; 0 where they cannot be told, or are a sanitizer's.
size_t platform_mapping_count(void);

// The files that shared memory and semaphores with a name of brood's would be; 0 where there are
// none of the kind.
size_t platform_shared_file_count(void);

// How often the calling thread has gone to sleep; -1 where the system does not tell.
long platform_thread_sleeps(void);

// Sets the wall clock of the machine ahead, and puts it back after a span that must be short, since
// everybody else has that clock too. False where this process may not.
bool platform_wall_clock_jump(brood_duration ahead, brood_duration span);

// Lets this process open `more` descriptors than it has now and no further one; false where there
// is no such limit.
bool platform_descriptors_limit(unsigned more);
void platform_descriptors_unlimit(void);

// Whether the process runs; a zombie does not.
bool platform_process_lives(brood_pid pid);

// Whether the process ends within the time; the promise about deaths is two seconds, and a loaded
// machine gets more.
static inline bool platform_process_ends(brood_pid pid)
{
    const int64_t deadline = brood_clock() + BROOD_SECONDS(10);
    while (platform_process_lives(pid) && brood_clock() < deadline)
        brood_sleep(BROOD_MILLISECONDS(1));
    return !platform_process_lives(pid);
}

// Ends a process from outside, without the library: SIGKILL, TerminateProcess. It may have ended.
void platform_process_kill(brood_pid pid);

// The processes that run the same executable as this one, this one too; 0 where that cannot be
// told.
size_t platform_images(brood_pid *out, size_t capacity);

// The memory that this process has now, in bytes: not what is merely reserved.
size_t platform_memory_used(void);

// The memory that the system has given to this shared memory object, in bytes; 0 where it does not
// tell.
size_t platform_memory_behind(intptr_t object);

// Zeroed memory that forked children share with this process. It stays.
void *platform_memory_shared(size_t size);

// Whether this process has a child that the system still knows, be it alive or a zombie. Where
// there are no zombies: false.
bool platform_has_child(void);

// Waits, as programs do that reap all their children themselves, until this child is reaped; false
// where nobody reaps, and when it is the child of somebody else.
bool platform_reap(brood_pid pid);

// The process that has made this one, by the system's own account, and those that it has made; 0
// where there is no such account.
brood_pid platform_parent_of(brood_pid pid);
size_t platform_children_of(brood_pid pid, brood_pid *out, size_t capacity);

// Stops a process as a debugger would; false where that cannot be done.
bool platform_process_stop(brood_pid pid);

// The group that gets a terminal's signals; a process can leave the one it is in. 0 and nothing
// where there is none.
brood_pid platform_group_of(brood_pid pid);
void platform_group_leave(void);

// Puts this process into a new job, which what it starts from now on is in too; nothing where there
// are none.
void platform_job_join(void);

// Whom this very run has made: extends the list by the processes that had `mark` ("NAME=value") in
// their environment when they began, or, where the system shows no environment, by copies of this
// program that descend from one in the list. Gives back how many the list then has.
size_t platform_relatives(const char *mark, brood_pid *list, size_t count, size_t capacity);

// Standard output goes to this file until it is put back.
int platform_output_redirect(const char *path);
void platform_output_restore(int saved);

// Has the system forget children at their end (SIGCHLD ignored), or not any more; false where it
// never keeps them.
bool platform_children_ignore(bool ignore);
bool platform_children_are_ignored(void);

// Makes a copy of this process without brood, waits for it and gives back what fn(arg) returned
// there, 0 to 255; -1 where no process can be copied, -2 when the copy did not end by itself.
int platform_guest(int (*fn)(void *arg), void *arg);

// The same without waiting for it; 0 where no process can be copied.
brood_pid platform_guest_start(int (*fn)(void *arg), void *arg);

// Waits for a copy made in whatever way, and gives back what platform_guest() does.
int platform_guest_end(brood_pid guest);

// A pipe as two descriptors of the C library, the reading end first; it is not inherited unless it
// is `inheritable`. Reading blocks until there is something, and gives 0 at the end.
void platform_pipe(intptr_t ends[2]);
void platform_pipe_inheritable(intptr_t ends[2]);
size_t platform_read(intptr_t descriptor, char *buffer, size_t capacity);

// Whether the pipe ends, empty, within a minute, because nobody has its writing end any more.
bool platform_pipe_ends(intptr_t reading);
void platform_write(intptr_t descriptor, const char *text);
void platform_close(intptr_t descriptor);

// The descriptor as what the system itself calls it: a HANDLE on Windows, a socket elsewhere, where
// all are descriptors.
brood_resource platform_resource(intptr_t descriptor);

// Opens a file for reading.
intptr_t platform_file_open(const char *path);

// Writes to what the system itself, and not the C library, has as standard stream number 1 or 2.
void platform_print(int number, const char *text);

// Whether a program that is executed without brood gets this standard stream, and that it shall
// not.
bool platform_stream_is_passed(int number);
void platform_stream_keep(int number);

// A stream that reads from a descriptor, and standard input from that descriptor.
FILE *platform_stream(intptr_t descriptor);
void platform_input_replace(intptr_t descriptor);

// Something of the system that any program inherits which is executed carelessly, under its number
// in this process. It is touched by whoever has it under that number; a number that is something
// else, or nothing, is left alone.
typedef struct platform_bait {
    intptr_t number;
    intptr_t other; // on POSIX: where a touch is seen
} platform_bait;
platform_bait platform_bait_lay(void);
void platform_bait_touch(intptr_t number);
bool platform_bait_is_touched(platform_bait bait);
void platform_bait_remove(platform_bait bait);

// Describes what this process has open beside the standard streams, each with a line "<number>
// <what>"; an empty text where the system does not tell.
void platform_descriptors_describe(char *buffer, size_t capacity);

// Whether what brood_process_native() gives becomes ready within the time.
bool platform_is_ready(intptr_t native, brood_duration timeout);

// From now on this process is not ended by SIGTERM; no harm where there is none.
void platform_terminate_ignore(void);

// A program of its own: this executable once more, with one argument. `variable` ("NAME=value", or
// NULL) is added to its environment. What it prints, on both streams, is appended to the file
// `output`; it reads nothing until its input is closed.
typedef struct platform_program {
    brood_pid pid;
    intptr_t handle;
    intptr_t input;
} platform_program;
platform_program platform_program_start(const char *argument, const char *variable,
                                        const char *output);
void platform_program_close_input(platform_program program);

// Waits for its end, and gives back the low eight bits of its exit code; -1 when it did not end by
// itself.
int platform_program_wait(platform_program program);

// Writes to memory that is not there. No sanitizer and no core dump comes between.
_Noreturn void platform_crash(void);

// In other ways: an instruction that there is not, a division of integers by zero, a recursion
// without end.
_Noreturn void platform_crash_illegal(void);
_Noreturn void platform_crash_arithmetic(void);
_Noreturn void platform_crash_stack(void);

// Ends this process as Ctrl+C at its console does.
_Noreturn void platform_interrupt(void);

// The exit code that stands for that among the codes of programs; 0 where none does.
int platform_interrupt_code(void);

// Changes the environment of this process; NULL removes.
void platform_environment_set(const char *name, const char *value);

#endif
