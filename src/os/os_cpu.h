// SPDX-License-Identifier: MIT
// Port contract: processors. Both answer at least 1.
#ifndef OS_CPU_H
#define OS_CPU_H

// Logical processors online.
unsigned brood_os_cpu_count(void);

// Those that this process may use: affinity, and on Linux the quota of the control group, rounded
// up.
unsigned brood_os_cpu_usable(void);

#endif
