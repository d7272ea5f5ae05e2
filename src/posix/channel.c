// SPDX-License-Identifier: MIT
#include "posix/channel.h"

#include "posix/descriptor.h"
#include "posix/posix.h"
#include "posix/proc.h"

#include "base/fail.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if !defined(MSG_NOSIGNAL) // the sockets have SO_NOSIGPIPE there
#define MSG_NOSIGNAL 0
#endif
#if !defined(MSG_CMSG_CLOEXEC) // no descriptors are received there
#define MSG_CMSG_CLOEXEC 0
#endif

enum { MOST_RESOURCES = 1 << 20 }; // the usual limit of descriptors of a process on Linux

int broodi_channel_patience = 60000;

static bool await(int channel, short what)
{
    struct pollfd ready = { .fd = channel, .events = what };
    for (;;) {
        const int count =
            broodi_posix_fault(ENOMEM) ? -1 : poll(&ready, 1, broodi_channel_patience);
        if (count >= 0 || errno != EINTR)
            return count > 0;
    }
}

bool broodi_channel_await(int channel)
{
    return await(channel, POLLIN);
}

static void send_all(int channel, const void *data, size_t size)
{
    const unsigned char *next = data;
    while (size > 0) {
        const ssize_t sent = broodi_posix_fault(ENOBUFS)
                                 ? -1
                                 : send(channel, next, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            next += sent;
            size -= (size_t)sent;
        } else if (sent == 0 || (errno != EINTR && (errno != EAGAIN || !await(channel, POLLOUT)))) {
            broodi_channel_break(channel);
            return;
        }
    }
}

void broodi_channel_break(int channel)
{
    (void)shutdown(channel, SHUT_WR);
}

void broodi_channel_flush(struct channel_buffer *buffer)
{
    send_all(buffer->channel, buffer->bytes, buffer->used);
    buffer->used = 0;
}

void broodi_channel_put(struct channel_buffer *buffer, const void *data, size_t size)
{
    if (size > sizeof buffer->bytes - buffer->used)
        broodi_channel_flush(buffer);
    if (size > sizeof buffer->bytes) {
        send_all(buffer->channel, data, size);
        return;
    }
    memcpy(buffer->bytes + buffer->used, data, size);
    buffer->used += size;
}

void broodi_channel_put_letter(struct channel_buffer *buffer, const brood_os_plan *plan)
{
    const struct channel_letter letter = { .magic = CHANNEL_MAGIC,
                                           .size = plan->size,
                                           .resources = plan->resource_count,
                                           .detached = plan->detached,
                                           .tied = plan->tied ? (uint64_t)getpid() : 0 };
    broodi_channel_put(buffer, &letter, sizeof letter);
    for (size_t i = 0; i < plan->resource_count; i++)
        broodi_channel_put(buffer, &plan->resources[i].kind, sizeof plan->resources[i].kind);
    broodi_channel_put(buffer, plan->record, plan->size);
}

const char **broodi_channel_environment(const brood_os_plan *plan,
                                        char announcement[CHANNEL_ANNOUNCEMENT])
{
    size_t count = 0;
    while (plan->environment[count])
        count++;
    const char **list = broodi_alloc((count + 2) * sizeof *list);
    if (!list)
        return NULL;
    (void)snprintf(announcement, CHANNEL_ANNOUNCEMENT, CHANNEL_VARIABLE "=%d:%d:%" PRIx64,
                   CHANNEL_DESCRIPTOR, CHANNEL_ARENA, plan->token);
    size_t length = 0;
    list[length++] = announcement;
    for (size_t i = 0; i < count; i++)
        if (strncmp(plan->environment[i], CHANNEL_VARIABLE "=", sizeof CHANNEL_VARIABLE) != 0)
            list[length++] = plan->environment[i];
    list[length] = NULL;
    return list;
}

void broodi_channel_send_letter(int channel, const brood_os_plan *plan)
{
    struct channel_buffer buffer = { .channel = channel };
    broodi_channel_put_letter(&buffer, plan);
    broodi_channel_flush(&buffer);
}

