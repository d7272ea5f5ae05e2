// SPDX-License-Identifier: MIT
// Sending messages through a connection.
#include "arena/wait.h"
#include "base/fail.h"
#include "message/bulk.h"
#include "message/chain.h"
#include "message/passage.h"
#include "message/reference.h"
#include "message/room.h"

#include <brood/connection.h>
#include <string.h>

static brood_status check_parts(const brood_part *parts, size_t count, size_t *out_size)
{
    size_t size = 0;
    if (!parts && count > 0)
        return broodi_fail(BROOD_INVALID, "parts is NULL");
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].data && parts[i].size > 0)
            return broodi_fail(BROOD_INVALID, "data is NULL");
        if (parts[i].size > SIZE_MAX - size)
            return broodi_fail(BROOD_TOO_LARGE, "the sizes of the parts are too large");
        size += parts[i].size;
    }
    *out_size = size;
    return BROOD_OK;
}

static void copy_parts(unsigned char *to, const struct broodi_sending *sending)
{
    size_t at = 0;
    for (const brood_part *part = sending->parts; at < sending->size; part++) {
        if (part->size > 0)
            memcpy(to + at, part->data, part->size);
        at += part->size;
    }
}

static bool is_bulk(const struct broodi_sending *sending)
{
    return sending->size > BROODI_BULK_ABOVE;
}

static brood_status fill_piece(struct broodi_passage *passage, struct broodi_sending *sending)
{
    if (is_bulk(sending))
        return broodi_bulk_fill(passage, sending);
    if (broodi_chain_is_inline(sending->size) || sending->piece)
        return BROOD_OK;
    const brood_status status =
        broodi_reference_allocate(passage->call.id, sending->size, &sending->piece);
    if (status == BROOD_OK)
        copy_parts(broodi_reference_data(sending->piece), sending);
    return status;
}

static brood_status append(struct broodi_passage *passage, struct broodi_sending *sending)
{
    const struct broodi_call *call = &passage->call;
    if (is_bulk(sending))
        return broodi_bulk_append(passage, sending);
    if (!sending->piece)
        return broodi_chain_append(call->queue, call->id, sending->parts, sending->size);
    const brood_status status =
        broodi_chain_append_piece(call->queue, call->id, sending->piece, sending->size);
    if (status == BROOD_OK)
        sending->piece = 0;
    return status;
}

// The caller holds the lock of the producers.
static brood_status send_locked(struct broodi_passage *passage, struct broodi_sending *sending,
                                broodi_owner *out_sender)
{
    const brood_status status = broodi_passage_check(passage);
    if (status != BROOD_OK)
        return status;
    if (broodi_bulk_interrupts_sender(passage->call.queue, sending))
        return BROOD_DEADLOCK;
    *out_sender = broodi_bulk_sender(passage->call.queue);
    return *out_sender || broodi_queue_is_full(passage->call.queue) ? BROOD_NOT_FOUND
                                                                    : append(passage, sending);
}

// Sends the message, or one fragment of it.
static brood_status send_some(struct broodi_passage *passage, struct broodi_sending *sending)
{
    broodi_owner sender = 0;
    brood_status status = broodi_end_peer(&passage->end);
    if (status == BROOD_OK)
        status = fill_piece(passage, sending);
    if (status == BROOD_OK)
        status = broodi_call_enter(&passage->call, BROODI_PRODUCERS);
    if (status != BROOD_OK)
        return status;
    status = send_locked(passage, sending, &sender);
    broodi_call_leave(&passage->call, BROODI_PRODUCERS);
    if (status == BROOD_OK)
        broodi_queue_notify(passage->call.queue, BROODI_CONSUMERS,
                            sending->number ? BROODI_ALL : 1);
    return status == BROOD_NOT_FOUND ? broodi_passage_pause(passage, sender) : status;
}

static brood_status send_once(struct broodi_call *call, void *arg)
{
    struct broodi_passage *passage = (struct broodi_passage *)call;
    struct broodi_sending *sending = arg;
    brood_status status;
    do
        status = send_some(passage, sending);
    while (status == BROOD_OK && sending->number && sending->done < sending->size);
    return status;
}

bool broodi_send_is_ready(const struct broodi_call *call)
{
    return broodi_passage_is_over((const struct broodi_passage *)call) ||
           (broodi_queue_has_room(call->queue) && !broodi_bulk_sender(call->queue));
}

static brood_status send_message(struct broodi_passage *passage, struct broodi_sending *sending)
{
    passage->call.is_ready = broodi_send_is_ready;
    brood_status status = broodi_passage_check(passage);
    if (status == BROOD_OK)
        status = broodi_call_repeat(&passage->call, BROODI_PRODUCERS, send_once, sending);
    broodi_bulk_give_up(passage, sending);
    if (sending->piece)
        broodi_reference_free(sending->piece);
    if (status == BROOD_OK && sending->number)
        broodi_queue_notify(passage->call.queue, BROODI_PRODUCERS, BROODI_ALL);
    return status;
}

static brood_status send_parts(brood_connection connection, const brood_part *parts, size_t count,
                               brood_duration timeout)
{
    struct broodi_passage passage;
    struct broodi_sending sending = { .parts = parts };
    brood_status status = broodi_passage_begin(&passage, connection.id, BROODI_PRODUCERS, timeout);
    if (status == BROOD_OK)
        status = check_parts(parts, count, &sending.size);
    return status == BROOD_OK ? send_message(&passage, &sending) : status;
}

brood_status brood_connection_send(brood_connection connection, const void *data, size_t size,
                                   brood_duration timeout)
{
    const brood_part part = { .data = data, .size = size };
    const brood_status status = send_parts(connection, &part, 1, timeout);
    return status == BROOD_OK ? status : broodi_answer("brood_connection_send", status);
}

brood_status brood_connection_send_parts(brood_connection connection, const brood_part *parts,
                                         size_t count, brood_duration timeout)
{
    const brood_status status = send_parts(connection, parts, count, timeout);
    return status == BROOD_OK ? status : broodi_answer("brood_connection_send_parts", status);
}
