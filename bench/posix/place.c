// SPDX-License-Identifier: MIT
#define _GNU_SOURCE

#include "../place.h"

#include <sys/mman.h>
#include <unistd.h>

void *place_open(const brood_resource *resource, size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)resource->value, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void *place_make(size_t size, brood_resource *out)
{
    const int file = memfd_create("bench", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, (off_t)size) != 0)
        return NULL;
    *out = (brood_resource){ BROOD_RESOURCE_DESCRIPTOR, file };
    return place_open(out, size);
}
