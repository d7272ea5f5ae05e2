// SPDX-License-Identifier: MIT
// Inside the POSIX port: what the fork server and its requester agree on.
//
// The server says once whether it serves: struct warden_ready. Of a job, the message itself comes
// first, with the descriptors: channel, directory if `has_directory`, then standard input, output
// and error as far as `standard` says. Over the channel follow the resources, in messages with up
// to CHANNEL_MOST_DESCRIPTORS descriptors and one byte; the texts: the directory to change to, or
// "", and the entries of the environment; the letter.
#ifndef POSIX_WARDEN_H
#define POSIX_WARDEN_H

#include <stdint.h>

enum {
    WARDEN_JOBS = 0,      // the server's resources: its end of the socket pair
    WARDEN_REQUESTER = 1, // and a pidfd of its requester
};

struct warden_ready {
    int32_t code; // an errno, and the call that failed; 0: it serves
    char call[60];
};

struct warden_job {
    uint64_t token;
    uint64_t place[2];
    uint64_t blocked; // signals, one bit each, as the kernel has them
    uint64_t ignored; // likewise
    uint64_t texts;   // bytes
    uint64_t resources;
    uint64_t slack; // of its timers
    uint32_t umask;
    uint32_t has_directory; // otherwise the server sits in it
    uint32_t standard;      // those that are sent, one bit for each of the three
    uint32_t closed;        // those that the child is without
    uint64_t tied;
};

#endif
