// SPDX-License-Identifier: MIT
#include "os/os_boot.h"

#include "posix/channel.h"
#include "posix/launch.h"
#include "posix/proc.h"
#include "posix/trust.h"

#include "base/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool brood_os_boot_is_privileged(void)
{
    return broodi_proc_is_privileged();
}

static brood_status receive_letter(brood_os_boot *boot, bool *is_letter)
{
    if (fcntl((int)boot->channel, F_SETFD, FD_CLOEXEC) != 0)
        return broodi_fail(BROOD_INVALID, "the announced channel, descriptor %d, is not open",
                           (int)boot->channel);
    return broodi_channel_receive_letter(boot, is_letter);
}

static unsigned digit_of(char character)
{
    if (character >= '0' && character <= '9')
        return (unsigned)(character - '0');
    return character >= 'a' && character <= 'f' ? (unsigned)(character - 'a') + 10 : UINT_MAX;
}

// Reads a number and the character `end` behind it; false if there is no number, or if it is
// greater than `most`.
static bool read_number(const char **text, unsigned base, char end, uint64_t most, uint64_t *out)
{
    const char *next = *text;
    bool fits = true;
    for (*out = 0; digit_of(*next) < base; next++) {
        fits = fits && *out <= (most - digit_of(*next)) / base;
        *out = *out * base + digit_of(*next);
    }
    const bool read = fits && next != *text && *next == end;
    *text = next + 1;
    return read;
}

// "3:4:" and the token. Parsed by hand: in a fresh image each further function of the C library
// is a page or two to be loaded.
static bool read_announcement(const char *text, brood_os_boot *boot)
{
    uint64_t channel;
    uint64_t arena;
    if (!read_number(&text, 10, ':', INT_MAX, &channel) ||
        !read_number(&text, 10, ':', INT_MAX, &arena) ||
        !read_number(&text, 16, 0, UINT64_MAX, &boot->token))
        return false;
    boot->channel = (intptr_t)channel;
    boot->arena = (intptr_t)arena;
    return channel == CHANNEL_DESCRIPTOR && arena == CHANNEL_ARENA; // where every parent puts them
}

static enum broodi_trust judge(const char *announcement)
{
    brood_os_boot boot;
    if (brood_os_boot_is_privileged() || !read_announcement(announcement, &boot))
        return BROODI_TRUST_STRANGER;
    return broodi_trust_judge((int)boot.channel, (int)boot.arena);
}

bool brood_os_boot_is_announced(void)
{
    const char *announcement = getenv(CHANNEL_VARIABLE);
    if (!announcement || !announcement[0])
        return false;
    const enum broodi_trust trust = judge(announcement);
    if (trust == BROODI_TRUST_ORPHAN)
        _exit(70); // a tied child would have been killed
    if (trust == BROODI_TRUST_STRANGER)
        (void)unsetenv(CHANNEL_VARIABLE); // a program that this one executes must not see it either
    return trust == BROODI_TRUST_PARENT;
}

brood_status brood_os_boot_take(brood_os_boot *out)
{
    brood_os_boot boot = { 0 };
    const char *text = getenv(CHANNEL_VARIABLE);
    const bool read = text && read_announcement(text, &boot);
    if (!read)
        (void)broodi_fail(BROOD_INVALID, "the announcement \"%s\" cannot be read",
                          text ? text : "");
    (void)unsetenv(CHANNEL_VARIABLE);
    if (!read)
        return BROOD_INVALID;
    broodi_proc_restore_name();
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
    struct channel_reply reply = { .status = (int32_t)status,
                                   .pid = getpid(),
                                   .apart = broodi_launch_note_parent((int)channel) };
    memcpy(reply.text, text, strnlen(text, sizeof reply.text - 1));
    const bool sent = broodi_channel_reply((int)channel, &reply);
    close((int)channel);
    return sent;
}
