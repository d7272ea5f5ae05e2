// SPDX-License-Identifier: MIT
// A GUI program: it begins in WinMain, and has no standard streams unless its parent has passed
// it some.
#include <brood/brood.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

static int print_in_vain(void *arg)
{
    (void)arg;
    puts("a GUI program prints");
    return 5;
}

int WINAPI WinMain(HINSTANCE instance, HINSTANCE none, char *line, int show)
{
    (void)instance, (void)none, (void)line, (void)show;
    brood_init();
    brood_process *process = NULL;
    brood_exit ended = { .kind = BROOD_RUNNING };
    if (brood_process_start(&process, print_in_vain, NULL, 0, NULL) != BROOD_OK)
        return 1;
    const brood_status joined = brood_process_join(process, BROOD_SECONDS(60), &ended);
    brood_process_drop(process);
    return joined != BROOD_OK || ended.kind != BROOD_EXITED || ended.code != 5;
}
