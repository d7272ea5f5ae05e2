// SPDX-License-Identifier: MIT
// Inside the POSIX port: what the fork server and its requester agree on.
//
// Of a job, the message itself comes first, with the descriptors: channel, directory, then standard input, output and error as far as `standard`
// says. Over the channel follow the resources, in messages with up to CHANNEL_MOST_DESCRIPTORS descriptors and one byte; the texts: the directory
// to change to, or "", and the entries of the environment; the letter.
#ifndef POSIX_WARDEN_H
#define POSIX_WARDEN_H

#include <stdint.h>

enum {
    WARDEN_JOBS = 0,      // the server's resources: its end of the socket pair
    WARDEN_REQUESTER = 1, // and a pidfd of its requester
};

struct warden_job {
    uint64_t token;
    uint64_t blocked; // signals, one bit each, as the kernel has them
    uint64_t ignored; // by number
    uint64_t texts;   // bytes
    uint64_t resources;
    uint32_t standard; // those that are sent, one bit for each of the three
    uint32_t closed;   // those that the child is without
    uint64_t tied;
};

// The signals that this process ignores, one bit for each number.
uint64_t broodi_warden_ignored_signals(void);

#endif
