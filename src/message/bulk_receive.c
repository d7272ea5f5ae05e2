// SPDX-License-Identifier: MIT
// Receiving in fragments; see bulk.h.
#include "arena/owner.h"
#include "arena/self.h"
#include "arena/wait.h"
#include "base/fail.h"
#include "base/step.h"
#include "message/bulk.h"
#include "message/item.h"
#include "message/reference.h"

#include <string.h>

static void set_received(struct broodi_queue_slot *queue, const struct broodi_receiving *receiving)
{
    broodi_chain_store(&queue->receiving, receiving->number);
    broodi_chain_store(&queue->received, receiving->done);
}

static void end_receiving(struct broodi_queue_slot *queue, struct broodi_receiving *receiving)
{
    broodi_chain_store(&queue->receiver, 0);
    receiving->number = 0;
    receiving->done = 0;
}

// Removes the first item, a fragment that no receiver waits for.
static brood_status discard(struct broodi_queue_slot *queue, const struct broodi_item *item)
{
    broodi_chain_remove(queue, item, 1);
    return BROOD_BUSY;
}

// The first item is the fragment that comes next.
static brood_status copy_fragment(struct broodi_queue_slot *queue,
                                  struct broodi_receiving *receiving,
                                  const struct broodi_item *item)
{
    const void *data = broodi_chain_data(item);
    if (!data || item->size > receiving->size - receiving->done)
        return data ? discard(queue, item)
                    : broodi_fail(BROOD_NO_MEMORY, "the message cannot be mapped");
    memcpy(receiving->buffer + receiving->done, data, (size_t)item->size);
    broodi_step(BROODI_STEP_BULK_COPIED);
    broodi_chain_remove(queue, item, 1);
    receiving->done += (size_t)item->size;
    broodi_chain_store(&queue->received, receiving->done);
    broodi_step(BROODI_STEP_BULK_RECEIVED);
    if (receiving->done < receiving->size)
        return BROOD_BUSY;
    end_receiving(queue, receiving);
    return BROOD_OK;
}

// Whether the item is the fragment of that message at that place.
static bool is_next(brood_status found, const struct broodi_item *item, uint64_t number,
                    uint64_t at)
{
    struct broodi_fragment fragment;
    return found == BROOD_OK && broodi_chain_fragment(item, &fragment) &&
           fragment.number == number && fragment.at == at;
}

static brood_status continue_receiving(struct broodi_queue_slot *queue,
                                       struct broodi_receiving *receiving)
{
    struct broodi_item item;
    const bool is_sent = broodi_bulk_is_sent(queue, receiving->number);
    const brood_status found = broodi_chain_first(queue, &item);
    if (is_next(found, &item, receiving->number, receiving->done))
        return copy_fragment(queue, receiving, &item);
    if ((found == BROOD_NOT_FOUND && is_sent) || (found != BROOD_OK && found != BROOD_NOT_FOUND))
        return found;
    end_receiving(queue, receiving);
    return BROOD_BUSY;
}

static bool fits(struct broodi_receiving *receiving, uint64_t total)
{
    receiving->size = (size_t)total;
    return total <= receiving->capacity;
}

brood_status broodi_bulk_begin(struct broodi_passage *passage, struct broodi_receiving *receiving,
                               const struct broodi_item *item,
                               const struct broodi_fragment *fragment)
{
    struct broodi_queue_slot *queue = passage->call.queue;
    if (fragment->at > 0 || !broodi_bulk_comes(queue, fragment->number))
        return discard(queue, item);
    if (receiving->polls)
        return BROOD_OK;
    if (!fits(receiving, fragment->total))
        return BROOD_TOO_SMALL;
    receiving->number = fragment->number;
    set_received(queue, receiving);
    broodi_chain_store(&queue->receiver, broodi_owner_self());
    broodi_step(BROODI_STEP_BULK_TAKEN);
    return copy_fragment(queue, receiving, item);
}

// The message that was received in part is not received by any thread now.
static brood_status take_over_spill(struct broodi_queue_slot *queue,
                                    struct broodi_receiving *receiving, uint64_t spill)
{
    const struct broodi_piece_slot *piece = broodi_reference_slot(spill);
    const size_t done = (size_t)broodi_chain_load(&queue->received);
    const void *data = broodi_reference_data(spill);
    if (!data)
        return broodi_fail(BROOD_NO_MEMORY, "the message cannot be mapped");
    receiving->number = broodi_chain_load(&queue->receiving);
    receiving->size = (size_t)broodi_chain_load(&piece->length);
    receiving->done = done;
    memcpy(receiving->buffer, data, done);
    broodi_chain_store(&queue->receiver, broodi_owner_self());
    broodi_step(BROODI_STEP_BULK_TAKEN_OVER);
    broodi_chain_free_spill(queue);
    return BROOD_BUSY;
}

