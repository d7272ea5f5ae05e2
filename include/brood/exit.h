// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief How processes end.
 *
 * A #brood_exit is a plain value, which brood_process_join(), brood_process_report() and
 * brood_process_stop() fill in. Both functions are safe in any thread; neither is safe in a signal
 * handler.
 */
#ifndef BROOD_EXIT_H
#define BROOD_EXIT_H

#include <brood/export.h>
#include <stddef.h>
#include <stdint.h>

BROOD_BEGIN_DECLS

/** @brief How a process ended. */
typedef enum brood_exit_kind {
    /** It has not ended. */
    BROOD_RUNNING = 0,
    /** By itself; `code` is what the target returned, or what was passed to exit(). */
    BROOD_EXITED = 1,
    /** By a fault of its own; `crash` says which. */
    BROOD_CRASHED = 2,
    /**
     * By a signal that brood did not send; `native` is its number. On Windows: by Ctrl+C,
     * Ctrl+Break or a closed console, whose exit code 0xC000013A counts as SIGINT, 2, also when
     * the program passes it to exit().
     */
    BROOD_SIGNALLED = 3,
    /**
     * By brood_process_terminate() or brood_process_kill(), or as a daemon at the end of its
     * parent.
     */
    BROOD_TERMINATED = 4,
    /** Killed at a deadline. */
    BROOD_DEADLINE = 5,
    /**
     * It has ended in an unknown way. On Windows also when it left with code 0 without the end
     * that brood arranges: by _exit(), quick_exit(), ExitProcess().
     */
    BROOD_LOST = 6
} brood_exit_kind;

/** @brief The fault that crashed a process. */
typedef enum brood_crash {
    /** It did not crash. */
    BROOD_CRASH_NONE = 0,
    /** An access to memory that is not mapped or not permitted. */
    BROOD_CRASH_ACCESS = 1,
    /**
     * abort(), a failed assertion. On Windows that is the exit code 3: a process that leaves with
     * 3 by _exit(), quick_exit() or ExitProcess() is reported as aborted, too. A 3 that the target
     * returned or passed to exit() is `BROOD_EXITED`.
     */
    BROOD_CRASH_ABORT = 2,
    /** An illegal instruction. */
    BROOD_CRASH_ILLEGAL = 3,
    /** Division by zero and other arithmetic faults. */
    BROOD_CRASH_ARITHMETIC = 4,
    /** Stack overflow; Windows only, `BROOD_CRASH_ACCESS` elsewhere. */
    BROOD_CRASH_STACK = 5,
    /** Misaligned or unbacked memory. */
    BROOD_CRASH_BUS = 6,
    /** Another fault; `native` is the system's code for it. */
    BROOD_CRASH_OTHER = 7
} brood_crash;

/** @brief The report about the end of a process. */
typedef struct brood_exit {
    /** A #brood_exit_kind. */
    int32_t kind;
    /** For `BROOD_EXITED`: all 32 bits of what the target returned; after exit() POSIX keeps 8. */
    int32_t code;
    /** A #brood_crash. */
    int32_t crash;
    /**
     * The signal number (POSIX); the exit code (Windows), but 2 for `BROOD_SIGNALLED`; 15 or 9 for
     * `BROOD_TERMINATED`.
     */
    int64_t native;
    /** Zero. */
    uint64_t reserved[4];
} brood_exit;

/**
 * @brief Returns the number that Python's `exitcode` would be: the code; or minus a POSIX signal
 * number, the same on Windows (-15 after terminate, -9 after kill, -11 for a bad access, -2 for
 * Ctrl+C); 255 when the status is lost; 0 while the process runs.
 */
BROOD_API int brood_exit_number(brood_exit ended);

/**
 * @brief Describes the end in words, such as "exited with code 3" or "crashed: bad memory access
 * (0xb)".
 *
 * @param ended     the report.
 * @param buffer    receives at most `capacity` bytes, including the closing zero; may be NULL when
 *                  `capacity` is 0.
 * @param capacity  bytes at `buffer`.
 * @return the length of the whole text without the zero, as snprintf() does.
 */
BROOD_API size_t brood_exit_text(brood_exit ended, char *buffer, size_t capacity);

BROOD_END_DECLS

#endif
