// SPDX-License-Identifier: MIT
// Programs in unusual places: in folders of any name, with arguments and variables of any text,
// without standard streams, with raised privileges. All texts are UTF-8. A function that fails
// ends the program, unless its comment says otherwise.
#ifndef PLACE_H
#define PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What the system reports about this process: its arguments, the first being the program as it
// was called, NULL after the last; the file of its program; its working directory; a variable,
// NULL if it is not set. A text is valid until the next call of the same function.
const char *place_argument(int number);
const char *place_program(void);
const char *place_directory(void);
const char *place_variable(const char *name);

// Whether this process has the standard stream 0, 1 or 2.
bool place_has_stream(int number);

// place_pipe makes a pipe of two C library descriptors, the reading end first; place_close closes
// an end; place_read reads up to `capacity` bytes and returns the number read.
void place_pipe(intptr_t ends[2]);
void place_close(intptr_t end);
size_t place_read(intptr_t end, char *buffer, size_t capacity);

// Makes a folder that only this process uses in the directory for temporary files, and writes its
// path; removes it if it is empty, as it is unless a test has failed.
void place_folder_make(char *buffer, size_t capacity, const char *name);
void place_folder_remove(const char *path);

// Copies a program, executable.
void place_program_copy(const char *from, const char *to);

// The name by which a program refers to the linked library in this file.
const char *place_name_of(const char *path);

// Code in memory that belongs to no module; it returns 0.
void (*place_code(void))(void);

// Whether a started child runs the old image after the program's file has been replaced.
bool place_image_is_kept(void);

// Runs a program to its end and returns the low eight bits of its exit code; -1 if a signal ended
// it.
typedef struct place_run {
    const char *program;
    const char *arguments[6]; // after the program's name
    const char *variables[4]; // "NAME=value", added to the environment
    const char *directory;    // NULL: this process's
    const char *output;       // file to which all output is appended; NULL: no standard streams
    bool as_another;          // as a user with fewer rights
} place_run;
int place_program_run(const place_run *run);

// Makes another user the owner of a program, with whose rights it runs from then on (set-uid).
// Returns NULL, or the reason why that is not possible.
const char *place_privileges_raise(const char *path);

#endif
