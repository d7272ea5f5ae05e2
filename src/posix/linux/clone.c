// SPDX-License-Identifier: MIT
// clone3() by hand, because no C library exports it. The child begins on the caller's stack,
// below all that the caller has there, as with vfork(): the caller sleeps until the child no
// longer uses the memory. The caller's frame is safe because the child never returns into it.
#include "posix/linux/clone.h"

#include "base/atomic.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum { CLONE3 = 435 };

// The first version of the kernel's struct clone_args, which older headers lack.
struct clone_arguments {
    _Alignas(8) uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack; // 0: the caller's
    uint64_t stack_size;
    uint64_t tls;
};

#define SHARED_MEMORY UINT64_C(0x00000100)   // CLONE_VM
#define PARENT_SLEEPS UINT64_C(0x00004000)   // CLONE_VFORK
#define CLEAR_HANDLERS UINT64_C(0x100000000) // CLONE_CLEAR_SIGHAND, since Linux 5.5

// Returns the result of the system call, in the caller. Not inlined, so that the frame holds
// nothing of another function.
#if defined(__x86_64__) && defined(__LP64__)
__attribute__((__noinline__)) static long clone_and_run(const struct clone_arguments *arguments,
                                                        void (*run)(void *), void *arg)
{
    long result = CLONE3;
    // Not in the frame pointer's register, which the child clears.
    register void (*entry)(void *) __asm__("r8") = run;
    register void *value __asm__("r9") = arg;
    __asm__ volatile("subq $128, %%rsp\n\t" // what a function may use below its stack pointer
                     "syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xorl %%ebp, %%ebp\n\t" // the outermost frame
                     "andq $-16, %%rsp\n\t"
                     "movq %[value], %%rdi\n\t"
                     "callq *%[entry]\n\t"
                     "ud2\n"
                     "1:\n\t"
                     "addq $128, %%rsp"
                     : "+a"(result)
                     : "D"(arguments),
                       "S"(sizeof *arguments), [entry] "r"(entry), [value] "r"(value)
                     : "rcx", "r11", "cc", "memory");
    return result;
}
#elif defined(__aarch64__)
__attribute__((__noinline__)) static long clone_and_run(const struct clone_arguments *arguments,
                                                        void (*run)(void *), void *arg)
{
    register long result __asm__("x0") = (long)(intptr_t)arguments;
    register size_t size __asm__("x1") = sizeof *arguments;
    register long number __asm__("x8") = CLONE3;
    register void (*entry)(void *) __asm__("x9") = run;
    register void *value __asm__("x10") = arg;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x0, %[value]\n\t"
                     "mov x29, xzr\n\t" // the outermost frame
                     "blr %[entry]\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(result)
                     : "r"(size), "r"(number), [entry] "r"(entry), [value] "r"(value)
                     : "cc", "memory");
    return result;
}
#else
static long clone_and_run(const struct clone_arguments *arguments, void (*run)(void *), void *arg)
{
    (void)arguments, (void)run, (void)arg;
    return -ENOSYS;
}
#endif

// Sanitizers replace the C library's vfork() by their own, which keeps their view of the memory
// consistent.
extern void __asan_init(void) __attribute__((__weak__));
extern void __hwasan_init(void) __attribute__((__weak__));
extern void __msan_init(void) __attribute__((__weak__));
extern void __tsan_init(void) __attribute__((__weak__));

static bool has_sanitizer(void)
{
    return __asan_init || __hwasan_init || __msan_init || __tsan_init;
}

// Kernels without the call or the flag, emulators, and filters of system calls, which may return
// any error. EAGAIN and ENOMEM instead mean that there is no room for another process, which
// vfork() would report as well.
static bool is_refusal(long error)
{
    return error != EAGAIN && error != ENOMEM;
}

pid_t broodi_clone_without_handlers(void (*run)(void *), void *arg)
{
    static atomic_bool refused;
    const struct clone_arguments arguments = { .flags =
                                                   SHARED_MEMORY | PARENT_SLEEPS | CLEAR_HANDLERS,
                                               .exit_signal = SIGCHLD };
    errno = ENOSYS;
    if (has_sanitizer() || atomic_load_explicit(&refused, memory_order_relaxed))
        return -1;
    const long result = clone_and_run(&arguments, run, arg);
    if (result >= 0)
        return (pid_t)result;
    const bool is_refused = is_refusal(-result);
    if (is_refused)
        atomic_store_explicit(&refused, true, memory_order_relaxed);
    errno = is_refused ? ENOSYS : (int)-result;
    return -1;
}
