// SPDX-License-Identifier: MIT
// A library that a program opens at run time to start its function in a process. With the shared
// brood the library may use brood, too; a static one would be a second brood in the same process,
// and this library does not need it.
#include <brood/brood.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

EXPORT int plugin_run(void *arg);

#if defined(PLUGIN_USES_BROOD)
static int add_one(void *arg)
{
    return *(const int *)arg + 1;
}

int plugin_run(void *arg)
{
    brood_process *process = NULL;
    brood_exit report = { 0 };
    const int less = *(const int *)arg - 1;
    if (brood_process_start(&process, add_one, &less, sizeof less, NULL) != BROOD_OK ||
        brood_process_join(process, BROOD_SECONDS(60), &report) != BROOD_OK)
        return 1;
    brood_process_drop(process);
    return (int)report.code;
}
#else
int plugin_run(void *arg)
{
    return *(const int *)arg;
}
#endif
