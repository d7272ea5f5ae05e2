// SPDX-License-Identifier: MIT
#include "win32/trust.h"

#include <winternl.h>

// With room for the longest user identifier.
typedef union token_fact {
    TOKEN_USER user;
    TOKEN_OWNER owner;
    TOKEN_MANDATORY_LABEL label;
    unsigned char room[sizeof(TOKEN_MANDATORY_LABEL) + 68];
} token_fact;

static bool ask_token(HANDLE process, TOKEN_INFORMATION_CLASS what, token_fact *out)
{
    HANDLE token;
    DWORD size;
    if (!OpenProcessToken(process, TOKEN_QUERY, &token))
        return false;
    const bool known = GetTokenInformation(token, what, out, sizeof *out, &size);
    CloseHandle(token);
    return known;
}

// An object that an administrator makes may be owned by the group. Under Wine, unnamed objects
// have no owner.
bool broodi_trust_is_ours(HANDLE object)
{
    union {
        SECURITY_DESCRIPTOR descriptor;
        unsigned char room[256];
    } facts;
    DWORD size;
    BOOL unused;
    PSID owner = NULL;
    token_fact own;
    if (!GetKernelObjectSecurity(object, OWNER_SECURITY_INFORMATION, &facts, sizeof facts, &size) ||
        !GetSecurityDescriptorOwner(&facts, &owner, &unused))
        return false;
    if (!owner)
        return true;
    return (ask_token(GetCurrentProcess(), TokenUser, &own) &&
            EqualSid(owner, own.user.User.Sid)) ||
           (ask_token(GetCurrentProcess(), TokenOwner, &own) && EqualSid(owner, own.owner.Owner));
}

static bool is_same_user(HANDLE parent)
{
    token_fact parents;
    token_fact own;
    return ask_token(parent, TokenUser, &parents) &&
           ask_token(GetCurrentProcess(), TokenUser, &own) &&
           EqualSid(parents.user.User.Sid, own.user.User.Sid);
}

// The integrity level: the higher, the more rights the process has.
static bool find_level(HANDLE process, DWORD *out)
{
    token_fact fact;
    if (!ask_token(process, TokenIntegrityLevel, &fact))
        return false;
    const DWORD last = *GetSidSubAuthorityCount(fact.label.Label.Sid) - 1U;
    *out = *GetSidSubAuthority(fact.label.Label.Sid, last);
    return true;
}

// Otherwise an unelevated process of the user could control an elevated one.
static bool is_as_high(HANDLE parent)
{
    DWORD parents;
    DWORD own;
    return find_level(parent, &parents) && find_level(GetCurrentProcess(), &own) && parents >= own;
}

// 0 if the system does not report it.
static uint64_t find_parent(void)
{
    typedef NTSTATUS NTAPI query(HANDLE, PROCESSINFOCLASS, void *, ULONG, ULONG *);
    struct { // PROCESS_BASIC_INFORMATION; not all headers name its fields
        void *unused[5];
        ULONG_PTR parent;
    } facts;
    const HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    query *ask =
        ntdll ? (query *)(uintptr_t)GetProcAddress(ntdll, "NtQueryInformationProcess") : NULL;
    if (!ask || ask(GetCurrentProcess(), ProcessBasicInformation, &facts, sizeof facts, NULL) < 0)
        return 0;
    return facts.parent;
}

static uint64_t birth_of(HANDLE process)
{
    FILETIME birth;
    FILETIME unused;
    if (!GetProcessTimes(process, &birth, &unused, &unused, &unused))
        return UINT64_MAX;
    return (uint64_t)birth.dwHighDateTime << 32 | birth.dwLowDateTime;
}

// A process that is younger than this one has reused the parent's id.
static bool is_parent_gone(HANDLE parent)
{
    return WaitForSingleObject(parent, 0) != WAIT_TIMEOUT ||
           birth_of(parent) > birth_of(GetCurrentProcess());
}

enum broodi_trust broodi_trust_judge(uint64_t announcer)
{
    if (announcer == 0 || announcer != find_parent())
        return BROODI_TRUST_STRANGER;
    HANDLE parent =
        OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, (DWORD)announcer);
    if (!parent)
        return GetLastError() == ERROR_INVALID_PARAMETER ? BROODI_TRUST_ORPHAN
                                                         : BROODI_TRUST_STRANGER;
    enum broodi_trust trust = BROODI_TRUST_STRANGER;
    if (is_parent_gone(parent))
        trust = BROODI_TRUST_ORPHAN;
    else if (is_same_user(parent) && is_as_high(parent))
        trust = BROODI_TRUST_PARENT;
    CloseHandle(parent);
    return trust;
}
