// SPDX-License-Identifier: MIT
// Inside the POSIX port: what the C libraries have their own ways for, of stdio.
#ifndef POSIX_STREAM_H
#define POSIX_STREAM_H

#include <stdio.h>

// A stream that another thread is inside of is left alone: that thread may sit in a read.
void broodi_stream_flush_if_free(FILE *stream);

// In a forked child, whose only thread is inside of none: forgets what is to be written.
void broodi_stream_forget_output(FILE *stream);

// In a forked child: forgets what was read ahead from standard input, which is the starter's.
void broodi_stream_forget_input(void);

#endif
