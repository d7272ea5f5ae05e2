// SPDX-License-Identifier: MIT
// A module is identified by its path and by its headers as they are in memory. The loader stores
// the base address into them; the rest is as in the file. MinGW's linker stores a checksum of the
// whole file in the headers; MSVC's linker does not, but the debug directory has an identifier of
// the build.
#include "os/os_module.h"

#include "win32/win32.h"

#include "base/atomic.h"
#include "base/fail.h"
#include "base/fault.h"
#include "os/os_error.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static const IMAGE_NT_HEADERS *headers_of(HMODULE module)
{
    const unsigned char *base = (const unsigned char *)module;
    const IMAGE_DOS_HEADER *start = (const IMAGE_DOS_HEADER *)module;
    return (const IMAGE_NT_HEADERS *)(const void *)(base + start->e_lfanew);
}

static uint64_t hash(uint64_t seed, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        // FNV-1a. The bytes of a word are set with the word, which the analyzer does not see.
        // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult)
        seed = (seed ^ bytes[i]) * UINT64_C(1099511628211);
    return seed;
}

// Adds the contents of the debug directory: the identifier of the build and the path of the
// symbols.
static uint64_t hash_debug(uint64_t seed, HMODULE module, const IMAGE_NT_HEADERS *headers)
{
    const unsigned char *base = (const unsigned char *)module;
    const DWORD image = headers->OptionalHeader.SizeOfImage;
    if (headers->OptionalHeader.NumberOfRvaAndSizes <= IMAGE_DIRECTORY_ENTRY_DEBUG)
        return seed;
    const IMAGE_DATA_DIRECTORY *list =
        &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_DEBUG];
    if (list->VirtualAddress > image || list->Size > image - list->VirtualAddress)
        return seed;
    const IMAGE_DEBUG_DIRECTORY *records =
        (const IMAGE_DEBUG_DIRECTORY *)(const void *)(base + list->VirtualAddress);
    for (size_t i = 0; i < list->Size / sizeof *records; i++) {
        const DWORD at = records[i].AddressOfRawData; // 0: in the file only
        if (at > 0 && at < image && records[i].SizeOfData <= image - at)
            seed = hash(seed, base + at, records[i].SizeOfData);
    }
    return seed;
}

// The fields of an identity.
enum { FACT_STAMP, FACT_SIZE, FACT_SUM, FACT_SUM_HIGH, FACTS };

static void identify(HMODULE module, unsigned char identity[BROOD_OS_MODULE_IDENTITY])
{
    const IMAGE_NT_HEADERS *headers = headers_of(module);
    const size_t table = headers->FileHeader.NumberOfSections * sizeof(IMAGE_SECTION_HEADER);
    const DWORD words[] = {
        headers->OptionalHeader.AddressOfEntryPoint,
        headers->OptionalHeader.CheckSum,
        headers->OptionalHeader.SizeOfCode,
    };
    uint64_t sum = hash(UINT64_C(14695981039346656037), words, sizeof words);
    sum = hash(sum, IMAGE_FIRST_SECTION(headers), table);
    sum = hash_debug(sum, module, headers);
    const DWORD facts[FACTS] = {
        [FACT_STAMP] = headers->FileHeader.TimeDateStamp,
        [FACT_SIZE] = headers->OptionalHeader.SizeOfImage,
        [FACT_SUM] = (DWORD)sum,
        [FACT_SUM_HIGH] = (DWORD)(sum >> 32),
    };
    _Static_assert(sizeof facts <= BROOD_OS_MODULE_IDENTITY, "the facts fit into the identity");
    memset(identity, 0, BROOD_OS_MODULE_IDENTITY);
    memcpy(identity, facts, sizeof facts);
}

// Size of the text of an identity.
enum { SHOWN = 64 };

static const char *shown(const unsigned char identity[BROOD_OS_MODULE_IDENTITY], char text[SHOWN])
{
    DWORD facts[FACTS];
    memcpy(facts, identity, sizeof facts);
    (void)snprintf(text, SHOWN, "%08lx-%lx-%08lx%08lx", facts[FACT_STAMP], facts[FACT_SIZE],
                   facts[FACT_SUM_HIGH], facts[FACT_SUM]);
    return text;
}

static bool is_code(HMODULE module, uint64_t offset)
{
    const IMAGE_NT_HEADERS *headers = headers_of(module);
    const IMAGE_SECTION_HEADER *sections = IMAGE_FIRST_SECTION(headers);
    for (WORD i = 0; i < headers->FileHeader.NumberOfSections; i++) {
        const uint64_t first = sections[i].VirtualAddress;
        const bool is_inside = offset >= first && offset - first < sections[i].Misc.VirtualSize;
        if (is_inside && (sections[i].Characteristics & IMAGE_SCN_MEM_EXECUTE))
            return true;
    }
    return false;
}

static brood_status name_module(HMODULE module, char **out)
{
    if (module == GetModuleHandleW(NULL))
        return broodi_win32_narrow(L"", out);
    wchar_t *path;
    brood_status status = broodi_win32_module_path(module, &path);
    if (status != BROOD_OK)
        return status;
    status = broodi_win32_narrow(path, out);
    free(path);
    return status;
}

