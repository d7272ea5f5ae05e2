// SPDX-License-Identifier: MIT
#ifndef START_H
#define START_H

#include <brood/time.h>

// How long a start waits for the child's reply, and for a fork server to become ready. Tests
// shorten it.
extern brood_duration broodi_start_patience;

#endif
