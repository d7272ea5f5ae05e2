// SPDX-License-Identifier: MIT
// Messages that pass a connection in fragments (src/message/bulk.h): two senders, each with one
// message, and two receivers. Each may be killed at every step, or stop at a deadline. Step for
// step:
//   send      send_once and send_locked of src/message/send.c; broodi_bulk_append and
//             broodi_bulk_give_up of src/message/bulk_send.c
//   receive   receive_once and receive_locked of src/message/receive.c; broodi_bulk_begin,
//             continue_receiving, copy_fragment and resume of src/message/bulk_receive.c
//   spill     broodi_bulk_spill
//   wait      as in ring.pml; a wait ends when the thread that it watches dies
// The chain has room for one fragment; to append or remove one is one step here: see ring.pml and
// body.pml. A fragment is not copied, but counted.
//
// Left out: messages of another size than FRAGMENTS or one item (SMALL: the second message);
// polling; buffers that are too small; ends that are closed; lack of memory; memory orders.
//
// Time: a send may end by its deadline (SEND_TIMEOUTS of them), and so may a receive
// (RECEIVE_TIMEOUTS), which is then called again. No wait ends by the fallback poll of one second,
// except after a death in one of the states of ring.pml (`owes`).
//
// Checked:
//   - a message is received whole, in order, and once; a message whose send has timed out, never
//   - a message whose send has succeeded is received in the end, also if a receive of it has timed
//     out: unless a receiver was killed that had received a part of it
//   - when no process moves any more, no living sender or receiver is asleep that could go on; so
//     none waits for a dead one
//
// Size: 0.3 to 4 million states, with at most three of the four processes. A receiver that was
// killed as the one that receives a message may leave another one asleep that checked just before;
// so may a death in one of the states of `owes`.
//
// Planted mistakes, each of which must be found:
//   NO_SENDER      a sender does not wait for the end of another one's message
//   NO_RECEIVER    a receiver does not wait for the end of another one's message
//   NO_WATCH       with a death: a receiver that waits for a fragment does not watch the sender
//   NO_GIVING_UP   a sender that times out stays the sender
//   NO_NUMBER      the fragments of two messages are not distinguished
//   NO_SPILL       a receiver that times out drops what it has
//   SPILLS_LATE    a receiver that times out is over before its piece is kept

#ifndef KILLS
#define KILLS 0
#endif
#ifndef SEND_TIMEOUTS
#define SEND_TIMEOUTS 0
#endif
#ifndef RECEIVE_TIMEOUTS
#define RECEIVE_TIMEOUTS 0
#endif
#ifndef FRAGMENTS
#define FRAGMENTS 2
#endif

// Processes: senders 0 and 1, receivers 2 and 3.
#define PRODUCERS 0
#define CONSUMERS 1

// An item: 0, the small message, or a number and a place.
#define SMALL_ONE 1
#ifdef NO_NUMBER
#define ITEM(number, at) (8 + (at))
#define IS_NEXT(number, at) (item == ITEM(number, at))
#else
#define ITEM(number, at) (8 * (number) + (at))
#define IS_NEXT(number, at) (item == ITEM(number, at))
#endif
#define IS_FRAGMENT(item) ((item) >= 8)
#define NUMBER(item) ((item) / 8)
#define AT(item) ((item) & 7)

byte item;   // the chain
byte owner;  // for the properties: the sender of the item
byte sender, sending, receiver, receiving, received; // threads are numbers of processes + 1
bool spill;
byte producers, consumers; // the locks
// The words.
bool flag[2], fresh[4], asleep[4];
byte holder[4]; // the thread that a waiter watches
// For the properties.
bool dead[4], done[4], owes[4];
byte has[4];   // of a receiver: the sender of the message that it has a part of, + 1
byte spill_of; // the same of the spill
bool sent[2], failed[2], got[2], lost[2];
byte kills, sends, receives;
bool poll;

