// SPDX-License-Identifier: MIT
// Sending messages through a connection.
#include "base/fail.h"
#include "message/chain.h"
#include "message/passage.h"
#include "message/reference.h"

#include <brood/connection.h>
#include <string.h>

// A message that is sent.
struct sending {
    const brood_part *parts;
    size_t size;
    uint64_t piece; // the reference of its body, which is filled; 0: it has none
};

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

static void copy_parts(unsigned char *to, const struct sending *sending)
{
    const brood_part *part = sending->parts;
    for (size_t at = 0; at < sending->size; at += part->size, part++)
        if (part->size > 0)
            memcpy(to + at, part->data, part->size);
}

static brood_status fill_piece(const struct broodi_call *call, struct sending *sending)
{
    if (broodi_chain_is_inline(sending->size) || sending->piece)
        return BROOD_OK;
    const brood_status status = broodi_reference_allocate(call->id, sending->size, &sending->piece);
    if (status == BROOD_OK)
        copy_parts(broodi_reference_data(sending->piece), sending);
    return status;
}

// The caller holds the lock of the producers.
static brood_status append(const struct broodi_call *call, struct sending *sending)
{
    if (broodi_queue_is_full(call->queue))
        return BROOD_NOT_FOUND;
    if (!sending->piece)
        return broodi_chain_append(call->queue, call->id, sending->parts, sending->size);
    const brood_status status =
        broodi_chain_append_piece(call->queue, call->id, sending->piece, sending->size);
    if (status == BROOD_OK)
        sending->piece = 0;
    return status;
}

static brood_status send_once(struct broodi_call *call, void *arg)
{
    struct broodi_passage *passage = (struct broodi_passage *)call;
    brood_status status = broodi_end_peer(&passage->end);
    if (status == BROOD_OK)
        status = fill_piece(call, arg);
    if (status == BROOD_OK)
        status = broodi_call_enter(call, BROODI_PRODUCERS);
    if (status != BROOD_OK)
        return status;
    status = broodi_passage_check(passage);
    if (status == BROOD_OK)
        status = append(call, arg);
    broodi_call_leave(call, BROODI_PRODUCERS);
    if (status == BROOD_OK)
        broodi_queue_notify(call->queue, BROODI_CONSUMERS, 1);
    return status == BROOD_NOT_FOUND ? broodi_passage_pause(passage, 0) : status;
}

static brood_status send_parts(brood_connection connection, const brood_part *parts, size_t count,
                               brood_duration timeout)
{
    struct broodi_passage passage;
    struct sending sending = { .parts = parts };
    brood_status status = broodi_passage_begin(&passage, connection.id, BROODI_PRODUCERS, timeout);
    if (status == BROOD_OK)
        status = check_parts(parts, count, &sending.size);
    if (status == BROOD_OK)
        status = broodi_passage_check(&passage);
    if (status == BROOD_OK)
        status = broodi_call_repeat(&passage.call, BROODI_PRODUCERS, send_once, &sending);
    if (sending.piece)
        broodi_reference_free(sending.piece);
    return status;
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
