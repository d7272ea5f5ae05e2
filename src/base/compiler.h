// SPDX-License-Identifier: MIT
// What compilers spell differently. A leaf.
#ifndef COMPILER_H
#define COMPILER_H

#if defined(_MSC_VER)
#define BROODI_THREAD_LOCAL __declspec(thread)
#define BROODI_NOINLINE __declspec(noinline)
#else
#define BROODI_THREAD_LOCAL _Thread_local
#define BROODI_NOINLINE __attribute__((noinline))
#endif

// Hints that the cache line of this address will soon be loaded, or stored to; no address is
// invalid. Compilers use prefetchw only if they may assume that the processor has it; processors
// with x86-64 that do not have it ignore the instruction.
#if defined(__GNUC__) || defined(__clang__)
#define BROODI_FETCH_FOR_LOAD(address) __builtin_prefetch(address)
#else
#define BROODI_FETCH_FOR_LOAD(address) ((void)(address))
#endif
#if defined(__x86_64__)
#define BROODI_FETCH_FOR_STORE(address) \
    __asm__ volatile("prefetchw %0" : : "m"(*(const unsigned char *)(address)))
#elif defined(__GNUC__) || defined(__clang__)
#define BROODI_FETCH_FOR_STORE(address) __builtin_prefetch(address, 1)
#else
#define BROODI_FETCH_FOR_STORE(address) ((void)(address))
#endif

#endif
