// SPDX-License-Identifier: MIT
// Inside the POSIX port: the protocol between the fork server and its requester.
//
// The server reports once whether it serves: struct server_ready. A job begins with the message
// struct server_job and its descriptors: channel; directory if `has_directory`; standard input,
// output and error as far as `standard` says. Over the channel follow: the resources, in messages
// with up to CHANNEL_MOST_DESCRIPTORS descriptors and one byte; the texts, which are the
// directory to change to, or "", and the entries of the environment; the letter.
#ifndef POSIX_SERVER_PROTOCOL_H
#define POSIX_SERVER_PROTOCOL_H

#include <stdint.h>

enum {
    SERVER_JOBS = 0,      // index among the server's resources: its end of the socket pair
    SERVER_REQUESTER = 1, // likewise: a pidfd of its requester
};

struct server_ready {
    int32_t code; // an errno, of the call that failed; 0: it serves
    char call[60];
};

struct server_job {
    uint64_t token;
    uint64_t place[2];
    uint64_t blocked;   // signals, one bit each in the kernel's order
    uint64_t ignored;   // likewise
    uint64_t texts;     // their size in bytes
    uint64_t resources; // their number
    uint64_t slack;     // of timers, in ns
    uint32_t umask;
    uint32_t has_directory; // otherwise it is the server's working directory
    uint32_t standard;      // standard descriptors that are sent, one bit each
    uint32_t closed;        // standard descriptors that are closed in the child, one bit each
    uint64_t tied;
};

#endif