#define LIVES(thread) ((thread) != 0 && !dead[(thread) - 1])
#define OTHER_LIVES(thread, who) (LIVES(thread) && (thread) != (who) + 1)
#ifdef NO_SENDER
#define HAS_SENDER(who) false
#else
#define HAS_SENDER(who) OTHER_LIVES(sender, who)
#endif
#ifdef NO_RECEIVER
#define HAS_RECEIVER(who) false
#else
#define HAS_RECEIVER(who) OTHER_LIVES(receiver, who)
#endif
#define IS_SENT(number) (LIVES(sender) && sending == (number))
#ifdef NO_WATCH
#define WATCHED 0
#else
#define WATCHED sender
#endif

// Waiting and waking

#define CAN_SEND_BY(who) (item == 0 && !HAS_SENDER(who))
#define CAN_RECEIVE_BY(who) (!HAS_RECEIVER(who) && (item != 0 || ((spill || receiver == (who) + 1) && !IS_SENT(receiving))))
#define CAN_SEND CAN_SEND_BY(me)
#define CAN_RECEIVE CAN_RECEIVE_BY(me)
#define IS_READY(side) ((side == PRODUCERS && CAN_SEND) || (side == CONSUMERS && CAN_RECEIVE))

inline wake(who)
{
    asleep[who] = false;
    owes[who] = true
}

inline change(side)
{
    flag[side] = false;
    fresh[2 * side] = false;
    fresh[2 * side + 1] = false
}

inline notify_one(side)
{
    if
    :: d_step { !flag[side] -> skip }
    :: d_step { flag[side] -> change(side) }
        if
        :: d_step { asleep[2 * side] -> wake(2 * side) }
        :: d_step { asleep[2 * side + 1] -> wake(2 * side + 1) }
        :: d_step { !asleep[2 * side] && !asleep[2 * side + 1] -> skip }
        fi
    fi
}

inline notify_all(side)
{
    if
    :: d_step { !flag[side] -> skip }
    :: d_step { flag[side] -> change(side) }
        d_step {
            if
            :: asleep[2 * side] -> wake(2 * side)
            :: else
            fi;
            if
            :: asleep[2 * side + 1] -> wake(2 * side + 1)
            :: else
            fi
        }
    fi
}

// wait_for; then the caller tries again, or its time is over.
inline wait(side, watched, count, most)
{
    d_step { flag[side] = true; fresh[me] = true; holder[me] = watched }
    if
    :: d_step { IS_READY(side) -> skip }
    :: d_step { !IS_READY(side) -> skip }
        if
        :: d_step { fresh[me] -> asleep[me] = true }
        end_sleep:
            if
            :: !asleep[me]
            :: d_step { asleep[me] && holder[me] != 0 && dead[holder[me] - 1] -> asleep[me] = false }
            :: d_step { asleep[me] && poll && IS_READY(side) -> asleep[me] = false }
            :: d_step { asleep[me] && count < most -> count++; asleep[me] = false; late = true }
            fi
        :: !fresh[me]
        fi
    fi;
    atomic { waited = true; holder[me] = 0 }
}

inline pass_on(side)
{
    if
    :: waited -> flag[side] = true;
        if
        :: d_step { IS_READY(side) -> skip }
            notify_one(side)
        :: d_step { !IS_READY(side) -> skip }
        fi
    :: !waited
    fi;
    waited = false
}

inline enter(lock)
{
    d_step { lock == 0 || dead[lock - 1] -> lock = me + 1 }
}

// Senders

inline begin_sending()
{
    d_step { number = sending + 1; sending = number }
    sender = me + 1
}