void broodi_channel_send_error(int channel, int code, const char *call)
{
    struct channel_reply reply = { .status = CHANNEL_SYSTEM_ERROR, .code = code };
    memcpy(reply.text, call, strnlen(call, sizeof reply.text - 1));
    if (!broodi_fault())
        (void)send(channel, &reply, sizeof reply, MSG_NOSIGNAL);
}

_Noreturn void broodi_channel_give_up(int channel, int code, const char *call)
{
    broodi_channel_send_error(channel, code, call);
    _exit(70);
}

_Noreturn void broodi_channel_give_up_on(int channel, int code, const char *call,
                                         const char *object)
{
    char text[CHANNEL_TEXT] = { 0 };
    const size_t used = strnlen(call, sizeof text / 2);
    memcpy(text, call, used);
    text[used] = ' ';
    memcpy(text + used + 1, object, strnlen(object, sizeof text - used - 2));
    broodi_channel_give_up(channel, code, text);
}

bool broodi_channel_send_with(int socket, const void *data, size_t size, const int *descriptors,
                              size_t count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(CHANNEL_MOST_DESCRIPTORS * sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
    }
    for (;;) {
        if (!broodi_posix_fault(ENOBUFS) &&
            sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return true;
        if (errno != EINTR && (errno != EAGAIN || !await(socket, POLLOUT)))
            return false;
    }
}

bool broodi_channel_receive_with(int socket, void *data, size_t size, int flags, int *descriptors,
                                 size_t *count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(CHANNEL_MOST_DESCRIPTORS * sizeof(int))];
    } control;
    struct iovec part = { .iov_base = data, .iov_len = size };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t got;
    do
        got = broodi_posix_fault(ENOMEM) ? -1 : recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    *count = 0;
    const struct cmsghdr *entry = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (entry && entry->cmsg_level == SOL_SOCKET && entry->cmsg_type == SCM_RIGHTS) {
        *count = (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(descriptors, (const char *)entry + CMSG_LEN(0), *count * sizeof(int));
    }
    const bool whole = got == (ssize_t)size;
    if (whole && !(message.msg_flags & MSG_CTRUNC))
        return true;
    for (size_t i = 0; i < *count; i++)
        close(descriptors[i]);
    *count = 0;
    if (whole)
        errno = EMFILE;
    return whole;
}

static int attached = -1;
static bool stays;

void broodi_channel_attach(int descriptor)
{
    attached = descriptor;
}

bool broodi_channel_reply(int channel, struct channel_reply *reply)
{
    reply->stays = stays;
    const bool sent =
        broodi_channel_send_with(channel, reply, sizeof *reply, &attached, attached >= 0);
    if (attached >= 0)
        broodi_descriptor_close(attached);
    attached = -1;
    stays = false; // of this process, not of its copies
    return sent;
}

bool broodi_channel_receive(int channel, void *buffer, size_t size)
{
    unsigned char *next = buffer;
    while (size > 0) {
        const ssize_t got =
            broodi_posix_fault(ENOMEM) ? -1 : recv(channel, next, size, MSG_DONTWAIT);
        if (got > 0) {
            next += got;
            size -= (size_t)got;
        } else if (got == 0 ||
                   (errno != EINTR && (errno != EAGAIN || !broodi_channel_await(channel)))) {
            return false;
        }
    }
    return true;
}

// In a fresh image the resources have consecutive descriptors.
static brood_status number_resources(brood_os_boot *boot)
{
    boot->resources = broodi_alloc(boot->resource_count * sizeof *boot->resources);
    if (!boot->resources)
        return broodi_fail(BROOD_NO_MEMORY, "malloc of a list of %zu resources",
                           boot->resource_count);
    for (size_t i = 0; i < boot->resource_count; i++)
        boot->resources[i].value = CHANNEL_RESOURCES + (intptr_t)i;
    return BROOD_OK;
}

