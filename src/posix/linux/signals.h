// SPDX-License-Identifier: MIT
// Inside the Linux port: the signals of the kernel, some of which the C library keeps for itself.
#ifndef POSIX_SIGNALS_H
#define POSIX_SIGNALS_H

enum {
    LINUX_SIGNALS = 64,                   // their numbers are 1 to 64
    LINUX_SIGNAL_SET = LINUX_SIGNALS / 8, // bytes of a set of them, in the kernel's form
};

#endif
