// SPDX-License-Identifier: MIT
// The bodies of a queue (src/message): pieces of memory that contain one message each. Two
// producers and two consumers, each of which may be killed at every step. Step for step:
//   put      fill_piece and append of src/message/put.c; broodi_chain_append_piece of
//            src/message/chain_head.c
//   reserve, commit, abort   src/message/in_place.c; broodi_chain_reserve, broodi_chain_cancel and
//            broodi_chain_count_reserved
//   take, release   in_place.c, and get.c for messages with a body; broodi_queue_first of
//            src/message/call.c; broodi_chain_take, broodi_chain_find_left, broodi_chain_release and
//            broodi_chain_collect of src/message/chain_tail.c
//   repair   broodi_chain_repair_head, broodi_chain_repair_tail
// A store is one step, and so is a compare-and-swap; loads of what no other process can change
// meanwhile belong to the next one. The locks are acquired in any order, at once from a dead
// holder; see lock.pml. A producer puts its message at once, or reserves first, and then commits
// or aborts. With COPIES it writes a message without a body, for which the taker allocates a piece.
//
// No piece is used again here: a reference has a generation, so one that stays behind finds no
// piece. Waiting is left out (ring.pml): a call without success is repeated when it can succeed.
// Left out: segments, which ring.pml has; destroying: pieces of a destroyed queue that are still
// WHOLE are freed by a sweep, as is a piece that is MAKING and whose maker has died.
//
// Checked:
//   - a body has one owner at a time, and is freed only when its message was released, or its
//     reservation was aborted or left by a dead thread
//   - each published message is released exactly once, in the end, if any consumer is left
//   - messages and reservations of living threads are never more than the capacity
//   - at rest, when no dead process holds a lock, each piece is in the chain or in a list, or is
//     MAKING; no message is left in a dead consumer's hands; no producer waits while there is room
//
// Size: 0.5 to 1.9 million states.
//
// Planted mistakes, each of which must be found:
//   NO_ADDED_LOG     a piece that is being linked is not logged
//   COMPLETES_FIRST  a piece becomes WHOLE before it is logged
//   FREES_RESERVED   an heir frees the piece in the log although it is in the list of reservations
//   UNLINKS_LATE     a commit publishes the piece before it unlinks the reservation
//   NO_RECOUNT       a full queue does not check whether reservations were left by dead threads
//   MOVES_FIRST      a taker moves the tail before the piece is in the list of those taken
//   NO_UNDO          an heir leaves a piece in that list although the tail has not moved
//   FREES_IN_CHAIN   an heir frees the piece in the log although it is still in the chain
//   FREES_TAKEN      an heir frees the piece in the log although the tail has moved
//   TAKES_LIVING     a consumer takes over what a living one has taken
//   NO_TAKEN_LOG     a released piece that is unlinked is not logged

#ifndef KILLS
#define KILLS 1
#endif
#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef FIRST // messages of the first producer, and of the second one
#define FIRST 1
#endif
#ifndef SECOND
#define SECOND 1
#endif

#define MESSAGES 4
#define PIECES 8 // 0 is none; one for each message, then the copies
#define CELLS 5

// In `state`. While a piece is MAKING the number of its maker is above.
#define NONE 0
#define WHOLE 1
#define GONE 2
#define MAKING 3
#define IS_MAKING(piece) (state[piece] >= MAKING)
#define IS_CURRENT(piece) (state[piece] == WHOLE || IS_MAKING(piece))

// Owners are numbers of processes + 1; 0 is none.
#define IS_OVER(owner) (owner != 0 && dead[owner - 1])
#define IS_ORPHAN(piece) IS_OVER(owner[piece])

byte cell[CELLS]; // of the chain: a reference; or, without a body, PIECES + message
byte head = 1, added, added_at;
byte tail = 1, removed, removed_at;
byte reserved, reservations, taken; // lists, and a count
byte producers, consumers;          // the locks: the number of the holder + 1
// Of the pieces.
byte state[PIECES], owner[PIECES], next[PIECES];
byte copies = 1;
// For the properties.
bool dead[4], waits[4], done[4];
byte kills;
byte message[PIECES]; // the message in it
byte user[PIECES];    // the owner by the calls' results
bool published[MESSAGES + 1], released[MESSAGES + 1];

