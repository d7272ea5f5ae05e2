// SPDX-License-Identifier: MIT
// Inside the Windows port: what lies between a starter and its child. One mapping carries the boot
// record there and the reply back; an event says that the reply is there.
#ifndef WIN32_CHANNEL_H
#define WIN32_CHANNEL_H

#include <stdint.h>
#include <windows.h>

// In the environment: "<mapping>:<event>:<arena>:<token>", each in hexadecimal digits.
#define CHANNEL_VARIABLE "BROOD_BOOT"
#define CHANNEL_VARIABLE_WIDE L"BROOD_BOOT"

// The mapping begins with this. The record stands behind it, and then, aligned, the resources.
typedef struct channel_letter {
    uint64_t magic;
    uint64_t size;       // of the record
    uint64_t resources;  // how many
    uint64_t starter;    // the process that announces the child
    volatile LONG state; // CHANNEL_REPLIED publishes the reply
    int32_t status;
    char text[512];
} channel_letter;

// What is handed over: a handle that the child inherits.
typedef struct channel_resource {
    int64_t value;
    int32_t kind;
    int32_t reserved;
} channel_resource;

#define CHANNEL_MAGIC UINT64_C(0x31766465746F6F62)

enum {
    CHANNEL_REPLIED = 1,
    // Where the record is: aligned for any type.
    CHANNEL_RECORD = (sizeof(channel_letter) + 63) / 64 * 64,
};

// Where the resources are, behind a record of this size.
static inline uint64_t channel_resources_at(uint64_t size)
{
    return (CHANNEL_RECORD + size + 7) / 8 * 8;
}

#endif
