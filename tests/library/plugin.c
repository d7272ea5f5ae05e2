// SPDX-License-Identifier: MIT
// A library that a test opens at run time, or that it is linked with. Its targets are static: what
// is handed out are their addresses.
#include "plugin.h"

#include <stdint.h>

#if !defined(PLUGIN_BUILD)
#define PLUGIN_BUILD 1
#endif

// Data that the loader must relocate, so that a function at a wrong place would not get far.
static const char *const words[] = { "one", "two", "three" };

static int add(void *arg)
{
    const struct plugin_sum *sum = arg;
    return sum->left + sum->right + (words[1][0] - 't') + PLUGIN_BUILD - 1;
}

// Where this library is mapped, in pages, cut to what a code can carry.
static int tell_place(void *arg)
{
    (void)arg;
    return (int)((uintptr_t)&words[0] >> 12 & 0x3fffffff);
}

int plugin_add(void *arg)
{
    return add(arg);
}

static int mark;

static int tell_mark(void *arg)
{
    (void)arg;
    return mark;
}

void plugin_mark(int number)
{
    mark = number;
}

plugin_function plugin_marked(void)
{
    return tell_mark;
}

plugin_function plugin_adder(void)
{
    return add;
}

plugin_function plugin_teller(void)
{
    return tell_place;
}
