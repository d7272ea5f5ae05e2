// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Functions in processes.
 *
 * A #brood_process is a counted reference to a child of this process. It belongs to the process
 * that started the child. In a copy of that process, made by fork() or `BROOD_START_FORK`, calls
 * with it answer `BROOD_WRONG_STATE`. To any other process a reference is a pointer to nothing:
 * like every pointer, it must not be handed to a child in a fresh image, where its use is
 * undefined.
 *
 * brood waits for its own children only, one by one: it never touches SIGCHLD nor any other child.
 * In a program that reaps all its children by itself, how a child ended is still known from the
 * record that the child leaves in shared memory; where there is none (it was killed), the answer is
 * `BROOD_LOST`.
 *
 * All calls are safe in any thread; none is safe in a signal handler.
 *
 * On Linux a child is tied to its starter by the death signal. The system takes the tie away from a
 * child that gives up or gains privileges, and takes the end of the starter's main thread
 * (pthread_exit() in `main`) for the end of the starter.
 */
#ifndef BROOD_PROCESS_H
#define BROOD_PROCESS_H

#include <brood/export.h>
#include <brood/status.h>
#include <brood/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief What runs in a process or in a thread: a function of the program or of any library it
 * loads, also a static one. */
typedef int (*brood_target)(void *arg);

/** @brief A process number of the operating system. */
typedef int64_t brood_pid;

/** @brief A counted reference to a child process. */
typedef struct brood_process brood_process;

/** @brief How a child comes to be. */
typedef enum brood_start_method {
    /** What brood_start_method_set() or BROOD_START_METHOD has named; otherwise
       `BROOD_START_SPAWN`, on every system. */
    BROOD_START_DEFAULT = 0,
    /** The same program, executed again for this child, as it would be now. */
    BROOD_START_SPAWN = 1,
    /** A fresh image, forked from a server process that was executed once: cheaper for a program
     * that starts thousands of short processes. Linux only.
     *
     *  The child has of its starter, as of the start: environment, working directory, standard
     * streams, umask, timer slack, blocked and ignored signals. The first start makes the server; a
     * start makes another one when the starter has changed, as far as /proc and cheap calls tell,
     * its user or groups, capabilities, securebits, no_new_privs, seccomp mode or number of
     * filters, session, process group, root directory or mount namespace, control group, limits,
     * scheduling, processors, OOM score. What else a child inherits is as when the server was made:
     * what libraries have read from the environment when they were loaded, and /proc/PID/environ;
     * namespaces but that of mounts; Landlock and other security modules; what only one thread of
     * the starter has. A program that confines itself in such a way starts by SPAWN.
     *
     *  The server and two processes that it keeps ready count for RLIMIT_NPROC and the control
     * group. It has a process group of its own and no standard streams, sits in "/", and blocks all
     * signals. When it is killed its children are killed too. When it has been stopped, a start or
     * a join that waits for it continues it. Nobody waits for it but the first process of the
     * system or container, which must reap what it adopts; where orphans become children of the
     * program itself, the server becomes one. */
    BROOD_START_FORKSERVER = 2,
    /** A copy of the calling process, with its memory. When its target returns it flushes stdio and
     * leaves by _exit(); see "What exit() runs" in brood.h. POSIX only. */
    BROOD_START_FORK = 3
} brood_start_method;

/** @brief What the end of its starter means to a child. */
typedef enum brood_daemon_mode {
    BROOD_DAEMON_INHERIT = 0, /**< As the starter itself is; the main process is none. */
    BROOD_DAEMON_YES = 1,     /**< Stopped when the starter ends. */
    BROOD_DAEMON_NO = 2       /**< Joined when the starter ends. */
} brood_daemon_mode;

/** @brief What a child reads as its standard input. */
typedef enum brood_input_mode {
    BROOD_INPUT_NULL = 0,    /**< The null device. */
    BROOD_INPUT_INHERIT = 1, /**< The starter's. */
    BROOD_INPUT_RESOURCE = 2 /**< `input_resource` of the options. */
} brood_input_mode;

/** @brief Where a child's standard output, or its standard error, goes. */
typedef enum brood_output_mode {
    BROOD_OUTPUT_INHERIT = 0,  /**< To the starter's. */
    BROOD_OUTPUT_NULL = 1,     /**< To the null device. */
    BROOD_OUTPUT_RESOURCE = 2, /**< To `output_resource`, or `error_resource`, of the options. */
    BROOD_OUTPUT_MERGE = 3     /**< For `error` only: where the child's output goes. */
} brood_output_mode;