#define COUNT (head - tail)

inline allocate(piece, which, what)
{
    d_step {
        piece = which;
        copies = (which > MESSAGES -> copies + 1 : copies);
        assert(piece < PIECES && state[piece] == NONE);
        state[piece] = MAKING + me;
        message[piece] = what
    }
}

inline complete(piece)
{
    state[piece] = (IS_MAKING(piece) -> WHOLE : state[piece])
}

// Part of a d_step.
inline free(piece)
{
    assert(IS_CURRENT(piece));
    assert(user[piece] == 0 || user[piece] == me + 1 || IS_OVER(user[piece]));
    state[piece] = GONE;
    owner[piece] = 0;
    user[piece] = 0;
    message[piece] = 0
}

// Lists. Part of a d_step.
inline find(list, piece, found)
{
    at = list;
    do
    :: at != 0 && at != piece -> assert(state[at] == WHOLE); at = next[at]
    :: else -> break
    od;
    found = at != 0;
    at = 0
}

inline unlink(list, piece)
{
    if
    :: list == piece -> list = next[piece]
    :: else ->
        at = list;
        do
        :: at != 0 && next[at] != piece -> at = next[at]
        :: else -> break
        od;
        if
        :: at != 0 -> next[at] = next[piece]
        :: else
        fi;
        at = 0
    fi;
    next[piece] = 0
}

inline push(list, piece)
{
    next[piece] = list;
    owner[piece] = me + 1;
    list = piece
}

// The producers' log

inline begin_adding(piece)
{
#ifdef COMPLETES_FIRST
    complete(piece);
#endif
#ifndef NO_ADDED_LOG
    added_at = head;
    added = piece
#else
    skip
#endif
}

inline repair_head()
{
    head = (head < CELLS && cell[head] != 0 -> head + 1 : head);
    d_step {
        find(reserved, added, is_listed);
        if
#ifdef FREES_RESERVED
        :: added != 0 && IS_CURRENT(added) && added_at == head -> free(added)
#else
        :: added != 0 && IS_CURRENT(added) && added_at == head && !is_listed -> free(added)
#endif
        :: else
        fi;
        is_listed = false
    }
    added = 0
}

inline enter_producers()
{
    if
    :: d_step { producers == 0 -> producers = me + 1 }
    :: d_step { producers != 0 && dead[producers - 1] -> producers = me + 1 }
        repair_head()
    fi
}

inline cancel(piece)
{
    begin_adding(piece);
    d_step { unlink(reserved, piece) }
    d_step { free(piece) }
    added = 0
}

// broodi_chain_count_reserved. A list has two pieces at most here.
inline count_reserved()
{
    d_step { orphan = 0; at = reserved };
    do
    :: d_step { at != 0 && !IS_ORPHAN(at) -> assert(state[at] == WHOLE); count++; at = next[at] }
    :: d_step { at != 0 && IS_ORPHAN(at) -> assert(state[at] == WHOLE); orphan = at; following = next[at]; at = 0 }
        cancel(orphan);
        d_step { at = following; following = 0; orphan = 0 }
    :: at == 0 -> break
    od;
    atomic { reservations = count; count = 0 }
}

inline publish(what)
{
    d_step {
        assert(cell[head] == 0);
        cell[head] = what;
        published[body_message] = true;
        user[piece] = 0
    }
    head++
}

inline append_piece(piece)
{
    begin_adding(piece);
    complete(piece);
#ifndef UNLINKS_LATE
    d_step { unlink(reserved, piece) }
#endif
    publish(piece);
#ifdef UNLINKS_LATE
    d_step { unlink(reserved, piece) }
#endif
    added = 0
}

#define HAS_ROOM (COUNT + reservations < CAPACITY)

// Reservations of living threads.
#define IS_HELD(piece) (user[piece] != 0 && user[piece] <= 2 && !IS_OVER(user[piece]))
#define HELD (IS_HELD(1) + IS_HELD(2) + IS_HELD(3) + IS_HELD(4))
#define IS_FULL (COUNT + HELD >= CAPACITY)