proctype sender_of(byte me; byte fragments)
{
    byte number, n, watched;
    bool waited, late;
    {
        do
        :: n < fragments && !late ->
            enter(producers);
            if
            :: d_step { CAN_SEND -> skip }
                if
                :: fragments > 1 && number == 0 -> begin_sending()
                :: fragments == 1 || number != 0
                fi;
                d_step {
                    item = (fragments == 1 -> SMALL_ONE : ITEM(number, n));
                    owner = me;
                    n++;
                    owes[me] = true
                }
                if
                :: n == fragments && fragments > 1 -> d_step { sender = 0; sent[me] = true }
                :: n == fragments && fragments == 1 -> sent[me] = true
                :: n < fragments
                fi;
                producers = 0;
                if
                :: fragments > 1 -> notify_all(CONSUMERS)
                :: fragments == 1 -> notify_one(CONSUMERS)
                fi;
                owes[me] = waited
            :: d_step { !CAN_SEND -> watched = (HAS_SENDER(me) -> sender : 0); producers = 0 }
                wait(PRODUCERS, watched, sends, SEND_TIMEOUTS);
                watched = 0
            fi
        :: late ->
            // One more attempt follows in the library, which is left out.
            break
        :: n == fragments && !late -> break
        od;
        pass_on(PRODUCERS);
        if
        :: n < fragments -> failed[me] = true;
            if
            :: number != 0 ->
#ifndef NO_GIVING_UP
                d_step { sender = (sender == me + 1 -> 0 : sender); owes[me] = true }
                notify_all(PRODUCERS);
                notify_all(CONSUMERS)
#else
                skip
#endif
            :: number == 0
            fi
        :: n == fragments && number != 0 -> notify_all(PRODUCERS)
        :: n == fragments && number == 0
        fi;
        owes[me] = false
    } unless { dead[me] };
    atomic { done[me] = true; number = 0; n = 0; watched = 0; waited = false; late = false }
}

// Receivers

// Part of a d_step: the message is whole.
inline deliver(from)
{
    assert(!got[from] && !failed[from] && !lost[from]);
    got[from] = true
}

inline end_receiving()
{
    d_step { receiver = 0; number = 0; n = 0; has[me] = 0 }
}

inline copy_fragment()
{
    // Removed. The bytes were copied before.
    d_step {
        assert(AT(item) == n && (n == 0 || has[me] == owner + 1));
        has[me] = owner + 1;
        item = 0;
        n++;
        owes[me] = true
    }
    received = n;
    if
    :: n == FRAGMENTS ->
        d_step { deliver(has[me] - 1); receiver = 0; number = 0; n = 0; has[me] = 0 }
        whole = true
    :: n < FRAGMENTS
    fi
}

// broodi_bulk_begin.
inline begin_receiving()
{
    d_step { number = NUMBER(item); receiving = number }
    received = 0;
    receiver = me + 1;
    copy_fragment()
}

// resume, when the next fragment is there.
inline take_over_spill()
{
    d_step { number = receiving; n = received; has[me] = spill_of }
    receiver = me + 1;
    d_step { spill = false; spill_of = 0 }
}