/** @brief What kind of thing a #brood_resource is. */
typedef enum brood_resource_kind {
    BROOD_RESOURCE_DESCRIPTOR =
        1, /**< A descriptor of the C library; on Windows the child's copy is in binary mode. */
    BROOD_RESOURCE_HANDLE = 2, /**< A HANDLE; Windows only. */
    BROOD_RESOURCE_SOCKET = 3  /**< A SOCKET on Windows, a descriptor elsewhere. */
} brood_resource_kind;

/** @brief Something of the system that is handed to a child: the child gets a copy of its own,
 * under any start method. */
typedef struct brood_resource {
    int32_t kind;   /**< A #brood_resource_kind. */
    intptr_t value; /**< The descriptor, HANDLE or SOCKET. */
} brood_resource;

/**
 * @brief How to start a child. All zero means the defaults.
 *
 * `input`, `output` and `error` say what the child has as its standard streams, under every start
 * method: copies of its own. The starter keeps its descriptors, and closes them when it has no more
 * use for them. A resource may also be a standard descriptor of the starter: `output_resource` 2
 * and `error_resource` 1 swaps the two. A standard stream is handed over whatever its close-on-exec
 * flag in the starter, and does not have that flag in the child. One that the starter has closed is
 * closed in the child.
 *
 * To read what a child prints, errors included (the pipe on Windows:
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
 * Read before you join: a child blocks when the pipe is full. Reading reports the end when no
 * process has the writing end any more: the child, what it has started itself, and each child that
 * was started by `BROOD_START_FORK` while the starter had it open.
 */
typedef struct brood_process_options {
    const char *name; /**< NULL: "Process-1", counted; a child of that one "Process-1:1". Copied. */
    int32_t daemon;   /**< A #brood_daemon_mode. */
    int32_t method;   /**< A #brood_start_method. */
    /** Allow `BROOD_START_FORK` although other threads run. The copy has none of them, but whatever
     * locks they held: of the streams, only stdout and stderr are flushed at its end, and what the
     * parent had buffered in others is not written by the copy. */
    bool fork_with_threads;
    bool survive_parent;            /**< Stay when the starter is killed; not for daemons. */
    const char *directory;          /**< Working directory, UTF-8; NULL: the starter's. */
    int32_t input;                  /**< A #brood_input_mode. */
    int32_t output;                 /**< A #brood_output_mode, but not `BROOD_OUTPUT_MERGE`. */
    int32_t error;                  /**< A #brood_output_mode. */
    brood_resource input_resource;  /**< For `BROOD_INPUT_RESOURCE`; all zero otherwise. */
    brood_resource output_resource; /**< For `BROOD_OUTPUT_RESOURCE`; all zero otherwise. */
    brood_resource error_resource;  /**< For `BROOD_OUTPUT_RESOURCE`; all zero otherwise. */
    const brood_resource
        *resources;        /**< What to hand over; the child finds it with brood_self_resource(). */
    size_t resource_count; /**< How many there are. */
    /** NULL, or a list that ends with NULL, laid over the starter's environment: "NAME=value" sets,
     * "NAME" removes. */
    const char *const *environment;
    uint64_t reserved[4]; /**< Zero. */
} brood_process_options;

/** @brief The defaults. */
#define BROOD_PROCESS_OPTIONS_INIT                                        \
    {                                                                     \
        0, 0, 0, 0, 0, 0, 0, 0, 0, { 0, 0 }, { 0, 0 }, { 0, 0 }, 0, 0, 0, \
        {                                                                 \
            0, 0, 0, 0                                                    \
        }                                                                 \
    }

/** @brief How a process ended. */
typedef enum brood_exit_kind {
    BROOD_RUNNING = 0, /**< It has not ended. */
    BROOD_EXITED =
        1, /**< By itself; `code` is what the target returned, or what exit() was given. */
    BROOD_CRASHED = 2, /**< By a fault of its own; `crash` says which. */
    /** By a signal that brood did not send; `native` is its number. On Windows: by Ctrl+C,
     * Ctrl+Break or a closed console, whose exit code 0xC000013A counts as SIGINT, 2, also when the
     * program gives it to exit(). */
    BROOD_SIGNALLED = 3,
    BROOD_TERMINATED = 4, /**< By brood_process_terminate(), brood_process_kill(), or as a daemon at
                             its starter's end. */
    BROOD_DEADLINE = 5,   /**< Killed at a deadline. */
    /** It has ended, and nobody knows how. On Windows also when it left with code 0 past its own
     * end: by _exit(), quick_exit(), ExitProcess(). */
    BROOD_LOST = 6
} brood_exit_kind;