// The lock is held afterwards, and there is room.
inline enter_with_room()
{
    waits[me] = false;
enter:
    enter_producers();
    was_full = IS_FULL;
    if
    :: d_step { HAS_ROOM -> skip }
    :: d_step { !HAS_ROOM -> skip }
#ifndef NO_RECOUNT
        if
        :: d_step { reservations > 0 -> skip }
            count_reserved()
        :: d_step { reservations == 0 -> skip }
        fi;
#endif
        if
        :: d_step { HAS_ROOM -> skip }
        :: d_step { !HAS_ROOM -> assert(was_full); producers = 0; waits[me] = true }
        end_room:
            d_step { !IS_FULL -> waits[me] = false }
            goto enter
        fi
    fi;
    was_full = false
}

proctype producer(byte me; byte messages)
{
    byte n, piece, body_message, at, count, orphan, following;
    bool is_listed, was_full;
    {
        do
        :: n < messages ->
            body_message = 1 + 2 * me + n;
#ifdef COPIES
            enter_with_room();
            publish(PIECES + body_message);
            producers = 0;
#else
            allocate(piece, body_message, body_message);
            enter_with_room();
            if
            :: append_piece(piece);
                producers = 0
#ifdef RESERVES
            :: begin_adding(piece);
                complete(piece);
                d_step { push(reserved, piece); user[piece] = me + 1 }
                added = 0;
                count_reserved();
                producers = 0;
                enter_producers();
                if
                :: append_piece(piece)
                :: cancel(piece)
                fi;
                count_reserved();
                producers = 0
#endif
            fi;
#endif
            atomic { piece = 0; n++; body_message = 0 }
        :: n == messages -> break
        od
    } unless { dead[me] };
    atomic { done[me] = true; n = 0; piece = 0; body_message = 0; at = 0; count = 0; orphan = 0; following = 0 }
}

// Consumers

inline begin_removing(piece)
{
    removed_at = tail;
    removed = piece
}

inline repair_tail()
{
    d_step {
        find(taken, removed, is_listed);
        if
        :: removed == 0 || !IS_CURRENT(removed)
        :: removed != 0 && IS_CURRENT(removed) && tail != removed_at ->
            if
#ifdef FREES_TAKEN
            :: true -> unlink(taken, removed); free(removed)
#else
            :: !is_listed -> free(removed)
            :: is_listed
#endif
            fi
        :: removed != 0 && IS_CURRENT(removed) && tail == removed_at ->
#ifdef NO_UNDO
            if
            :: !is_listed && cell[tail] != removed -> free(removed)
            :: else
            fi
#elif defined(FREES_IN_CHAIN)
            unlink(taken, removed);
            free(removed)
#else
            unlink(taken, removed);
            if
            :: cell[tail] != removed -> free(removed)
            :: else
            fi
#endif
        fi;
        is_listed = false
    }
    removed = 0
}

inline enter_consumers()
{
    if
    :: d_step { consumers == 0 -> consumers = me + 1 }
    :: d_step { consumers != 0 && dead[consumers - 1] -> consumers = me + 1 }
        repair_tail()
    fi
}

inline free_taken(piece)
{
#ifndef NO_TAKEN_LOG
    begin_removing(piece);
    removed_at = 0;
#endif
    d_step { unlink(taken, piece) }
    d_step { free(piece) }
    removed = 0
}

inline collect()
{
    at = taken;
    do
    :: d_step { at != 0 && owner[at] != 0 -> assert(state[at] == WHOLE); at = next[at] }
    :: d_step { at != 0 && owner[at] == 0 -> assert(state[at] == WHOLE); done_with = at; following = next[at]; at = 0 }
        free_taken(done_with);
        d_step { at = following; following = 0; done_with = 0 }
    :: at == 0 -> break
    od
}

inline use(what)
{
    assert(user[what] == 0 || IS_OVER(user[what]));
    user[what] = me + 1
}

