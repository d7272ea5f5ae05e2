// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Functions in processes.
 *
 * A #brood_process is a counted reference to a child of this process. It belongs to the process
 * that started the child, called the child's parent. In a copy of the parent, made by fork() or
 * `BROOD_START_FORK`, calls with the reference return `BROOD_WRONG_STATE`. In any other process it
 * is an invalid pointer: like every pointer, it must not be passed to a child in a fresh image,
 * where its use is undefined.
 *
 * brood waits for its own children only, one by one: it never touches SIGCHLD nor any other child.
 * In a program that reaps all its children itself, brood still knows how a child ended from the
 * record that the child leaves in shared memory; if there is no record (the child was killed), it
 * reports `BROOD_LOST`.
 *
 * All calls are safe in any thread; none is safe in a signal handler.
 *
 * On Linux a child is tied to its parent by the death signal. The system removes this tie from a
 * child that gives up or gains privileges, and treats the end of the parent's main thread
 * (pthread_exit() in `main`) as the end of the parent.
 */
#ifndef BROOD_PROCESS_H
#define BROOD_PROCESS_H

#include <brood/connection.h>
#include <brood/exit.h>
#include <brood/export.h>
#include <brood/self.h>
#include <brood/status.h>
#include <brood/stop.h>
#include <brood/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/**
 * @brief What runs in a process or in a thread: a function of the program or of any library that
 * it loads, also a static one.
 */
typedef int (*brood_target)(void *arg);

/** @brief A counted reference to a child process. */
typedef struct brood_process brood_process;

/** @brief How a child is created. */
typedef enum brood_start_method {
    /**
     * The method that brood_start_method_set() or BROOD_START_METHOD names; otherwise
     * `BROOD_START_SPAWN`, on every system.
     */
    BROOD_START_DEFAULT = 0,
    /**
     * The same program, executed again for this child, which inherits what its parent has then.
     */
    BROOD_START_SPAWN = 1,
    /**
     * A fresh image, forked from a server process that was executed once: cheaper for a program
     * that starts thousands of short processes. Linux only.
     *
     * The child has what its parent has at the time of the start: environment, working directory,
     * standard streams, umask, timer slack, blocked and ignored signals. The first start creates
     * the server; a later start creates another one if one of these has changed in the parent, as
     * far as /proc and cheap calls report it: user or groups, capabilities, securebits,
     * no_new_privs, seccomp mode or number of filters, session, process group, root directory or
     * mount namespace, control group, limits, scheduling, processors and memory nodes, OOM score,
     * or the working directory if the parent may not search it. Everything else that a child
     * inherits is as it was when the server was created: what libraries read from the environment
     * when they were loaded, and /proc/PID/environ; namespaces other than that of mounts; Landlock
     * and other security modules; what only one thread of the parent has. A program that confines
     * itself in such a way starts its children by `BROOD_START_SPAWN`.
     *
     * The server and two processes that it keeps ready count towards RLIMIT_NPROC and the control
     * group. The server has a process group of its own and no standard streams, its working
     * directory is "/", and it blocks all signals. If it is killed, its children are killed too.
     * If it is stopped, a start or a join that waits for it continues it. Its parent is the first
     * process of the system or container, which must reap the processes that it adopts; in a
     * program that adopts orphans itself, the server becomes a child of the program.
     */
    BROOD_START_FORKSERVER = 2,
    /**
     * A copy of the calling process, with its memory. When its target returns it flushes stdio and
     * leaves by _exit(); see "What exit() runs" in brood.h. POSIX only.
     */
    BROOD_START_FORK = 3
} brood_start_method;

/** @brief What happens to a child at the end of its parent. */
typedef enum brood_daemon_mode {
    /** The same as to the parent itself; the main process is not a daemon. */
    BROOD_DAEMON_INHERIT = 0,
    /** It is stopped. */
    BROOD_DAEMON_YES = 1,
    /** It is joined. */
    BROOD_DAEMON_NO = 2
} brood_daemon_mode;

