// SPDX-License-Identifier: MIT
// Steps, in the test build only: points between two changes of shared state, at which a test
// kills a process. The test lets the process stop there, kills it, and checks that the other
// processes go on (tests/internal/steps.c). A leaf.
//
// Each step is named for what has been done; its text also says what has not been done yet.
#ifndef STEP_H
#define STEP_H

#define BROODI_STEPS(STEP)                                                                         \
    STEP(TABLE_COMMITTED, "a table was committed, and its limit not raised")                       \
    STEP(SPACE_CLAIMED, "an extent of the object was claimed, and not recorded")                   \
    STEP(SLOT_TAKEN, "a slot was taken, and not counted")                                          \
    STEP(SLOT_FREED, "a slot was freed, and not counted")                                          \
    STEP(THREAD_TAKEN, "a thread took its slot, and its liveness cannot be checked yet")           \
    STEP(THREAD_BEGUN, "a thread's liveness can be checked, and its slot is not LIVE yet")         \
    STEP(THREAD_ENDING, "a thread ends in order, and its liveness has not ended")                  \
    STEP(THREAD_ENDED, "a thread's liveness ended, and its slot is not freed")                     \
    STEP(PROCESS_TAKEN, "a process's slot was taken, and not filled")                              \
    STEP(PROCESS_DYING, "a process's slot is being freed, and its threads are not buried")         \
    STEP(OBJECT_ANNOUNCED, "a waiter set its flag, and does not wait yet")                         \
    STEP(OBJECT_WAITED, "a waiter woke up, and has not loaded the state")                          \
    STEP(OBJECT_ENDED, "an object was destroyed, and its waiters not woken")                       \
    STEP(WAIT_PUBLISHED, "a waiter published its key, and has not loaded the word again")          \
    STEP(WAIT_RUNG, "a waiter's doorbell rang, and its key is not removed")                        \
    STEP(WAKE_CLAIMED, "a waiter was claimed, and its doorbell not rung")                          \
    STEP(LOCK_MADE, "a lock's slot was taken, and its fields not written")                         \
    STEP(LOCK_COUNTED, "a lock was counted as held, and not taken")                                \
    STEP(LOCK_TAKEN, "a free lock was taken at once, and its depth not written")                   \
    STEP(LOCK_ANNOUNCED, "a waiter for a lock set its flags, and does not wait yet")               \
    STEP(LOCK_WAITED, "a waiter for a lock woke up, and has not loaded the state")                 \
    STEP(LOCK_TAKEN_LATE,                                                                          \
         "a lock was taken late or from a dead holder, and its depth not written")                 \
    STEP(LOCK_LEFT, "a waiter gave up on the lock, and has not returned from the call")            \
    STEP(LOCK_FREED, "a lock was freed, and no waiter woken")                                      \
    STEP(LOCK_RELEASED, "a lock was released, and is still counted as held")                       \
    STEP(SEMAPHORE_MADE, "a semaphore's slot was taken, and its maximum not written")              \
    STEP(SEMAPHORE_TAKEN, "a unit of a semaphore was taken, and the next waiter not woken")        \
    STEP(SEMAPHORE_RAISED, "a semaphore was released, and no waiter woken")                        \
    STEP(EVENT_SET, "an event was set, and no waiter woken")                                       \
    STEP(CONDITION_ENTERED, "a thread took its seat, and no ticket")                               \
    STEP(CONDITION_TICKET, "a thread took a ticket, and has not written it into its seat")         \
    STEP(CONDITION_SEATED, "a thread waits for a condition, and still holds the lock")             \
    STEP(CONDITION_UNLOCKED, "a thread released its lock for a condition, and does not sleep yet") \
    STEP(CONDITION_OVER, "a thread's wait for a condition is over, and its seat not cleared")      \
    STEP(CONDITION_RISEN, "a seat was cleared, and the lock not reacquired")                       \
    STEP(CONDITION_CHOSEN, "a waiter was chosen, and not woken")                                   \
    STEP(CONDITION_CLAIMED, "a waiter was claimed by a notify of several, and not chosen")         \
    STEP(CONDITION_RELEASED, "all waiters were released, and not woken")                           \
    STEP(CONDITION_EMPTY, "no waiter was found to notify, and the flag not cleared")               \
    STEP(CONDITION_ENDED, "a condition was destroyed, and its waits not ended")                    \
    STEP(BARRIER_TAKEN, "a barrier's slot was taken, and none for its entries")                    \
    STEP(PARTY_TAKEN, "an entry's slot was taken, and not tied to its barrier")                    \
    STEP(PARTY_TIED, "an entry's slot was tied to its barrier, and not added to the list")         \
    STEP(PARTY_ENDED, "an entry's barrier was found ended, and the slot not detached")             \
    STEP(PARTY_FREED, "an entry's slot was detached, and not freed")                               \
    STEP(BARRIER_ENTRY, "a participant took an entry, and is not counted")                         \
    STEP(BARRIER_COUNTED, "a participant was counted, and does not wait yet")                      \
    STEP(BARRIER_ENDED, "a round was completed or broken, and no waiter woken")                    \
    STEP(BARRIER_SEEN, "a participant saw the end of its round, and has not left its entry")       \
    STEP(BARRIER_RESET, "a barrier was reset, and its waiters not woken")                          \
    STEP(BARRIER_RESET_WOKEN, "a reset barrier woke its waiters, and its entries are not cleared") \
    STEP(NAME_TAKEN, "a name's slot was taken, and not written")                                   \
    STEP(NAME_WRITTEN, "a name was written, and is not visible yet")                               \
    STEP(QUEUE_MADE, "a queue's slot was taken, and its sizes not stored")                         \
    STEP(QUEUE_ADDING, "a producer noted which piece it adds, and has not linked it")              \
    STEP(QUEUE_CLEARED, "the next header is 0, and the message is not copied")                     \
    STEP(QUEUE_COPIED, "a message was copied, and is not published")                               \
    STEP(QUEUE_PUBLISHED, "a message was published, and the head not moved")                       \
    STEP(QUEUE_COUNTED, "the head was moved, and no consumer woken")                               \
    STEP(QUEUE_LINKED, "a segment was linked, and the head not moved into it")                     \
    STEP(QUEUE_REMOVING, "a consumer noted which piece it removes, and has not moved the tail")    \
    STEP(QUEUE_LEFT, "the tail was moved into the next segment, and the last one not freed")       \
    STEP(QUEUE_READ, "messages were copied, and not removed")                                      \
    STEP(QUEUE_BODY_READ, "a body was copied, and is not released")                                \
    STEP(QUEUE_REMOVED, "the tail was moved, and no producer woken")                               \
    STEP(QUEUE_TAKEN, "a consumer has taken a piece, and has not moved the tail")                  \
    STEP(QUEUE_UNLINKED, "a released piece was unlinked, and not freed")                           \
    STEP(QUEUE_HOLDING, "a consumer noted that it will count messages, and has not removed them")  \
    STEP(QUEUE_HELD, "messages were counted as their consumer's, or named it, and the next not")   \
    STEP(QUEUE_ANNOUNCED, "a waiter for a queue set its flag, and does not wait yet")              \
    STEP(QUEUE_TOLD, "a waiter's flag was cleared, and the waiter not woken")                      \
    STEP(QUEUE_CLOSED, "a queue was closed, and its waiters not woken")                            \
    STEP(QUEUE_ENDING, "a queue was destroyed, and its waiters not woken")                         \
    STEP(USER_TAKEN, "a user's slot was taken, and not filled")                                    \
    STEP(USER_FILLED, "a user's entry was filled, and not added to the list")                      \
    STEP(USER_CLAIMED, "an entry of a list was taken over, and not filled")                        \
    STEP(USER_LEAVING, "the use of an entry ended, and its state still says that it is used")      \
    STEP(USER_ENDED, "a list of users was ended, and its entries not freed")                       \
    STEP(USER_FREED, "a user's entry was detached from its object, and the slot not freed")        \
    STEP(WATCH_MASKED, "a watcher stored its mask, and no object is marked as watched")            \
    STEP(WATCH_FLAGGED, "a watcher marked the objects, and has not checked them")                  \
    STEP(WATCH_CLEARED, "a changed object is not marked any more, and no watcher is woken")        \
    STEP(WATCH_RUNG, "a changed object's watchers were woken, and the caller goes on")             \
    STEP(BULK_BEGUN, "a sender stored that it sends in fragments, and no fragment is appended")    \
    STEP(BULK_APPENDED, "a fragment was appended, and no receiver woken")                          \
    STEP(BULK_WHOLE, "the last fragment was appended, and the sender still named")                 \
    STEP(BULK_GIVEN_UP, "a sender gave up a message, and no receiver was woken")                   \
    STEP(BULK_TAKEN, "a receiver stored that it receives in fragments, and copied none")           \
    STEP(BULK_COPIED, "a fragment was copied, and not removed")                                    \
    STEP(BULK_RECEIVED, "a fragment was removed, and the sender not woken")                        \
    STEP(BULK_SPILLED, "what was received was spilled, and still names its receiver")              \
    STEP(BULK_TAKEN_OVER, "what was spilled was copied, and not freed")                            \
    STEP(CONNECTION_MADE, "a connection's slot was taken, and nothing stored in it")               \
    STEP(CONNECTION_FILLED, "a connection is complete, and still NEW")                             \
    STEP(CONNECTION_LEFT, "a process left an end, and no waiter was woken")                        \
    STEP(CONNECTION_CLOSING, "an end refuses calls, and no receiver sees the end yet")             \
    STEP(CONNECTION_CLOSED, "an end was closed, and no waiter was woken")                          \
    STEP(CONNECTION_ENDING, "a connection was destroyed, and no waiter was woken")                 \
    STEP(CONNECTION_EMPTIED, "a connection's queues were freed, and its slot not")                 \
    STEP(BLOCK_TAKEN, "a block's slot was taken, and no memory")                                   \
    STEP(BLOCK_PLACED, "a block has memory, and its slot does not record it")                      \
    STEP(BLOCK_WRITTEN, "a block's slot records its memory, and not that the record is complete")  \
    STEP(BLOCK_MAKING, "a block is being created, and its memory not ready")                       \
    STEP(BLOCK_READY, "a block's memory is ready, and its slot does not say so")                   \
    STEP(BLOCK_WHOLE, "a block is complete, and its handle not returned")                          \
    STEP(BLOCK_FREED, "a block's slot was freed, and its memory not")                              \
    STEP(BLOCK_ENDING, "a large block is being destroyed, and its memory not freed")               \
    STEP(BLOCK_UNNAMED, "a section's name was removed from its slot, and the section not ended")   \
    STEP(BLOCK_EMPTIED, "a large block's memory was freed, and its slot not")                      \
    STEP(PIECE_TAKEN, "a piece's slot was taken, and no memory")                                   \
    STEP(PIECE_PLACED, "a piece has memory, and its slot does not record it")                      \
    STEP(PIECE_WRITTEN, "a piece's slot records its memory, and not that the record is complete")  \
    STEP(PIECE_MAKING, "a piece is being created, and not complete")                               \
    STEP(PIECE_WHOLE, "a piece is complete, and still names its worker")                           \
    STEP(PIECE_CLAIMED, "a piece names who claims it, and is not ENDING")                          \
    STEP(PIECE_FREED, "a piece's slot was freed, and its memory not")                              \
    STEP(HEAP_FORGOTTEN, "the map of the heap was discarded, and not rebuilt")                     \
    STEP(HEAP_GROWN, "chunks' slots were committed, and the chunks not added to the map")          \
    STEP(HEAP_COMMITTED, "a chunk was committed, and the map does not say so")                     \
    STEP(HEAP_OCCUPIED, "a chunk was occupied, and is in no list")                                 \
    STEP(HEAP_TAKEN, "a cell was allocated in the map, and not counted")                           \
    STEP(HEAP_VACATED, "a chunk is about to be decommitted, and still committed")                  \
    STEP(HEAP_DECOMMITTED, "a chunk was decommitted, and not counted so")

#define BROODI_STEP_NAME(name, text) BROODI_STEP_##name,
enum broodi_step { BROODI_STEPS(BROODI_STEP_NAME) BROODI_STEP_COUNT };
#undef BROODI_STEP_NAME

#if defined(BROOD_TESTING)
// If set, called at every step.
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