static brood_status resume(struct broodi_queue_slot *queue, struct broodi_receiving *receiving)
{
    struct broodi_item item;
    const uint64_t spill = broodi_chain_load(&queue->spill);
    const uint64_t number = broodi_chain_load(&queue->receiving);
    const uint64_t total = broodi_chain_load(&broodi_reference_slot(spill)->length);
    const bool is_sent = broodi_bulk_is_sent(queue, number);
    const brood_status found = broodi_chain_first(queue, &item);
    const bool comes = is_next(found, &item, number, broodi_chain_load(&queue->received));
    if (!comes && found != BROOD_OK && (found != BROOD_NOT_FOUND || is_sent))
        return found == BROOD_NOT_FOUND && !receiving->polls && !fits(receiving, total)
                   ? BROOD_TOO_SMALL
                   : found;
    if (!comes) {
        broodi_chain_free_spill(queue);
        return BROOD_BUSY;
    }
    if (receiving->polls)
        return BROOD_OK;
    return fits(receiving, total) ? take_over_spill(queue, receiving, spill) : BROOD_TOO_SMALL;
}

bool broodi_bulk_interrupts_receiver(const struct broodi_queue_slot *queue,
                                     const struct broodi_receiving *receiving)
{
    return !receiving->number && broodi_chain_load(&queue->receiver) &&
           broodi_chain_load(&queue->receiver) == broodi_owner_self();
}

bool broodi_bulk_is_pending(const struct broodi_queue_slot *queue)
{
    const broodi_owner receiver = broodi_chain_load(&queue->receiver);
    return broodi_chain_load(&queue->spill) || (receiver && receiver == broodi_owner_self());
}

bool broodi_bulk_is_received(const struct broodi_queue_slot *queue,
                             const struct broodi_receiving *receiving)
{
    return receiving->number || broodi_chain_load(&queue->spill);
}

brood_status broodi_bulk_receive(struct broodi_passage *passage, struct broodi_receiving *receiving)
{
    struct broodi_queue_slot *queue = passage->call.queue;
    return receiving->number ? continue_receiving(queue, receiving) : resume(queue, receiving);
}

// The end of a call in the middle of a message

static brood_status fill_spill(const struct broodi_passage *passage,
                               const struct broodi_receiving *receiving, uint64_t *out)
{
    const brood_status status = broodi_reference_allocate(passage->call.id, receiving->done, out);
    if (status == BROOD_OK)
        memcpy(broodi_reference_data(*out), receiving->buffer, receiving->done);
    return status;
}

bool broodi_bulk_spill(struct broodi_passage *passage, struct broodi_receiving *receiving)
{
    struct broodi_queue_slot *queue = passage->call.queue;
    uint64_t spill;
    if (fill_spill(passage, receiving, &spill) != BROOD_OK)
        return false;
    broodi_chain_store(&broodi_reference_slot(spill)->length, receiving->size);
    const brood_status status = broodi_queue_acquire(queue, BROODI_CONSUMERS, BROOD_SECONDS(1));
    const bool wanted = status == BROOD_OK && broodi_call_is_current(&passage->call) &&
                        broodi_passage_check(passage) == BROOD_OK;
    if (wanted) {
        broodi_chain_spill(queue, spill);
        end_receiving(queue, receiving);
    } else {
        broodi_reference_free(spill);
    }
    if (status == BROOD_OK)
        broodi_queue_release(queue, BROODI_CONSUMERS);
    if (wanted)
        broodi_queue_notify(queue, BROODI_CONSUMERS, BROODI_ALL);
    return status == BROOD_OK;
}

// Needs no lock: no other thread changes a `receiver` that names this one. The slot may have
// another queue by now.
void broodi_bulk_forget(struct broodi_passage *passage, struct broodi_receiving *receiving)
{
    if (receiving->number == 0)
        return;
    broodi_owner self = broodi_owner_self();
    (void)atomic_compare_exchange_strong_explicit(&passage->call.queue->receiver, &self, 0,
                                                  memory_order_acq_rel, memory_order_relaxed);
    receiving->number = 0;
    broodi_queue_notify(passage->call.queue, BROODI_CONSUMERS, BROODI_ALL);
}
