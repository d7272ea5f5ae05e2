// SPDX-License-Identifier: MIT
// What becomes of the slots of dead threads and processes; see burial.c.
#ifndef BURIAL_H
#define BURIAL_H

#include "arena/kinds.h"
#include "message/users.h"

#include <stdint.h>

// The sweep of each kind, for broodi_kinds_prepare.
extern const broodi_sweep broodi_sweeps[BROODI_KINDS];

// What a kind of object does when one of its users has gone, for broodi_users_prepare.
extern const broodi_user_gone broodi_users_gone[BROODI_HANDLE_KINDS];

// Buries the threads of the process in this slot and frees the slot, unless another process does so
// already. The caller is the parent; the process has ended or will never begin, or is a fork
// server.
void broodi_process_slot_end(uint32_t index);

#endif
