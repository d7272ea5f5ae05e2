// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief All of brood: processes, threads and what they share, on POSIX and Windows.
 *
 * A program calls brood_init() as the first statement of `main`. From then on it is the main
 * process of a *family*: the processes that it starts, those that they start, and so on. Shared
 * objects (a brood_lock and its like) are plain values that work in every process and thread of the
 * family.
 *
 * @par Handles
 * A shared object is named by 64 bits, which may be copied and compared. After its destroy every
 * copy is `BROOD_STALE`, for as long as fewer than 2^41 objects of that kind have been made (2^37
 * where addresses have 32 bits). A value of another family is `BROOD_INVALID`, or by chance, once
 * in 2^18 families, `BROOD_STALE`; once in 2^39 it names an object of this family. A value that is
 * no handle is refused likewise. This guards against mistakes; it is no protection against a member
 * of the family that means harm.
 *
 * @par Checkers of data races
 * A program that is built with the thread sanitizer, or that runs under helgrind, is told what the
 * objects order, also when the library is an ordinary build: what a thread did before it released,
 * set, notified, arrived or ended comes before what another thread does after it has acquired,
 * waited or joined. Both see one process at a time.
 *
 * @par The end of a process
 * When the target of a child returns or calls exit(), and when the main process returns from `main`
 * or calls exit(), this happens by itself, in this order: its non-daemon threads are joined; its
 * daemon children are stopped; its other children are joined; the handlers of brood_at_exit() run,
 * newest first; stdio is flushed; the process ends. It also happens when the first thread leaves by
 * pthread_exit(), as soon as the last thread of the process ends; the code is 0 then. A process
 * that is killed, or leaves by _exit(), _Exit() or quick_exit(), does none of it, and the system
 * ends its children.
 *
 * @par What exit() runs
 * A child in a fresh image (`BROOD_START_SPAWN`, `BROOD_START_FORKSERVER`) ends like a program:
 * when its target returns, its non-daemon threads are joined, and exit() is called with the code.
 * So the handlers of atexit() and the destructors of static and thread-local objects run. In the
 * rare case that another thread stays inside a stream and the C library's exit() would wait for it
 * for ever (not glibc), the child waits one second and leaves by _exit(): then what was registered
 * before brood_init() does not run.
 *
 * A child of `BROOD_START_FORK` is a copy of its parent, with the parent's handlers and objects:
 * when its target returns, it flushes stdio and leaves by _exit(), so that none of them runs twice.
 * If it calls exit(), the C library runs all of them, those of the parent too. It also sets back
 * the position of each file that the parent has read ahead of, and since parent and child share the
 * position, the parent reads that part twice: such a child should return, or call _exit() behind
 * fflush().
 *
 * @par What outlives the threads
 * exit() runs handlers and destructors in the reverse order of their registration. brood registers
 * the end of the process in brood_init(), and again when this process starts a thread or a child
 * for the first time. So an object that was constructed, or a handler that was registered, before
 * that first start is there until the threads and children are joined. One that came later, such as
 * a function-local static object of C++ that a thread was the first to reach, is destroyed before
 * they are joined, when the process returns from `main` or calls exit(). A program that has such
 * objects calls brood_shutdown() first. When the target of a child returns, its threads are joined
 * before anything is destroyed.
 *
 * @par Cancellation of threads
 * Four calls are cancellation points of pthread_cancel(), while they wait: brood_process_join(),
 * brood_process_stop(), brood_parent_wait() and brood_sleep(). A thread that is cancelled there
 * holds nothing of the library and has lost nothing. No other call is a cancellation point: it
 * comes back first, however long it waits. Functions of the program that run inside such a call
 * (the handlers of brood_at_exit(), the function of brood_once()) are not cancelled either; the one
 * given to brood_dump() may be. Asynchronous cancellation (PTHREAD_CANCEL_ASYNCHRONOUS) is not
 * supported.
 */
#ifndef BROOD_BROOD_H
#define BROOD_BROOD_H

#include <brood/barrier.h>
#include <brood/block.h>
#include <brood/condition.h>
#include <brood/cpu.h>
#include <brood/event.h>
#include <brood/export.h>
#include <brood/local.h>
#include <brood/lock.h>
#include <brood/once.h>
#include <brood/process.h>
#include <brood/semaphore.h>
#include <brood/status.h>
#include <brood/thread.h>
#include <brood/time.h>
#include <stdint.h>
#include <stdlib.h>

BROOD_BEGIN_DECLS

#define BROOD_VERSION_MAJOR 0 /**< Changes when programs must be changed. */
#define BROOD_VERSION_MINOR 1 /**< Changes when something is added. */
#define BROOD_VERSION_PATCH 0 /**< Changes when something is mended. */

/** @brief The version of these headers as one number, handed to the library by brood_init(). */
#define BROOD_VERSION_NUMBER \
    ((uint32_t)(BROOD_VERSION_MAJOR * 1000000 + BROOD_VERSION_MINOR * 1000 + BROOD_VERSION_PATCH))

