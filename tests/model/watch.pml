// SPDX-License-Identifier: MIT
// Watching several words at once (src/arena/watch.h): two watchers of two objects, a changer of
// each object, and a taker that waits for one of them. Step for step:
//   watch    broodi_watch_begin, then for each check broodi_watch_mark of each word, and
//            broodi_watch_await (src/arena/watch.c; wait_by_bell of src/message/wait_any.c)
//   change   broodi_changed of src/arena/blocking.h; broodi_watch_notify
//   take     a waiter in the futex provider: its comparison and its sleep are one step
// An object is a count of tokens: a changer adds one, the taker takes one, a watcher takes none.
// The second watcher may be a poller (POLLER), which has a flag and a mask of its own kind. Watchers
// may be killed at every step; a new one takes the slot (TURNS). Killed changers are below.
//
// Left out: native objects; objects with the same bit of a mask, which are rung too often. Memory
// orders: everything is sequentially consistent; docs/design/wait-any.md says what makes it so.
// Time: no watcher checks again after a second, except if a changer was killed.
//
// Checked: when no process moves any more, no living watcher is asleep while one of its objects has
// a token, and neither is the taker; no watcher takes the wake of the taker.
//
// Size: 0.6 to 2.3 million states.
//
// Planted mistakes, each of which must be found:
//   MARK_FIRST     a watcher marks the words before it stores its mask
//   CHECK_FIRST    a watcher checks an object before it marks its word
//   NO_REMARK      a watcher that was rung checks without marking again
//   CHANGE_LAST    a changer loads `watched` before it changes the word
//   CLEARS_LAST    a changer removes the mark after its rings
//   RINGS_ONE      a changer rings one watcher only
//   RINGS_THREADS  with POLLER: a changer rings no pollers
//   UNMARKS        a watcher that returns removes the marks
//   BURIAL_CLEARS  with a death: a burial clears the mask, late
//   TAKES_WAKE     a changer that rings a watcher wakes no taker
// A case that only the second check after a second repairs, shown the same way:
//   NO_POLL        with KILLS_CHANGER: a changer is killed between its change and its rings

#ifndef KILLS
#define KILLS 0
#endif
#ifndef TURNS
#define TURNS 0 // new watchers in the slots of others
#endif
#ifndef CHANGES
#define CHANGES 2 // of the first object; the second one is changed once
#endif

#define THREADS 1
#define POLLERS 2
#ifdef POLLER
#define FLAG(slot) (slot == 0 -> THREADS : POLLERS)
#else
#define FLAG(slot) THREADS
#endif

// Of the objects.
byte tokens[2], watched[2];
bool sleeps; // the taker, in the queue of the first object's word
// Of the slots of watchers.
bool mask[2]; // both objects
bool bell[2], asleep[2], over[2], done[2];
byte kills, turns;
byte changing = 2; // changers that have not finished
bool taken, poll, killed[2];

#ifdef NO_POLL
#define POLLS false
#else
#define POLLS poll
#endif

#define IS_READY (tokens[0] > 0 || tokens[1] > 0)

inline mark(object)
{
    watched[object] = watched[object] | FLAG(me)
}

proctype watcher(byte me)
{
    bool marked;
begin:
    {
        mask[me] = false; // begin_slot
#ifdef MARK_FIRST
        mark(0);
        mark(1);
#endif
        mask[me] = true;
        do
        :: true ->
#if defined(CHECK_FIRST)
            if
            :: tokens[0] > 0 -> break
            :: tokens[0] == 0
            fi;
            if
            :: tokens[1] > 0 -> break
            :: tokens[1] == 0
            fi;
#endif
#ifdef NO_REMARK
            if
            :: marked
            :: !marked -> mark(0);
                mark(1);
                marked = true
            fi;
#elif !defined(MARK_FIRST)
            mark(0);
            mark(1);
#endif
#ifndef CHECK_FIRST
            if
            :: tokens[0] > 0 -> break
            :: tokens[0] == 0
            fi;
            if
            :: tokens[1] > 0 -> break
            :: tokens[1] == 0
            fi;
#endif
#ifdef MARK_FIRST
            if
            :: marked -> mark(0);
                mark(1)
            :: !marked -> marked = true
            fi;
#endif
            asleep[me] = true;
        end_await:
            if
            :: d_step { bell[me] -> bell[me] = false; asleep[me] = false }
            :: d_step { POLLS && IS_READY -> asleep[me] = false }
            fi
        od;
#ifdef UNMARKS
        watched[0] = watched[0] & ~FLAG(me);
        watched[1] = watched[1] & ~FLAG(me);
#endif
        mask[me] = false
    } unless { over[me] };
    atomic { done[me] = true; asleep[me] = false; marked = false }
end_over: // a new thread takes the slot
    if
    :: d_step { over[me] && turns < TURNS -> turns++; over[me] = false; done[me] = false }
        goto begin
    fi
}