/** @brief What a child reads as its standard input. */
typedef enum brood_input_mode {
    /** The null device. */
    BROOD_INPUT_NULL = 0,
    /** The parent's standard input. */
    BROOD_INPUT_INHERIT = 1,
    /** `input_resource` of the options. */
    BROOD_INPUT_RESOURCE = 2
} brood_input_mode;

/** @brief Where a child's standard output, or its standard error, goes. */
typedef enum brood_output_mode {
    /** To that of the parent. */
    BROOD_OUTPUT_INHERIT = 0,
    /** To the null device. */
    BROOD_OUTPUT_NULL = 1,
    /** To `output_resource`, or `error_resource`, of the options. */
    BROOD_OUTPUT_RESOURCE = 2,
    /** For `error` only: where the child's standard output goes. */
    BROOD_OUTPUT_MERGE = 3
} brood_output_mode;

/** @brief What kind of thing a #brood_resource is. */
typedef enum brood_resource_kind {
    /** A descriptor of the C library; on Windows the child's copy is in binary mode. */
    BROOD_RESOURCE_DESCRIPTOR = 1,
    /** A HANDLE; Windows only. */
    BROOD_RESOURCE_HANDLE = 2,
    /** A SOCKET on Windows, a descriptor elsewhere. */
    BROOD_RESOURCE_SOCKET = 3
} brood_resource_kind;

/**
 * @brief An object of the operating system that is passed to a child: the child gets a copy of its
 * own, under any start method.
 */
typedef struct brood_resource {
    int32_t kind;   /**< A #brood_resource_kind. */
    intptr_t value; /**< The descriptor, HANDLE or SOCKET. */
} brood_resource;

/**
 * @brief How to start a child. All zero means the defaults.
 *
 * `input`, `output` and `error` say what the child has as its standard streams, under every start
 * method: copies of its own. The parent keeps its descriptors, and closes them when it no longer
 * needs them. A resource may also be a standard descriptor of the parent: `output_resource` 2 and
 * `error_resource` 1 swap the two. A standard stream is passed on whatever its close-on-exec flag
 * in the parent, and does not have that flag in the child. One that the parent has closed is
 * closed in the child.
 *
 * To read what a child prints, including errors (on Windows the pipe is made by
 * `_pipe(ends, 4096, _O_BINARY | _O_NOINHERIT)`):
 * @code{.c}
 * int ends[2];
 * pipe2(ends, O_CLOEXEC);
 * brood_process_options options = BROOD_PROCESS_OPTIONS_INIT;
 * options.output = BROOD_OUTPUT_RESOURCE;
 * options.output_resource.kind = BROOD_RESOURCE_DESCRIPTOR;
 * options.output_resource.value = ends[1];
 * options.error = BROOD_OUTPUT_MERGE;
 * status = brood_process_start(&child, target, NULL, 0, &options);
 * close(ends[1]); // the child has its own
 * while ((length = read(ends[0], buffer, sizeof buffer)) > 0)
 *     use(buffer, length);
 * close(ends[0]);
 * @endcode
 * Read before joining: a child blocks when the pipe is full. Reading reports the end when no
 * process has the write end any more: neither the child, nor a process that the child has started,
 * nor a child that was started by `BROOD_START_FORK` while the parent had it open.
 */
