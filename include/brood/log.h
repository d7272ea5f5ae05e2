// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief Lines of a log: what brood does in this process, and lines of the program's own.
 *
 * Without a handler there is no log, and it costs nothing. The library has lines of these levels:
 * - #BROOD_LOG_WARNING: what the program should know of, although calls have succeeded: a fork
 *   server that was replaced, a daemon that had to be killed;
 * - #BROOD_LOG_INFO: starts and ends of processes and threads, with how they ended;
 * - #BROOD_LOG_DEBUG: waits that have lasted for a second, with what the thread waits for.
 *
 * Their wording may change with any version.
 *
 * If the environment variable BROOD_LOG is set when the main process of a family calls
 * brood_init(), and the process has no handler, brood_log_stderr() becomes its handler. The value
 * is a name ("debug", "info", "warning", "error" or "off", in any case) or a number. Another value
 * is ignored, with one line on stderr. A program with raised privileges ignores the variable.
 */
#ifndef BROOD_LOG_H
#define BROOD_LOG_H

#include <brood/export.h>

BROOD_BEGIN_DECLS

/** @brief How important a line is; the numbers are those of Python's logging. */
typedef enum brood_log_level {
    BROOD_LOG_DEBUG = 10,   /**< For a search for errors. */
    BROOD_LOG_INFO = 20,    /**< What happens in the normal course. */
    BROOD_LOG_WARNING = 30, /**< Something unexpected; the program goes on as it should. */
    BROOD_LOG_ERROR = 40,   /**< Something does not work. */
    BROOD_LOG_OFF = 100     /**< As the level of a handler: no line reaches it. */
} brood_log_level;

/**
 * @brief Receives the lines of a log.
 *
 * It is called in the thread in which something happens, during the call of brood that the thread
 * makes (a line on the end of a child, in the thread that has found it; on the end of a thread, in
 * that thread), and by several threads at once. No lock of the library is held meanwhile, the
 * thread cannot be cancelled, and `errno` and brood_last_error() stay as they were. It may use
 * brood, with three exceptions. Lines that arise in a handler are dropped, so that it does not call
 * itself; so are those of a thread that a handler has started, and a child that it has started has
 * no handler. And while it handles the line of a wait, which comes in the middle of that wait, it
 * cannot wait for a brood_condition: brood_condition_wait() returns `BROOD_WRONG_STATE`. Nor can it
 * call the poller that waits: such calls return `BROOD_BUSY`. It must return: it must neither end
 * its thread nor leave by longjmp() or an exception.
 *
 * @param level    of the line.
 * @param process  the name of this process: brood_self_name().
 * @param text     the line, without a newline; valid during the call.
 * @param user     what was passed to brood_log_set_handler().
 */
typedef void (*brood_log_handler)(brood_log_level level, const char *process, const char *text,
                                  void *user);

/**
 * @brief Sets the handler of this process, and of the children that it starts from now on.
 *
 * Level and handler travel to a child of any start method, the handler as a target does (see
 * brood_process_start()); its `user` is NULL there. So a start fails with `BROOD_INVALID` if the
 * handler is in no module (code that was generated at run time, for example), and with
 * `BROOD_NOT_FOUND` or `BROOD_MISMATCH` if the child cannot load its module. A process that the
 * program forks itself keeps the handler as it is, with `user`.
 *
 * When the call returns, another thread may still be inside the handler that was set before. Safe
 * in any thread, also before brood_init(); not in a signal handler.
 *
 * @param handler  called with each line; NULL: there is no log.
 * @param level    the lowest level of the lines; other numbers than those of #brood_log_level lie
 *                 between them.
 * @param user     passed to `handler`.
 */
BROOD_API void brood_log_set_handler(brood_log_handler handler, brood_log_level level, void *user);

/**
 * @brief A handler that writes "[WARNING/Process-1] text" to stderr, in one call that is not
 * buffered. Very long lines may be truncated. Safe in any thread; not in a signal handler.
 *
 * @param level    of the line.
 * @param process  the name of the process.
 * @param text     the line.
 * @param user     unused.
 */
BROOD_API void brood_log_stderr(brood_log_level level, const char *process, const char *text,
                                void *user);

/**
 * @brief Passes a line of the program to the handler of this process, if there is one and the
 * level is high enough.
 *
 * Safe in any thread, also before brood_init(); not in a signal handler.
 *
 * @param level  of the line; #BROOD_LOG_OFF and above: it is dropped.
 * @param text   the line; NULL is dropped.
 */
BROOD_API void brood_log(brood_log_level level, const char *text);

BROOD_END_DECLS

#endif
