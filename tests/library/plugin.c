// SPDX-License-Identifier: MIT
// A library that a test opens at run time, or links. Its targets are static functions: callers
// get their addresses.
#include "plugin.h"

#include <stdint.h>

#if !defined(PLUGIN_BUILD)
#define PLUGIN_BUILD 1
#endif

// Data that the loader must relocate, so that a call at a wrong address fails.
static const char *const words[] = { "one", "two", "three" };

static int add(void *arg)
{
    const struct plugin_sum *sum = arg;
    return sum->left + sum->right + (words[1][0] - 't') + PLUGIN_BUILD - 1;
}

// Reports where this library is mapped: the page number, truncated to an exit code.
static int report_address(void *arg)
{
    (void)arg;
    return (int)((uintptr_t)&words[0] >> 12 & 0x3fffffff);
}

int plugin_add(void *arg)
{
    return add(arg);
}

static int mark;

static int report_mark(void *arg)
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
    return report_mark;
}

plugin_function plugin_adder(void)
{
    return add;
}

plugin_function plugin_locator(void)
{
    return report_address;
}

static int logged;

static void count_line(brood_log_level level, const char *process, const char *text, void *user)
{
    (void)level, (void)process, (void)text, (void)user;
    logged++;
}

brood_log_handler plugin_logger(void)
{
    return count_line;
}

int plugin_logged(void)
{
    return logged;
}