typedef struct brood_process_options {
    /** NULL: "Process-1", counted; a child of that process is "Process-1:1". Copied. */
    const char *name;
    /** A #brood_daemon_mode. */
    int32_t daemon;
    /** A #brood_start_method. */
    int32_t method;
    /**
     * Allow `BROOD_START_FORK` while other threads run. The copy has none of these threads, but
     * the locks that they held stay locked in it. At its end it flushes only stdout and stderr;
     * what the parent had buffered in other streams is not written by the copy.
     */
    bool fork_with_threads;
    /** Keep running when the parent is killed; not for daemons. */
    bool survive_parent;
    /** The working directory, in UTF-8; NULL: that of the parent. */
    const char *directory;
    /** A #brood_input_mode. */
    int32_t input;
    /** A #brood_output_mode, but not `BROOD_OUTPUT_MERGE`. */
    int32_t output;
    /** A #brood_output_mode. */
    int32_t error;
    /** For `BROOD_INPUT_RESOURCE`; all zero otherwise. */
    brood_resource input_resource;
    /** For `BROOD_OUTPUT_RESOURCE`; all zero otherwise. */
    brood_resource output_resource;
    /** For `BROOD_OUTPUT_RESOURCE`; all zero otherwise. */
    brood_resource error_resource;
    /** What to pass to the child, which gets it by brood_self_resource(). */
    const brood_resource *resources;
    /** The number of `resources`. */
    size_t resource_count;
    /**
     * NULL, or a list that ends with NULL, which changes the parent's environment for the child:
     * "NAME=value" sets a variable, "NAME" removes it.
     */
    const char *const *environment;
    /**
     * Ends of connections that the child counts as a user of from its start on, before its first
     * call for them: so the other end sees the end of the child even if that call never comes. The
     * child learns their handles in another way, such as its argument. If the start fails, the
     * ends are as if it had not been tried.
     */
    const brood_connection *connections;
    /** The number of `connections`. */
    size_t connection_count;
    /** Zero. */
    uint64_t reserved[4];
} brood_process_options;

// clang-format off
/** @brief The defaults. */
#define BROOD_PROCESS_OPTIONS_INIT \
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, 0, 0, 0, 0, 0, { 0, 0, 0, 0 } }
// clang-format on

/**
 * @brief Runs `target` in a new process; returns when the child is about to call it.
 *
 * A fresh image is executed with the arguments of this program, or with its name alone if the
 * arguments are more than the system accepts now. stdout and stderr are flushed first. An error in
 * the child before the target runs (another build of the module, a missing directory, ...) is
 * reported here, and the child is gone.
 *
 * @param out      receives a reference, to be released with brood_process_drop(). NULL: the caller
 *                 needs no reference; the child is reaped in passing and joined at the end of this
 *                 process.
 * @param target   a function of the program, or of a library that has a file.
 * @param arg      `size` bytes that are copied to the child, where the copy is aligned for any
 *                 type and lives as long as the child; NULL when `size` is 0.
 * @param size     bytes at `arg`.
 * @param options  NULL for the defaults.
 * @retval BROOD_INVALID          a bad argument or option, or a target that is in no module.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run: no process is ever started before it.
 * @retval BROOD_STALE            one of `connections` was destroyed.
 * @retval BROOD_UNSUPPORTED      the start method, or a kind of resource, does not exist on this
 *                                system.
 * @retval BROOD_WRONG_STATE      the end of the process has begun (see brood_shutdown()); the
 *                                program has closed the descriptor of the family's memory (Linux);
 *                                or the method is `BROOD_START_FORK`, without `fork_with_threads`,
 *                                and other threads run, or it is unknown whether they do: /proc is
 *                                not mounted, and the C library does not know that there is one
 *                                thread.
 * @retval BROOD_MISMATCH         the child has another version of the program or of the target's
 *                                library.
 * @retval BROOD_NOT_FOUND        a file is missing: the directory, the target's library, the file
 *                                of a program that was executed through the dynamic loader, or the
 *                                null device. A stream that is `BROOD_INPUT_NULL` or
 *                                `BROOD_OUTPUT_NULL`, as `input` is by default, needs /dev/null,
 *                                also after chroot().
 * @retval BROOD_DENIED           a fresh image is refused (not `BROOD_START_FORK`): the program
 *                                runs with raised privileges; its real and effective user or group
 *                                differ; the memory of the family belongs to another user than the
 *                                process has become since (root's is accepted). Or the system
 *                                refuses something that the start needs: entering the directory,
 *                                executing the program, a system call that a filter forbids.
 *                                brood_last_error() names the cause.
 * @retval BROOD_TOO_LARGE        the environment, or the directory's path, is larger than the
 *                                system accepts.
 * @retval BROOD_NO_MEMORY        out of memory; nothing is left behind.
 * @retval BROOD_NO_RESOURCES     out of descriptors, processes or slots; nothing is left behind.
 * @retval BROOD_TIMEOUT          the child did not reach brood_init() within a minute, and was
 *                                killed; or the fork server created no child in that time, and the
 *                                next start creates another server.
 * @retval BROOD_SYSTEM           the child ended before it reached the target, or the system
 *                                failed in another way.
 */
