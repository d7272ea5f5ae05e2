// SPDX-License-Identifier: MIT
#include "process/ends.h"

#include "arena/owner.h"
#include "base/fail.h"
#include "base/fault.h"
#include "message/connection.h"

brood_status broodi_ends_check(const brood_process_options *options)
{
    brood_status status = BROOD_OK;
    if (options->connection_count > 0 && !options->connections)
        return broodi_fail(BROOD_INVALID, "connections is NULL, connection_count is %zu",
                           options->connection_count);
    for (size_t i = 0; status == BROOD_OK && i < options->connection_count; i++)
        status = broodi_connection_check(options->connections[i]);
    return status;
}

static brood_status allocate(struct broodi_ends *ends, size_t count)
{
    if (count == 0 || ends->users)
        return BROOD_OK;
    if (count <= SIZE_MAX / sizeof *ends->users)
        ends->users = broodi_alloc(count * sizeof *ends->users);
    return ends->users ? BROOD_OK : broodi_fail(BROOD_NO_MEMORY, "%zu connections", count);
}

brood_status broodi_ends_enter(struct broodi_ends *ends, const brood_process_options *options,
                               uint32_t slot)
{
    const broodi_owner child = broodi_owner_at(BROODI_PROCESS, slot);
    brood_status status = allocate(ends, options->connection_count);
    while (status == BROOD_OK && ends->count < options->connection_count) {
        status = broodi_connection_enter_for(options->connections[ends->count], child,
                                             &ends->users[ends->count]);
        ends->count += status == BROOD_OK;
    }
    return status;
}

void broodi_ends_undo(struct broodi_ends *ends, const brood_process_options *options)
{
    for (size_t i = 0; i < ends->count; i++)
        broodi_connection_undo(options->connections[i], &ends->users[i]);
    ends->count = 0;
}
