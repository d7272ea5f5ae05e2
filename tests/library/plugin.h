// SPDX-License-Identifier: MIT
#ifndef PLUGIN_H
#define PLUGIN_H

typedef int (*plugin_function)(void *arg);

// An argument of the adder, whose code is the sum.
struct plugin_sum {
    int left;
    int right;
};

plugin_function plugin_adder(void);
plugin_function plugin_teller(void);

#endif
