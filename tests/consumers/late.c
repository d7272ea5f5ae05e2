// SPDX-License-Identifier: MIT
// A program that opens the shared brood at run time, and closes it as soon as brood is in use:
// late <file of the library>. A library in use stays loaded.
#include <brood/brood.h>
#include <stdio.h>

#if defined(_WIN32)
#include <windows.h>
typedef HMODULE library;
static library open_library(const char *path)
{
    return LoadLibraryA(path);
}
static void close_library(library opened)
{
    FreeLibrary(opened);
}
static void find(library opened, const char *name, void *out)
{
    *(FARPROC *)out = GetProcAddress(opened, name);
}
#else
#include <dlfcn.h>
typedef void *library;
static library open_library(const char *path)
{
    return dlopen(path, RTLD_NOW);
}
static void close_library(library opened)
{
    dlclose(opened);
}
static void find(library opened, const char *name, void *out)
{
    *(void **)out = dlsym(opened, name);
}
#endif

static void say_end(void *arg)
{
    printf("%s\n", (const char *)arg);
}

static int seven(void *arg)
{
    return *(const int *)arg;
}

int main(int argc, char **argv)
{
    void (*init)(uint32_t, int (*)(void (*)(void)));
    const char *(*version)(void);
    brood_status (*at_exit)(void (*)(void *), void *);
    brood_status (*start)(brood_process **, brood_target, const void *, size_t,
                          const brood_process_options *);
    brood_status (*join)(brood_process *, brood_duration, brood_exit *);
    const library opened = argc > 1 ? open_library(argv[1]) : NULL;
    if (!opened)
        return 1;
    find(opened, "brood_init_with", (void *)&init);
    find(opened, "brood_version", (void *)&version);
    find(opened, "brood_at_exit", (void *)&at_exit);
    find(opened, "brood_process_start", (void *)&start);
    find(opened, "brood_process_join", (void *)&join);
    init(BROOD_VERSION_NUMBER, atexit);
    close_library(opened);

    static char text[64];
    const int number = 7;
    brood_process *process = NULL;
    brood_exit report = { 0 };
    if (at_exit(say_end, text) != BROOD_OK ||
        start(&process, seven, &number, sizeof number, NULL) != BROOD_OK ||
        join(process, BROOD_SECONDS(60), &report) != BROOD_OK)
        return 2;
    (void)snprintf(text, sizeof text, "opened late, brood %s: %d", version(), (int)report.code);
    return 0;
}