// broodi_chain_take, for an item of the chain.
inline take()
{
    begin_removing(piece);
    complete(piece);
#ifdef MOVES_FIRST
    tail++;
    d_step { push(taken, piece); use(piece) }
#else
    d_step { next[piece] = taken; owner[piece] = me + 1 }
    taken = piece;
    d_step { tail++; use(piece) }
#endif
    removed = 0
}

// broodi_chain_find_left. Here a consumer looks only when the chain is empty, and not once a second
// as well.
inline find_left()
{
    d_step {
        at = taken;
        do
#ifdef TAKES_LIVING
        :: at != 0 && owner[at] == 0 -> at = next[at]
#else
        :: at != 0 && !IS_ORPHAN(at) -> at = next[at]
#endif
        :: else -> break
        od;
        piece = at;
        at = 0
    }
}

// What a consumer waits for: a message, or one that a dead consumer has left.
#define IS_LEFT (taken != 0 && (IS_ORPHAN(taken) || (next[taken] != 0 && (IS_ORPHAN(next[taken]) || IS_ORPHAN(next[next[taken]])))))

proctype consumer(byte me)
{
    byte piece, at, done_with, following;
    bool is_listed;
    {
        do
        :: enter_consumers();
            collect();
            if
            :: d_step { cell[tail] != 0 && cell[tail] < PIECES -> piece = cell[tail] }
                take()
            :: d_step { cell[tail] > PIECES -> skip }
                allocate(piece, MESSAGES + copies, cell[tail] - PIECES);
                take()
            :: d_step { cell[tail] == 0 -> skip }
                find_left();
                if
                :: d_step { piece != 0 -> owner[piece] = me + 1; use(piece) }
                :: piece == 0
                fi
            fi;
            consumers = 0;
            if
            :: piece != 0 ->
                // Reads the message, and releases it. Another one that is killed here leaves it.
                d_step {
                    assert(state[piece] == WHOLE && owner[piece] == me + 1 && user[piece] == me + 1);
                    assert(published[message[piece]] && !released[message[piece]]);
                    released[message[piece]] = true;
                    owner[piece] = 0;
                    user[piece] = 0
                }
                enter_consumers();
                collect();
                consumers = 0
            :: piece == 0 -> waits[me] = true;
            end_items:
                d_step { cell[tail] != 0 || IS_LEFT -> waits[me] = false }
            fi;
            piece = 0
        od
    } unless { dead[me] };
    atomic { done[me] = true; piece = 0; at = 0; done_with = 0; following = 0 }
}

#define KILL(who) d_step { kills < KILLS && !dead[who] && !done[who] -> dead[who] = true; kills++ }

active proctype killer()
{
end_kill:
    do
    :: KILL(0)
    :: KILL(1)
    :: KILL(2)
    :: KILL(3)
    od
}

#define IS_STILL(who) (done[who] || waits[who])

active proctype judge()
{
    byte piece, at;
    bool is_listed;
end_judge:
    do
    :: d_step {
        IS_STILL(0) && IS_STILL(1) && IS_STILL(2) && IS_STILL(3) && producers == 0 && consumers == 0 && cell[tail] == 0 && !IS_LEFT && (done[0] || IS_FULL) && (done[1] || IS_FULL) ->
        assert(head == tail);
        piece = 1;
        do
        :: piece < PIECES ->
            if
            :: state[piece] == WHOLE ->
                find(taken, piece, is_listed);
                if
                :: !is_listed -> find(reserved, piece, is_listed)
                :: else
                fi;
                assert(is_listed)
            :: else
            fi;
            piece++
        :: else -> break
        od;
        assert(!published[1] || released[1]);
        assert(!published[2] || released[2]);
        assert(!published[3] || released[3]);
        assert(!published[4] || released[4]);
        piece = 0;
        is_listed = false
    } -> break
    :: d_step { COUNT + HELD > CAPACITY -> assert(false) }
    od
}

init {
    atomic {
        run producer(0, FIRST);
        run producer(1, SECOND);
        run consumer(2);
#ifdef ONE_CONSUMER
        done[3] = true
#else
        run consumer(3)
#endif
    }
}