/**
 * @brief Makes this process the main process of a family, or, in a child that brood started as a
 * fresh image, runs the child's target and ends the process. The first statement of `main`.
 *
 * In a child it never returns. When it cannot go on it prints one line to stderr and ends the
 * process with status 70. A second call in the same process does nothing.
 *
 * On Unix a program may also fork() by itself, in any thread and at any moment. The copy may use
 * all of brood; nothing is joined or stopped on its behalf at its end. This is arranged by
 * pthread_atfork(), hence three limits: a fork handler that was registered before brood_init() must
 * not use brood; a copy must not if it was made by `_Fork()`, or inside a signal handler (its
 * parent goes on, whatever call of brood the signal has interrupted; the copy should execute a
 * program or leave by _exit()); and what dl_iterate_phdr() calls must neither use brood nor fork.
 * The C library has limits of its own: glibc's fork() waits for ever in a handler whose signal has
 * interrupted malloc() in the same thread.
 */
#define brood_init() brood_init_with(BROOD_VERSION_NUMBER, atexit)

/**
 * @brief What brood_init() calls.
 * @param header_version     `BROOD_VERSION_NUMBER` of the headers that the program was built with.
 * @param executable_atexit  the executable's own atexit(): a handler registered inside a Windows
 * DLL would run when all other threads are gone.
 */
BROOD_API void brood_init_with(uint32_t header_version, int (*executable_atexit)(void (*)(void)));

/** @brief Gives the version of the library, "0.1.0". */
BROOD_API const char *brood_version(void);

/**
 * @brief Does now what the end of the process would do, except flushing and ending: joins the
 * non-daemon threads, stops the daemon children, joins the others, runs the handlers.
 *
 * From the first call on nothing can be started in this process, but by the threads that are still
 * to be joined. Several threads may call it at once: each returns when all is done.
 *
 * A program whose threads may call exit() or atexit(), or in C++ first come by a local static
 * object that has a destructor, calls this before it leaves `main` or calls exit(), with
 * #BROOD_FOREVER: some C libraries (that of Windows, glibc of late) let one thread at a time into
 * exit(), and one that is to be joined from there would wait for the end that waits for it.
 * @param timeout  how long to wait for all of it.
 * @retval BROOD_TIMEOUT  something still runs; the call may be repeated.
 * @retval BROOD_DEADLOCK called from a thread that brood started, or from a brood_at_exit()
 * handler.
 * @retval BROOD_NOT_INITIALIZED
 */
BROOD_API brood_status brood_shutdown(brood_duration timeout);

/**
 * @brief Registers `fn(arg)` for the end of this process, under any start method, and of no other:
 * a forked child does not inherit it.
 *
 * Handlers run newest first, each once, in the thread that ends the process, when threads and
 * children are gone (when several end it at once, each takes the next). A process that is killed
 * runs none. In a process that the program forked itself they run at brood_shutdown() only.
 * @return `BROOD_INVALID` without `fn`; `BROOD_NO_MEMORY`; `BROOD_NOT_INITIALIZED`;
 * `BROOD_WRONG_STATE` once the handlers have run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_at_exit(void (*fn)(void *), void *arg);

#define BROOD_REGISTRY_NAME_MAX 255 /**< Bytes in a name of the registry. */

/**
 * @brief Puts a shared value under a name, for every process of the family; replaces the value that
 * is there.
 *
 * What a child cannot find in a `static` variable, which is zero in a fresh image, it finds here.
 * @param name  1 to #BROOD_REGISTRY_NAME_MAX bytes.
 * @param id    the `id` of a shared object, or any number of one's own; 0 takes the name away.
 * @return `BROOD_INVALID` for NULL or an empty name; `BROOD_TOO_LARGE`; `BROOD_NO_RESOURCES` when
 * the registry is full; `BROOD_NO_MEMORY`; `BROOD_TIMEOUT` when another process is stopped
 * (SIGSTOP, a debugger) inside this call and has not gone on for 5 seconds: then nothing has
 * changed; `BROOD_NOT_INITIALIZED`.
 */
BROOD_API BROOD_NODISCARD brood_status brood_registry_set(const char *name, uint64_t id);

/**
 * @brief Looks a name up.
 * @return `BROOD_NOT_FOUND`; `BROOD_INVALID`, `BROOD_TOO_LARGE`, `BROOD_NOT_INITIALIZED` as
 * brood_registry_set().
 */
BROOD_API BROOD_NODISCARD brood_status brood_registry_get(const char *name, uint64_t *out_id);

/**
 * @brief Tells who runs in the family, how it was started, what it holds and what it waits for: for
 * a person who looks for what hangs.
 *
 * One line for each process; behind it one for each of its threads that brood has started, or that
 * have used a shared object or waited for something of brood; behind that one for each lock that
 * the thread holds (with its name in the registry), and what the thread is blocked for. Names are
 * cut off after 56 bytes. Anybody in the family may ask; nobody is stopped for it, so the lines are
 * not of one moment. The words may change with any version: they are not to be parsed.
 * @param line  is called with each line, without a newline, in the calling thread; no lock of the
 * library is held meanwhile. The text is valid during the call.
 * @param user  is passed on to it.
 * @return `BROOD_INVALID` without `line`; `BROOD_NOT_INITIALIZED`.
 */
BROOD_API brood_status brood_dump(void (*line)(const char *text, void *user), void *user);

BROOD_END_DECLS

#endif
