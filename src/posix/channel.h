// SPDX-License-Identifier: MIT
// Inside the POSIX port: what a parent and its child send each other over their socket pair.
//
// To the child: the letter, which is one `struct channel_letter`, the kinds of its resources and
// the boot record. Back: one `struct channel_reply`. In a fresh image the child's end, the arena,
// the bell and the resources have fixed descriptor numbers.
#ifndef POSIX_CHANNEL_H
#define POSIX_CHANNEL_H

#include "os/os_boot.h"
#include "os/os_process.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_VARIABLE "BROOD_BOOT"

enum {
    CHANNEL_DESCRIPTOR = 3,
    CHANNEL_ARENA = 4,
    CHANNEL_BELL = 5,               // on Linux; elsewhere the number is not used
    CHANNEL_RESOURCES = 6,          // the first one; the others follow it
    CHANNEL_SYSTEM_ERROR = -1,      // a status: `code` is an errno and `text` names the call
    CHANNEL_MOST_DESCRIPTORS = 200, // in one message; the system's limit is 253
    CHANNEL_TEXT = 496,             // bytes of a reply's text, with the final zero
};

#define CHANNEL_MAGIC UINT64_C(0x72657474656c6264) // "dbletter"

// How long either side waits for the other one to read or write, in ms. Tests shorten it.
extern int broodi_channel_patience;

struct channel_letter {
    uint64_t magic;
    uint64_t size;      // of the record
    uint64_t resources; // their number; the kind of each follows in 32 bits
    uint64_t detached;  // the child leaves its parent and attaches its own pidfd to its reply
    uint64_t tied;      // pid of the process that the child dies with; 0: none
};

struct channel_reply {
    int32_t status;
    int32_t code;
    int64_t pid;    // of the child, in its own namespace
    uint32_t apart; // the child is in another pid namespace than its parent
    uint32_t stays; // the child was to be detached, but is still a child of its parent
    char text[CHANNEL_TEXT];
};

// Send buffer: small pieces are gathered and sent together.
struct channel_buffer {
    int channel;
    size_t used;
    unsigned char bytes[4096];
};

// Append bytes or a whole letter to the buffer; flush sends the buffer. The functions block while
// the peer does not read. If it reads nothing within broodi_channel_patience, or an error occurs,
// they break the channel; the wait for the peer's reply notices that.
void broodi_channel_put(struct channel_buffer *buffer, const void *data, size_t size);
void broodi_channel_put_letter(struct channel_buffer *buffer, const brood_os_plan *plan);
void broodi_channel_flush(struct channel_buffer *buffer);

// Returns the environment of a fresh image, a list from malloc; NULL if out of memory. The
// announcement comes first, then the environment of the plan without other variables of the same
// name: the C library uses the first of several, but a program that is executed in between may
// keep the last.
enum { CHANNEL_ANNOUNCEMENT = 96 };
const char **broodi_channel_environment(const brood_os_plan *plan,
                                        char announcement[CHANNEL_ANNOUNCEMENT]);

// Sends the letter of the plan.
void broodi_channel_send_letter(int channel, const brood_os_plan *plan);

// Ends sending: the peer, which waits for the rest, sees the end of the data and can still reply.
void broodi_channel_break(int channel);

// Sent by a child instead of its reply: a system call has failed with this errno. The second
// function then ends the process; the third also names the object of the call, as far as there is
// room. Async-signal-safe.
void broodi_channel_send_error(int channel, int code, const char *call);
_Noreturn void broodi_channel_give_up(int channel, int code, const char *call);
_Noreturn void broodi_channel_give_up_on(int channel, int code, const char *call,
                                         const char *object);

// Sends one message with descriptors; false, with errno, if that fails.
bool broodi_channel_send_with(int socket, const void *data, size_t size, const int *descriptors,
                              size_t count);

// Receives one message of exactly `size` bytes, with its descriptors; false, with errno,
// otherwise. If this process cannot have that many descriptors it gets none, and errno is EMFILE.
bool broodi_channel_receive_with(int socket, void *data, size_t size, int flags, int *descriptors,
                                 size_t *count);

// Sends the child's reply, with the descriptor that was attached before, if any, and closes that
// descriptor. The child attaches its own pidfd if the parent cannot get one that certainly is the
// child's. False if the parent no longer receives.
void broodi_channel_attach(int descriptor);
bool broodi_channel_reply(int channel, struct channel_reply *reply);

// Waits until there is something to receive or the peer has closed its end; false after
// broodi_channel_patience, or at the deadline.
bool broodi_channel_await(int channel);
bool broodi_channel_await_until(int channel, int64_t deadline);

// Receives exactly `size` bytes; false if they do not arrive.
bool broodi_channel_receive(int channel, void *buffer, size_t size);

// Receives a letter from boot->channel and fills the record and the resources of `boot`. If
// boot->resources is set already, with their values, the letter must have the same number. Fails
// with BROOD_INVALID, BROOD_NO_MEMORY, or BROOD_SYSTEM if the letter ends early: then record and
// resources are freed. `is_letter` says whether the data began like a letter: then a parent
// waits for a reply.
brood_status broodi_channel_receive_letter(brood_os_boot *boot, bool *is_letter);

#endif