inline ring(slot)
{
    if
    :: d_step { (by & FLAG(slot)) && mask[slot] -> bell[slot] = true; rung = true }
    :: d_step { !((by & FLAG(slot)) && mask[slot]) -> skip }
    fi
}

proctype changer(byte object; byte count)
{
    byte by;
    bool rung;
    {
        do
        :: count > 0 ->
#ifdef CHANGE_LAST
            by = watched[object];
            tokens[object]++;
#else
            tokens[object]++;
#ifndef TAKES_WAKE
            if
            :: d_step { object == 0 -> sleeps = false }
            :: object != 0
            fi;
#endif
            by = watched[object];
#endif
            if
            :: by != 0 ->
#ifdef CLEARS_LAST
                by = watched[object];
#else
                d_step { by = watched[object]; watched[object] = 0 }
#endif
#ifdef RINGS_THREADS
                by = by & THREADS;
#endif
                ring(0);
#ifdef RINGS_ONE
                if
                :: rung
                :: !rung -> ring(1)
                fi;
#else
                ring(1);
#endif
#ifdef CLEARS_LAST
                watched[object] = 0
#else
                skip
#endif
            :: by == 0
            fi;
#ifdef TAKES_WAKE
            if
            :: d_step { object == 0 && !rung -> sleeps = false }
            :: object != 0 || rung
            fi;
#endif
#ifdef CHANGE_LAST
            sleeps = sleeps && object != 0;
#endif
            atomic { count--; by = 0; rung = false }
        :: true -> break // no further change
        od
    } unless { killed[object] };
    atomic { changing--; poll = poll || killed[object]; by = 0; rung = false; count = 0 }
}

#ifdef KILLS_CHANGER
active proctype slayer()
{
end_slay:
    killed[0] = true
}
#endif

active proctype taker()
{
    do
    :: d_step { tokens[0] > 0 -> tokens[0]--; taken = true }
        break
    :: d_step { tokens[0] == 0 -> sleeps = true }
    end_sleep:
        if
        :: !sleeps
        :: d_step { POLLS && tokens[0] > 0 -> sleeps = false }
        fi
    od
}

#if KILLS > 0
active proctype killer()
{
end_kill:
    do
    :: d_step { kills < KILLS && !over[0] && !done[0] -> over[0] = true; kills++ }
    :: d_step { kills < KILLS && !over[1] && !done[1] -> over[1] = true; kills++ }
    od
}
#endif

#ifdef BURIAL_CLEARS
// A burial that began before the slot had its new thread.
active proctype burier()
{
end_bury:
    over[0];
    mask[0] = false
}
#endif

#define IS_STILL(slot) (done[slot] || (asleep[slot] && !bell[slot]))

active proctype judge()
{
end_judge:
    d_step {
        changing == 0 && IS_STILL(0) && IS_STILL(1) && (taken || sleeps) && !POLLS ->
        assert(!(IS_READY && (asleep[0] || asleep[1])));
        assert(taken || tokens[0] == 0)
    }
}

init {
    atomic {
        run watcher(0);
        run watcher(1);
        run changer(0, CHANGES);
        run changer(1, 1)
    }
}
