// SPDX-License-Identifier: MIT
// The chain of a queue (src/message): two producers that put messages of a few bytes, two consumers
// that get them, and a closer. Each may be killed at every step. Step for step:
//   put        put_some of src/message/put.c; broodi_chain_append, make_room and add_segment of
//              src/message/chain_head.c
//   get        get_some of src/message/get.c; broodi_queue_first of src/message/call.c;
//              broodi_chain_first, leave_segment and move_tail of src/message/chain_tail.c
//   close      close_queue of src/message/queue.c
//   repair     broodi_chain_repair_head, broodi_chain_repair_tail
//   wait       announce, notify, wait_for and pass_on of src/message/call.c
//   count      broodi_chain_count of src/message/chain.c
// A store is one step; loads of what no other process can change meanwhile belong to the next one.
// The two locks are acquired in any order, at once from a dead holder; see lock.pml. A wait is that
// of src/arena/wait_futex.c; see wait.pml for the other one. A freed segment may have any contents.
//
// A segment is divided into CELLS cells of the size of a message; the last one is for a LINK item.
//
// Left out: bodies and messages in place, see body.pml; several messages at a time, which are
// removed by one store too; what processes hold of joinable queues; destroying; segments that
// cannot be mapped; memory orders; a count or a generation that comes around.
//
// Time: no wait ends by the fallback poll of one second, except if a process was killed in one of
// these states (`owes`), in which another waiter may depend on that poll:
//   - a producer, consumer or closer has changed the chain, and has not finished its wake
//   - a waiter was woken, and has not passed the wake on
// After any other death no waiter stays asleep while its call could go on. With LEAVES a consumer
// ends after any message, and a wait of a consumer may end by its deadline.
//
// Checked:
//   - each published message is removed exactly once, as a whole, and in the order of its producer;
//     also after a death, if any consumer is left: no consumer finds the end before
//   - after a consumer has found the end of a closed queue no message is published
//   - the number of messages is never negative nor above the capacity, for no observer either; at
//     rest, when no dead process holds the producers' lock, it is exact
//   - no process reads a segment that was freed; at rest, when no dead process holds a lock, each
//     segment that is allocated is in the chain
//   - a waiter sleeps only while the queue is full or empty (with the two exceptions above); no
//     process is stuck elsewhere
//
// Size: 0.1 to 2.4 million states. Deaths are searched without the words to wait for (WAITS) and
// with segments of one message, or with the words and with one segment.
//
// Planted mistakes, each of which must be found:
//   with WAITS:
//     NO_RECHECK       a waiter does not check the chain again once its flag is set
//     NO_CHANGE        a wake does not change the word but for the flag
//     NO_PASS_ON       with LEAVES: a woken waiter does not set the flag again, for others
//     NOTIFIES_FIRST   a producer notifies before it publishes
//     CLOSED_LAST      with CLOSES: a consumer finds the chain empty, and then checks whether the
//                      queue is closed
//     CLOSES_ALONE     with CLOSES: the closer does not acquire the producers' lock
//     COUNTS_ONCE      with COUNTS: an observer loads the tail only once
//     NO_POLL          with a death: no wait ends by the fallback poll; shows that it is needed
//   with a death, and segments of one message:
//     NO_CLEAR         the header behind a message is not 0 when the message is published
//     HEADER_FIRST     the header is stored before the bytes
//     NO_REPAIR        an heir does not complete the head
//     NO_LOG           a new segment is not logged
//     NO_CLEANING      an heir does not free the segment that the producers' log names
//     KEEPS_ADDED      an heir frees that segment although it was linked
//     NO_TAIL_LOG      with two consumers: a segment that is left is not logged
//     LEAVES_EARLY     a consumer leaves the segment that the head is in

#ifndef CELLS
#define CELLS 2
#endif
#ifndef SEGMENTS
#define SEGMENTS 3
#endif
#ifndef FIRST // messages of the first producer, and of the second one
#define FIRST 2
#endif
#ifndef SECOND
#define SECOND 1
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef KILLS
#define KILLS 0
#endif

// With WAITS, what a process does between two steps that another process can observe is one step.
#ifdef WAITS
#define TOGETHER atomic
#else
#define TOGETHER
#endif

// Processes; those of a side have the numbers 2 * side and 2 * side + 1.
#define PRODUCERS 0
#define CONSUMERS 1
#define CLOSER 4
#define PROCESSES 5

// Headers.
#define EMPTY 0
#define MESSAGE 1
#define LINK 2
// In `bytes` of a cell. A message is 1 + 4 * producer + its number; a LINK has a place.
#define GARBAGE 15

