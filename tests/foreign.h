// SPDX-License-Identifier: MIT
// Threads and libraries that brood has not made, by system calls. A function that fails ends the
// program, unless its comment says otherwise.
#ifndef FOREIGN_H
#define FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether a process start costs tens of milliseconds and a system call ten microseconds, as under
// Wine and a thread sanitizer: then loops must be short.
bool foreign_is_slow(void);

// A thread that brood has not started.
typedef struct foreign_thread foreign_thread;
foreign_thread *foreign_thread_start(void (*fn)(void *), void *arg);
void foreign_thread_join(foreign_thread *thread);

// Cancels the thread: it ends at its next cancellation point. Does nothing on a system without
// cancellation.
void foreign_thread_cancel(foreign_thread *thread);

// Interrupts the thread's current system call by a signal that has no other effect; also valid
// after the thread's end, until it is joined. False on a system without signals.
bool foreign_thread_interrupt(foreign_thread *thread);

// Ends the calling thread by the system's own call: pthread_exit, ExitThread.
_Noreturn void foreign_thread_exit(void);

// Has the system call fn(arg) at the end of the calling thread, after the library's own end of that
// thread. False on a system that calls such a function under a lock which exit() needs, too.
bool foreign_thread_on_end(void (*fn)(void *), void *arg);

// Makes the calling thread a fiber, at most once in its life, runs fn(arg) in a new fiber and
// returns; the new fiber stays until any thread deletes it. NULL, without running fn, on a system
// without fibers.
typedef struct foreign_fiber foreign_fiber;
foreign_fiber *foreign_fiber_run(void (*fn)(void *), void *arg);
void foreign_fiber_delete(foreign_fiber *fiber);

// Opens a library by its path at run time. NULL if it cannot be opened.
void *foreign_library_open(const char *path);

// Closes it: the system unloads it, unless it is in use otherwise or the system unloads nothing.
void foreign_library_close(void *library);

// Returns a function of the library.
void (*foreign_library_function(void *library, const char *name))(void);

// The base address of the module that contains the function; NULL if it is in none.
const void *foreign_module_base(void (*code)(void));

// Reserves the page at this address, so that nothing else is mapped there. No error if it is in
// use.
void foreign_address_take(uintptr_t address);

// foreign_file_copy copies a file. foreign_file_replace replaces a file that may be loaded, as an
// installer does: it moves the old file aside and copies `from` to its name. foreign_file_remove
// removes both.
void foreign_file_copy(const char *from, const char *to);
void foreign_file_replace(const char *from, const char *to);
void foreign_file_remove(const char *path);

// Writes to `buffer` an absolute path in the directory for temporary files, with a name that only
// this process uses.
void foreign_file_name(char *buffer, size_t capacity, const char *name);

#endif
