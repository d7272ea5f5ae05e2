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
 * thread holds (with its name in the registry), and one for what the thread is waiting for. Then
 * there is one for each queue, with how full it is; one for each connection, and one for what each
 * of its ends has sent and the other has not received; and one for each deadlock. Names of
 * processes and threads are cut off after 56 bytes. Any process of the family may call this. No
 * process is stopped for it, so the lines do not show one moment. The wording may change with any
 * version: do not parse it.
 *
 * A deadlock is a cycle of threads, in any processes, each of which waits for the next one. Its
 * members are listed in order, such as
 *
 *     deadlock: thread 3 of process 71 waits for lock 02a0000000000001 "a", held by thread 4 of
 *     process 71; thread 4 of process 71 waits for the end of process 75; thread 6 of process 75
 *     waits for lock 02a0000000000007 "b", held by thread 3 of process 71
 *
 * in one line. It is listed only if it is certain: if all these waits existed at the same moment,
 * none has a deadline, and each is for a lock, for the end of a thread or a child (which ends when
 * its target returns), or for the end of the parent. Only an exit() in another thread of such a
 * process, or the end of a process by force, ends a deadlock. Waits for other objects, which any
 * thread may end, are no part of one; nor are cycles of more than 64 threads found.
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
