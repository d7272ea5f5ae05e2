// SPDX-License-Identifier: MIT
// The lock (src/sync/lock.c): three threads that acquire and release for ever. Each may be killed
// at every step, or end normally; a new thread takes the slot of a dead one. Step for step:
//   look, ask, inherit, leave, sleep   acquire, persist, take, leave and wait_once of
//                                      src/sync/lock.c
//   inside, wake                       release_last
//   over                               bury of src/process/burial.c, which checks `held` and the
//                                      lock, and begin_slot
// A load, a decision that depends on the loaded value alone, and the swap from that value are one
// step here: a swap that fails starts again, one that succeeds finds the value that was decided on.
// Where something else is queried in between (is the holder over?) they are two steps.
//
// A wait is that of src/arena/wait_futex.c: the comparison of the word and the queueing of the
// thread are atomic; a wake picks any waiter; a thread that is killed after it was woken takes the
// wake with it. The end of the watched holder ends the wait of all its watchers (the port passes it
// from one to the next: left out).
//
// Left out: spinning, recursion, destroying, memory orders. Durations are arbitrary. A wait ends by
// time only
//   - when it has a deadline (DEADLINES of all acquires have one, or do not wait at all)
//   - when the lock is free but reserved for starving waiters (a millisecond)
//   - when it is a short wait and its thread watches one that does not hold the lock (50 ms)
// A settled wait never ends by time. So no thread here depends on the fallback poll of one second,
// and only those that watch another thread than the holder depend on a short wait.
//
// Checked: two living threads never hold the lock; the lock of a dead holder is taken exactly once,
// with BROOD_OWNER_DIED and nothing else; no execution ends with a thread that waits for the lock,
// or wants it.
//
// Size: 1 million states without deaths, with a deadline and NO_SHORT_WAIT (no thread depends on
// the short wait then); 2.8 million with two deaths; 6.1 million with a death and a new thread in a
// slot.
//
// Planted mistakes, each of which must be found:
//   RELEASE_WAKES_NOBODY
//   FORGETS_OTHERS  a woken thread takes the lock without the flag that more may be waiting
//   NO_LEAVE        a woken thread that gives up does not set that flag; this and the one before
//                   with NO_SHORT_WAIT, because the short wait makes up for them
//   NO_SETTLED      a settled waiter does not set its flag: the release wakes only one
//   NO_SHORT_WAIT   no wait ends after 50 ms: shows why there is a short wait
//   NO_TURN         the name of a holder is its slot alone: a waiter that checks twice takes the
//                   lock from the next thread in the slot
//   NO_QUARANTINE   a slot is reused while a lock names its dead thread
//   HELD_LATE       a thread counts what it holds only after it has acquired it

#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef TURNS
#define TURNS 1 // new threads in the slots of others
#endif
#ifndef DEADLINES
#define DEADLINES 1
#endif

// The low word: the name of the holder in four bits, and the flags.
#define WAITERS 16
#define SETTLED 32
#define STARVING 64
#define HOLDER(low) ((low) & 15)
#define SLOT(name) (((name) & 3) - 1)
#ifdef NO_TURN
#define NAME(slot) ((slot) + 1)
#define IS_OVER(name) over[SLOT(name)]
#else
#define NAME(slot) ((turn[slot] << 2) + (slot) + 1)
#define IS_OVER(name) (over[SLOT(name)] && turn[SLOT(name)] == ((name) >> 2))
#endif
#ifdef NO_SETTLED
#define SETTLES 0
#else
#define SETTLES SETTLED
#endif

byte word;
// Of the slots.
byte turn[3];
bool over[3]; // its thread has ended
bool held[3];
bool asleep[3]; // in the queue of the word
bool inside[3]; // for the property: the thread knows that it holds the lock
byte orphan;    // for the property: the dead holder that has no heir yet
byte deaths, taken, deadlines;

#define MAY_TAKE (HOLDER(word) == 0 && (!(word & STARVING) || waited || expired))
#define ASKS (HOLDER(word) != 0 && (expired || watched == HOLDER(word)))
#define NEW_HOLDER (HOLDER(word) != 0 && !expired && watched != HOLDER(word))
#define UNCHANGED (word == seen)

inline take()
{
#ifdef FORGETS_OTHERS
    word = NAME(me) | (word & (WAITERS | SETTLED));
#else
    word = NAME(me) | (waited -> WAITERS : 0) | (word & (WAITERS | SETTLED));
#endif
    forget();
    inside[me] = true;
    assert((inside[0] && !over[0]) + (inside[1] && !over[1]) + (inside[2] && !over[2]) == 1)
}

inline forget()
{
    seen = 0;
    watched = 0;
    life = 0;
    waited = false;
    settled = false;
    timed = false;
    expired = false
}

inline say(flags)
{
    word = word | WAITERS | flags;
    seen = word
}

// Identifies the thread in the watched slot.
#define LIFE (watched -> turn[SLOT(watched)] : 0)
#define HAS_ENDED (watched != 0 && (over[SLOT(watched)] || LIFE != life))
#ifdef NO_SHORT_WAIT
#define TIME_IS_UP (watched == 0)
#else
#define TIME_IS_UP (watched == 0 || (!settled && HOLDER(word) != watched))
#endif
#ifdef HELD_LATE
#define COUNTS false
#else
#define COUNTS true
#endif

