// SPDX-License-Identifier: MIT
// A module is named by its path and by its headers, as they stand in memory. The loader writes the
// base address into them; all else there is as in the file.
#include "os/os_module.h"

#include "win32.h"

#include "fail.h"
#include "os/os_error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static const IMAGE_NT_HEADERS *headers_of(HMODULE module)
{
    const unsigned char *base = (const unsigned char *)module;
    const IMAGE_DOS_HEADER *start = (const IMAGE_DOS_HEADER *)module;
    return (const IMAGE_NT_HEADERS *)(const void *)(base + start->e_lfanew);
}

// FNV-1a.
static uint64_t hash(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t value = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        value = (value ^ bytes[i]) * UINT64_C(1099511628211);
    return value;
}

static void identify(HMODULE module, unsigned char identity[BROOD_OS_MODULE_IDENTITY])
{
    const IMAGE_NT_HEADERS *headers = headers_of(module);
    const size_t table = headers->FileHeader.NumberOfSections * sizeof(IMAGE_SECTION_HEADER);
    const uint64_t sections = hash(IMAGE_FIRST_SECTION(headers), table);
    const DWORD words[] = {
        headers->FileHeader.TimeDateStamp,
        headers->OptionalHeader.SizeOfImage,
        headers->OptionalHeader.AddressOfEntryPoint,
        headers->OptionalHeader.CheckSum,
        headers->OptionalHeader.SizeOfCode,
        (DWORD)sections,
        (DWORD)(sections >> 32),
    };
    _Static_assert(sizeof words <= BROOD_OS_MODULE_IDENTITY, "the facts fit into the identity");
    memset(identity, 0, BROOD_OS_MODULE_IDENTITY);
    memcpy(identity, words, sizeof words);
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
    const DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    HMODULE module;
    if (!code || !GetModuleHandleExW(flags, (const wchar_t *)(uintptr_t)code, &module))
        return broodi_fail(BROOD_INVALID, "the function is in no module");
    const uint64_t offset = (uintptr_t)code - (uintptr_t)module;
    if (!is_code(module, offset))
        return broodi_fail(BROOD_INVALID, "the function's address is that of data");
    const brood_status status = name_module(module, &out->path);
    if (status != BROOD_OK)
        return status;
    out->offset = offset;
    identify(module, out->identity);
    return BROOD_OK;
}

// Of its own libraries a module may expect that they lie beside it.
static HMODULE load(const wchar_t *path)
{
    if (broodi_win32_fault())
        return NULL;
    HMODULE module = GetModuleHandleW(path);
    if (!module)
        module = LoadLibraryW(path);
    if (!module)
        module = LoadLibraryExW(path, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
    return module;
}

static brood_status find_module(const char *path, HMODULE *out)
{
    *out = GetModuleHandleW(NULL);
    if (!*path)
        return BROOD_OK;
    wchar_t *wide;
    const brood_status status = broodi_win32_wide(path, &wide);
    if (status != BROOD_OK)
        return status;
    *out = load(wide);
    const DWORD code = GetLastError();
    free(wide);
    if (!*out && code == ERROR_NOT_ENOUGH_MEMORY)
        return broodi_fail(BROOD_NO_MEMORY, "LoadLibraryW of %s (%lu)", path, code);
    return *out ? BROOD_OK : broodi_fail(BROOD_NOT_FOUND, "LoadLibraryW of %s (%lu)", path, code);
}

brood_status brood_os_module_resolve(const brood_os_module *module, void (**out)(void))
{
    HMODULE found;
    const brood_status status = find_module(module->path, &found);
    if (status != BROOD_OK)
        return status;
    unsigned char identity[BROOD_OS_MODULE_IDENTITY];
    identify(found, identity);
    if (memcmp(identity, module->identity, sizeof identity) != 0 || !is_code(found, module->offset))
        return broodi_fail(BROOD_MISMATCH, "the child has another version of %s",
                           *module->path ? module->path : "this program");
    *out = (void (*)(void))((uintptr_t)found + (uintptr_t)module->offset);
    return BROOD_OK;
}
