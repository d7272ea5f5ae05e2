// SPDX-License-Identifier: MIT
#ifndef LOCK_H
#define LOCK_H

#include <brood/lock.h>
#include <stdbool.h>
#include <stdint.h>

// brood_lock_create, also before brood_init is through.
brood_status broodi_lock_make(brood_lock *out, bool recursive);

// Whether any lock names the thread in this slot as its holder.
bool broodi_lock_names(uint32_t thread);

#endif
