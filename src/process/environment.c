// SPDX-License-Identifier: MIT
#include "process/environment.h"

#include "base/fail.h"
#include "base/fault.h"
#include "os/os_process.h"

#include <stdbool.h>
#include <string.h>

// Returns the length of the name in an entry. Windows has entries such as "=C:=C:\dir", whose name
// begins with "=".
static size_t name_length(const char *entry)
{
    const char *sign = entry[0] ? strchr(entry + 1, '=') : NULL;
    return sign ? (size_t)(sign - entry) : strlen(entry);
}

static bool same_name(const char *a, const char *b)
{
    const size_t length = name_length(a);
    return length == name_length(b) && brood_os_process_same_name(a, b, length);
}

static size_t size_of(const char *const *list)
{
    size_t size = 0;
    for (; list && *list; list++)
        size += strlen(*list) + 1;
    return size;
}

static size_t count_of(const char *const *list)
{
    size_t count = 0;
    while (list && list[count])
        count++;
    return count;
}

brood_status broodi_environment_check(const char *const *changes)
{
    for (; changes && *changes; changes++)
        if ((*changes)[0] == 0 || (*changes)[0] == '=')
            return broodi_fail(BROOD_INVALID, "environment entry \"%s\" has no name", *changes);
    return BROOD_OK;
}

// Whether the list has an entry with the same name.
static bool is_mentioned(const char *entry, const char *const *list)
{
    for (; list && *list; list++)
        if (same_name(entry, *list))
            return true;
    return false;
}

const char **broodi_environment_merge(const char *const *changes, char ***storage)
{
    char **own = brood_os_process_environment();
    if (!own)
        return NULL;
    const size_t most = count_of((const char *const *)own) + count_of(changes) + 1;
    const char **merged = broodi_alloc(most * sizeof *merged + size_of(changes));
    if (!merged) {
        free(own);
        return NULL;
    }
    size_t count = 0;
    char *text = (char *)(merged + most);
    for (char **entry = own; *entry; entry++)
        if (!is_mentioned(*entry, changes))
            merged[count++] = *entry;
    for (; changes && *changes; changes++) {
        const size_t size = strlen(*changes) + 1;
        if (!strchr(*changes, '=') ||
            is_mentioned(*changes, changes + 1)) // the last entry for a name wins
            continue;
        merged[count++] = memcpy(text, *changes, size);
        text += size;
    }
    merged[count] = NULL;
    *storage = own;
    return merged;
}
