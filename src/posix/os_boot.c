// SPDX-License-Identifier: MIT
#include "os/os_boot.h"

#include "channel.h"

#include "fail.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

bool brood_os_boot_is_privileged(void)
{
    return getauxval(AT_SECURE) != 0;
}

bool brood_os_boot_is_announced(void)
{
    const char *announcement = getenv(CHANNEL_VARIABLE);
    return announcement && announcement[0] && !brood_os_boot_is_privileged();
}

static bool is_socket(int descriptor)
{
    struct stat facts;
    return fstat(descriptor, &facts) == 0 && S_ISSOCK(facts.st_mode);
}

static brood_status receive_letter(brood_os_boot *boot, bool *is_letter)
{
    const int channel = (int)boot->channel;
    if (!is_socket(channel) || fcntl(channel, F_SETFD, FD_CLOEXEC) != 0)
        return broodi_fail(BROOD_INVALID, "nobody sends a boot record");
    return broodi_channel_receive_letter(boot, is_letter);
}

// Reads a number and the character that closes it; NULL when they are not there.
static const char *read_field(const char *at, int base, char end, uint64_t most, uint64_t *out)
{
    char *behind = NULL;
    errno = 0;
    *out = isxdigit((unsigned char)*at) ? strtoull(at, &behind, base) : 0;
    return behind && errno == 0 && *out <= most && *behind == end ? behind + 1 : NULL;
}

static bool read_announcement(const char *text, brood_os_boot *boot)
{
    uint64_t channel = 0;
    uint64_t arena = 0;
    text = read_field(text, 10, ':', INT_MAX, &channel);
    if (text)
        text = read_field(text, 10, ':', INT_MAX, &arena);
    if (text)
        text = read_field(text, 16, '\0', UINT64_MAX, &boot->token);
    boot->channel = (intptr_t)channel;
    boot->arena = (intptr_t)arena;
    return text != NULL;
}

brood_status brood_os_boot_take(brood_os_boot *out)
{
    brood_os_boot boot = { 0 };
    char text[64] = "";
    const char *announced = getenv(CHANNEL_VARIABLE);
    if (announced)
        (void)snprintf(text, sizeof text, "%s", announced);
    (void)unsetenv(CHANNEL_VARIABLE);
    if (!read_announcement(text, &boot))
        return broodi_fail(BROOD_INVALID, "the announcement \"%s\" cannot be read", text);
    (void)prctl(PR_SET_NAME,
                program_invocation_short_name); // executed by /proc/self/exe, it would be called "exe"
    bool is_letter = false;
    const brood_status status = receive_letter(&boot, &is_letter);
    if (status == BROOD_OK)
        *out = boot;
    else if (is_letter)
        out->channel = boot.channel;
    return status;
}

bool brood_os_boot_reply(intptr_t channel, brood_status status, const char *text)
{
    struct channel_reply reply = { .status = (int32_t)status, .pid = getpid() };
    (void)snprintf(reply.text, sizeof reply.text, "%s", text);
    const bool heard = broodi_channel_reply((int)channel, &reply);
    close((int)channel);
    return heard;
}
