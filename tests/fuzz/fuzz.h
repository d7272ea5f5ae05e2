// SPDX-License-Identifier: MIT
// The interface between a fuzz target, its seeds and its driver.
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

// The first byte of an input says how the rest is used: with FUZZ_SEALED, the size and the
// checksum of a valid record are stored in it first, so that mutations pass the first check.
enum { FUZZ_AS_IT_IS, FUZZ_SEALED };

// The record's token, which the child has from its announcement.
#define FUZZ_TOKEN UINT64_C(0x1122334455667788)

// Entry point of the target, called by libFuzzer or by driver.c. Ends the program when an
// invariant does not hold.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The number of inputs accepted so far.
extern unsigned long fuzz_accepted;

// Seeds are generated, not stored: a record depends on the structs of this build, and decoding
// refuses one of another build at once.
enum { FUZZ_SEEDS = 6, FUZZ_MOST = 4096 };

// Writes a seed, including its first byte, to `buffer` of FUZZ_MOST bytes; returns its size.
size_t fuzz_seed(unsigned number, uint8_t *buffer);

#endif
