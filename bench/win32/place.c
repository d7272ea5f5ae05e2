// SPDX-License-Identifier: MIT
#include "../place.h"

#include <windows.h>

void *place_open(const brood_resource *resource, size_t size)
{
    return MapViewOfFile((HANDLE)resource->value, FILE_MAP_ALL_ACCESS, 0, 0, size);
}

void *place_make(size_t size, brood_resource *out)
{
    HANDLE mapping =
        CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, (DWORD)size, NULL);
    if (!mapping)
        return NULL;
    *out = (brood_resource){ BROOD_RESOURCE_HANDLE, (intptr_t)mapping };
    return place_open(out, size);
}
