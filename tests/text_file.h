// SPDX-License-Identifier: MIT
// A text file that processes of a test write and the test reads.
#ifndef TEXT_FILE_H
#define TEXT_FILE_H

#include "foreign.h"
#include "meeting.h"

struct place {
    char path[512];
};

static inline struct place made_text_file(void)
{
    struct place place;
    foreign_file_name(place.path, sizeof place.path, "text.txt");
    foreign_file_remove(place.path);
    return place;
}

static inline void read_text_file(const struct place *place, char *text, size_t capacity)
{
    FILE *file = fopen(place->path, "rb");
    assert_non_null(file);
    text[fread(text, 1, capacity - 1, file)] = 0;
    assert_int_equal(fclose(file), 0);
}

static inline void assert_text(const struct place *place, const char *expected)
{
    char text[1024];
    read_text_file(place, text, sizeof text);
    assert_string_equal(text, expected);
    foreign_file_remove(place->path);
}

#endif
