// SPDX-License-Identifier: MIT
// What MSVC's C run-time library has in every program and Wine's import libraries lack: the
// directory of thread-local variables, the calls of the initializers that the compiler lists,
// atexit, and the stack probes. cmake/toolchains/msvc-wine.cmake links an object of this file into
// each program and DLL.
//
// The linker sorts the parts of a section by the text after the "$" in their names and joins them:
// the contents of the first and the last part enclose everything that the compiler puts between.
#include <windows.h>

typedef void(__cdecl *initializer)(void);
typedef int(__cdecl *checked_initializer)(void);

#pragma section(".tls", read, write)
#pragma section(".tls$ZZZ", read, write)
#pragma section(".CRT$XCA", read)
#pragma section(".CRT$XCZ", read)
#pragma section(".CRT$XIA", read)
#pragma section(".CRT$XIZ", read)
#pragma section(".CRT$XLA", read)
#pragma section(".CRT$XLZ", read)
#pragma section(".rdata$T", read)

#define PART(name) __declspec(allocate(name))

// The compiler refers to these in code that uses thread-local variables or floating-point
// numbers.
ULONG _tls_index = 0;
int _fltused = 0x9875;

PART(".tls") char _tls_start = 0;
PART(".tls$ZZZ") char _tls_end = 0;
PART(".CRT$XLA") PIMAGE_TLS_CALLBACK first_callback = NULL;
PART(".CRT$XLZ") PIMAGE_TLS_CALLBACK end_of_callbacks = NULL;

// The linker finds it by its name, if it is told to keep it: /include:_tls_used.
PART(".rdata$T")
const IMAGE_TLS_DIRECTORY64 _tls_used = {
    .StartAddressOfRawData = (ULONGLONG)&_tls_start,
    .EndAddressOfRawData = (ULONGLONG)&_tls_end,
    .AddressOfIndex = (ULONGLONG)&_tls_index,
    .AddressOfCallBacks = (ULONGLONG)(&first_callback + 1),
};

PART(".CRT$XIA") checked_initializer first_checked[] = { NULL };
PART(".CRT$XIZ") checked_initializer end_of_checked[] = { NULL };
PART(".CRT$XCA") initializer first_plain[] = { NULL };
PART(".CRT$XCZ") initializer end_of_plain[] = { NULL };

// In MSVC's library atexit is a function of the program, which calls the shared part of the
// library; this takes the place of the import.
int __cdecl _crt_atexit(initializer function);

static int __cdecl run_at_exit(initializer function)
{
    return _crt_atexit(function);
}

int(__cdecl *const __imp_atexit)(initializer) = run_at_exit;

// A function with more than a page of variables calls this with their size in rax; all registers,
// including rax, are preserved. It touches each page, so that the stack grows, or overflows where
// the system can report it. Wine's version does nothing.
__asm__(".globl __chkstk\n"
        "__chkstk:\n"
        "    pushq %rcx\n"
        "    pushq %rax\n"
        "    leaq 24(%rsp), %rcx\n" // the end of the caller's stack
        "next_page:\n"
        "    cmpq $0x1000, %rax\n"
        "    jb last_page\n"
        "    subq $0x1000, %rcx\n"
        "    testl %eax, (%rcx)\n"
        "    subq $0x1000, %rax\n"
        "    jmp next_page\n"
        "last_page:\n"
        "    subq %rax, %rcx\n"
        "    testl %eax, (%rcx)\n"
        "    popq %rax\n"
        "    popq %rcx\n"
        "    ret\n");

#if defined(STARTUP_PROGRAM)
int mainCRTStartup(void);

// The entry point of a program. Wine's entry point builds the arguments and calls main.
int startup(void)
{
    for (checked_initializer *next = first_checked; next < end_of_checked; next++) {
        const int wrong = *next ? (*next)() : 0;
        if (wrong)
            ExitProcess((UINT)wrong);
    }
    for (initializer *next = first_plain; next < end_of_plain; next++)
        if (*next)
            (*next)();
    return mainCRTStartup();
}
#else
// The entry point of a DLL. DLLs of this project are in C and have no initializers.
BOOL WINAPI startup(HINSTANCE module, DWORD reason, void *reserved)
{
    (void)module, (void)reason, (void)reserved;
    return TRUE;
}
#endif
