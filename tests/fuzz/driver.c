// SPDX-License-Identifier: MIT
// Runs a fuzz target without a fuzzer: on its seeds and several thousand mutations of them, the
// same in each run. With a directory as argument it writes the seeds there instead, as a corpus
// for a fuzzer; with "-" and files it runs the target on the files, to reproduce what a fuzzer
// has found.
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MUTATIONS = 12000 };

static uint64_t seed = UINT64_C(88172645463325252);

// A random number below `limit`, which is not 0.
static size_t some(size_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)((seed >> 11) % limit);
}

// Stores a boundary value: of sizes, of signs, of the record's head.
static void set_word(uint8_t *data, size_t size)
{
    const uint64_t words[] = { 0,         1,          7,         8,         63,
                               64,        size,       size - 1,  size - 2,  UINT32_MAX,
                               INT64_MAX, UINT64_MAX, some(512), FUZZ_TOKEN };
    const uint64_t word = words[some(sizeof words / sizeof words[0])];
    if (size < 2 * sizeof word)
        return;
    const size_t at = 1 + some((size - sizeof word) / sizeof word) * sizeof word;
    memcpy(data + at, &word, sizeof word);
}

static void set_byte(uint8_t *data, size_t size)
{
    data[some(size)] ^= (uint8_t)(1U << some(8));
}

static size_t cut(uint8_t *data, size_t size)
{
    const size_t at = some(size);
    const size_t length = 1 + some(size - at);
    memmove(data + at, data + at + length, size - at - length);
    return size - length;
}

static size_t insert(uint8_t *data, size_t size)
{
    const size_t at = some(size);
    const size_t length = 1 + some(96);
    if (size + length > FUZZ_MOST)
        return size;
    memmove(data + at + length, data + at, size - at);
    memset(data + at, some(2) ? 0 : 'x', length);
    return size + length;
}

static size_t mutate(uint8_t *data, size_t size)
{
    for (size_t times = 1 + some(4); times > 0 && size > 1; times--) {
        const size_t what = some(8);
        if (what < 4)
            set_word(data, size);
        else if (what < 6)
            set_byte(data, size);
        else
            size = what == 6 ? cut(data, size) : insert(data, size);
    }
    return size;
}

static int run_mutations(void)
{
    uint8_t data[FUZZ_MOST];
    for (unsigned i = 0; i < FUZZ_SEEDS; i++)
        (void)LLVMFuzzerTestOneInput(data, fuzz_seed(i, data));
    if (fuzz_accepted != FUZZ_SEEDS)
        return 1;
    for (unsigned i = 0; i < MUTATIONS; i++) {
        const size_t size = fuzz_seed(i % FUZZ_SEEDS, data);
        (void)LLVMFuzzerTestOneInput(data, mutate(data, size));
    }
    const unsigned long accepted = fuzz_accepted - FUZZ_SEEDS;
    printf("%d mutations, %lu of them accepted\n", MUTATIONS, accepted);
    return accepted < MUTATIONS / 20 ||
           accepted > MUTATIONS / 2; // otherwise the mutations test too little
}

static int write_seeds(const char *directory)
{
    uint8_t data[FUZZ_MOST];
    char path[1024];
    for (unsigned i = 0; i < FUZZ_SEEDS; i++) {
        const size_t size = fuzz_seed(i, data);
        (void)snprintf(path, sizeof path, "%s/seed-%u", directory, i);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
            return 1;
    }
    return 0;
}

static int run_files(char **paths)
{
    static uint8_t data[1 << 20];
    for (; *paths; paths++) {
        FILE *file = fopen(*paths, "rb");
        if (!file)
            return 1;
        const size_t size = fread(data, 1, sizeof data, file);
        (void)fclose(file);
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return run_mutations();
    return strcmp(argv[1], "-") == 0 ? run_files(argv + 2) : write_seeds(argv[1]);
}