brood_status brood_os_module_find(void (*code)(void), brood_os_module *out)
{
    const DWORD flags =
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    HMODULE module;
    if (!code || !GetModuleHandleExW(flags, (const wchar_t *)(uintptr_t)code, &module))
        return broodi_fail(BROOD_INVALID, "the function is in no module");
    const uint64_t offset = (uintptr_t)code - (uintptr_t)module;
    if (!is_code(module, offset))
        return broodi_fail(BROOD_INVALID, "the function's address is not in a code section");
    const brood_status status = name_module(module, &out->path);
    if (status != BROOD_OK)
        return status;
    out->offset = offset;
    identify(module, out->identity);
    return BROOD_OK;
}

// Each way takes a reference, which is kept for the life of the process. The last one also searches
// the module's own directory for the libraries that it needs.
static HMODULE load(const wchar_t *path)
{
    if (broodi_win32_fault())
        return NULL;
    HMODULE module;
    if (!GetModuleHandleExW(0, path, &module))
        module = LoadLibraryW(path);
    if (!module)
        module = LoadLibraryExW(path, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
    return module;
}

// The system appends ".dll" to a name without an extension unless it ends with a point. It leaves
// a name that begins with \\?\ unchanged.
static brood_status exact_name(const char *path, wchar_t **out)
{
    const size_t length = strlen(path);
    const char *extension = strrchr(path, '.');
    char *exact = broodi_alloc(length + 2);
    if (!exact)
        return brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
    memcpy(exact, path, length + 1);
    if ((!extension || strpbrk(extension, "/\\")) && strncmp(path, "\\\\?\\", 4) != 0)
        memcpy(exact + length, ".", 2);
    const brood_status status = broodi_win32_wide(exact, out);
    free(exact);
    return status;
}

static brood_status find_module(const char *path, HMODULE *out)
{
    *out = GetModuleHandleW(NULL);
    if (!*path)
        return BROOD_OK;
    wchar_t *wide;
    const brood_status status = exact_name(path, &wide);
    if (status != BROOD_OK)
        return status;
    *out = load(wide);
    const DWORD code = GetLastError();
    free(wide);
    if (!*out && code == ERROR_NOT_ENOUGH_MEMORY)
        return broodi_fail(BROOD_NO_MEMORY, "LoadLibraryW of %s (%lu)", path, code);
    return *out ? BROOD_OK : broodi_fail(BROOD_NOT_FOUND, "LoadLibraryW of %s (%lu)", path, code);
}

static brood_status refuse(const brood_os_module *parents, const unsigned char *identity)
{
    char theirs[SHOWN];
    char ours[SHOWN];
    return broodi_fail(BROOD_MISMATCH, "the parent has build %s, the child has build %s of %s",
                       shown(parents->identity, theirs), shown(identity, ours),
                       *parents->path ? parents->path : "the program");
}

brood_status brood_os_module_resolve(const brood_os_module *module, void (**out)(void))
{
    HMODULE found;
    const brood_status status = find_module(module->path, &found);
    if (status != BROOD_OK)
        return status;
    unsigned char identity[BROOD_OS_MODULE_IDENTITY];
    identify(found, identity);
    if (memcmp(identity, module->identity, sizeof identity) != 0)
        return refuse(module, identity);
    if (!is_code(found, module->offset))
        return broodi_fail(BROOD_MISMATCH, "no code at offset %#llx of %s",
                           (unsigned long long)module->offset,
                           *module->path ? module->path : "the program");
    *out = (void (*)(void))((uintptr_t)found + (uintptr_t)module->offset);
    return BROOD_OK;
}

static _Atomic uint64_t unloads;

// LDR_DLL_NOTIFICATION_REASON_UNLOADED, which the SDK documents but no header defines.
enum { REASON_UNLOADED = 2 };

static void CALLBACK count_unload(ULONG reason, const void *facts, void *context)
{
    (void)facts;
    (void)context;
    if (reason == REASON_UNLOADED)
        (void)atomic_fetch_add(&unloads, 1);
}

static bool register_counter(void)
{
    typedef LONG NTAPI registration(ULONG, void(CALLBACK *)(ULONG, const void *, void *), void *,
                                    void **);
    void *cookie;
    const HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    registration *call =
        ntdll ? (registration *)(uintptr_t)GetProcAddress(ntdll, "LdrRegisterDllNotification")
              : NULL;
    return call && call(0, count_unload, NULL, &cookie) >= 0;
}

// Registers count_unload. Returns false until that is done: another thread may be doing it, or the
// system may lack the function. This library is never unloaded (os_thread.c), so neither is the
// callback.
static bool counts_unloads(void)
{
    enum { UNREGISTERED, REGISTERING, REGISTERED };
    static _Atomic int state = UNREGISTERED;
    int seen = atomic_load_explicit(&state, memory_order_acquire);
    if (seen == UNREGISTERED && atomic_compare_exchange_strong(&state, &seen, REGISTERING) &&
        register_counter()) {
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
