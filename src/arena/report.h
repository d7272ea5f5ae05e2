// SPDX-License-Identifier: MIT
// The report of a fork server on how one of its children ended, in the low word of the child's
// process slot, above the phase ENDED. The system tells only the server how the child ended, since
// the server has forked it; brood's parent of the child is the server's requester.
#ifndef REPORT_H
#define REPORT_H

#include "arena/slots.h"

#include <brood/process.h>
#include <stdbool.h>
#include <stdint.h>

// Called by a fork server when the process `pid` has ended, before the server reaps it, so that no
// other process has that pid. If the process's slot is LIVE, it becomes ENDED with the report
// `seen`, and the threads that wait for that are woken. If the slot is STARTING, the process has
// ended before it began: its pid is cleared, so that the parent does not kill another process that
// gets it. If the parent has made the slot DYING, nothing is changed.
void broodi_report_write(int64_t pid, brood_exit seen);

// The report of an ENDED slot; false when the slot is not ENDED.
bool broodi_report_read(uint32_t index, brood_exit *out);

#endif
