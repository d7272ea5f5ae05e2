// SPDX-License-Identifier: MIT
#include "posix/stream.h"

void broodi_stream_flush_if_free(FILE *stream)
{
    if (ftrylockfile(stream) != 0)
        return;
    (void)fflush(stream);
    funlockfile(stream);
}

void broodi_stream_forget_output(FILE *stream)
{
    (void)fpurge(stream);
}

void broodi_stream_forget_input(void)
{
    if (ftrylockfile(stdin) != 0)
        return;
    (void)fpurge(stdin);
    clearerr(stdin);
    funlockfile(stdin);
}
