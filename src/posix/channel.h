// SPDX-License-Identifier: MIT
// Inside the POSIX port: what travels between a starter and its child over their socket pair.
//
// To the child: one `struct channel_letter`, the kinds of its resources, the boot record. Back: one
// `struct channel_reply`. In a fresh image the child's end, the arena and the resources stand at
// fixed numbers.
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
    CHANNEL_RESOURCES = 5,          // and those above it
    CHANNEL_SYSTEM_ERROR = -1,      // a status: `code` is an errno and `text` the call
    CHANNEL_MOST_DESCRIPTORS = 200, // with one message; the system's limit is 253
    CHANNEL_TEXT = 496,             // bytes of the text of a reply, with its zero
};

#define CHANNEL_MAGIC UINT64_C(0x72657474656c6264) // "dbletter"

// How long either side waits for the other to read or write, in ms. Tests shorten it.
extern int broodi_channel_patience;

struct channel_letter {
    uint64_t magic;
    uint64_t size;      // of the record
    uint64_t resources; // how many; the kind of each in 32 bits
    uint64_t detached;  // the child leaves its starter, and shows itself in its reply
    uint64_t tied;      // the process that the child dies with; 0: none
};

struct channel_reply {
    int32_t status;
    int32_t code;
    int64_t pid;    // of the child, as it knows itself
    uint32_t apart; // it is in another namespace of process numbers than its starter
    uint32_t stays; // it was to leave its starter, and is its child all the same
    char text[CHANNEL_TEXT];
};

// Bytes on their way to the other side: small ones are gathered and go together.
struct channel_outbox {
    int channel;
    size_t used;
    unsigned char bytes[4096];
};

// Puts bytes, or the whole letter, and sends what has been put. Blocks while the other side takes
// them; that it does not take them is for the one to notice who awaits its reply. What cannot be
// sent breaks the channel.
void broodi_channel_put(struct channel_outbox *outbox, const void *data, size_t size);
void broodi_channel_put_letter(struct channel_outbox *outbox, const brood_os_plan *plan);
void broodi_channel_flush(struct channel_outbox *outbox);

// For a fresh image: the environment of the plan behind the announcement, and without another of
// its name: the first one counts for the C library, and who stands between may keep the last. The
// list is from malloc; NULL when out of memory. And its letter.
enum { CHANNEL_ANNOUNCEMENT = 96 };
const char **broodi_channel_announced(const brood_os_plan *plan,
                                      char announcement[CHANNEL_ANNOUNCEMENT]);
void broodi_channel_send_letter(int channel, const brood_os_plan *plan);

// Nothing more is sent: the other side, which waits for the rest, sees the end of it, and can still
// reply.
void broodi_channel_break(int channel);

// From a child, instead of a reply: a call of the system has failed with this code. The second one
// ends the process with that. Async-signal-safe. The last one names what the call was about too, as
// far as there is room.
void broodi_channel_send_error(int channel, int code, const char *call);
_Noreturn void broodi_channel_give_up(int channel, int code, const char *call);
_Noreturn void broodi_channel_give_up_on(int channel, int code, const char *call,
                                         const char *object);

// One message with descriptors; false, with errno, when it cannot be sent.
bool broodi_channel_send_with(int socket, const void *data, size_t size, const int *descriptors,
                              size_t count);

// Receives one: exactly so many bytes, and what comes with them; false, with errno, otherwise. When
// this process cannot have so many descriptors it gets none, and errno is EMFILE.
bool broodi_channel_receive_with(int socket, void *data, size_t size, int flags, int *descriptors,
                                 size_t *count);

// From the child: its reply, with the descriptor that was shown before, if any: a pidfd of itself,
// when its starter cannot get one that is surely its own. False when nobody listens.
void broodi_channel_show(int descriptor);
bool broodi_channel_reply(int channel, struct channel_reply *reply);

// Waits until there is something to receive, be it the end; false when the patience is over, or at
// the deadline.
bool broodi_channel_await(int channel);
bool broodi_channel_await_until(int channel, int64_t deadline);

// Receives exactly so many bytes; false when they do not come.
bool broodi_channel_receive(int channel, void *buffer, size_t size);

// Receives a letter from boot->channel, into its record and resources. When there are resources
// already, their values are known, and it must be as many. BROOD_INVALID, BROOD_NO_MEMORY,
// BROOD_SYSTEM when it ends early: nothing is left in `boot`. `is_letter` tells whether what came
// began as one: then a starter is there to be told.
brood_status broodi_channel_receive_letter(brood_os_boot *boot, bool *is_letter);

#endif
