// SPDX-License-Identifier: MIT
#include "os/os_boot.h"

#include "win32/channel.h"
#include "win32/trust.h"
#include "win32/win32.h"

#include "base/fail.h"
#include "os/os_stdio.h"

#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum {
    RECORD_MAPPING,
    REPLY_EVENT,
    ARENA,
    TOKEN,
    FIELDS,
    DIGITS = 16,
    LONGEST = FIELDS * (DIGITS + 1)
};

// What the reply needs. A process is started as a child only once.
static struct channel {
    channel_letter *letter;
    HANDLE event;
} channel;

// The C library has a copy of its own; children inherit the system's.
static void erase_announcement(void)
{
    (void)_wputenv(CHANNEL_VARIABLE_WIDE L"=");
    (void)SetEnvironmentVariableW(CHANNEL_VARIABLE_WIDE, NULL);
}

static int digit(wchar_t letter)
{
    static const wchar_t digits[] = L"0123456789abcdef";
    const wchar_t *found = letter ? wcschr(digits, letter) : NULL;
    return found ? (int)(found - digits) : -1;
}

// Reads a hexadecimal number and the character that ends it; NULL if the text is anything else.
static const wchar_t *read_field(const wchar_t *at, wchar_t end, uint64_t *out)
{
    *out = 0;
    int count = 0;
    for (; digit(*at) >= 0; at++, count++)
        *out = *out << 4 | (uint64_t)digit(*at);
    return count > 0 && count <= DIGITS && *at == end ? at + 1 : NULL;
}

static bool read_announcement(uint64_t fields[FIELDS])
{
    wchar_t text[LONGEST + 1];
    const DWORD length = GetEnvironmentVariableW(CHANNEL_VARIABLE_WIDE, text, LONGEST + 1);
    const wchar_t *at = length > 0 && length <= LONGEST ? text : NULL;
    for (int i = 0; i < FIELDS && at; i++)
        at = read_field(at, i < FIELDS - 1 ? L':' : L'\0', &fields[i]);
    return at != NULL;
}

static HANDLE handle_in(const uint64_t fields[FIELDS], int which)
{
    return (HANDLE)(uintptr_t)fields[which];
}

static bool are_handles(const uint64_t fields[FIELDS])
{
    DWORD facts;
    for (int i = RECORD_MAPPING; i <= ARENA; i++)
        if (fields[i] > UINTPTR_MAX || !GetHandleInformation(handle_in(fields, i), &facts))
            return false;
    return fields[RECORD_MAPPING] != fields[REPLY_EVENT] &&
           fields[RECORD_MAPPING] != fields[ARENA] && fields[REPLY_EVENT] != fields[ARENA];
}

// Whether the view begins with a letter and contains all of it. Checks the size before it reads:
// memory that is only reserved must not be accessed.
static bool is_letter(const channel_letter *view)
{
    MEMORY_BASIC_INFORMATION facts;
    if (VirtualQuery(view, &facts, sizeof facts) == 0 || facts.State != MEM_COMMIT ||
        facts.Protect != PAGE_READWRITE || facts.RegionSize < CHANNEL_RECORD)
        return false;
    if (view->magic != CHANNEL_MAGIC || view->size > facts.RegionSize - CHANNEL_RECORD)
        return false;
    const uint64_t at = channel_resources_at(view->size);
    return at <= facts.RegionSize &&
           view->resources <= (facts.RegionSize - at) / sizeof(channel_resource);
}

static channel_letter *open_letter(HANDLE mapping)
{
    channel_letter *view =
        broodi_win32_fault() ? NULL : MapViewOfFile(mapping, FILE_MAP_WRITE, 0, 0, 0);
    if (!view)
        return NULL;
    if (is_letter(view))
        return view;
    UnmapViewOfFile(view);
    return NULL;
}

// Until the announcement is trusted, the handles may belong to other code of the program: they
// are queried, but neither changed nor closed.
static enum broodi_trust judge(void)
{
    uint64_t fields[FIELDS];
    if (!read_announcement(fields) || !are_handles(fields) ||
        !broodi_trust_is_ours(handle_in(fields, RECORD_MAPPING)) ||
        !broodi_trust_is_ours(handle_in(fields, ARENA)))
        return BROODI_TRUST_STRANGER;
    channel_letter *letter = open_letter(handle_in(fields, RECORD_MAPPING));
    if (!letter)
        return BROODI_TRUST_STRANGER;
    const enum broodi_trust trust = broodi_trust_judge(letter->parent);
    UnmapViewOfFile(letter);
    return trust;
}

static bool is_shortage(DWORD code)
{
    return code == ERROR_NOT_ENOUGH_MEMORY || code == ERROR_OUTOFMEMORY ||
           code == ERROR_NO_SYSTEM_RESOURCES || code == ERROR_COMMITMENT_LIMIT;
}

