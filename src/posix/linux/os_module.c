// SPDX-License-Identifier: MIT
// Modules are found by dl_iterate_phdr, which also works in a static program, where dladdr finds
// nothing.
#include "os/os_module.h"

#include "base/fail.h"
#include "base/fault.h"
#include "os/os_guard.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Describes a loaded module; before the search, what is searched for.
struct search {
    uintptr_t address; // of code in it
    uintptr_t base;    // added to the addresses in its file
    bool found;
    bool executable;  // it is the program, which is the first module
    const char *name; // of the dynamic loader
    const ElfW(Phdr) * headers;
    size_t count;
};

static const ElfW(Phdr) * code_at(const struct search *module, uintptr_t address)
{
    for (size_t i = 0; i < module->count; i++) {
        const ElfW(Phdr) *part = &module->headers[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) &&
            address - (module->base + part->p_vaddr) < part->p_memsz)
            return part;
    }
    return NULL;
}

// State of one dl_iterate_phdr; `seen` counts the modules, the first of which is the executable.
struct walk {
    struct search *search;
    bool (*matches)(const struct search *wanted, const struct search *module);
    size_t seen;
};

static int visit(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct walk *walk = arg;
    struct search module = *walk->search;
    module.executable = walk->seen++ == 0;
    module.base = info->dlpi_addr;
    module.name = info->dlpi_name ? info->dlpi_name : "";
    module.headers = info->dlpi_phdr;
    module.count = info->dlpi_phnum;
    if (!walk->matches(walk->search, &module))
        return 0;
    *walk->search = module;
    walk->search->found = true;
    return 1;
}

// Under the guard, since glibc's lock of its list of modules stays locked forever in a copy that
// is made while it is held. There is no remedy for a thread that is not brood's and iterates the
// list during a fork.
static bool find(struct search *search,
                 bool (*matches)(const struct search *, const struct search *))
{
    struct walk walk = { .search = search, .matches = matches };
    brood_os_guard_lock();
    (void)dl_iterate_phdr(visit, &walk);
    brood_os_guard_unlock();
    return search->found;
}

static bool holds_address(const struct search *wanted, const struct search *module)
{
    return code_at(module, wanted->address);
}

static bool is_executable(const struct search *wanted, const struct search *module)
{
    (void)wanted;
    return module->executable;
}

static bool has_base(const struct search *wanted, const struct search *module)
{
    return !module->executable && module->base == wanted->base;
}

static uint64_t hash(uint64_t seed, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ bytes[i]) * UINT64_C(0x100000001b3); // FNV-1a
    return seed;
}

static size_t rounded(size_t size, size_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}

// Copies the GNU build id from the notes of one segment, which are aligned to 4 or 8 bytes, and
// returns its length; 0 if there is none.
static size_t build_id(const unsigned char *note, size_t size, size_t alignment, unsigned char *out)
{
    ElfW(Nhdr) header;
    while (size >= sizeof header) {
        memcpy(&header, note, sizeof header);
        const size_t name = sizeof header;
        const size_t text = rounded(name + header.n_namesz, alignment);
        const size_t end = text + header.n_descsz;
        if (end > size)
            return 0;
        if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
            memcmp(note + name, "GNU", 4) == 0) {
            const size_t length = header.n_descsz < BROOD_OS_MODULE_IDENTITY
                                      ? header.n_descsz
                                      : BROOD_OS_MODULE_IDENTITY;
            memcpy(out, note + text, length);
            return length;
        }
        const size_t next = rounded(end, alignment);
        note += next;
        size -= next < size ? next : size;
    }
    return 0;
}

// Substitute for a build id: hashes of the layout of the module and of the code at the offset.
static void fingerprint(const struct search *module, uint64_t offset, unsigned char *out)
{
    uint64_t layout = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < module->count; i++) {
        const ElfW(Phdr) *part = &module->headers[i];
        layout = hash(layout, &part->p_vaddr, sizeof part->p_vaddr);
        layout = hash(layout, &part->p_filesz, sizeof part->p_filesz);
    }
    const uintptr_t address = module->base + (uintptr_t)offset;
    const ElfW(Phdr) *part = code_at(module, address);
    const size_t left = part ? part->p_memsz - (address - module->base - part->p_vaddr) : 0;
    const uint64_t code = hash(layout, (const void *)address, left < 256 ? left : 256);
    memcpy(out, &layout, sizeof layout);
    memcpy(out + sizeof layout, &code, sizeof code);
}

static void identify(const struct search *module, uint64_t offset, unsigned char *out)
{
    memset(out, 0, BROOD_OS_MODULE_IDENTITY);
    for (size_t i = 0; i < module->count; i++) {
        const ElfW(Phdr) *part = &module->headers[i];
        if (part->p_type == PT_NOTE &&
            build_id((const unsigned char *)(module->base + part->p_vaddr), part->p_memsz,
                     part->p_align == 8 ? 8 : 4, out) > 0)
            return;
    }
    fingerprint(module, offset, out);
}

