// SPDX-License-Identifier: MIT
// A module is a Mach-O image, and its base is the address of the header; its identity is the UUID
// that the linker has given the build.
#include "os/os_module.h"

#include "base/atomic.h"
#include "base/fail.h"
#include "base/fault.h"

#include <dlfcn.h>
#include <mach-o/dyld.h>
#include <mach-o/loader.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct mach_header_64 header;

// Calls visit with each load command until it returns true; returns whether it did.
static bool each_command(const header *module, bool (*visit)(const struct load_command *, void *),
                         void *user)
{
    const char *next = (const char *)(module + 1);
    for (uint32_t i = 0; i < module->ncmds; i++) {
        const struct load_command *command = (const struct load_command *)(const void *)next;
        if (visit(command, user))
            return true;
        next += command->cmdsize;
    }
    return false;
}

// An address as in the file. The header's address is that of the segment at the beginning of the
// file.
struct place {
    uint64_t header;
    uint64_t offset; // from the header
};

static bool is_first(const struct load_command *command, void *user)
{
    struct place *place = user;
    const struct segment_command_64 *segment =
        (const struct segment_command_64 *)(const void *)command;
    if (command->cmd != LC_SEGMENT_64 || segment->fileoff != 0 || segment->filesize == 0)
        return false;
    place->header = segment->vmaddr;
    return true;
}

static bool holds_code(const struct load_command *command, void *user)
{
    const struct place *place = user;
    const struct segment_command_64 *segment =
        (const struct segment_command_64 *)(const void *)command;
    return command->cmd == LC_SEGMENT_64 && (segment->initprot & VM_PROT_EXECUTE) &&
           place->header + place->offset - segment->vmaddr < segment->vmsize;
}

static bool is_code(const header *module, uint64_t offset)
{
    struct place place = { .offset = offset };
    return each_command(module, is_first, &place) && each_command(module, holds_code, &place);
}

static bool take_uuid(const struct load_command *command, void *out)
{
    if (command->cmd != LC_UUID)
        return false;
    const struct uuid_command *uuid = (const struct uuid_command *)(const void *)command;
    memcpy(out, uuid->uuid, sizeof uuid->uuid);
    return true;
}

// For a build without a UUID: a hash of the load commands.
static void fingerprint(const header *module, unsigned char *out)
{
    const unsigned char *bytes = (const unsigned char *)(module + 1);
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < module->sizeofcmds; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3); // FNV-1a
    memcpy(out, &sum, sizeof sum);
}

static void identify(const header *module, unsigned char out[BROOD_OS_MODULE_IDENTITY])
{
    memset(out, 0, BROOD_OS_MODULE_IDENTITY);
    if (!each_command(module, take_uuid, out))
        fingerprint(module, out);
}

static char *path_of(const header *module, const char *name)
{
    if (broodi_fault())
        return NULL;
    return module->filetype == MH_EXECUTE ? strdup("") : realpath(name, NULL);
}

brood_status brood_os_module_find(void (*code)(void), brood_os_module *out)
{
    Dl_info facts;
    const uintptr_t address = (uintptr_t)code;
    if (!code || dladdr((const void *)address, &facts) == 0 ||
        !is_code(facts.dli_fbase, address - (uintptr_t)facts.dli_fbase))
        return broodi_fail(BROOD_INVALID, "the target %p is not code of any module",
                           (void *)address);
    const header *module = facts.dli_fbase;
    char *path = path_of(module, facts.dli_fname);
    if (!path)
        return broodi_fail(BROOD_NO_MEMORY, "the path of the target's module");
    *out = (brood_os_module){ .path = path, .offset = address - (uintptr_t)module };
    identify(module, out->identity);
    return BROOD_OK;
}

static const header *image(uint32_t index)
{
    return (const header *)(const void *)_dyld_get_image_header(index);
}

