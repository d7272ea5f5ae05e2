// SPDX-License-Identifier: MIT
// Port contract: processors. Both functions return at least 1.
#ifndef OS_CPU_H
#define OS_CPU_H

// Returns the number of logical processors online.
unsigned brood_os_cpu_count(void);

// Returns how many of them this process may use: by affinity and, on Linux, by the CPU quota of
// the control group, rounded up.
unsigned brood_os_cpu_usable(void);

#endif