// Removes what follows a path in the line: its end, and a remark if the file no longer exists,
// when another file may have its name.
static void trim(char *path)
{
    static const char deleted[] = " (deleted)";
    path[strcspn(path, "\n")] = 0;
    const size_t length = strlen(path);
    if (length >= sizeof deleted && strcmp(path + length - (sizeof deleted - 1), deleted) == 0)
        path[length - (sizeof deleted - 1)] = 0;
}

// Returns the absolute path of the file mapped at `address`: the loader's name may be relative to
// a working directory that has changed.
static char *mapped_path(uintptr_t address)
{
    FILE *maps = broodi_fault() ? NULL : fopen("/proc/self/maps", "re");
    if (!maps)
        return NULL;
    char *line = NULL;
    size_t capacity = 0;
    char *path = NULL;
    while (!path && getline(&line, &capacity, maps) > 0) {
        unsigned long long from = 0;
        unsigned long long to = 0;
        if (sscanf(line, "%llx-%llx", &from, &to) != 2 || address < from || address >= to)
            continue;
        const char *name = strchr(line, '/');
        path = name ? strdup(name) : NULL;
        break;
    }
    free(line);
    (void)fclose(maps);
    if (path)
        trim(path);
    return path;
}

static char *path_of(const struct search *module, uintptr_t address)
{
    if (broodi_fault())
        return NULL;
    if (module->executable)
        return strdup("");
    return module->name[0] == '/' ? strdup(module->name) : mapped_path(address);
}

brood_status brood_os_module_find(void (*code)(void), brood_os_module *out)
{
    struct search module = { .address = (uintptr_t)code };
    if (!code || !find(&module, holds_address))
        return broodi_fail(BROOD_INVALID, "the target %p is not code of any module",
                           (void *)(uintptr_t)code);
    char *path = path_of(&module, (uintptr_t)code);
    if (!path)
        return broodi_fail(BROOD_NO_MEMORY, "the path of the target's module");
    *out = (brood_os_module){ .path = path, .offset = (uintptr_t)code - module.base };
    identify(&module, out->offset, out->identity);
    return BROOD_OK;
}

// Loads the library if it is not loaded yet; the reference is kept for the life of the process.
static brood_status load(const char *path, struct search *out)
{
    struct link_map *map = NULL;
    if (broodi_fault())
        return broodi_fail(BROOD_NO_MEMORY, "dlopen of %s", path);
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (!library)
        return broodi_fail(BROOD_NOT_FOUND, "%s", dlerror());
    if (dlinfo(library, RTLD_DI_LINKMAP, (void *)&map) != 0)
        return broodi_fail(BROOD_SYSTEM, "dlinfo: %s", dlerror());
    out->base = map->l_addr;
    return find(out, has_base)
               ? BROOD_OK
               : broodi_fail(BROOD_NOT_FOUND, "%s is loaded but not in the list of modules", path);
}

// Formats an identity the way tools print a build id.
static const char *format_identity(const unsigned char *identity,
                                   char text[2 * BROOD_OS_MODULE_IDENTITY + 1])
{
    size_t length = BROOD_OS_MODULE_IDENTITY;
    while (length > 0 && identity[length - 1] == 0)
        length--;
    for (size_t i = 0; i < length; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", (unsigned)identity[i]);
    text[2 * length] = 0;
    return text;
}

static brood_status refuse(const brood_os_module *wanted, const unsigned char *identity)
{
    char theirs[2 * BROOD_OS_MODULE_IDENTITY + 1];
    char ours[2 * BROOD_OS_MODULE_IDENTITY + 1];
    return broodi_fail(BROOD_MISMATCH, "the parent has build %s, the child has build %s of %s",
                       format_identity(wanted->identity, theirs), format_identity(identity, ours),
                       wanted->path[0] ? wanted->path : "the program");
}

// Copies the counter of unloads, which is the same for all modules. musl unloads none.
static int copy_unloads(struct dl_phdr_info *info, size_t size, void *out)
{
    (void)size;
    *(uint64_t *)out = info->dlpi_subs;
    return 1;
}

// Under the guard for the same reason as find().
uint64_t brood_os_module_unloads(void)
{
    uint64_t unloads = 0;
    brood_os_guard_lock();
    (void)dl_iterate_phdr(copy_unloads, &unloads);
    brood_os_guard_unlock();
    return unloads;
}

brood_status brood_os_module_resolve(const brood_os_module *module, void (**out)(void))
{
    struct search here = { .found = false };
    const brood_status status = module->path[0]
                                    ? load(module->path, &here)
                                    : (find(&here, is_executable) ? BROOD_OK : BROOD_SYSTEM);
    if (status != BROOD_OK)
        return status;
    unsigned char identity[BROOD_OS_MODULE_IDENTITY];
    const uintptr_t address = here.base + (uintptr_t)module->offset;
    identify(&here, module->offset, identity);
    if (memcmp(identity, module->identity, sizeof identity) != 0)
        return refuse(module, identity);
    if (!code_at(&here, address))
        return broodi_fail(BROOD_MISMATCH, "no code at offset %#llx of %s",
                           (unsigned long long)module->offset,
                           module->path[0] ? module->path : "the program");
    *out = (void (*)(void))address;
    return BROOD_OK;
}
