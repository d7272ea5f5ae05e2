// SPDX-License-Identifier: MIT
#include "command.h"

#include <stdio.h>
#include <stdlib.h>

bool command_number(const char *text, char end, int *out, const char **after)
{
    char *rest;
    const long number = strtol(text, &rest, 10);
    if (rest == text || number < 1 || number > 1000000 || (*rest != 0 && *rest != end))
        return false;
    *out = (int)number;
    *after = rest;
    return true;
}

_Noreturn void command_fail(const char *what, const char *sentence)
{
    fprintf(stderr, "bench: %s: %s\n", what, sentence);
    exit(EXIT_FAILURE);
}
