// SPDX-License-Identifier: MIT
// Sending in fragments; see bulk.h.
#include "arena/owner.h"
#include "arena/self.h"
#include "base/fail.h"
#include "base/step.h"
#include "message/bulk.h"
#include "message/item.h"
#include "message/reference.h"

#include <string.h>

static broodi_owner other_that_lives(broodi_owner owner)
{
    return owner && owner != broodi_owner_self() && broodi_owner_state(owner) == BROODI_OWNER_LIVES
               ? owner
               : 0;
}

broodi_owner broodi_bulk_sender(const struct broodi_queue_slot *queue)
{
    return other_that_lives(broodi_chain_load(&queue->sender));
}

broodi_owner broodi_bulk_receiver(const struct broodi_queue_slot *queue)
{
    return other_that_lives(broodi_chain_load(&queue->receiver));
}

// `sender` first: a sender stores it after the number.
bool broodi_bulk_is_sent(const struct broodi_queue_slot *queue, uint64_t number)
{
    const broodi_owner sender = broodi_chain_load(&queue->sender);
    return sender && broodi_chain_load(&queue->sending) / 2 == number &&
           broodi_owner_state(sender) == BROODI_OWNER_LIVES;
}

// A message that is whole in the chain is the last one: the direction is full with it.
bool broodi_bulk_comes(const struct broodi_queue_slot *queue, uint64_t number)
{
    return broodi_bulk_is_sent(queue, number) ||
           broodi_chain_load(&queue->sending) == (number * 2 | 1);
}

// Copies the next `size` bytes of the parts.
static void copy_next(struct broodi_sending *sending, unsigned char *to, size_t size)
{
    if (!sending->part)
        sending->part = sending->parts;
    while (size > 0) {
        const size_t left = sending->part->size - sending->in_part;
        const size_t some = left < size ? left : size;
        if (some > 0)
            memcpy(to, (const unsigned char *)sending->part->data + sending->in_part, some);
        to += some;
        size -= some;
        sending->in_part += some;
        if (some == left) {
            sending->part++;
            sending->in_part = 0;
        }
    }
}

brood_status broodi_bulk_fill(struct broodi_passage *passage, struct broodi_sending *sending)
{
    const size_t left = sending->size - sending->done;
    if (sending->piece)
        return BROOD_OK;
    sending->next = left < BROODI_BULK_FRAGMENT ? left : BROODI_BULK_FRAGMENT;
    const brood_status status =
        broodi_reference_allocate(passage->call.id, sending->next, &sending->piece);
    if (status == BROOD_OK)
        copy_next(sending, broodi_reference_data(sending->piece), sending->next);
    return status;
}

bool broodi_bulk_interrupts_sender(const struct broodi_queue_slot *queue,
                                   const struct broodi_sending *sending)
{
    return !sending->number && broodi_chain_load(&queue->sender) &&
           broodi_chain_load(&queue->sender) == broodi_owner_self();
}

static void begin(struct broodi_queue_slot *queue, struct broodi_sending *sending)
{
    sending->number = broodi_chain_load(&queue->sending) / 2 + 1;
    broodi_chain_store(&queue->sending, sending->number * 2);
    broodi_chain_store(&queue->sender, broodi_owner_self());
    broodi_step(BROODI_STEP_BULK_BEGUN);
}

brood_status broodi_bulk_append(struct broodi_passage *passage, struct broodi_sending *sending)
{
    struct broodi_queue_slot *queue = passage->call.queue;
    if (!sending->number)
        begin(queue, sending);
    const struct broodi_fragment fragment = { .number = sending->number,
                                              .total = sending->size,
                                              .at = sending->done };
    const brood_status status = broodi_chain_append_fragment(
        queue, passage->call.id, sending->piece, sending->next, &fragment);
    if (status != BROOD_OK)
        return status;
    sending->piece = 0;
    sending->done += sending->next;
    broodi_step(BROODI_STEP_BULK_APPENDED);
    if (sending->done == sending->size) {
        broodi_chain_store(&queue->sending, sending->number * 2 | 1);
        broodi_step(BROODI_STEP_BULK_WHOLE);
        broodi_chain_store(&queue->sender, 0);
    }
    return BROOD_OK;
}

// Needs no lock: no other thread changes a `sender` that names this one. The slot may have another
// queue by now.
void broodi_bulk_give_up(struct broodi_passage *passage, const struct broodi_sending *sending)
{
    if (sending->number == 0 || sending->done == sending->size)
        return;
    broodi_owner self = broodi_owner_self();
    (void)atomic_compare_exchange_strong_explicit(&passage->call.queue->sender, &self, 0,
                                                  memory_order_acq_rel, memory_order_relaxed);
    broodi_step(BROODI_STEP_BULK_GIVEN_UP);
    broodi_queue_notify_all(passage->call.queue);
}
