// SPDX-License-Identifier: MIT
// Runs a program, and all that it starts, as if the kernel had no robust lists, clone3,
// futex_waitv and close_range: bare program [argument...]. The C library asks for a robust list
// at the start of each program and thread, and gets none.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CLONE3 = 435, CLOSE_RANGE = 436, FUTEX_WAITV = 449, NOT_RUN = 77 };

#define REFUSE(number)                                             \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(number), 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)

int main(int argc, char **argv)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        REFUSE(SYS_set_robust_list),
        REFUSE(SYS_get_robust_list),
        REFUSE(CLONE3),
        REFUSE(FUTEX_WAITV),
        REFUSE(CLOSE_RANGE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { .len = sizeof filter / sizeof filter[0], .filter = filter };
    if (argc < 2)
        return 2;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("skipped: prctl");
        return NOT_RUN;
    }
    execv(argv[1], argv + 1);
    perror(argv[1]);
    return 1;
}
