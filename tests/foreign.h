// SPDX-License-Identifier: MIT
// What brood has not made: threads and libraries of the program's own, by the calls of the system.
// Each function that can fail ends the program when it does: no test goes on from there.
#ifndef FOREIGN_H
#define FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A start of a process costs tens of milliseconds and each call of the system ten microseconds:
// loops are to be short. So it is under Wine, and under a thread sanitizer.
bool foreign_is_slow(void);

// A thread that brood knows nothing of.
typedef struct foreign_thread foreign_thread;
foreign_thread *foreign_thread_start(void (*fn)(void *), void *arg);
void foreign_thread_join(foreign_thread *thread);

// Has it end at the next call where the system lets it. Nothing happens where systems know no such
// thing.
void foreign_thread_cancel(foreign_thread *thread);

// Interrupts it in whatever the system does for it, by a signal that does nothing else; also after
// its end, as long as it has not been joined. False where there is no such thing.
bool foreign_thread_interrupt(foreign_thread *thread);

// Ends the calling thread by the system's own call: pthread_exit, ExitThread.
_Noreturn void foreign_thread_exit(void);

// Makes the calling thread a fiber, once in its life, runs fn(arg) in another one and comes back;
// the other waits to be deleted, which any thread may do. NULL, and nothing has run, where there
// are no fibers.
typedef struct foreign_fiber foreign_fiber;
foreign_fiber *foreign_fiber_run(void (*fn)(void *), void *arg);
void foreign_fiber_delete(foreign_fiber *fiber);

// Opens a library by its path at run time; it stays. NULL when it cannot be had.
void *foreign_library_open(const char *path);

// A function of it.
void (*foreign_library_function(void *library, const char *name))(void);

// Where the module is mapped that this function belongs to.
const void *foreign_module_base(void (*code)(void));

// Takes the page at this address, so that nothing else can come to lie there. No harm when it is
// taken already.
void foreign_address_take(uintptr_t address);

// Copies a file. A file that is loaded somewhere is replaced by foreign_file_replace as an
// installer does it: the old one is moved aside and `from` takes its name; foreign_file_remove
// removes both.
void foreign_file_copy(const char *from, const char *to);
void foreign_file_replace(const char *from, const char *to);
void foreign_file_remove(const char *path);

// Writes an absolute path of a file of this name, in the directory for temporary files, to
// `buffer`; it is this process's own.
void foreign_file_name(char *buffer, size_t capacity, const char *name);

#endif
