// SPDX-License-Identifier: MIT
// Inside the Linux port: how a spare of the fork server becomes a child once it has received a job.
// A failure is reported on the channel of the job, and the process exits.
#ifndef POSIX_SPARE_H
#define POSIX_SPARE_H

#include "posix/channel.h"
#include "posix/linux/server_protocol.h"

// Does once, while no requester waits, some of what each child does after it has received a job,
// so that the pages are present by then.
void broodi_spare_rehearse(void);

// Discards pending signals, which were sent before this process was a child.
void broodi_spare_discard_signals(void);

// Takes the descriptors of the job, in its order, and receives the rest of it. `ignored` has the
// signals that this process ignores, one bit each. Returns the status of the boot record.
brood_status broodi_spare_become_child(const struct server_job *job, const int *descriptors,
                                       uint64_t ignored, brood_os_boot *out);

#endif