/** @brief What a crashed process died of. */
typedef enum brood_crash {
    BROOD_CRASH_NONE = 0,   /**< It did not crash. */
    BROOD_CRASH_ACCESS = 1, /**< Memory that is not there. */
    /** abort(), a failed assertion. On Windows that is the exit code 3: a process that leaves with
     * 3 by _exit(), quick_exit() or ExitProcess() is reported as aborted, too. A 3 that the target
     * returned or gave to exit() is `BROOD_EXITED`. */
    BROOD_CRASH_ABORT = 2,
    BROOD_CRASH_ILLEGAL = 3,    /**< An illegal instruction. */
    BROOD_CRASH_ARITHMETIC = 4, /**< Division by zero and its like. */
    BROOD_CRASH_STACK = 5, /**< Stack overflow; Windows only, `BROOD_CRASH_ACCESS` elsewhere. */
    BROOD_CRASH_BUS = 6,   /**< Misaligned or unbacked memory. */
    BROOD_CRASH_OTHER = 7  /**< Another fault; `native` has the system's code. */
} brood_crash;

/** @brief The report about the end of a process. */
typedef struct brood_exit {
    int32_t kind;  /**< A #brood_exit_kind. */
    int32_t code;  /**< For `BROOD_EXITED`: all 32 bits of what the target returned; after exit()
                      POSIX keeps 8. */
    int32_t crash; /**< A #brood_crash. */
    /** The signal number (POSIX); the exit code (Windows), but 2 for `BROOD_SIGNALLED`; 15 or 9 for
     * `BROOD_TERMINATED`. */
    int64_t native;
    uint64_t reserved[4]; /**< Zero. */
} brood_exit;

/**
 * @brief Gives the number that Python's `exitcode` would be: the code; or minus a POSIX signal
 * number, the same on Windows (-15 after terminate, -9 after kill, -11 for a bad access, -2 for
 * Ctrl+C); 255 when the status is lost. 0 while it runs.
 */
BROOD_API int brood_exit_number(brood_exit ended);

/**
 * @brief Describes the end in words, such as "exited with code 3" or "crashed: bad memory access".
 * @param ended     the report.
 * @param buffer    receives at most `capacity` bytes with the closing zero; may be NULL when
 * `capacity` is 0.
 * @param capacity  bytes at `buffer`.
 * @return the length of the whole text without the zero, as snprintf() does.
 */
BROOD_API size_t brood_exit_text(brood_exit ended, char *buffer, size_t capacity);

/**
 * @brief Runs `target` in a new process; returns when the child is about to call it.
 *
 * A fresh image is executed with the arguments of this program, or with its name alone where they
 * are more than the system takes now. stdout and stderr are flushed first. An error in the child
 * before the target runs (the module is not the same, the directory is not there, ...) is reported
 * here, and the child is gone.
 *
 * @param out      receives a reference, to be given back with brood_process_drop(); NULL: none is
 * wanted, the child is reaped in passing and joined at the end of this process.
 * @param target   a function of the program, or of a library that has a file.
 * @param arg      `size` bytes that are copied to the child, where the copy is aligned for any type
 * and lives as long as the child; NULL when `size` is 0.
 * @param size     bytes at `arg`.
 * @param options  NULL for the defaults.
 * @retval BROOD_INVALID          a bad argument or option; a target that is in no module.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run: no process is ever started before it.
 * @retval BROOD_UNSUPPORTED      the start method does not exist on this system.
 * @retval BROOD_WRONG_STATE      the end of the process has begun; the program has closed the
 * descriptor of the family's memory (Linux); or `BROOD_START_FORK` while other threads run, without
 * `fork_with_threads`, or while that cannot be told: /proc is not there, and the C library does not
 * know that there is one thread.
 * @retval BROOD_MISMATCH         the child has another version of the program or of the target's
 * library.
 * @retval BROOD_NOT_FOUND        the directory, the target's library, the file of a program that
 * was executed through the dynamic loader, or the null device is not there: a stream that is
 * `BROOD_INPUT_NULL` or `BROOD_OUTPUT_NULL`, as `input` is by default, needs /dev/null, also after
 * chroot().
 * @retval BROOD_DENIED           a fresh image is refused (not `BROOD_START_FORK`): the program
 * runs with raised privileges; its real and effective user or group differ; the memory of the
 * family belongs to another user than the process has become since (root's is accepted). Or the
 * system forbids a call that the start needs: the directory may not be entered, the program may not
 * be executed, a filter of system calls refuses it. brood_last_error() names the cause.
 * @retval BROOD_TOO_LARGE        the environment, or the directory's path, is larger than the
 * system takes.
 * @retval BROOD_NO_MEMORY, BROOD_NO_RESOURCES  out of memory, descriptors, processes or slots;
 * nothing is left behind.
 * @retval BROOD_TIMEOUT          the child did not reach brood_init() within a minute; it was
 * killed. Or the fork server made none in that time; the next start makes another server.
 * @retval BROOD_SYSTEM           the child ended before it reached the target, or the system failed
 * otherwise.
 */
