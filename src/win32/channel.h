// SPDX-License-Identifier: MIT
// Inside the Windows port: the channel between a parent and its child. One mapping carries the
// boot record to the child and the reply back; an event reports that the reply has been written.
#ifndef WIN32_CHANNEL_H
#define WIN32_CHANNEL_H

#include <stdint.h>
#include <windows.h>

// The environment variable's value is "<mapping>:<event>:<arena>:<token>", each in hexadecimal
// digits.
#define CHANNEL_VARIABLE "BROOD_BOOT"
#define CHANNEL_VARIABLE_WIDE L"BROOD_BOOT"

// The letter: the start of the mapping. The boot record follows it, then, aligned, the resources.
typedef struct channel_letter {
    uint64_t magic;
    uint64_t size;       // of the record, in bytes
    uint64_t resources;  // number of resources
    uint64_t parent;     // process id of the parent, which announces the child
    volatile LONG state; // CHANNEL_REPLIED publishes the reply
    int32_t status;
    char text[512];
} channel_letter;

// An entry of the list of resources: a handle that the child inherits.
typedef struct channel_resource {
    int64_t value;
    int32_t kind;
    int32_t reserved;
} channel_resource;

#define CHANNEL_MAGIC UINT64_C(0x31766465746F6F62)

enum {
    CHANNEL_REPLIED = 1,
    // The offset of the record: aligned for any type.
    CHANNEL_RECORD = (sizeof(channel_letter) + 63) / 64 * 64,
};

// The offset of the resources, after a record of this size.
static inline uint64_t channel_resources_at(uint64_t size)
{
    return (CHANNEL_RECORD + size + 7) / 8 * 8;
}

#endif
