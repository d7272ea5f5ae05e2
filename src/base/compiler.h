// SPDX-License-Identifier: MIT
// Keywords of C11 that cl.exe spells differently. A leaf.
#ifndef COMPILER_H
#define COMPILER_H

#if defined(_MSC_VER)
#define BROODI_THREAD_LOCAL __declspec(thread)
#else
#define BROODI_THREAD_LOCAL _Thread_local
#endif

#endif