// In `segment`. While it is MAKING the number of its maker is above.
#define FREE 0
#define WHOLE 1
#define MAKING 2
#define IS_FREE(s) (segment[s] == FREE || (segment[s] >= MAKING && dead[segment[s] - MAKING]))

// Places begin with 1. 0 is none.
#define SEGMENT_OF(place) (((place) - 1) / CELLS)
#define PLACE_IN(s) ((s) * CELLS + 1)
#define FITS(place) (((place) - 1) % CELLS + 2 <= CELLS)

byte header[SEGMENTS * CELLS + 1];
byte bytes[SEGMENTS * CELLS + 1];
byte segment[SEGMENTS];
byte head, head_count, first, added, added_at;
byte tail, tail_count, removed, removed_at;
byte producers, consumers; // the locks: the number of the holder + 1
bool closed;
// The words: of producers `room`, of consumers `items`.
bool flag[2];
bool fresh[4];  // the word has not changed since this waiter has set the flag
bool asleep[4];
// For the properties.
bool dead[PROCESSES], done[PROCESSES], owes[PROCESSES];
bool poll; // a process was killed while it owed a wake
byte published, removals, got[2], kills;
bool final; // a consumer has found the end

#define COUNT (head_count > tail_count -> head_count - tail_count : 0)
#define HAS_ROOM (COUNT < CAPACITY)

#define IS_READY(side) (closed || (side == PRODUCERS && HAS_ROOM) || (side == CONSUMERS && COUNT > 0))

inline free_segment(s)
{
    segment[s] = FREE;
    i = PLACE_IN(s);
    do
    :: i < PLACE_IN(s + 1) -> header[i] = MESSAGE; bytes[i] = GARBAGE; i++
    :: else -> break
    od;
    i = 0
}

// Waiting and waking

inline change(side)
{
    flag[side] = false;
#ifndef NO_CHANGE
    fresh[2 * side] = false;
    fresh[2 * side + 1] = false
#endif
}

inline wake(who)
{
    asleep[who] = false;
    owes[who] = true
}

inline notify(side)
{
#ifdef WAITS
    if
    :: d_step { !flag[side] -> skip }
    :: d_step { flag[side] -> change(side) }
        if
        :: d_step { asleep[2 * side] -> wake(2 * side) }
        :: d_step { asleep[2 * side + 1] -> wake(2 * side + 1) }
        :: d_step { !asleep[2 * side] && !asleep[2 * side + 1] -> skip }
        fi
    fi
#else
    skip
#endif
}

inline wake_all(side)
{
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
}

#ifdef NO_POLL
#define POLLS false
#else
#define POLLS poll
#endif
#ifdef LEAVES
#define MAY_LEAVE (me >= 2)
#else
#define MAY_LEAVE false
#endif

// wait_for, and a jump to `again`.
inline wait(side)
{
#ifdef WAITS
    d_step { flag[side] = true; fresh[me] = true };
    if
#ifndef NO_RECHECK
    :: d_step { IS_READY(side) -> skip }
    :: d_step { !IS_READY(side) -> skip }
#else
    :: true
#endif
        if
        :: d_step { fresh[me] -> asleep[me] = true }
        end_sleep:
            if
            :: !asleep[me]
            :: d_step { POLLS && asleep[me] -> asleep[me] = false }
            :: d_step { MAY_LEAVE && asleep[me] -> asleep[me] = false; late = true }
            fi
        :: !fresh[me]
        fi
    fi;
    waited = true
#else
    asleep[me] = true;
end_wait:
    d_step { IS_READY(side) -> asleep[me] = false }
#endif
}

inline pass_on(side)
{
#ifdef WAITS
#ifndef NO_PASS_ON
    if
    :: waited -> flag[side] = true;
        if
        :: d_step { IS_READY(side) -> skip }
            notify(side)
        :: d_step { !IS_READY(side) -> skip }
        fi
    :: !waited
    fi;
#endif
    d_step { waited = false; owes[me] = false }
#else
    owes[me] = false
#endif
}

// Producers

#define IS_ADDED (added_at != head_count || (head != 0 && SEGMENT_OF(head) == added - 1))

inline complete_head()
{
#ifndef NO_REPAIR
    d_step {
        head = (head == 0 -> first : head);
        do
        :: head != 0 && header[head] == MESSAGE ->
            assert(segment[SEGMENT_OF(head)] == WHOLE);
            head++;
            head_count++
        :: head != 0 && header[head] == LINK ->
            assert(segment[SEGMENT_OF(head)] == WHOLE);
            head = bytes[head]
        :: else -> break
        od
    }
#else
    skip
#endif
}

