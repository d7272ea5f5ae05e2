// SPDX-License-Identifier: MIT
// The condition (src/sync/condition.c): three waiters, a notifier, and a second one. Step for step:
//   waiter    take_ticket, write_ticket, await
//   some      choose_some, end_search; broodi_seat_first, broodi_seat_choose_claimed of
//             src/sync/seat.c
//   all       notify_all
//   destroy   destroy
// A load, a decision that depends on the loaded value alone, and the swap from that value are one
// step here, as in lock.pml. Each check of a seat is one step.
//
// Course of events:
//   waiters 0 and 1 wait; then the notifier begins: for all with ALL, otherwise for two
//   waiter 2 arrives at any time; with LATE, once another waiter has returned
//   a second notifier, for one, begins once the first has begun and waiter 2 waits; with LATE it is
//     a waiter that has returned
//   with TIMEOUTS there is no second notifier, all three wait before the first begins, and waiter 1
//     has a deadline
//   with DESTROY there is no second notifier, and the condition is destroyed once the first notify
//     has taken effect
//   with KILL there is no second notifier, and the notifier of two may be killed at every step
//
// Checked: in every order of the notifies, the arrivals and the timeouts, all three waiters are
// notified; with TIMEOUTS two are, and the third returns at its deadline, or continues to wait. So
// no execution ends with another waiter asleep: a notify that is not atomic shows as a lost wake.
// With DESTROY no waiter that was released before finds the condition gone; with KILL no claimed
// waiter stays asleep. And no waiter that a notifier of two has chosen returns before the notifier
// has chosen all.
//
// Left out: the lock, which no thread holds while others wait for it; the wrap-around of seats and
// tickets; dead waiters, which are skipped; memory orders. Time: waiter 0 may check its seat
// without a ring once, at any time; no waiter depends on that, except on a killed notifier, whose
// end also ends the waits of those that it has claimed.
//
// Size: 0.05 to 2.5 million states.
//
// Planted mistakes, each of which must be found:
//   SEAT_BY_SEAT  with ALL: the notifier visits the seats one by one, and there is no epoch
//   LOOKS_ONCE    a notifier that finds too few does not check for waiters that have arrived since
//   NO_CLAIM      without ALL, with LATE: each of several may leave as soon as it is chosen
//   OLD_TICKETS   a notifier of some ignores the epoch of a seat: it chooses a waiter that was
//                 released before
//   PLAIN_LEAVE   with TIMEOUTS: a waiter that times out leaves its seat without a swap
//   FORGETS       with DESTROY: the free slot does not keep the last epoch for the destroyer and
//                 for waiters that check by themselves
//   TRUSTS        with KILL: a claimed waiter does not watch the notifier
//   TRUSTS        with KILL: a claimed waiter does not watch the notifier

#define EMPTY 0
#define ENTERING 1
#define WAITING 2
#define CLAIMED 3
#define CHOSEN 4
#define NOBODY 3

#ifdef ALL
#define FIRST 0
#else
#define FIRST 2
#endif
#if defined(TIMEOUTS) || defined(DESTROY) || defined(KILL)
#define SECOND false
#else
#define SECOND true
#endif
#ifdef OLD_TICKETS
#define OF_EPOCH(seat) true
#else
#define OF_EPOCH(seat) (epoch_of[seat] == s_epoch)
#endif

#ifdef TIMEOUTS
#define ARE_THERE (phase[0] >= WAITING && (phase[1] >= WAITING || returned[1]) && phase[2] >= WAITING)
#else
#define ARE_THERE (phase[0] >= WAITING && phase[1] >= WAITING)
#endif

// The state of the condition.
byte last, epoch;
bool flag, gone;
// The seats.
byte phase[3], ticket[3], epoch_of[3];
bool rung[3];
// For the properties.
bool returned[3], released[3], by_first[3];
byte notified;
bool first_begun, first_chose, first_done, first_took, killed;

