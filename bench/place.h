// SPDX-License-Identifier: MIT
// Memory that processes share. One provider per system, in posix/ and win32/.
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include <brood/process.h>
#include <stddef.h>

// Allocates shared memory, zeroed, and a resource by which a child opens it; NULL on failure. It
// exists until the end of the process.
void *place_make(size_t size, brood_resource *out);

// Opens it in the child; NULL on failure.
void *place_open(const brood_resource *resource, size_t size);

#endif
