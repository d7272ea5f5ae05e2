// SPDX-License-Identifier: MIT
#include "win32/environment.h"

#include "base/fail.h"
#include "base/fault.h"
#include "os/os_error.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

// The length of the name in "NAME=value". The name of a hidden entry begins with the equals sign:
// "=C:=C:\".
static int name_length(const wchar_t *entry)
{
    const wchar_t *sign = *entry ? wcschr(entry + 1, L'=') : NULL;
    return sign ? (int)(sign - entry) : (int)wcslen(entry);
}

static int by_name(const void *a, const void *b)
{
    const wchar_t *left = *(const wchar_t *const *)a;
    const wchar_t *right = *(const wchar_t *const *)b;
    return CompareStringOrdinal(left, name_length(left), right, name_length(right), TRUE) -
           CSTR_EQUAL;
}

// Appends an entry to the list in UTF-16. Returns the end of the text; NULL if the entry is not
// UTF-8. An empty entry, or one with the name of the first, is skipped.
static wchar_t *add_entry(wchar_t **list, size_t *count, wchar_t *at, const char *entry)
{
    // A text has at most as many units in UTF-16 as bytes in UTF-8.
    const int room = (int)strlen(entry) + 1;
    const int units = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, entry, -1, at, room);
    if (units <= 0)
        return NULL;
    // An empty entry would end the block; the first entry overrides others of its name.
    if (*entry == '\0' || (*count > 0 && by_name(&at, &list[0]) == 0))
        return at;
    list[(*count)++] = at;
    return at + units;
}

// Builds the block for CreateProcessW from a list: sorted by name, ended by an empty string.
static wchar_t *join_entries(wchar_t **list, size_t count, size_t room)
{
    wchar_t *block = broodi_alloc((room + 1) * sizeof *block);
    if (!block)
        return NULL;
    qsort(list, count, sizeof *list, by_name);
    wchar_t *at = block;
    for (size_t i = 0; i < count; i++) {
        const size_t units = wcslen(list[i]) + 1;
        memcpy(at, list[i], units * sizeof *at);
        at += units;
    }
    *at = L'\0';
    return block;
}

static brood_status convert(const char *const *entries, const char *first, wchar_t **list,
                            wchar_t *at, size_t *out_count)
{
    size_t count = 0;
    at = add_entry(list, &count, at, first);
    for (; *entries; entries++) {
        at = add_entry(list, &count, at, *entries);
        if (!at)
            return broodi_fail(BROOD_INVALID, "not UTF-8 in the environment: \"%s\"", *entries);
    }
    *out_count = count;
    return BROOD_OK;
}

brood_status broodi_environment_block(const char *const *entries, const char *first, wchar_t **out)
{
    size_t capacity = 1;
    size_t room = strlen(first) + 1;
    for (const char *const *entry = entries; *entry; entry++, capacity++)
        room += strlen(*entry) + 1;
    wchar_t **list = broodi_alloc(capacity * sizeof *list + room * sizeof **list);
    if (!list)
        return brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
    size_t count = 0;
    brood_status status = convert(entries, first, list, (wchar_t *)(list + capacity), &count);
    if (status == BROOD_OK) {
        *out = join_entries(list, count, room);
        status = *out ? BROOD_OK : brood_os_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
    }
    free(list);
    return status;
}
