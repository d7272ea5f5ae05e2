// SPDX-License-Identifier: MIT
// Memory that processes share. One provider per system, in posix/ and win32/.
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include <brood/process.h>
#include <stddef.h>

// Makes it, all zero, and a resource by which a child opens it; NULL when there is none to be had.
// It stays until the end of the process.
void *place_make(size_t size, brood_resource *out);

// In the child. NULL when that fails.
void *place_open(const brood_resource *resource, size_t size);

#endif