proctype thread(byte me)
{
    byte seen, watched, life;
    bool waited, settled, timed, expired;
begin:
    {
        skip;
    idle:
        if
        :: goto ends
        :: goto end_rest // stays idle for ever
        :: d_step { word == 0 -> held[me] = COUNTS; take() }
            goto holds
        :: d_step { word != 0 -> held[me] = COUNTS }
        :: d_step { word != 0 && deadlines < DEADLINES -> held[me] = COUNTS; deadlines++; timed = true }
        :: d_step { word != 0 && deadlines < DEADLINES -> held[me] = COUNTS; deadlines++; expired = true }
        fi;

    look:
        if
        :: d_step { MAY_TAKE -> assert(orphan == 0); take() }
            goto holds
        :: d_step { HOLDER(word) == 0 && !MAY_TAKE -> watched = 0; say(0) }
            goto sleep
        :: d_step { NEW_HOLDER -> watched = HOLDER(word); say(0) }
            goto sleep
        :: d_step { NEW_HOLDER && waited -> watched = HOLDER(word); say(STARVING) }
            goto sleep
        :: d_step { ASKS -> seen = word }
        fi;
        // ask
        if
        :: IS_OVER(HOLDER(seen)) -> goto inherit
        :: !IS_OVER(HOLDER(seen)) && expired -> goto leave
        :: !IS_OVER(HOLDER(seen)) && !expired
        fi;
        // The same holder as at the wait before: it may have held the lock for a short wait.
        if
        :: d_step { UNCHANGED -> say(0) }
        :: d_step { UNCHANGED -> settled = true; say(SETTLES) }
        :: d_step { UNCHANGED && waited -> say(STARVING) }
        :: d_step { UNCHANGED && waited -> settled = true; say(STARVING | SETTLES) }
        :: d_step { !UNCHANGED -> seen = 0 }
            goto look
        :: d_step { !UNCHANGED && (seen & WAITERS) -> skip } // no flag to set
        fi;

    sleep:
        if
        :: d_step { UNCHANGED -> asleep[me] = true; life = LIFE; seen = 0 }
            if
            :: !asleep[me]
            :: HAS_ENDED
            :: TIME_IS_UP
            :: d_step { timed -> expired = true; timed = false }
            fi
        :: !UNCHANGED
        fi;
        atomic { asleep[me] = false; seen = 0; life = 0; settled = false; waited = true }
        goto look;

    inherit:
        if
        :: d_step { UNCHANGED -> assert(orphan == HOLDER(seen)); orphan = 0; take() }
            goto holds
        :: d_step { !UNCHANGED -> seen = 0 }
            goto look
        fi;

    leave:
        if
#ifdef NO_LEAVE
        :: d_step { UNCHANGED -> held[me] = false; forget() }
#else
        :: d_step { UNCHANGED -> word = seen | (waited -> WAITERS : 0); held[me] = false; forget() }
#endif
            goto idle
        :: d_step { !UNCHANGED -> seen = 0 }
            goto look
        fi;

    holds:
#ifdef HELD_LATE
        held[me] = true;
#endif
        atomic { seen = word & (WAITERS | SETTLED); word = word & STARVING; inside[me] = false }
        // wake
        if
#ifdef RELEASE_WAKES_NOBODY
        :: true
#else
        :: d_step { !(seen & WAITERS) || !(asleep[0] || asleep[1] || asleep[2]) -> skip }
        :: d_step { seen == WAITERS && asleep[0] -> asleep[0] = false }
        :: d_step { seen == WAITERS && asleep[1] -> asleep[1] = false }
        :: d_step { seen == WAITERS && asleep[2] -> asleep[2] = false }
        :: d_step { seen == (WAITERS | SETTLED) -> asleep[0] = false; asleep[1] = false; asleep[2] = false }
#endif
        fi;
        atomic { held[me] = false; seen = 0 }
        goto idle;

    end_rest:
        false
    } unless { over[me] -> goto end_over };
ends: // ends normally
    over[me] = true;
end_over:
    if
    :: d_step {
#ifdef NO_QUARANTINE
        taken < TURNS ->
#else
        taken < TURNS && !(held[me] && HOLDER(word) == NAME(me)) ->
#endif
            taken++;
            turn[me]++;
            held[me] = false;
            inside[me] = false;
            forget();
            over[me] = false
    }
        goto begin
    fi
}

inline kill(slot)
{
    d_step {
        deaths < DEATHS && !over[slot] ->
            deaths++;
            over[slot] = true;
            asleep[slot] = false;
            orphan = (HOLDER(word) == NAME(slot) -> HOLDER(word) : orphan)
    }
}

active proctype killer()
{
end_kill:
    do
    :: kill(0)
    :: kill(1)
    :: kill(2)
    :: d_step { deaths < DEATHS -> deaths = DEATHS }
    od
}

init {
    atomic { run thread(0); run thread(1); run thread(2) }
}
