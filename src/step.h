// SPDX-License-Identifier: MIT
// Steps, in the test build only: a place between two changes of shared state, where a process may
// be killed. A test lets one stop there, kills it, and looks whether the others go on
// (tests/internal/steps.c). A leaf.
//
// Each is named for what has been done, and its text says what has not.
#ifndef STEP_H
#define STEP_H

#define BROODI_STEPS(STEP)                                                                        \
    STEP(TABLE_COMMITTED, "a table was committed, and its limit not raised")                      \
    STEP(SPACE_CLAIMED, "an extent of the object was claimed, and not recorded")                  \
    STEP(SLOT_TAKEN, "a slot was taken, and not counted")                                         \
    STEP(SLOT_GIVEN, "a slot was given back, and not counted")                                    \
    STEP(THREAD_TAKEN, "a thread took its slot, and its life is not to be seen yet")              \
    STEP(THREAD_BEGUN, "a thread's life can be seen, and it does not say so")                     \
    STEP(THREAD_ENDED, "a thread's life was ended, and its slot not given back")                  \
    STEP(PROCESS_TAKEN, "a process's slot was taken, and not filled")                             \
    STEP(PROCESS_DYING, "a process's slot is being freed, and its threads not buried")            \
    STEP(OBJECT_ANNOUNCED, "a waiter said that it waits, and did not")                            \
    STEP(OBJECT_WAITED, "a waiter woke up, and did not look")                                     \
    STEP(OBJECT_ENDED, "an object was destroyed, and its waiters not told")                       \
    STEP(WAIT_PUBLISHED, "a waiter published its key, and did not look again")                    \
    STEP(WAIT_RUNG, "a waiter heard its bell, and did not take its key away")                     \
    STEP(WAKE_CLAIMED, "a waiter was claimed, and its bell not rung")                             \
    STEP(LOCK_MADE, "a lock's slot was taken, and its form not written")                          \
    STEP(LOCK_COUNTED, "a lock was counted as held, and not taken")                               \
    STEP(LOCK_TAKEN, "a free lock was taken at once, and its depth not written")                  \
    STEP(LOCK_ANNOUNCED, "a waiter for a lock said that it waits, and did not")                   \
    STEP(LOCK_WAITED, "a waiter for a lock woke up, and did not look")                            \
    STEP(LOCK_TAKEN_LATE, "a lock was taken after a wait, or from a dead holder")                 \
    STEP(LOCK_LEFT, "a waiter left the word of the lock, and not the call")                       \
    STEP(LOCK_FREED, "a lock was freed, and nobody woken")                                        \
    STEP(LOCK_RELEASED, "a lock was released, and is still counted as held")                      \
    STEP(SEMAPHORE_MADE, "a semaphore's slot was taken, and its maximum not written")             \
    STEP(SEMAPHORE_TAKEN, "a semaphore was taken")                                                \
    STEP(SEMAPHORE_RAISED, "a semaphore was released, and nobody woken")                          \
    STEP(EVENT_SET, "an event was set, and nobody woken")                                         \
    STEP(CONDITION_ENTERED, "a thread took its seat, and no ticket")                              \
    STEP(CONDITION_TICKET, "a thread took a ticket, and did not write it into its seat")          \
    STEP(CONDITION_SEATED, "a thread waits for a condition, and still holds the lock")            \
    STEP(CONDITION_UNLOCKED, "a thread gave up its lock for a condition, and does not sleep yet") \
    STEP(CONDITION_OVER, "a thread's wait for a condition is over, and its seat not cleared")     \
    STEP(CONDITION_RISEN, "a seat was cleared, and the lock not taken back")                      \
    STEP(CONDITION_CHOSEN, "a waiter was chosen, and not woken")                                  \
    STEP(CONDITION_CLAIMED, "a waiter was claimed with others, and not let go")                   \
    STEP(CONDITION_RELEASED, "all waiters were released, and not woken")                          \
    STEP(CONDITION_EMPTY, "nobody was found to notify, and the flag not taken away")              \
    STEP(CONDITION_ENDED, "a condition was destroyed, and its waiters not sent home")             \
    STEP(BARRIER_TAKEN, "a barrier's slot was taken, and none for its parties")                   \
    STEP(PARTY_TAKEN, "a party's slot was taken, and not tied to its barrier")                    \
    STEP(PARTY_TIED, "a party's slot was tied to its barrier, and not put into the list")         \
    STEP(PARTY_ENDED, "a party's barrier was found ended, and the slot not cut off")              \
    STEP(PARTY_FREED, "a party's slot was cut off, and not given back")                           \
    STEP(BARRIER_PLACE, "a party took a place, and did not count itself")                         \
    STEP(BARRIER_COUNTED, "a party counted itself, and does not wait yet")                        \
    STEP(BARRIER_ENDED, "a round was ended or broken, and nobody woken")                          \
    STEP(BARRIER_SEEN, "a party saw the end of its round, and did not leave its place")           \
    STEP(BARRIER_RESET, "a barrier was reset, and its waiters not woken")                         \
    STEP(BARRIER_RESET_TOLD, "a reset barrier woke its waiters, and its names are not erased")    \
    STEP(NAME_TAKEN, "a name's slot was taken, and not written")                                  \
    STEP(NAME_WRITTEN, "a name was written, and is not to be seen yet")                           \
    STEP(BLOCK_TAKEN, "a block's slot was taken, and no memory")                                  \
    STEP(BLOCK_PLACED, "a block has memory, and its slot does not say so")                        \
    STEP(BLOCK_WRITTEN, "a block's slot says where its memory is, and not that it does")          \
    STEP(BLOCK_MAKING, "a block is being made, and its memory not ready")                         \
    STEP(BLOCK_READY, "a block's memory is ready, and its slot does not say so")                  \
    STEP(BLOCK_WHOLE, "a block is whole, and nobody has its handle")                              \
    STEP(BLOCK_FREED, "a block's slot was given back, and its memory not")                        \
    STEP(BLOCK_ENDING, "a large block is being ended, and its memory is still there")             \
    STEP(BLOCK_UNNAMED, "a section's name was taken out of its slot, and the section not ended")  \
    STEP(BLOCK_EMPTIED, "a large block's memory was given back, and its slot not")                \
    STEP(HEAP_FORGOTTEN, "the map of the heap was forgotten, and not drawn anew")                 \
    STEP(HEAP_GROWN, "chunks were reached, and not added to the map")                             \
    STEP(HEAP_COMMITTED, "a chunk was committed, and the map does not say so")                    \
    STEP(HEAP_OCCUPIED, "a chunk was occupied, and is in no list")                                \
    STEP(HEAP_TAKEN, "a piece was taken in the map")                                              \
    STEP(HEAP_VACATED, "a chunk is to be given back, and still committed")                        \
    STEP(HEAP_DECOMMITTED, "a chunk was given back, and is not counted so")

#define BROODI_STEP_NAME(name, text) BROODI_STEP_##name,
enum broodi_step { BROODI_STEPS(BROODI_STEP_NAME) BROODI_STEP_COUNT };
#undef BROODI_STEP_NAME

#if defined(BROOD_TESTING)
// Called at every step, once it is set.
extern void (*broodi_step_hook)(enum broodi_step step);

static inline void broodi_step(enum broodi_step step)
{
    if (broodi_step_hook)
        broodi_step_hook(step);
}
#else
static inline void broodi_step(enum broodi_step step)
{
    (void)step;
}
#endif

#endif