inline repair_head()
{
    complete_head();
    d_step {
        if
#ifdef KEEPS_ADDED
        :: added != 0 && segment[added - 1] != FREE -> free_segment(added - 1)
#elif defined(NO_CLEANING)
        :: false
#else
        :: added != 0 && segment[added - 1] != FREE && !IS_ADDED -> free_segment(added - 1)
#endif
        :: else
        fi
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

inline add_segment()
{
    d_step {
        s = 0;
        do
        :: s < SEGMENTS && !IS_FREE(s) -> s++
        :: else -> break
        od;
        assert(s < SEGMENTS);
        segment[s] = MAKING + me;
        header[PLACE_IN(s)] = EMPTY
    }
#ifndef NO_LOG
    added_at = head_count;
    added = s + 1;
#endif
    segment[s] = WHOLE;
    d_step {
        if
        :: head == 0 -> first = PLACE_IN(s)
        :: head != 0 -> bytes[head] = PLACE_IN(s); header[head] = LINK
        fi
    }
    d_step { head = PLACE_IN(s); s = 0 }
    added = 0
}

inline store_bytes()
{
    bytes[head] = 1 + 4 * me + n
}

inline append()
{
    TOGETHER {
    if
    :: d_step { head != 0 && FITS(head) -> skip }
    :: d_step { !(head != 0 && FITS(head)) -> skip }
        add_segment()
    fi;
#ifndef NO_CLEAR
    header[head + 1] = EMPTY;
#endif
#ifndef HEADER_FIRST
    store_bytes();
#endif
    d_step {
        assert(header[head] == EMPTY);
        header[head] = MESSAGE;
        assert(!final);
        published++;
        assert(published - removals <= CAPACITY);
        owes[me] = true
    }
    }
#ifdef HEADER_FIRST
    store_bytes();
#endif
    d_step { head++; head_count++ }
}

proctype producer(byte me; byte count)
{
    byte n, s, i;
    bool waited, late, no_room;
    {
        do
        :: n < count ->
        again:
            TOGETHER {
            enter_producers();
            if
            :: d_step { closed -> producers = 0; n = count; no_room = false }
            :: d_step { !closed && !HAS_ROOM -> producers = 0; no_room = true }
            :: d_step { !closed && HAS_ROOM -> no_room = false }
            fi
            };
            if
            :: no_room ->
                wait(PRODUCERS);
                goto again
            :: !no_room && n == count
            :: !no_room && n < count ->
#ifdef NOTIFIES_FIRST
                notify(CONSUMERS);
                append();
                d_step { producers = 0; n++ }
#else
                append();
                d_step { producers = 0; n++ }
                notify(CONSUMERS)
#endif
            fi;
            pass_on(PRODUCERS)
        :: n == count -> break
        od
    } unless { dead[me] };
    atomic { done[me] = true; n = 0; s = 0; waited = false; no_room = false }
}

// Consumers

#define IS_LAST_LINK (head == tail)

inline leave_segment()
{
#ifndef NO_TAIL_LOG
    removed_at = tail;
    removed = SEGMENT_OF(tail) + 1;
#endif
    d_step { s = SEGMENT_OF(tail); assert(segment[s] == WHOLE); tail = bytes[tail] }
    d_step { free_segment(s); s = 0 }
    removed = 0
}

inline repair_tail()
{
    d_step {
        if
        :: removed != 0 && segment[removed - 1] != FREE && tail != removed_at -> free_segment(removed - 1)
        :: else
        fi
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

// broodi_chain_first, up to the item.
#define HAS_SEGMENT (tail != 0 || first != 0)
#define HEADER header[(tail == 0 -> first : tail)]
#ifdef LEAVES_EARLY
#define CAN_LEAVE (HAS_SEGMENT && HEADER == LINK)
#else
#define CAN_LEAVE (HAS_SEGMENT && HEADER == LINK && head != (tail == 0 -> first : tail))
#endif
#define IS_FOUND (HAS_SEGMENT && HEADER == MESSAGE)
#define IS_EMPTY (!CAN_LEAVE && !IS_FOUND)

inline begin_tail()
{
    tail = (tail == 0 -> first : tail);
    assert(segment[SEGMENT_OF(tail)] == WHOLE)
}

inline remove()
{
    d_step {
        read = bytes[tail];
        assert(read != GARBAGE && read != 0)
    }
    d_step {
        // of the right producer, and its next message
        assert((read - 1) % 4 == got[(read - 1) / 4]);
        got[(read - 1) / 4]++;
        read = 0;
        removals++;
        assert(removals <= published);
        tail++;
        tail_count++;
        owes[me] = true
    }
}

proctype consumer(byte me)
{
    byte s, i, read;
    bool waited, late, end;
    {
        do
        :: !end ->
        again:
            TOGETHER {
            enter_consumers();
#ifndef CLOSED_LAST
            end = closed
#endif
            };
            do
            :: d_step { CAN_LEAVE -> begin_tail() }
                leave_segment()
            :: d_step { IS_FOUND -> begin_tail(); end = false }
                TOGETHER {
                remove();
                consumers = 0
                };
                notify(PRODUCERS);
                break
            :: d_step { IS_EMPTY -> tail = (tail == 0 -> first : tail) }
#ifdef CLOSED_LAST
                end = closed;
#endif
                if
                :: d_step { end -> consumers = 0; final = true; assert(removals == published) }
                    break
                :: d_step { !end -> consumers = 0 }
                    if
                    :: !late -> wait(CONSUMERS);
                        goto again
                    :: late -> end = true
                        break
                    fi
                fi
            od;
            pass_on(CONSUMERS)
        :: end -> break
#ifdef LEAVES
        :: !end -> break
#endif
        od
    } unless { dead[me] };
    atomic { done[me] = true; s = 0; read = 0; waited = false; late = false; end = false }
}

proctype closer()
{
    byte i;
    byte me = CLOSER;
    {
#ifndef CLOSES_ALONE
        enter_producers();
#endif
        d_step { closed = true; owes[me] = true }
#ifndef CLOSES_ALONE
        producers = 0;
#endif
#ifdef WAITS
        d_step { change(PRODUCERS) }
        wake_all(PRODUCERS);
        d_step { change(CONSUMERS) }
        wake_all(CONSUMERS);
#endif
        owes[me] = false
    } unless { dead[me] };
    done[me] = true
}

#ifdef COUNTS
proctype counter()
{
    byte seen, count;
    do
    :: seen = tail_count;
        count = head_count;
        if
#ifdef COUNTS_ONCE
        :: true
#else
        :: tail_count == seen
        :: tail_count != seen -> goto again
#endif
        fi;
        assert(count <= seen || count - seen <= CAPACITY);
    again:
        atomic { seen = 0; count = 0 }
    od
}
#endif

#if KILLS > 0
#define KILL(who)                                                                                  \
    d_step {                                                                                       \
        kills < KILLS && !dead[who] && !done[who] -> dead[who] = true; kills++;                    \
        poll = poll || owes[who]; owes[who] = false; asleep[who & 3] = asleep[who & 3] && who == CLOSER \
    }

active proctype killer()
{
end_kill:
    do
    :: KILL(0)
    :: KILL(1)
    :: KILL(2)
    :: KILL(3)
    :: KILL(CLOSER)
    od
}
#endif

// When no process moves any more, except perhaps the closer.
#define IS_STILL(who) (done[who] || asleep[who])
#define ALL_STILL (IS_STILL(0) && IS_STILL(1) && IS_STILL(2) && IS_STILL(3) && (done[CLOSER] || !closed && producers != CLOSER + 1))
#define SLEEPS(side) (asleep[2 * (side)] || asleep[2 * (side) + 1])

active proctype judge()
{
    byte at, s, in_chain, whole;
end_judge:
    d_step {
        ALL_STILL ->
#ifdef WAITS
        assert(POLLS || !SLEEPS(PRODUCERS) || (!closed && published - removals == CAPACITY));
        assert(POLLS || !SLEEPS(CONSUMERS) || (!closed && published == removals));
#endif
        if
        :: producers == 0 -> assert(head_count - tail_count == published - removals)
        :: else
        fi;
        if
        :: producers == 0 && consumers == 0 && (first != 0 || tail != 0) ->
            at = (tail == 0 -> first : tail);
            in_chain = 1;
            do
            :: header[at] == MESSAGE -> at++
            :: header[at] == LINK -> in_chain++; at = bytes[at]
            :: else -> break
            od;
            do
            :: s < SEGMENTS -> whole = whole + (segment[s] == WHOLE); s++
            :: else -> break
            od;
            assert(whole == in_chain)
        :: else
        fi;
        at = 0; s = 0; in_chain = 0; whole = 0
    }
}

init {
    d_step {
        byte i;
        do
        :: i < SEGMENTS * CELLS + 1 -> header[i] = MESSAGE; bytes[i] = GARBAGE; i++
        :: else -> break
        od;
        i = 0
    }
    atomic {
        run producer(0, FIRST);
        run producer(1, SECOND);
        run consumer(2);
        #ifdef ONE_CONSUMER
        done[3] = true;
#else
        run consumer(3);
#endif
#ifdef CLOSES
        run closer();
#else
        done[CLOSER] = true;
#endif
#ifdef COUNTS
        run counter()
#endif
    }
}
