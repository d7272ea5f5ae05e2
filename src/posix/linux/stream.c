// SPDX-License-Identifier: MIT
#include "posix/stream.h"

#include <stdio_ext.h>

// A stream with nothing to write is not locked either: in a forked child that would copy a page.
void broodi_stream_flush_if_free(FILE *stream)
{
    if (__fpending(stream) == 0 || ftrylockfile(stream) != 0)
        return;
    (void)fflush_unlocked(stream);
    funlockfile(stream);
}

void broodi_stream_forget_output(FILE *stream)
{
    __fpurge(stream);
}

void broodi_stream_forget_input(void)
{
    if (__fbufsize(stdin) == 0 || ftrylockfile(stdin) != 0)
        return; // no buffer: nothing has been read
    __fpurge(stdin);
    clearerr_unlocked(stdin);
    funlockfile(stdin);
}