BROOD_API BROOD_NODISCARD brood_status brood_process_start(brood_process **out, brood_target target,
                                                           const void *arg, size_t size,
                                                           const brood_process_options *options);

/**
 * @brief Waits until the child has ended. Any thread may join, any number of times. A cancellation
 * point while it waits.
 * @param process  the child.
 * @param timeout  how long to wait.
 * @param out      receives how it ended; may be NULL.
 * @return `BROOD_TIMEOUT` while it runs; `BROOD_INVALID` for NULL; `BROOD_WRONG_STATE` in another
 * process.
 */
BROOD_API brood_status brood_process_join(brood_process *process, brood_duration timeout,
                                          brood_exit *out);

/** @brief Tells whether the child has not ended; never blocks. False for NULL and in another
 * process. */
BROOD_API bool brood_process_is_alive(brood_process *process);

/**
 * @brief Tells how the child ended; never blocks.
 * @return `BROOD_BUSY` while it runs; otherwise as brood_process_join().
 */
BROOD_API brood_status brood_process_report(brood_process *process, brood_exit *out);

/**
 * @brief Gives what becomes ready at the child's end, for poll() and its like: a descriptor
 * (readable) on Linux, a HANDLE on Windows.
 *
 * It belongs to the reference: it is neither to be closed nor to be used after
 * brood_process_drop().
 * @return `BROOD_UNSUPPORTED` where there is none (a Linux before 5.3); `BROOD_INVALID`,
 * `BROOD_WRONG_STATE` as brood_process_join().
 */
BROOD_API BROOD_NODISCARD brood_status brood_process_native(brood_process *process, intptr_t *out);

/**
 * @brief Asks the child to stop: brood_stop_requested() turns true in it, and brood_stop_wait()
 * returns. It need not obey.
 * @return `BROOD_INVALID` for NULL; `BROOD_WRONG_STATE` in another process. `BROOD_OK` also when it
 * has ended.
 */
BROOD_API brood_status brood_process_request_stop(brood_process *process);

/**
 * @brief Stops the child by three stages: asks it, brood_process_terminate() after a first `grace`,
 * brood_process_kill() after a second one.
 *
 * A cancellation point while it waits: the stages that are left do not follow then.
 * @param process  the child.
 * @param grace    how long it has for each of the first two; not positive: it is killed at once.
 * @param out      receives how it ended; may be NULL.
 * @return `BROOD_OK` when it has ended; `BROOD_TIMEOUT` when it has not even 10 seconds after the
 * kill; otherwise as brood_process_kill().
 */
BROOD_API brood_status brood_process_stop(brood_process *process, brood_duration grace,
                                          brood_exit *out);

/**
 * @brief Ends the child: SIGTERM, which the child may handle; TerminateProcess() on Windows.
 *
 * A child that ignores SIGTERM goes on, and so does one in which all threads block it; a child
 * begins with the signals blocked and ignored that the thread which started it blocks and ignores.
 * brood_process_stop() kills such a child after the second `grace`. Does not wait. `BROOD_OK` for a
 * child that has ended. Nothing of the child's own end runs: its children are ended by the system.
 * @return `BROOD_INVALID` for NULL; `BROOD_WRONG_STATE` in another process; `BROOD_DENIED`,
 * `BROOD_SYSTEM` when the system refuses.
 */
BROOD_API brood_status brood_process_terminate(brood_process *process);

/** @brief Ends the child in a way it cannot handle: SIGKILL, TerminateProcess(). Otherwise as
 * brood_process_terminate(). */
BROOD_API brood_status brood_process_kill(brood_process *process);

