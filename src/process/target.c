// SPDX-License-Identifier: MIT
#include "process/target.h"

#include "base/fail.h"
#include "base/fault.h"

#include <stddef.h>
#include <string.h>

_Static_assert(sizeof(struct broodi_target) == offsetof(struct broodi_target, path),
               "an encoding has no padding");

brood_status broodi_target_encode(brood_target function, struct broodi_target **out)
{
    brood_os_module module;
    const brood_status status = brood_os_module_find((void (*)(void))function, &module);
    if (status != BROOD_OK)
        return status;
    const size_t path_size = strlen(module.path) + 1;
    struct broodi_target *target = broodi_alloc(sizeof *target + path_size);
    if (target) {
        target->size = sizeof *target + path_size;
        target->offset = module.offset;
        memcpy(target->identity, module.identity, sizeof target->identity);
        memcpy(target->path, module.path, path_size);
    }
    free(module.path);
    *out = target;
    return target ? BROOD_OK : broodi_fail(BROOD_NO_MEMORY, "the encoded target");
}

bool broodi_target_is_whole(const void *bytes, uint64_t size)
{
    const struct broodi_target *target = bytes;
    return size > sizeof *target && target->size > sizeof *target && target->size <= size &&
           target->path[target->size - sizeof *target - 1] == 0;
}

brood_status broodi_target_resolve(const struct broodi_target *target, brood_target *out)
{
    brood_os_module module = { .path = (char *)(uintptr_t)target->path, .offset = target->offset };
    memcpy(module.identity, target->identity, sizeof module.identity);
    void (*code)(void) = NULL;
    const brood_status status = brood_os_module_resolve(&module, &code);
    if (status == BROOD_OK)
        *out = (brood_target)code;
    return status;
}
