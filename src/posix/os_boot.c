// SPDX-License-Identifier: MIT
#include "os/os_boot.h"

#include "channel.h"

#include "fail.h"
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
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

// Reads exactly `size` bytes; false when they do not come.
static bool receive(int channel, void *buffer, size_t size)
{
    unsigned char *next = buffer;
    while (size > 0) {
        struct pollfd ready = { .fd = channel, .events = POLLIN };
        const int polled = poll(&ready, 1, CHANNEL_PATIENCE);
        if (polled < 0 && errno == EINTR)
            continue;
        const ssize_t got = polled > 0 ? recv(channel, next, size, 0) : -1;
        if (got <= 0)
            return false;
        next += got;
        size -= (size_t)got;
    }
    return true;
}

static bool is_socket(int descriptor)
{
    struct stat facts;
    return fstat(descriptor, &facts) == 0 && S_ISSOCK(facts.st_mode);
}

static brood_status receive_record(brood_os_boot *boot)
{
    uint64_t size = 0;
    const int channel = (int)boot->channel;
    if (!is_socket(channel) || fcntl(channel, F_SETFD, FD_CLOEXEC) != 0 ||
        !receive(channel, &size, sizeof size))
        return broodi_fail(BROOD_INVALID, "nobody sends a boot record");
    if (size == 0 || size > PTRDIFF_MAX)
        return broodi_fail(BROOD_INVALID, "a boot record of %" PRIu64 " bytes", size);
    boot->size = (size_t)size;
    boot->record = broodi_alloc(boot->size);
    if (!boot->record)
        return broodi_fail(BROOD_NO_MEMORY, "a boot record of %zu bytes", boot->size);
    if (receive(channel, boot->record, boot->size))
        return BROOD_OK;
    free(boot->record);
    return broodi_fail(BROOD_INVALID, "the boot record ends early");
}

brood_status brood_os_boot_take(brood_os_boot *out)
{
    int channel = -1;
    int arena = -1;
    brood_os_boot boot = { 0 };
    char text[64] = "";
    const char *announced = getenv(CHANNEL_VARIABLE);
    if (announced)
        (void)snprintf(text, sizeof text, "%s", announced);
    (void)unsetenv(CHANNEL_VARIABLE);
    if (sscanf(text, "%d:%d:%" SCNx64, &channel, &arena, &boot.token) != 3)
        return broodi_fail(BROOD_INVALID, "the announcement \"%s\" cannot be read", text);
    boot.channel = channel;
    boot.arena = arena;
    const brood_status status = receive_record(&boot);
    if (status == BROOD_OK)
        *out = boot;
    return status;
}

void brood_os_boot_reply(intptr_t channel, brood_status status, const char *text)
{
    struct channel_reply reply = { .status = (int32_t)status };
    (void)snprintf(reply.text, sizeof reply.text, "%s", text);
    (void)send((int)channel, &reply, sizeof reply, MSG_NOSIGNAL);
    close((int)channel);
}
