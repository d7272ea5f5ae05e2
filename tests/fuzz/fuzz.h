// SPDX-License-Identifier: MIT
// What a fuzz target, its seeds and its driver know of each other.
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

// The first byte of an input says how the rest is taken: FUZZ_SEALED gives it the size and the
// checksum of a whole record first, so that mutations get behind the first look.
enum { FUZZ_AS_IT_IS, FUZZ_SEALED };

// The record's token, which the child knows from elsewhere.
#define FUZZ_TOKEN UINT64_C(0x1122334455667788)

// The engine's way into the target: libFuzzer's, or the driver here. Ends the program when an
// invariant does not hold.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// How many inputs were accepted so far.
extern unsigned long fuzz_accepted;

// The seeds are made and not kept: a record is as the structs of this build are, and the first look
// at one of another build is the last.
enum { FUZZ_SEEDS = 6, FUZZ_MOST = 4096 };

// Writes a seed, with its first byte, to `buffer` of FUZZ_MOST bytes; its size.
size_t fuzz_seed(unsigned number, uint8_t *buffer);

#endif
