// SPDX-License-Identifier: MIT
// Inside the POSIX port: client requests to valgrind's helgrind, without its headers. Includes
// nothing of the library.
//
// A client request is a sequence of instructions that has no effect on a real processor.
#ifndef POSIX_VALGRIND_H
#define POSIX_VALGRIND_H

#include <stdint.h>

// Numbers of the requests, part of valgrind's ABI (helgrind.h: VALGRIND_HG_MUTEX_UNLOCK_PRE and
// so on).
enum {
    BROODI_HELGRIND_UNLOCK_PRE = 0x48470000 + 261,
    BROODI_HELGRIND_UNLOCK_POST,
    BROODI_HELGRIND_LOCK_PRE,
    BROODI_HELGRIND_LOCK_POST,
};

#if defined(__x86_64__) && defined(__LP64__)
static inline void broodi_helgrind(uintptr_t request, uintptr_t first, uintptr_t second)
{
    const uintptr_t arguments[6] = { request, first, second };
    uintptr_t result = 0;
    __asm__ volatile(
        "rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi; xchgq %%rbx, %%rbx"
        : "+d"(result)
        : "a"(&arguments[0])
        : "cc", "memory");
}
#else
static inline void broodi_helgrind(uintptr_t request, uintptr_t first, uintptr_t second)
{
    (void)request, (void)first, (void)second;
}
#endif

#endif
