// SPDX-License-Identifier: MIT
// Inside the POSIX port: the kernel's numbers for futexes. <linux/futex.h> has them too, which not
// every C library brings along.
#ifndef POSIX_FUTEX_H
#define POSIX_FUTEX_H

enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1 };

// In the word of a robust mutex, beside the owner's thread id.
#define FUTEX_WAITERS 0x80000000U
#define FUTEX_OWNER_DIED 0x40000000U

#endif