BROOD_API BROOD_NODISCARD brood_status brood_process_start(brood_process **out, brood_target target,
                                                           const void *arg, size_t size,
                                                           const brood_process_options *options);

/**
 * @brief Waits until the child has ended. Any thread may join, any number of times. A cancellation
 * point while it waits.
 *
 * @param process  the child.
 * @param timeout  how long to wait.
 * @param out      receives how it ended; may be NULL.
 * @retval BROOD_TIMEOUT      the child still runs.
 * @retval BROOD_INVALID      `process` is NULL.
 * @retval BROOD_WRONG_STATE  the child belongs to another process.
 */
BROOD_API brood_status brood_process_join(brood_process *process, brood_duration timeout,
                                          brood_exit *out);

/**
 * @brief Returns whether the child has not ended; false for NULL and in another process. Never
 * blocks.
 */
BROOD_API bool brood_process_is_alive(brood_process *process);

/**
 * @brief Reports how the child ended. Never blocks.
 *
 * @param process  the child.
 * @param out      receives how it ended; may be NULL.
 * @retval BROOD_BUSY         the child still runs.
 * @retval BROOD_INVALID      `process` is NULL.
 * @retval BROOD_WRONG_STATE  the child belongs to another process.
 */
BROOD_API brood_status brood_process_report(brood_process *process, brood_exit *out);

/**
 * @brief Returns what becomes ready when the child ends, for poll() and similar calls: a
 * descriptor (readable) on Linux, a HANDLE on Windows.
 *
 * It belongs to the reference: the caller must neither close it nor use it after
 * brood_process_drop().
 *
 * @param process  the child.
 * @param out      receives the descriptor or HANDLE.
 * @retval BROOD_UNSUPPORTED  this system has none, such as Linux before 5.3.
 * @retval BROOD_INVALID      `process` or `out` is NULL.
 * @retval BROOD_WRONG_STATE  the child belongs to another process.
 */
BROOD_API BROOD_NODISCARD brood_status brood_process_native(brood_process *process, intptr_t *out);

/**
 * @brief Asks the child to stop: brood_stop_requested() becomes true in it, and brood_stop_wait()
 * returns. The child may ignore the request.
 *
 * @param process  the child.
 * @retval BROOD_OK           the request was made, or the child has ended.
 * @retval BROOD_INVALID      `process` is NULL.
 * @retval BROOD_WRONG_STATE  the child belongs to another process.
 */
BROOD_API brood_status brood_process_request_stop(brood_process *process);

/**
 * @brief Stops the child in three stages: brood_process_request_stop(), brood_process_terminate()
 * after a first `grace`, brood_process_kill() after a second one.
 *
 * A cancellation point while it waits: the remaining stages do not follow then.
 *
 * @param process  the child.
 * @param grace    how long the child has for each of the first two stages; not positive: it is
 *                 killed at once.
 * @param out      receives how it ended; may be NULL.
 * @retval BROOD_OK           the child has ended.
 * @retval BROOD_TIMEOUT      the child has not ended within 10 seconds after the kill.
 * @retval BROOD_INVALID      `process` is NULL.
 * @retval BROOD_WRONG_STATE  the child belongs to another process.
 * @retval BROOD_DENIED       the system does not permit it.
 * @retval BROOD_SYSTEM       the system failed in another way.
 */
BROOD_API brood_status brood_process_stop(brood_process *process, brood_duration grace,
                                          brood_exit *out);

/**
 * @brief Ends the child: SIGTERM, which the child may handle; TerminateProcess() on Windows. Does
 * not wait.
 *
 * A child that ignores SIGTERM keeps running, and so does one in which all threads block it; a
 * child begins with the signals blocked and ignored that the thread which started it blocks and
 * ignores. brood_process_stop() kills such a child after the second `grace`. Nothing of the
 * orderly end runs in a child that the signal ends: the system ends its children.
 *
 * @param process  the child.
 * @retval BROOD_OK           SIGTERM was sent, or TerminateProcess() succeeded, or the child has
 *                            ended.
 * @retval BROOD_INVALID      `process` is NULL.
 * @retval BROOD_WRONG_STATE  the child belongs to another process.
 * @retval BROOD_DENIED       the system does not permit it.
 * @retval BROOD_SYSTEM       the system failed in another way.
 */
