// SPDX-License-Identifier: MIT
#include "stream.h"

#include <stdio_ext.h>

// One that holds nothing is not locked either, which in a forked child would be a copy of its page.
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
        return; // without a buffer nothing has been read
    __fpurge(stdin);
    clearerr_unlocked(stdin);
    funlockfile(stdin);
}