// A child that cannot verify its announcement for lack of memory must not run as a main process.
bool brood_os_boot_is_announced(void)
{
    const DWORD zero_only = 1; // the size that an empty variable needs
    if (GetEnvironmentVariableW(CHANNEL_VARIABLE_WIDE, NULL, 0) <= zero_only)
        return false;
    SetLastError(ERROR_SUCCESS);
    const enum broodi_trust trust = judge();
    if (trust == BROODI_TRUST_STRANGER && is_shortage(GetLastError()))
        brood_os_process_refuse("brood_init: out of memory for the announcement");
    if (trust == BROODI_TRUST_ORPHAN)
        brood_os_process_exit(70);
    if (trust == BROODI_TRUST_STRANGER)
        erase_announcement();
    return trust == BROODI_TRUST_PARENT;
}

// The handles were inherited; this process's children must not inherit them.
static void keep_handles(const uint64_t fields[FIELDS])
{
    for (int i = RECORD_MAPPING; i <= ARENA; i++)
        (void)SetHandleInformation(handle_in(fields, i), HANDLE_FLAG_INHERIT, 0);
}

// A descriptor is the C library's number for a handle, and differs in each process.
static brood_status adopt(const channel_resource *resource, brood_resource *out)
{
    HANDLE handle = (HANDLE)(intptr_t)resource->value;
    if (!SetHandleInformation(handle, HANDLE_FLAG_INHERIT, 0))
        return broodi_fail(BROOD_INVALID, "resource %lld is not open", (long long)resource->value);
    *out = (brood_resource){ resource->kind, (intptr_t)handle };
    if (resource->kind == BROOD_RESOURCE_DESCRIPTOR)
        out->value = broodi_fault() ? -1 : _open_osfhandle((intptr_t)handle, _O_BINARY);
    return out->value == -1 ? broodi_fail(BROOD_NO_RESOURCES, "_open_osfhandle") : BROOD_OK;
}

static brood_status take_resources(const channel_letter *letter, brood_os_boot *out)
{
    const unsigned char *place = (const unsigned char *)letter + channel_resources_at(letter->size);
    const channel_resource *list = (const channel_resource *)(const void *)place;
    out->resource_count = (size_t)letter->resources;
    out->resources =
        out->resource_count ? broodi_alloc(out->resource_count * sizeof *out->resources) : NULL;
    if (out->resource_count && !out->resources)
        return broodi_fail(BROOD_NO_MEMORY, "%llu resources",
                           (unsigned long long)letter->resources);
    brood_status status = BROOD_OK;
    for (size_t i = 0; status == BROOD_OK && i < out->resource_count; i++)
        status = adopt(&list[i], &out->resources[i]);
    return status;
}

brood_status brood_os_boot_take(brood_os_boot *out)
{
    uint64_t fields[FIELDS];
    const bool read = read_announcement(fields);
    erase_announcement();
    if (!read)
        return broodi_fail(BROOD_INVALID, "invalid announcement in " CHANNEL_VARIABLE);
    keep_handles(fields);
    HANDLE event = handle_in(fields, REPLY_EVENT);
    HANDLE mapping = handle_in(fields, RECORD_MAPPING);
    if (!ResetEvent(event))
        return broodi_fail(BROOD_INVALID, "the announced handles are not open");
    channel_letter *letter = open_letter(mapping);
    if (!letter)
        return broodi_fail(BROOD_INVALID, "the announced mapping holds no boot record");
    CloseHandle(mapping);
    channel = (struct channel){ letter, event };
    out->channel = (intptr_t)&channel;
    brood_os_boot boot = {
        .record = (unsigned char *)letter + CHANNEL_RECORD,
        .size = (size_t)letter->size,
        .token = fields[TOKEN],
        .arena = (intptr_t)fields[ARENA],
        .channel = (intptr_t)&channel,
    };
    const brood_status status = take_resources(letter, &boot);
    if (status == BROOD_OK)
        *out = boot;
    return status;
}

static void copy_text(char *to, size_t room, const char *text)
{
    const size_t length = strlen(text);
    const size_t part = length < room ? length : room - 1;
    memcpy(to, text, part);
    to[part] = '\0';
}

bool brood_os_boot_reply(intptr_t to, brood_status status, const char *text)
{
    struct channel *const reply = (struct channel *)to;
    reply->letter->status = (int32_t)status;
    copy_text(reply->letter->text, sizeof reply->letter->text, text);
    // Pairs with the parent's load in read_reply.
    (void)InterlockedExchange(&reply->letter->state, CHANNEL_REPLIED);
    (void)SetEvent(reply->event);
    CloseHandle(reply->event);
    *reply = (struct channel){ NULL, NULL };
    return true; // always: the letter is shared memory
}

// A child runs with its parent's rights, and no program of another user can pass it handles.
bool brood_os_boot_is_privileged(void)
{
    return false;
}
