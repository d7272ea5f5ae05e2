// SPDX-License-Identifier: MIT
// The end of a process, in the same order for all processes: join threads, end pools, stop daemons,
// join children, run handlers.
#ifndef ENDING_H
#define ENDING_H

#include <brood/status.h>
#include <stdbool.h>
#include <stdint.h>

// Registers the end of the process with the executable's atexit(), for a process that calls exit()
// or returns from main. Called once per image, by brood_init. Fails with BROOD_NO_MEMORY.
brood_status broodi_ending_prepare(int (*executable_atexit)(void (*)(void)));

// Called before each start of a thread or child. Fails with BROOD_WRONG_STATE if the calling thread
// may start nothing any more, because the process is ending; with BROOD_NO_MEMORY.
brood_status broodi_ending_admit_start(void);

// Ends a child whose target has returned `code`.
_Noreturn void broodi_ending_of_child(int code);

// In a forked child: resets the state of the end.
void broodi_ending_forget(void);

// The place of pools in the end of a process. Pools are in a layer above this one, which passes
// these functions when the process creates its first pool.
//
// The end begins with a join of the non-daemon threads, which may still use pools, and wait for
// what they have submitted. During that join the threads that attend to pools (`attends_pools` in
// struct broodi_self) may start threads and children, so that a worker that dies is replaced. After
// it they may not: a start fails with BROOD_WRONG_STATE.
struct broodi_ending_pools {
    // Called when nothing can be started any more, and all threads but daemons have ended, before
    // the daemons are asked to end. Ends all pools of the process: what has not begun is completed
    // as canceled, what runs is ended as brood_pool_terminate() does, the processes and threads of
    // the pools are joined, and those of the library too. From then on each call for a pool
    // returns.
    //
    // Fails with BROOD_TIMEOUT if that is not done at `deadline`, a time of brood_os_clock(). The
    // end of the process goes no further then, and another call of brood_shutdown() calls this
    // again. So it may be called when it is done, and by several threads at once, each of which
    // returns when all is done. The caller cannot be cancelled and holds nothing.
    brood_status (*end)(int64_t deadline);

    // Called in the child of any fork, in its only thread: forgets the pools, which are the
    // parent's. Waits for nothing.
    void (*forget)(void);
};

// `pools` stays valid as long as the process lives. A second call does nothing.
void broodi_ending_include_pools(const struct broodi_ending_pools *pools);

#endif
