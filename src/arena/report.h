// SPDX-License-Identifier: MIT
// The report of a fork server on how one of its children ended. It stands in the low word of the
// child's process slot, beside the phase ENDED: only the server, as its parent for the system,
// learns how the child ended.
#ifndef REPORT_H
#define REPORT_H

#include "arena/slots.h"

#include <brood/process.h>
#include <stdbool.h>
#include <stdint.h>

// Called by a fork server before it reaps the process `pid`, so that the number is not reused yet:
// LIVE becomes ENDED with the report `seen`, and waiters for that are woken.
void broodi_report_write(int64_t pid, brood_exit seen);

// The report of an ENDED slot; false when the slot is not ENDED.
bool broodi_report_read(uint32_t index, brood_exit *out);

#endif