#define UNCHANGED (last == s_last && epoch == s_epoch && flag == s_flag)
#define CAN_RELEASE(seat) (phase[seat] == WAITING && epoch_of[seat] != s_epoch)

inline note_release(seat)
{
    released[seat] = released[seat] || phase[seat] == WAITING
}

inline look_for_first()
{
    d_step { index = 0; best = NOBODY; best_ticket = 0; nobody = true }
    do
    :: index < 3 ->
        d_step {
            if
            :: phase[index] == ENTERING -> nobody = false
            :: phase[index] == WAITING ->
                nobody = false;
                if
                :: ticket[index] <= s_last && OF_EPOCH(index) && (best == NOBODY || ticket[index] < best_ticket) ->
                    best = index;
                    best_ticket = ticket[index]
                :: else
                fi
            :: else
            fi;
            index++
        }
    :: index == 3 -> break
    od
}

inline choose(seat)
{
    phase[seat] = CHOSEN;
    rung[seat] = true
}

inline some(count, one)
{
    left = count;
    do
    :: left == 0 -> break
    :: left > 0 ->
        d_step { s_last = last; s_epoch = epoch; s_flag = flag }
        if
        :: !s_flag -> break
        :: s_flag
        fi;
        look_for_first();
        if
        :: best == NOBODY ->
            if
#ifdef LOOKS_ONCE
            :: true -> break
#else
            :: d_step { UNCHANGED && nobody -> flag = false }
                break
            :: UNCHANGED && !nobody -> break
            :: !UNCHANGED
#endif
            fi
        :: d_step { best != NOBODY && phase[best] == WAITING && ticket[best] == best_ticket && one -> choose(best); left-- }
#ifdef NO_CLAIM
        :: d_step { best != NOBODY && phase[best] == WAITING && ticket[best] == best_ticket && !one -> choose(best); by_first[best] = true; left-- }
#else
        :: d_step { best != NOBODY && phase[best] == WAITING && ticket[best] == best_ticket && !one -> phase[best] = CLAIMED; by_first[best] = true; left-- }
#endif
        :: best != NOBODY && !(phase[best] == WAITING && ticket[best] == best_ticket)
        fi
    od;
    atomic { index = 0; first_chose = first_chose || !one }
    do
    :: index < 3 && !one ->
        d_step {
            if
            :: phase[index] == CLAIMED -> choose(index)
            :: else
            fi;
            index++
        }
    :: index == 3 || one -> break
    od
}

inline forget()
{
    s_last = 0;
    s_epoch = 0;
    index = 0;
    best = 0;
    best_ticket = 0;
    left = 0;
    s_flag = false;
    nobody = false
}

inline all()
{
    index = 0;
#ifdef SEAT_BY_SEAT
    d_step { s_last = last; s_epoch = epoch }
    do
    :: index < 3 ->
        d_step {
            if
            :: phase[index] == WAITING && ticket[index] <= s_last -> choose(index)
            :: else
            fi;
            index++
        }
    :: index == 3 -> break
    od;
#else
    d_step {
        epoch++;
        s_epoch = epoch;
        flag = false;
        note_release(0);
        note_release(1);
        note_release(2);
        first_took = true
    }
    do
    :: index < 3 ->
        d_step {
            if
            :: CAN_RELEASE(index) && epoch_of[index] < s_epoch -> choose(index)
            :: else
            fi;
            index++
        }
    :: index == 3 -> break
    od;
#endif
}

// Notifies once, when waiter 2 waits; with LATE, a waiter that has returned.
bool second_begun;

proctype notifier(bool one)
{
    byte s_last, s_epoch, index, best, best_ticket, left;
    bool s_flag, nobody;
    {
        if
        :: one -> first_begun && (phase[2] >= WAITING || returned[2])
        :: d_step { !one && ARE_THERE -> first_begun = true }
        fi;
        if
        :: one -> some(1, true)
#if FIRST == 0
        :: !one -> all()
#else
        :: !one -> some(2, false)
#endif
        fi
    } unless { killed && !one };
    atomic { forget(); first_done = first_done || !one; first_took = first_took || !one }
}

