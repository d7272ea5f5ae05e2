// SPDX-License-Identifier: MIT
#ifndef PLUGIN_H
#define PLUGIN_H

#include <brood/log.h>

typedef int (*plugin_function)(void *arg);

// The argument of the adder, which returns the sum.
struct plugin_sum {
    int left;
    int right;
};

plugin_function plugin_adder(void);
int plugin_add(void *arg); // the same, exported for programs that link the library
plugin_function plugin_locator(void);

// A handler of a log, which counts the lines; and their number.
brood_log_handler plugin_logger(void);
int plugin_logged(void);

// A mark distinguishes two copies of the library in a process: the marked target returns its
// number.
void plugin_mark(int number);
plugin_function plugin_marked(void);

#endif