static brood_status find_program(const header **out)
{
    for (uint32_t i = 0; i < _dyld_image_count(); i++) {
        *out = image(i);
        if (*out && (*out)->filetype == MH_EXECUTE)
            return BROOD_OK;
    }
    return broodi_fail(BROOD_SYSTEM, "the program is not among the images");
}

// Returns whether dlopen of the image returns this library.
static bool is_library(const char *name, const void *library)
{
    void *again = name ? dlopen(name, RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD) : NULL;
    if (again)
        (void)dlclose(again);
    return again == library;
}

// Loads the library if it is not loaded yet; the reference is kept for the life of the process.
static brood_status load(const char *path, const header **out)
{
    if (broodi_fault())
        return broodi_fail(BROOD_NO_MEMORY, "dlopen of %s", path);
    const void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (!library)
        return broodi_fail(BROOD_NOT_FOUND, "%s", dlerror());
    for (uint32_t i = _dyld_image_count(); i > 0; i--) { // most probably the last one
        *out = image(i - 1);
        if (*out && (*out)->filetype != MH_EXECUTE &&
            is_library(_dyld_get_image_name(i - 1), library))
            return BROOD_OK;
    }
    return broodi_fail(BROOD_NOT_FOUND, "%s is loaded but not in the list of images", path);
}

static const char *shown(const unsigned char *identity, char text[2 * BROOD_OS_MODULE_IDENTITY + 1])
{
    const size_t length = sizeof((struct uuid_command *)NULL)->uuid;
    for (size_t i = 0; i < length; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", (unsigned)identity[i]);
    return text;
}

static brood_status refuse(const brood_os_module *starters, const unsigned char *identity)
{
    char theirs[2 * BROOD_OS_MODULE_IDENTITY + 1];
    char ours[2 * BROOD_OS_MODULE_IDENTITY + 1];
    return broodi_fail(BROOD_MISMATCH, "the parent has build %s, the child has build %s of %s",
                       shown(starters->identity, theirs), shown(identity, ours),
                       starters->path[0] ? starters->path : "the program");
}

brood_status brood_os_module_resolve(const brood_os_module *module, void (**out)(void))
{
    const header *here = NULL;
    const brood_status status = module->path[0] ? load(module->path, &here) : find_program(&here);
    if (status != BROOD_OK)
        return status;
    unsigned char identity[BROOD_OS_MODULE_IDENTITY];
    identify(here, identity);
    if (memcmp(identity, module->identity, sizeof identity) != 0)
        return refuse(module, identity);
    if (!is_code(here, module->offset))
        return broodi_fail(BROOD_MISMATCH, "no code at offset %#llx of %s",
                           (unsigned long long)module->offset,
                           module->path[0] ? module->path : "the program");
    *out = (void (*)(void))((uintptr_t)here + (uintptr_t)module->offset);
    return BROOD_OK;
}

static _Atomic uint64_t unloads;

static void count_unload(const struct mach_header *module, intptr_t slide)
{
    (void)module;
    (void)slide;
    (void)atomic_fetch_add(&unloads, 1);
}

// Registers count_unload. Returns false until that is done: another thread may be doing it.
static bool counts_unloads(void)
{
    enum { UNREGISTERED, REGISTERING, REGISTERED };
    static _Atomic int state = UNREGISTERED;
    int seen = atomic_load_explicit(&state, memory_order_acquire);
    if (seen == UNREGISTERED && atomic_compare_exchange_strong(&state, &seen, REGISTERING)) {
        _dyld_register_func_for_remove_image(count_unload);
        (void)atomic_fetch_add(&unloads, 1); // for those that were not counted
        atomic_store(&state, REGISTERED);
        return true;
    }
    return seen == REGISTERED;
}

// As long as unloads are not counted, any number of them may have happened before each call.
uint64_t brood_os_module_unloads(void)
{
    return counts_unloads() ? atomic_load(&unloads) : atomic_fetch_add(&unloads, 1) + 1;
}
