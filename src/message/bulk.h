// SPDX-License-Identifier: MIT
// Messages of a connection that are larger than what may be on its way: they pass in fragments,
// while they are received.
//
// A fragment is a body in the chain (chain.h), with the number of its message, the bytes of the
// message in all, and how many of them come before it. So what happens to a fragment when a process
// is killed is what happens to any other body. Both ends hold their locks for one fragment at a
// time.
//
// Sender. `sender` of the queue is the thread that sends a message in fragments, and `sending`
// twice the number of the last such message, plus 1 once its last fragment is in the chain. Both
// are stored under the lock of the producers, before the first fragment; `sender` is cleared after
// the last one, or when the thread gives up. While the thread that it names lives, no other sender
// appends anything.
//
// Receiver. `receiver` is the thread that receives a message in fragments, `receiving` the number
// of that message, and `received` how many bytes it has copied. They are changed under the lock of
// the consumers. While the thread lives, no other receiver removes anything.
//
// A message will not become whole if its next fragment is not the first item of the chain and its
// sender is not at it any more: then its receiver forgets it. A fragment that no receiver waits for
// is removed, if it is not the first one of its message (its receiver has died), or the message
// will not become whole. So neither a death nor giving up needs a mark in the chain.
//
// A receiver whose time is over copies what it has into a piece, the `spill` of the queue, with the
// message's bytes in all in `length`. The next receiver continues with it.
//
// tests/model/bulk.pml searches all orders of these steps.
#ifndef BULK_H
#define BULK_H

#include "message/chain.h"
#include "message/passage.h"

#include <brood/connection.h>
#include <stddef.h>
#include <stdint.h>

enum { BROODI_BULK_ABOVE = BROODI_DIRECTION_BYTES, BROODI_BULK_FRAGMENT = 128 << 10 };

// A message that is sent.
struct broodi_sending {
    const brood_part *parts;
    size_t size;
    uint64_t piece;  // the reference of its body, or of the next fragment, which is filled; or 0
    uint64_t number; // of the message, once it is being sent in fragments; 0: not yet
    size_t done;     // bytes that are in the chain
    size_t next;     // bytes in `piece`
    const brood_part *part; // the part in which the byte `done` is, and its place there
    size_t in_part;
};

// A message that is received.
struct broodi_receiving {
    unsigned char *buffer; // NULL with `polls`
    size_t capacity;
    bool polls; // the message stays
    size_t size;
    uint64_t piece;     // the reference of its body, which the thread has taken
    const void *body;   // the bytes of that
    uint64_t number;    // of the message, while it is received in fragments; 0: it is not
    size_t done;        // bytes that are in the buffer
    bool expired;       // the time is over, and what was received could not be kept
    broodi_owner taker; // another thread that copies the body of a message; 0: none
};

// Another thread that is sending, or receiving, a message in fragments; 0: none.
broodi_owner broodi_bulk_sender(const struct broodi_queue_slot *queue);
broodi_owner broodi_bulk_receiver(const struct broodi_queue_slot *queue);

// Whether a thread that sends or receives a message in fragments was interrupted by a signal
// handler, which calls for the same queue.
bool broodi_bulk_interrupts_sender(const struct broodi_queue_slot *queue,
                                   const struct broodi_sending *sending);
bool broodi_bulk_interrupts_receiver(const struct broodi_queue_slot *queue,
                                     const struct broodi_receiving *receiving);

// Whether a message's next fragment may come: its sender lives, and has not given up.
bool broodi_bulk_is_sent(const struct broodi_queue_slot *queue, uint64_t number);

// The same for a message of which no fragment has been received; true also if it is whole.
bool broodi_bulk_comes(const struct broodi_queue_slot *queue, uint64_t number);

// Fills the next fragment, if it is not. The caller holds no lock. Fails with BROOD_NO_MEMORY,
// BROOD_NO_RESOURCES.
brood_status broodi_bulk_fill(struct broodi_passage *passage, struct broodi_sending *sending);

// Appends it. The caller holds the lock of the producers, and no other thread sends. Fails with
// BROOD_NO_MEMORY, BROOD_NO_RESOURCES.
brood_status broodi_bulk_append(struct broodi_passage *passage, struct broodi_sending *sending);

// Gives up the message if it is not complete.
void broodi_bulk_give_up(struct broodi_passage *passage, const struct broodi_sending *sending);

// Whether broodi_bulk_receive is to be called first.
bool broodi_bulk_is_received(const struct broodi_queue_slot *queue,
                             const struct broodi_receiving *receiving);

// Whether a part of a message was received, by this thread or by one whose time was over.
bool broodi_bulk_is_pending(const struct broodi_queue_slot *queue);

// Receives the next fragment of the message that the caller, or an earlier call, has received a
// part of. The caller holds the lock of the consumers, and no other thread receives. BROOD_OK: the
// message is whole; or, with `polls`, there is one. BROOD_BUSY: something was done, and the caller
// tries again. BROOD_NOT_FOUND: the next fragment has not come yet. BROOD_TOO_SMALL,
// BROOD_NO_MEMORY.
brood_status broodi_bulk_receive(struct broodi_passage *passage,
                                 struct broodi_receiving *receiving);

// The same for the first item of the chain, which is a fragment.
brood_status broodi_bulk_begin(struct broodi_passage *passage, struct broodi_receiving *receiving,
                               const struct broodi_item *item,
                               const struct broodi_fragment *fragment);

// The call ends in the middle of a message: keeps what was received for the next receiver, unless
// this end was closed meanwhile. False if that is not possible: there is no memory, or another
// thread has the lock for longer than a second.
bool broodi_bulk_spill(struct broodi_passage *passage, struct broodi_receiving *receiving);

// The call ends otherwise, and what was received is lost.
void broodi_bulk_forget(struct broodi_passage *passage, struct broodi_receiving *receiving);

#endif
