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
int plugin_add(void *arg); // the same, by a name that programs are linked with
plugin_function plugin_teller(void);

// Where a process has the library twice, the two are told by a mark, whose number is the code of
// the marked target.
void plugin_mark(int number);
plugin_function plugin_marked(void);

#endif
