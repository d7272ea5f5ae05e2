// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief All of brood: processes, threads and the objects they share, on POSIX and Windows.
 *
 * A program calls brood_init() as the first statement of `main`. From then on it is the main
 * process of a *family*: the processes that it starts, the processes that those start, and so on.
 * Shared objects (such as a brood_lock) are plain values that work in every process and thread of
 * the family.
 *
 * @par Handles
 * A shared object is named by a handle of 64 bits, which may be copied and compared. After the
 * object is destroyed, calls with any copy of the handle return `BROOD_STALE`, as long as fewer
 * than 2^41 objects of that kind have been created (2^37 where addresses have 32 bits). A handle
 * of another family is `BROOD_INVALID`, or by chance, once in 2^18 families, `BROOD_STALE`; once
 * in 2^39 it names an object of this family. A value that is not a handle is refused likewise.
 * This guards against mistakes; it does not protect against a malicious member of the family. A
 * call also returns `BROOD_NO_MEMORY` if this process cannot map the table that the object is in.
 *
 * @par Data race checkers
 * The objects report the order that they establish to the thread sanitizer, if the program is
 * built with it, and to helgrind, if the program runs under it, also when the library is an
 * ordinary build: what a thread did before it released, set, notified, arrived or ended comes
 * before what another thread does after it has acquired, waited or joined. Both checkers see one
 * process at a time.
 *
 * @par The end of a process
 * When the target of a child returns or calls exit(), and when the main process returns from
 * `main` or calls exit(), the library does the following, in this order: it joins the non-daemon
 * threads; stops the daemon children; joins the other children; runs the handlers of
 * brood_at_exit(), newest first; flushes stdio; the process ends. The same happens when the first
 * thread leaves by pthread_exit(), as soon as the last thread of the process ends; the code is 0
 * then. If a process is killed, or leaves by _exit(), _Exit() or quick_exit(), none of this
 * happens, and the system ends its children.
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
 * when its target returns, it flushes stdio and leaves by _exit(), so that none of them runs
 * twice. If it calls exit(), the C library runs all of them, including those of the parent. The C
 * library then also resets the position of each file that the parent has read ahead of; since
 * parent and child share the position, the parent reads that part twice. So such a child should
 * return, or call fflush() and then _exit().
 *
 * @par What outlives the threads
 * exit() runs handlers and destructors in the reverse order of their registration. brood registers
 * the end of the process in brood_init(), and again when this process starts a thread or a child
 * for the first time. So an object that was constructed, or a handler that was registered, before
 * that first start stays valid until the threads and children are joined. A later one, such as a
 * C++ function-local static object that a thread was the first to construct, is destroyed before
 * they are joined, when the process returns from `main` or calls exit(). A program that has such
 * objects calls brood_shutdown() first. When the target of a child returns, its threads are joined
 * before anything is destroyed.
 *
 * @par Cancellation of threads
 * Four calls are cancellation points of pthread_cancel(), while they wait: brood_process_join(),
 * brood_process_stop(), brood_parent_wait() and brood_sleep(). A thread that is cancelled there
 * holds nothing of the library and has lost nothing. No other call is a cancellation point: it
 * returns before the thread is cancelled, however long it waits. Functions of the program that run
 * inside such a call (the handlers of brood_at_exit(), the function of brood_once()) are not
 * cancelled either; the one passed to brood_dump() may be. Asynchronous cancellation
 * (PTHREAD_CANCEL_ASYNCHRONOUS) is not supported.
 */
#ifndef BROOD_BROOD_H
#define BROOD_BROOD_H

#include <brood/barrier.h>
#include <brood/block.h>
#include <brood/condition.h>
#include <brood/connection.h>
#include <brood/cpu.h>
#include <brood/dump.h>
#include <brood/event.h>
#include <brood/exit.h>
#include <brood/export.h>
#include <brood/local.h>
#include <brood/lock.h>
#include <brood/log.h>
#include <brood/once.h>
#include <brood/process.h>
#include <brood/queue.h>
#include <brood/registry.h>
#include <brood/self.h>
#include <brood/semaphore.h>
#include <brood/status.h>
#include <brood/stop.h>
#include <brood/thread.h>
#include <brood/time.h>
#include <brood/wait.h>
#include <stdint.h>
#include <stdlib.h>