proctype waiter(byte me)
{
    bool looks = me == 0;
    byte own;
#ifdef LATE
    if
    :: me == 2 -> returned[0] || returned[1]
    :: me != 2
    fi;
#endif
    phase[me] = ENTERING;
    if
    :: d_step { !gone -> own = 0; last++; flag = true; ticket[me] = last; epoch_of[me] = epoch; own = epoch }
    :: gone -> goto out // destroyed before it waited
    fi;
    phase[me] = WAITING;
    do
    :: d_step { phase[me] == CHOSEN -> assert(!by_first[me] || first_chose || killed); phase[me] = EMPTY; notified++ }
        break
    :: phase[me] == EMPTY -> assert(!released[me]) // released by the destroyer
        break
    :: phase[me] == CLAIMED ->
        if
        :: rung[me] -> rung[me] = false
#ifndef TRUSTS
        :: d_step { killed && phase[me] == CLAIMED -> phase[me] = CHOSEN }
#endif
        fi
    :: phase[me] == WAITING ->
        if
#if defined(FORGETS)
        :: d_step { !gone && epoch != own && phase[me] == WAITING -> phase[me] = EMPTY; notified++ }
            break
        :: d_step { gone && phase[me] == WAITING -> phase[me] = EMPTY; assert(!released[me]) }
            break
#else
        :: d_step { epoch != own && phase[me] == WAITING -> phase[me] = EMPTY; notified++ }
            break
        :: d_step { gone && epoch == own && phase[me] == WAITING -> phase[me] = EMPTY; assert(!released[me]) }
            break
#endif
        :: phase[me] != WAITING
        :: !gone && epoch == own && phase[me] == WAITING ->
            // asleep
            if
            :: d_step { rung[me] -> rung[me] = false }
            :: phase[me] != WAITING // the word changed before it slept
            :: d_step { looks -> looks = false } // a check without a ring
#ifdef TIMEOUTS
#ifdef PLAIN_LEAVE
            :: me == 1 -> phase[me] = EMPTY
                break
#else
            :: d_step { me == 1 && phase[me] == WAITING -> phase[me] = EMPTY }
                break
#endif
            :: first_done && notified == 2 -> break
#endif
#ifdef KILL
            :: killed || (first_done && notified == 2) -> break
#endif
            fi
        fi
    od;
out:
    atomic { own = 0; looks = false; rung[me] = false; returned[me] = true }
#ifdef LATE
    if
    :: d_step { SECOND && !second_begun -> second_begun = true }
        run notifier(true)
    :: second_begun || !SECOND
    fi
#endif
}

proctype destroyer()
{
    byte index, s_epoch;
    first_took;
    d_step { gone = true; s_epoch = epoch }
    do
    :: index < 3 ->
        d_step {
            if
#ifndef FORGETS
            :: CAN_RELEASE(index) -> choose(index)
#endif
#ifdef FORGETS
            :: phase[index] == WAITING -> phase[index] = EMPTY; rung[index] = true
#else
            :: phase[index] == WAITING && epoch_of[index] == s_epoch -> phase[index] = EMPTY; rung[index] = true
#endif
            :: else
            fi;
            index++
        }
    :: index == 3 -> break
    od
}

init {
    atomic {
        run waiter(0);
        run waiter(1);
        run waiter(2);
        run notifier(false);
#ifndef LATE
        if
        :: SECOND -> run notifier(true)
        :: !SECOND
        fi;
#endif
#ifdef DESTROY
        run destroyer();
#endif
    }
#ifdef KILL
    if
    :: killed = true
    :: first_done
    fi
#endif
}
