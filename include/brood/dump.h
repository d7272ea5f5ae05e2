// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief The state of the family as text, for debugging.
 */
#ifndef BROOD_DUMP_H
#define BROOD_DUMP_H

#include <brood/export.h>
#include <brood/status.h>

BROOD_BEGIN_DECLS

/**
 * @brief Lists processes, threads, locks held and waits of the family, for debugging hangs.
 *
 * The first line counts the objects of the family. Then there is one line for each process, with
 * how it was started; after it one for each of its threads that brood has started, or that have
 * used a shared object or waited for something of brood; after that one for each lock that the
 * thread holds (with its name in the registry), and one for what the thread is waiting for. Names
 * of processes and threads are cut off after 56 bytes. Any process of the family may call this. No
 * process is stopped for it, so the lines do not show one moment. The wording may change with any
 * version: do not parse it.
 *
 * @param line  called with each line, without a newline, in the calling thread, while no lock of
 *              the library is held. The text is valid during that call.
 * @param user  passed to `line`.
 * @retval BROOD_INVALID          `line` is NULL.
 * @retval BROOD_NOT_INITIALIZED  brood_init() has not run.
 */
BROOD_API brood_status brood_dump(void (*line)(const char *text, void *user), void *user);

BROOD_END_DECLS

#endif
