// SPDX-License-Identifier: MIT
// Linked into every test program that is built with MSVC: a process that crashes ends at once, in
// every configuration. Applies to this process and, because the error mode is inherited, to those
// that it starts.
#include <crtdbg.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

static int __cdecl be_quiet(void)
{
    (void)SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    (void)_set_abort_behavior(0, _WRITE_ABORT_MSG | _CALL_REPORTFAULT);
    for (int kind = 0; kind < _CRT_ERRCNT; kind++) {
        (void)_CrtSetReportMode(kind, _CRTDBG_MODE_FILE);
        (void)_CrtSetReportFile(kind, _CRTDBG_FILE_STDERR);
    }
    return 0;
}

// Runs before main, from the table of initializers; the linker is told to keep the entry.
#pragma section(".CRT$XIY", read)
__declspec(allocate(".CRT$XIY")) int(__cdecl *const be_quiet_before_main)(void) = be_quiet;
#pragma comment(linker, "/include:be_quiet_before_main")
