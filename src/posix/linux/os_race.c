// SPDX-License-Identifier: MIT
// The thread sanitizer is called by weak symbols, which its run-time library defines; helgrind by
// client requests, instructions without effect that valgrind recognises. Valgrind's headers need
// not be installed: the sequences are those of valgrind.h, which cannot change since they are
// compiled into programs.
#include "os/os_race.h"

#include <stddef.h>
#include <stdint.h>

extern void __tsan_acquire(void *address) __attribute__((__weak__));
extern void __tsan_release(void *address) __attribute__((__weak__));

enum {
    RUNNING_ON_VALGRIND = 0x1001,
    HELGRIND = (int)(((unsigned)'H' << 24) | ((unsigned)'G' << 16)),
    HELGRIND_SEND = HELGRIND + 289,
    HELGRIND_RECEIVE = HELGRIND + 290,
    HELGRIND_UNTRACK = HELGRIND + 295,
};

#if defined(__x86_64__)
static uintptr_t request(uintptr_t code, uintptr_t first, uintptr_t second)
{
    const volatile uintptr_t block[6] = { code, first, second, 0, 0, 0 };
    uintptr_t result = 0;
    __asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi\n\trolq $61, %%rdi; rolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(result)
                     : "a"(&block[0])
                     : "cc", "memory");
    return result;
}
#elif defined(__i386__)
static uintptr_t request(uintptr_t code, uintptr_t first, uintptr_t second)
{
    const volatile uintptr_t block[6] = { code, first, second, 0, 0, 0 };
    uintptr_t result = 0;
    __asm__ volatile("roll $3, %%edi; roll $13, %%edi\n\troll $29, %%edi; roll $19, %%edi\n\t"
                     "xchgl %%ebx, %%ebx"
                     : "+d"(result)
                     : "a"(&block[0])
                     : "cc", "memory");
    return result;
}
#elif defined(__aarch64__)
static uintptr_t request(uintptr_t code, uintptr_t first, uintptr_t second)
{
    const volatile uintptr_t block[6] = { code, first, second, 0, 0, 0 };
    uintptr_t result;
    __asm__ volatile("mov x3, #0; mov x4, %1\n\tror x12, x12, #3; ror x12, x12, #13\n\t"
                     "ror x12, x12, #51; ror x12, x12, #61\n\torr x10, x10, x10\n\tmov %0, x3"
                     : "=r"(result)
                     : "r"(&block[0])
                     : "cc", "memory", "x3", "x4");
    return result;
}
#else
static uintptr_t request(uintptr_t code, uintptr_t first, uintptr_t second)
{
    (void)code;
    (void)first;
    (void)second;
    return 0;
}
#endif

bool brood_os_race_is_checked(void)
{
    return (__tsan_acquire && __tsan_release) || request(RUNNING_ON_VALGRIND, 0, 0) != 0;
}

void brood_os_race_release(const void *address)
{
    if (__tsan_release)
        __tsan_release((void *)(uintptr_t)address);
    (void)request((uintptr_t)HELGRIND_SEND, (uintptr_t)address, 0);
}

void brood_os_race_acquire(const void *address)
{
    if (__tsan_acquire)
        __tsan_acquire((void *)(uintptr_t)address);
    (void)request((uintptr_t)HELGRIND_RECEIVE, (uintptr_t)address, 0);
}

void brood_os_race_ignore(const void *address, size_t size)
{
    (void)request((uintptr_t)HELGRIND_UNTRACK, (uintptr_t)address, size);
}
