// SPDX-License-Identifier: MIT
#include "place.h"

#include "foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OWNER = 1, ANOTHER = 65534 }; // user ids; neither needs a name

extern char **environ;

_Noreturn static void give_up(const char *what)
{
    perror(what);
    abort();
}

const char *place_argument(int number)
{
    static char text[8192];
    FILE *file = fopen("/proc/self/cmdline", "r");
    if (!file)
        give_up("/proc/self/cmdline");
    const size_t length = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    const char *at = text;
    for (; number > 0 && at < text + length; number--)
        at += strlen(at) + 1;
    return at < text + length ? at : NULL;
}

const char *place_program(void)
{
    static char text[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", text, sizeof text - 1);
    if (length < 0)
        give_up("/proc/self/exe");
    text[length] = 0;
    return text;
}

const char *place_directory(void)
{
    static char text[PATH_MAX];
    return getcwd(text, sizeof text);
}

const char *place_variable(const char *name)
{
    return getenv(name);
}

bool place_has_stream(int number)
{
    return fcntl(number, F_GETFD) >= 0;
}

void place_pipe(intptr_t ends[2])
{
    int both[2];
    if (pipe2(both, O_CLOEXEC) != 0)
        give_up("pipe");
    ends[0] = both[0];
    ends[1] = both[1];
}

void place_close(intptr_t end)
{
    if (close((int)end) != 0)
        give_up("close");
}

size_t place_read(intptr_t end, char *buffer, size_t capacity)
{
    const ssize_t got = read((int)end, buffer, capacity);
    if (got < 0)
        give_up("read");
    return (size_t)got;
}

void place_folder_make(char *buffer, size_t capacity, const char *name)
{
    foreign_file_name(buffer, capacity, name);
    // Whatever the umask is.
    if ((mkdir(buffer, 0755) != 0 && errno != EEXIST) || chmod(buffer, 0755) != 0)
        give_up(buffer);
}

void place_folder_remove(const char *path)
{
    (void)rmdir(path);
}

void place_program_copy(const char *from, const char *to)
{
    foreign_file_copy(from, to);
    if (chmod(to, 0755) != 0)
        give_up(to);
}

const char *place_name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void (*place_code(void))(void)
{
    union {
        void *object;
        void (*function)(void);
    } code = { mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) };
    if (code.object == MAP_FAILED)
        give_up("mmap");
#if defined(__x86_64__) || defined(__i386__)
    static const unsigned char zero[] = { 0x31, 0xc0, 0xc3 }; // xor eax, eax; ret
    memcpy(code.object, zero, sizeof zero);
#endif
    if (mprotect(code.object, 4096, PROT_READ | PROT_EXEC) != 0)
        give_up("mprotect");
    return code.function;
}

bool place_image_is_kept(void)
{
    return true;
}

static void open_streams(const place_run *run)
{
    if (!run->output) {
        close(STDIN_FILENO), close(STDOUT_FILENO), close(STDERR_FILENO);
        return;
    }
    const int null = open("/dev/null", O_RDONLY);
    const int output = open(run->output, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (null < 0 || output < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
        give_up(run->output);
    close(null);
    close(output);
}

static void execute(const place_run *run)
{
    enum { ARGUMENTS = sizeof run->arguments / sizeof run->arguments[0] };
    char *argv[ARGUMENTS + 2] = { (char *)(uintptr_t)run->program };
    for (int i = 0; i < ARGUMENTS; i++)
        argv[i + 1] = (char *)(uintptr_t)run->arguments[i];
    for (size_t i = 0; i < sizeof run->variables / sizeof run->variables[0] && run->variables[i];
         i++)
        if (putenv((char *)(uintptr_t)run->variables[i]) != 0)
            give_up("putenv");
    if (run->directory && chdir(run->directory) != 0)
        give_up(run->directory);
    open_streams(run);
    if (run->as_another &&
        (setresgid(ANOTHER, ANOTHER, ANOTHER) != 0 || setresuid(ANOTHER, ANOTHER, ANOTHER) != 0))
        give_up("setresuid");
    execve(run->program, argv, environ);
    give_up(run->program);
}

int place_program_run(const place_run *run)
{
    int status;
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child < 0)
        give_up("fork");
    if (child == 0)
        execute(run);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            give_up("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *place_privileges_raise(const char *path)
{
    struct statvfs facts;
    if (getuid() != 0)
        return "only root can make a set-uid program of another user";
    if (statvfs(path, &facts) != 0)
        give_up(path);
    if ((facts.f_flag & ST_NOSUID) || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return "set-uid has no effect here";
    // The owner comes first: a change of owner clears the set-uid bit.
    if (chown(path, OWNER, (gid_t)-1) != 0 || chmod(path, 04755) != 0)
        return "root may not change owners here";
    return NULL;
}
