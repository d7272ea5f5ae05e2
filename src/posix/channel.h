// SPDX-License-Identifier: MIT
// Inside the POSIX port: what travels between a starter and its child over their socket pair.
//
// To the child: the size of the boot record as 64 bits, then the record. Back: one `struct channel_reply`. In a fresh image the
// child's end and the arena stand at fixed numbers.
#ifndef POSIX_CHANNEL_H
#define POSIX_CHANNEL_H

#include <stdint.h>

#define CHANNEL_VARIABLE "BROOD_BOOT"

enum {
    CHANNEL_DESCRIPTOR = 3,
    CHANNEL_ARENA = 4,
    CHANNEL_FIRST_FREE = 5,
    CHANNEL_SYSTEM_ERROR = -1, // a status: `code` is an errno and `text` the call
    CHANNEL_PATIENCE = 60000,  // ms that either side waits for the other to read or write
};

struct channel_reply {
    int32_t status;
    int32_t code;
    char text[504];
};

#endif