BROOD_BEGIN_DECLS

/** @brief Changes when programs must be changed. */
#define BROOD_VERSION_MAJOR 0
/** @brief Changes when something is added. */
#define BROOD_VERSION_MINOR 1
/** @brief Changes when something is fixed. */
#define BROOD_VERSION_PATCH 0

/** @brief The version of these headers as one number, passed to the library by brood_init(). */
#define BROOD_VERSION_NUMBER \
    ((uint32_t)(BROOD_VERSION_MAJOR * 1000000 + BROOD_VERSION_MINOR * 1000 + BROOD_VERSION_PATCH))

/**
 * @brief Makes this process the main process of a family or, in a child that brood started as a
 * fresh image, runs the child's target and ends the process. The first statement of `main`.
 *
 * In a child it never returns. When the process cannot continue, the call prints one line to
 * stderr and ends the process with status 70. A second call in the same process does nothing.
 *
 * On Unix a program may also call fork() itself, in any thread and at any moment. The copy may use
 * all of brood; at its end nothing is joined or stopped on its behalf. The library arranges this
 * by pthread_atfork(), which has three limits: a fork handler that was registered before
 * brood_init() must not use brood; a copy must not use brood if it was made by `_Fork()`, or
 * inside a signal handler (the parent continues, whichever call of brood the signal has
 * interrupted; the copy should execute a program or leave by _exit()); and a function that
 * dl_iterate_phdr() calls must neither use brood nor fork. The C library has limits of its own:
 * glibc's fork() waits for ever in a handler whose signal has interrupted malloc() in the same
 * thread.
 */
#define brood_init() brood_init_with(BROOD_VERSION_NUMBER, atexit)

/**
 * @brief The function that brood_init() calls.
 *
 * @param header_version     `BROOD_VERSION_NUMBER` of the headers that the program was built with.
 * @param executable_atexit  the executable's own atexit(): a handler registered inside a Windows
 *                           DLL would run after all other threads have ended.
 */
BROOD_API void brood_init_with(uint32_t header_version, int (*executable_atexit)(void (*fn)(void)));

/** @brief Returns the version of the library, such as "0.1.0". */
BROOD_API const char *brood_version(void);

/**
 * @brief Does what the end of the process would do, except flushing and ending: joins the
 * non-daemon threads, stops the daemon children, joins the other children, runs the handlers.
 *
 * From the first call on nothing can be started in this process, except by the threads that are
 * still to be joined. Several threads may call it at once: each call returns when everything is
 * done.
 *
 * Call this, with #BROOD_FOREVER, before leaving `main` or calling exit() if other threads may
 * call exit() or atexit(), or may be the first to construct a C++ function-local static object
 * with a destructor. Some C libraries (that of Windows, recent glibc) admit one thread at a time
 * into exit(): a thread that exit() has to join and that waits to enter it would wait for ever.
 *
 * @param timeout  how long to wait for all of it.
 * @retval BROOD_TIMEOUT          something still runs; the call may be repeated.
 * @retval BROOD_DEADLOCK         called from a thread that brood started, or from a handler of
 *                                brood_at_exit().
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_shutdown(brood_duration timeout);

/**
 * @brief Registers `fn(arg)` for the end of this process, under any start method, and of no other:
 * a forked child does not inherit it.
 *
 * Handlers run newest first, each once, in the thread that ends the process, after threads and
 * children have ended (if several threads end it at once, each of them takes the next handler). A
 * process that is killed runs none. In a process that the program forked itself they run at
 * brood_shutdown() only.
 *
 * @param fn   the handler.
 * @param arg  passed to it.
 * @retval BROOD_INVALID          `fn` is NULL.
 * @retval BROOD_NO_MEMORY        out of memory.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 * @retval BROOD_WRONG_STATE      the handlers have run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_at_exit(void (*fn)(void *arg), void *arg);

BROOD_END_DECLS

#endif
