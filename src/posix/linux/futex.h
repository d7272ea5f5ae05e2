// SPDX-License-Identifier: MIT
// Inside the POSIX port: the kernel's constants for futexes, also in <linux/futex.h>, which not
// every C library provides.
#ifndef POSIX_FUTEX_H
#define POSIX_FUTEX_H

enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1 };

// Flags in the word of a robust mutex, beside the owner's thread id.
#define FUTEX_WAITERS 0x80000000U
#define FUTEX_OWNER_DIED 0x40000000U

#endif