BROOD_API brood_status brood_process_terminate(brood_process *process);

/**
 * @brief Ends the child in a way that it cannot handle: SIGKILL, TerminateProcess(). Does not
 * wait.
 *
 * Nothing of the orderly end runs in the child: the system ends its children.
 *
 * @param process  the child.
 * @retval BROOD_OK           the child was killed, or has ended.
 * @retval BROOD_INVALID      `process` is NULL.
 * @retval BROOD_WRONG_STATE  the child belongs to another process.
 * @retval BROOD_DENIED       the system does not permit it.
 * @retval BROOD_SYSTEM       the system failed in another way.
 */
BROOD_API brood_status brood_process_kill(brood_process *process);

/**
 * @brief Returns the child's process number; 0 for NULL. The system may reuse the number once the
 * child has been joined.
 */
BROOD_API brood_pid brood_process_pid(const brood_process *process);

/** @brief Returns the child's name, valid as long as the reference; "" for NULL. */
BROOD_API const char *brood_process_name(const brood_process *process);

/** @brief Returns whether the child is a daemon; false for NULL. */
BROOD_API bool brood_process_is_daemon(const brood_process *process);

/**
 * @brief Releases the reference, which neither ends nor forgets the child. NULL is allowed.
 *
 * As with free(), no other thread may be using the reference: a call that waits with it, such as a
 * join, must have returned. brood_active_children() returns a new reference to the child.
 */
BROOD_API void brood_process_drop(brood_process *process);

/**
 * @brief Lists the children of this process that are running and have not been joined, including
 * those without a reference.
 *
 * Children that have ended are reaped in passing.
 *
 * @param out       receives up to `capacity` references, in the order of their starts, each to be
 *                  released with brood_process_drop(); NULL: the call only counts.
 * @param capacity  the number of references that fit at `out`.
 * @return the number of such children, which can exceed `capacity`.
 */
BROOD_API size_t brood_active_children(brood_process **out, size_t capacity);

/**
 * @brief Returns what the parent passed as `options.resources[index]`.
 *
 * The copy belongs to this process, which may close it; programs that this process starts do not
 * inherit it. In a child by `BROOD_START_FORK` it has the same number as in the parent, unless
 * that is a standard descriptor or occurs in the list twice: then it has another one.
 *
 * @param index  its index in the list of the parent.
 * @param out    receives the resource.
 * @retval BROOD_NOT_FOUND        the list is not that long.
 * @retval BROOD_INVALID          `out` is NULL.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API BROOD_NODISCARD brood_status brood_self_resource(size_t index, brood_resource *out);

/**
 * @brief Chooses what `BROOD_START_DEFAULT` means in this process and in the children that it
 * starts from now on.
 *
 * Without such a choice the environment variable BROOD_START_METHOD ("spawn", "forkserver",
 * "fork") decides, and without that variable it is `BROOD_START_SPAWN`. A value that names no
 * method of this system is ignored; one process of the family prints one line about it to stderr,
 * at its first start by this default. A program with raised privileges does not read the variable.
 * In a process that runs other threads, a fork that the variable names is replaced by
 * `BROOD_START_SPAWN`; one that is chosen by this call is refused, as one in the options is.
 *
 * @param method  the method; `BROOD_START_DEFAULT` revokes the choice.
 * @retval BROOD_INVALID      `method` is not a start method.
 * @retval BROOD_UNSUPPORTED  this system does not have the method.
 */
BROOD_API brood_status brood_start_method_set(brood_start_method method);

/** @brief Returns the method that `BROOD_START_DEFAULT` means now. */
BROOD_API brood_start_method brood_start_method_get(void);

BROOD_END_DECLS

#endif
