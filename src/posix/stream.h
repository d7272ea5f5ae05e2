// SPDX-License-Identifier: MIT
// Inside the POSIX port: functions for stdio that differ between C libraries.
#ifndef POSIX_STREAM_H
#define POSIX_STREAM_H

#include <stdio.h>

// Flushes a stream, unless another thread has it locked: that thread may be blocked in a read.
void broodi_stream_flush_if_free(FILE *stream);

// Called in a forked child, whose only thread uses no stream: discards what is to be written.
void broodi_stream_forget_output(FILE *stream);

// Called in a forked child: discards what was read ahead from standard input, which belongs to
// the parent.
void broodi_stream_forget_input(void);

#endif