proctype receiver_of(byte me)
{
    byte number, n, watched;
    bool waited, late, is_sent, whole, nothing;
    {
        do
        :: true ->
            // receive_locked
            enter(consumers);
            atomic { nothing = false; whole = false; watched = 0 }
            if
            :: d_step { HAS_RECEIVER(me) -> watched = receiver; nothing = true }
            :: d_step { !HAS_RECEIVER(me) && number == 0 && !spill && item == 0 -> nothing = true }
            :: d_step { !HAS_RECEIVER(me) && number == 0 && !spill && item == SMALL_ONE -> deliver(owner); item = 0; owes[me] = true }
                whole = true
            :: d_step { !HAS_RECEIVER(me) && number == 0 && !spill && IS_FRAGMENT(item) && AT(item) == 0 -> skip }
                begin_receiving()
            :: d_step { !HAS_RECEIVER(me) && number == 0 && !spill && IS_FRAGMENT(item) && AT(item) > 0 -> item = 0; owes[me] = true }
            :: d_step { !HAS_RECEIVER(me) && number != 0 -> is_sent = IS_SENT(number) }
                if
                :: d_step { IS_NEXT(number, n) -> skip }
                    copy_fragment()
                :: d_step { item == 0 && is_sent -> nothing = true; watched = WATCHED }
                :: d_step { !IS_NEXT(number, n) && !(item == 0 && is_sent) -> skip }
                    end_receiving()
                fi
            :: d_step { !HAS_RECEIVER(me) && number == 0 && spill -> is_sent = IS_SENT(receiving) }
                if
                :: d_step { IS_NEXT(receiving, received) -> skip }
                    take_over_spill()
                :: d_step { item == 0 && is_sent -> nothing = true; watched = WATCHED }
                :: d_step { !IS_NEXT(receiving, received) && !(item == 0 && is_sent) -> spill = false; spill_of = 0 }
                fi
            fi;
            consumers = 0;
            is_sent = false;
            if
            :: nothing && !late -> wait(CONSUMERS, watched, receives, RECEIVE_TIMEOUTS)
            :: nothing && late ->
                pass_on(CONSUMERS);
                if
                :: number != 0 ->
#ifdef NO_SPILL
                    d_step { receiver = 0; number = 0; n = 0; has[me] = 0; owes[me] = true }
#else
                    enter(consumers);
#ifdef SPILLS_LATE
                    d_step { receiver = 0; number = 0 }
                    consumers = 0;
                    enter(consumers);
                    d_step { spill = true; spill_of = has[me]; has[me] = 0; n = 0 }
#else
                    d_step { spill = true; spill_of = has[me]; has[me] = 0; owes[me] = true }
                    d_step { receiver = 0; number = 0; n = 0 }
#endif
                    consumers = 0;
#endif
                    notify_all(CONSUMERS)
                :: number == 0
                fi;
                atomic { late = false; owes[me] = false }
            :: !nothing && !whole -> notify_all(PRODUCERS)
            :: !nothing && whole -> notify_one(PRODUCERS);
                pass_on(CONSUMERS);
                notify_all(CONSUMERS); // others that wait for the end of the message
                atomic { late = false; owes[me] = false }
            fi;
            watched = 0
        od
    } unless { dead[me] };
    atomic { done[me] = true; number = 0; n = 0; watched = 0 }
}

// A receiver that is killed loses what it has.
#define KILL(who)                                                                                  \
    d_step {                                                                                       \
        kills < KILLS && !dead[who] && !done[who] -> dead[who] = true; kills++;                    \
        poll = poll || owes[who] || receiver == who + 1; asleep[who] = false;                                             \
        lost[0] = lost[0] || has[who] == 1; lost[1] = lost[1] || has[who] == 2; has[who] = 0       \
    }

#if KILLS > 0
active proctype killer()
{
end_kill:
    do
#ifdef KILLS_ONE
    :: KILL(2)
#else
    :: KILL(0)
    :: KILL(1)
    :: KILL(2)
    :: KILL(3)
#endif
    od
}
#endif

#define WATCHES_DEAD(who) (holder[who] != 0 && dead[holder[who] - 1])
#define CAN_POLL(who) (poll && ((who < 2 && CAN_SEND_BY(who)) || (who >= 2 && CAN_RECEIVE_BY(who))))
#define IS_STILL(who) (done[who] || (asleep[who] && !WATCHES_DEAD(who) && !CAN_POLL(who)))
#define IS_MISSED(who) (sent[who] && !got[who] && !lost[who])

active proctype judge()
{
end_judge:
    d_step {
        IS_STILL(0) && IS_STILL(1) && IS_STILL(2) && IS_STILL(3) && !(done[2] && done[3]) ->
        assert(!asleep[0] && !asleep[1]);
        assert(!IS_MISSED(0) && !IS_MISSED(1));
        assert(item == 0 && !spill);
        assert(!LIVES(receiver) || LIVES(sender))
    }
}

init {
    atomic {
        run sender_of(0, FRAGMENTS);
#ifdef ONE_SENDER
        done[1] = true;
#elif defined(SMALL)
        run sender_of(1, 1);
#else
        run sender_of(1, FRAGMENTS);
#endif
        run receiver_of(2);
#ifdef ONE_RECEIVER
        done[3] = true
#else
        run receiver_of(3)
#endif
    }
}
