// SPDX-License-Identifier: MIT
// The portable provider of waiting (src/arena/wait_portable.c): two waiters that may be killed at
// every step (KILLS of them), WAKERS wakers, and BURIERS that bury the dead and free their slots.
//
// The word is a count of tokens, as in a semaphore: a waker adds one and wakes one waiter; a waiter
// takes one or waits. Step for step:
//   waiter   broodi_wait: publish the key, check the word again, await the bell, leave; the caller
//            checks the word before and after
//   wake     wake_key, wake_thread: thread by thread; the thread's state, the claim, the ring, the
//            state again
//   bury     broodi_owner_state of src/arena/owner.c, then bury of src/process/burial.c
// A new waiter takes a freed slot (begin_slot), TURNS times in all.
//
// Left out: time. No wait ends by a timeout, so a waiter that depends on the fallback poll of one
// second sleeps for ever here. A dead thread is buried at some time; in the library, when its
// process is reaped or a search for a free slot finds it. Memory orders: everything is sequentially
// consistent. Keys: there is one. Watched holders: see lock.pml.
//
// Checked: when no process moves any more and there is a token, no living waiter is asleep (none
// depended on the fallback poll); and no process of the model is stuck elsewhere.
//
// Size: 6.8 million states with one waker, two buriers, a death and a new waiter; 2.4 million with
// two wakers, one burier and a death.
//
// Planted mistakes, each of which must be found:
//   NO_RECHECK    a waiter does not check the word again once its key is published
//   WAKE_FIRST    a waker wakes, then changes the word
//   FORGETS_RING  a bell that no thread awaits forgets its ring
//   NO_PASS_ON    a burial leaves the claim of the dead thread
//   CLEARS_CLAIM  a waiter that leaves clears its claim: if it dies before it checks the word, the
//                 wake is lost
//   COUNTS_DEAD   a claim counts although its slot is being buried, or is free
// Cases that only the fallback poll repairs, shown the same way:
//   NET_WAKER     a waker dies between its change and its ring
//   NET_BURIER    a burier dies after it has removed a claim and before it has woken another waiter

#ifndef WAKERS
#define WAKERS 2
#endif
#ifndef BURIERS
#define BURIERS 2
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef TURNS
#define TURNS 1 // new waiters in the slots of others
#endif

#define NOTHING 0 // in `key`
#define KEY 1
#define CLAIMED 2

#define FREE 0 // phases, in the state of a slot with its generation above
#define LIVE 1
#define DEAD 2
#define PHASE(state) (state & 3)
#define NEXT 4 // generation

byte word; // tokens
// Of the slots.
byte state[2];
byte key[2];
bool bell[2]; // rung
bool over[2]; // the thread has ended
// For the properties.
bool asleep[2];
byte waking;  // wakers that have not finished
byte burying; // burials in progress
byte kills;
byte taken;

#ifdef FORGETS_RING
#define RING bell[index] = asleep[index]
#define LOOK_AGAIN word == 0 -> asleep[me] = true
#else
#define RING bell[index] = true
#define LOOK_AGAIN d_step { word == 0 -> asleep[me] = true }
#endif

// wake_key(KEY, 1). The load of `key` before the claim is one step with it: it only avoids a
// claim that fails.
inline wake()
{
    do
    :: index < 2 ->
        seen = state[index];
        if
        :: d_step { key[index] != KEY -> index++; seen = 0 }
        :: d_step { key[index] == KEY -> key[index] = CLAIMED }
            RING;
            if
#ifdef COUNTS_DEAD
            :: true -> break
#else
            :: d_step { PHASE(seen) == LIVE && state[index] == seen -> skip }
                break
            :: d_step { PHASE(seen) != LIVE || state[index] != seen -> index++; seen = 0 }
#endif
            fi
        fi
    :: index == 2 -> break
    od
}

proctype waiter(byte me)
{
begin: // begin_slot has returned
    {
        do
        :: d_step { word > 0 -> word-- }
            break
        :: d_step { word == 0 -> skip }
            key[me] = KEY;
            if
#ifdef NO_RECHECK
            :: d_step { true -> asleep[me] = true }
#else
            :: word != 0
            :: LOOK_AGAIN
#endif
            end_await:
                d_step { bell[me] -> bell[me] = false; asleep[me] = false }
            fi;
            // Leaves. A claim stays until the next wait, for the burial of the slot.
#ifdef CLEARS_CLAIM
            key[me] = NOTHING
#else
            key[me] = (key[me] == KEY -> NOTHING : key[me])
#endif
        od
    } unless { over[me] -> goto end_over };
    // Ends normally.
    over[me] = true;
    state[me] = (PHASE(state[me]) == LIVE -> state[me] - LIVE : state[me]);
end_over: // a new thread takes the slot
    if
    :: d_step {
        PHASE(state[me]) == FREE && taken < TURNS ->
            taken++;
            state[me] = state[me] + NEXT + LIVE;
            key[me] = NOTHING;
            over[me] = false
    }
        goto begin
    fi
}

proctype waker()
{
    byte index, seen;
#ifdef WAKE_FIRST
    wake();
    word++;
#else
    word++;
#ifdef NET_WAKER
    if
    :: goto died
    :: skip
    fi;
#endif
    wake();
#endif
died:
    atomic { waking--; index = 0; seen = 0 }
}

// mark_dead by this burier or another, broodi_wait_bury, broodi_slot_free.
inline bury(slot_)
{
    d_step {
        over[slot_] && PHASE(state[slot_]) != FREE ->
            slot = slot_;
            state[slot] = state[slot] - PHASE(state[slot]) + DEAD;
            dead = state[slot];
            burying++
    }
#ifndef NO_PASS_ON
    if
    :: d_step { key[slot] == CLAIMED -> key[slot] = NOTHING }
#ifdef NET_BURIER
        if
        :: goto died
        :: skip
        fi;
#endif
        wake()
    :: d_step { key[slot] != CLAIMED -> skip }
    fi;
#endif
    atomic {
        state[slot] = (state[slot] == dead -> dead - DEAD : state[slot]);
        burying--;
        slot = 0; dead = 0; index = 0; seen = 0
    }
}

proctype burier()
{
    byte slot, index, seen, dead;
end_search:
    do
    :: bury(0)
    :: bury(1)
    od;
#ifdef NET_BURIER
died:
    burying--
#endif
}

// Kills at any moment.
active proctype killer()
{
end_kill:
    do
    :: d_step { !over[0] && kills < KILLS -> over[0] = true; asleep[0] = false; kills++ }
    :: d_step { !over[1] && kills < KILLS -> over[1] = true; asleep[1] = false; kills++ }
    od
}

#define IS_STILL(i) (over[i] && PHASE(state[i]) == FREE || asleep[i] && !bell[i])

// No process moves any more, except by a new waiter; there is a token, and a waiter is asleep.
active proctype judge()
{
end_judge:
    d_step {
        waking == 0 && burying == 0 && word > 0 && IS_STILL(0) && IS_STILL(1) && (asleep[0] || asleep[1]) ->
            assert(false)
    }
}

init {
    d_step { state[0] = LIVE; state[1] = LIVE; waking = WAKERS }
    atomic {
        run waiter(0);
        run waiter(1);
        run waker();
#if WAKERS > 1
        run waker();
#endif
        run burier();
#if BURIERS > 1
        run burier()
#endif
    }
}