static brood_status receive_resources(brood_os_boot *boot)
{
    if (boot->resource_count == 0)
        return BROOD_OK;
    const brood_status status = boot->resources ? BROOD_OK : number_resources(boot);
    for (size_t i = 0; status == BROOD_OK && i < boot->resource_count; i++) {
        brood_resource *resource = &boot->resources[i];
        if (!broodi_channel_receive((int)boot->channel, &resource->kind, sizeof resource->kind))
            return broodi_fail(BROOD_SYSTEM, "the letter ends at resource %zu", i);
        if (fcntl((int)resource->value, F_SETFD, FD_CLOEXEC) != 0)
            return broodi_fail(BROOD_INVALID, "the descriptor of resource %zu is not open", i);
    }
    return status;
}

// Most records fit in here; then a fresh image does not set up its heap before its target needs
// it. A process becomes a child once. A spare overwrites the record that the fork server
// received, which is of no use to it.
static _Alignas(max_align_t) unsigned char small_record[1024];

static brood_status receive_record(brood_os_boot *boot)
{
    boot->record = boot->size <= sizeof small_record ? small_record : broodi_alloc(boot->size);
    if (!boot->record)
        return broodi_fail(BROOD_NO_MEMORY, "malloc of a boot record of %zu bytes", boot->size);
    if (!broodi_channel_receive((int)boot->channel, boot->record, boot->size))
        return broodi_fail(BROOD_SYSTEM, "the boot record ends early");
    return BROOD_OK;
}

// Detaches this process from its parent: a fork of it goes on, and this process exits, so that
// the program never has the child to wait for. The fork is cheap however large the parent is,
// since this image is fresh and small. The first process of a pid namespace cannot exit, because
// the system would kill all others in it: it stays a child.
static void detach(int channel)
{
    stays = getpid() == 1;
    const pid_t child = stays ? 0 : broodi_posix_fault(EAGAIN) ? -1 : fork();
    if (child < 0)
        broodi_channel_give_up(channel, errno, "fork");
    if (child > 0)
        _exit(0);
    broodi_channel_attach(broodi_descriptor_of_process(getpid()));
}

static brood_status receive_header(int channel, struct channel_letter *out)
{
    if (!broodi_channel_receive(channel, out, sizeof *out))
        return broodi_fail(BROOD_SYSTEM, "the parent has sent no boot record");
    return out->magic == CHANNEL_MAGIC
               ? BROOD_OK
               : broodi_fail(BROOD_INVALID, "the data from the parent is not a letter");
}

static brood_status check_header(const struct channel_letter *letter, brood_os_boot *boot)
{
    if (letter->size == 0 || letter->size > PTRDIFF_MAX)
        return broodi_fail(BROOD_INVALID, "invalid size of the boot record: %" PRIu64,
                           letter->size);
    if (letter->resources > MOST_RESOURCES ||
        (boot->resources && letter->resources != boot->resource_count))
        return broodi_fail(BROOD_INVALID, "invalid number of resources: %" PRIu64,
                           letter->resources);
    boot->size = (size_t)letter->size;
    boot->resource_count = (size_t)letter->resources;
    return BROOD_OK;
}

brood_status broodi_channel_receive_letter(brood_os_boot *boot, bool *is_letter)
{
    struct channel_letter letter = { .size = 0 };
    brood_status status = receive_header((int)boot->channel, &letter);
    *is_letter = status == BROOD_OK;
    if (status == BROOD_OK)
        status = check_header(&letter, boot);
    if (status == BROOD_OK && letter.detached)
        detach((int)boot->channel);
    if (status == BROOD_OK && letter.tied)
        status = broodi_proc_follow((int64_t)letter.tied);
    if (status == BROOD_OK)
        status = receive_resources(boot);
    if (status == BROOD_OK)
        status = receive_record(boot);
    if (status == BROOD_OK)
        return status;
    if (boot->record != small_record)
        free(boot->record);
    free(boot->resources);
    boot->record = NULL;
    boot->resources = NULL;
    return status;
}
