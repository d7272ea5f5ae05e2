// SPDX-License-Identifier: MIT
// Keywords that compilers spell differently. A leaf.
#ifndef COMPILER_H
#define COMPILER_H

#if defined(_MSC_VER)
#define BROODI_THREAD_LOCAL __declspec(thread)
#define BROODI_NOINLINE __declspec(noinline)
#else
#define BROODI_THREAD_LOCAL _Thread_local
#define BROODI_NOINLINE __attribute__((noinline))
#endif

#endif