/** @brief Gives the child's process number; 0 for NULL. It may be reused by the system once the
 * child has been joined. */
BROOD_API brood_pid brood_process_pid(const brood_process *process);

/** @brief Gives the child's name, valid as long as the reference; "" for NULL. */
BROOD_API const char *brood_process_name(const brood_process *process);

/** @brief Tells whether the child is a daemon; false for NULL. */
BROOD_API bool brood_process_is_daemon(const brood_process *process);

/**
 * @brief Gives the reference back, which neither ends nor forgets the child. NULL is fine.
 *
 * As with free(), no other thread may be using the reference: a call that waits by it, such as a
 * join, must have returned. brood_active_children() gives another one.
 */
BROOD_API void brood_process_drop(brood_process *process);

/**
 * @brief Lists the children of this process that live and have not been joined, those without a
 * reference included.
 *
 * Children that have ended are reaped in passing.
 * @param out       receives up to `capacity` references, in the order of their starts, each to be
 * given back with brood_process_drop(); NULL only counts.
 * @param capacity  room at `out`.
 * @return how many there are, which can be more than `capacity`.
 */
BROOD_API size_t brood_active_children(brood_process **out, size_t capacity);

/**
 * @brief Gives what the starter handed over as `options.resources[index]`.
 *
 * The copy belongs to this process, which may close it; programs that this process starts do not
 * inherit it. In a child by `BROOD_START_FORK` it has the starter's number, unless that is a
 * standard descriptor or stands in the list twice: then it has another one.
 * @return `BROOD_NOT_FOUND` when there is no such index; `BROOD_INVALID` without `out`;
 * `BROOD_NOT_INITIALIZED`.
 */
BROOD_API BROOD_NODISCARD brood_status brood_self_resource(size_t index, brood_resource *out);

/** @brief Gives the number of this process. */
BROOD_API brood_pid brood_self_pid(void);

/** @brief Gives the name of this process: "MainProcess", or what its starter named it. Valid as
 * long as the process. */
BROOD_API const char *brood_self_name(void);

/**
 * @brief Gives the number of the process that started this one, also after it died; 0 in the main
 * process.
 *
 * It is the number that the parent has in its own namespace: to a child in another PID namespace
 * (Linux) it names nobody, and brood_parent_is_alive() and brood_parent_wait() work all the same.
 */
BROOD_API brood_pid brood_parent_pid(void);

/** @brief Tells whether the process that started this one lives; false in the main process. */
BROOD_API bool brood_parent_is_alive(void);

/**
 * @brief Waits until the process that started this one has ended. A cancellation point while it
 * waits.
 * @return `BROOD_TIMEOUT` while it lives; `BROOD_WRONG_STATE` in the main process;
 * `BROOD_NOT_INITIALIZED`.
 */
BROOD_API brood_status brood_parent_wait(brood_duration timeout);

/**
 * @brief Tells whether this process was asked to stop, by brood_process_request_stop() or
 * brood_process_stop(), or this thread, by brood_thread_request_stop(). False before brood_init().
 * Never blocks.
 */
BROOD_API bool brood_stop_requested(void);

/**
 * @brief Waits until brood_stop_requested() is true: a sleep that a request to stop ends.
 * @return `BROOD_TIMEOUT`; `BROOD_NO_RESOURCES` in a process forked by the program, when the family
 * is full; `BROOD_NOT_INITIALIZED`.
 */
BROOD_API brood_status brood_stop_wait(brood_duration timeout);

/**
 * @brief Chooses what `BROOD_START_DEFAULT` means in this process and in the children it starts
 * from now on.
 *
 * Without it the environment variable BROOD_START_METHOD ("spawn", "forkserver", "fork") decides,
 * and without that it is `BROOD_START_SPAWN`. A word that names no method of this system is
 * ignored; one process of the family prints one line about it to stderr, at its first start by this
 * default. A program with raised privileges does not read it. By the variable, FORK in a process
 * that runs other threads is replaced by SPAWN; chosen here, it is refused as an option is.
 * @param method  `BROOD_START_DEFAULT` takes the choice back.
 * @return `BROOD_INVALID`; `BROOD_UNSUPPORTED` for a method that this system does not have.
 */
BROOD_API brood_status brood_start_method_set(brood_start_method method);

/** @brief Tells which method `BROOD_START_DEFAULT` means now. */
BROOD_API brood_start_method brood_start_method_get(void);

BROOD_END_DECLS

#endif
