// SPDX-License-Identifier: MIT
// A program whose target is in a library that it opens: host <file of the library>. A child gets
// no argument for that: brood opens the library in it.
#include <brood/brood.h>
#include <stdio.h>

#if defined(_WIN32)
#include <windows.h>

static brood_target open_target(const char *path)
{
    const HMODULE library = LoadLibraryA(path);
    return library ? (brood_target)(void *)GetProcAddress(library, "plugin_run") : NULL;
}
#else
#include <dlfcn.h>

static brood_target open_target(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    void *symbol = library ? dlsym(library, "plugin_run") : NULL;
    brood_target target = NULL;
    *(void **)&target = symbol;
    return target;
}
#endif

int main(int argc, char **argv)
{
    brood_init();
    const int seven = 7;
    brood_process *process = NULL;
    brood_exit report = { 0 };
    const brood_target target = argc > 1 ? open_target(argv[1]) : NULL;
    if (!target) {
        fprintf(stderr, "cannot open the library\n");
        return 1;
    }
    if (brood_process_start(&process, target, &seven, sizeof seven, NULL) != BROOD_OK ||
        brood_process_join(process, BROOD_SECONDS(60), &report) != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        return 1;
    }
    printf("a plug-in, brood %s: %d\n", brood_version(), (int)report.code);
    brood_process_drop(process);
    return 0;
}
