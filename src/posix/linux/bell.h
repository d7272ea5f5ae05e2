// SPDX-License-Identifier: MIT
// Inside the Linux port: the bell of the family, an eventfd that all its processes have.
//
// Each ring adds one to its counter, which nothing ever reads: it is always readable, so each watch
// has it edge-triggered in its own epoll set, and one write reaches all sets of all processes. The
// counter has room for 2^64 rings.
//
// All eventfds have one inode, so fstat cannot tell whether the program has closed the descriptor
// and opened another one under its number. The bell is therefore marked: with a signal for
// asynchronous input (F_SETSIG) that is never sent, because O_ASYNC is not set, and that no program
// can choose, because it belongs to the C library.
#ifndef POSIX_BELL_H
#define POSIX_BELL_H

#include <brood/status.h>

// Makes the bell of a new family, unless this process has one. Fails with BROOD_NO_RESOURCES,
// BROOD_NO_MEMORY. A system that cannot mark it (an emulator of user programs) has no bell.
brood_status broodi_bell_create(void);

// Takes over the bell in a fresh image, where it has the number CHANNEL_BELL; if the parent had
// none, or the program has something else there, this process has none.
void broodi_bell_inherit(void);

// Returns the descriptor; -1 if this process has no bell, or no longer. Async-signal-safe.
int broodi_bell(void);

#endif
