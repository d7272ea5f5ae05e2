// SPDX-License-Identifier: MIT
// Programs in other places: in folders of any name, with arguments and variables of any text,
// without standard streams, with raised privileges. All texts are UTF-8. A function that fails
// where it is not said ends the program.
#ifndef PLACE_H
#define PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What the system has of this process: its arguments, the first being the program as it was called,
// NULL behind the last; the file of its program; its working directory; a variable, NULL when there
// is none. Texts stay, or until the next call of the same function.
const char *place_argument(int number);
const char *place_program(void);
const char *place_directory(void);
const char *place_variable(const char *name);

// Whether this process has the standard stream 0, 1 or 2.
bool place_has_stream(int number);

// A pipe as two descriptors of the C library, the reading end first. Closes an end; reads up to so
// many bytes, and tells how many.
void place_pipe(intptr_t ends[2]);
void place_close(intptr_t end);
size_t place_read(intptr_t end, char *buffer, size_t capacity);

// Makes a folder in the directory for temporary files, of this process's own, and writes its path;
// removes it if it is empty, as it is unless a test has failed.
void place_folder_make(char *buffer, size_t capacity, const char *name);
void place_folder_remove(const char *path);

// Copies a program, so that it can be run.
void place_program_copy(const char *from, const char *to);

// The name under which a program looks for the library that it is linked with: that of this file.
const char *place_name_of(const char *path);

// Code in memory of no module, which ends at once with 0.
void (*place_code(void))(void);

// Whether a program is started again as it was, when its file has been replaced meanwhile.
bool place_image_is_kept(void);

// Runs a program to its end, and gives back the low eight bits of its exit code; -1 when a signal
// has ended it.
typedef struct place_run {
    const char *program;
    const char *arguments[6]; // behind the program's name
    const char *variables[4]; // "NAME=value", added to the environment
    const char *directory;    // NULL: as here
    const char *
        output; // the file that all that it prints is appended to; NULL: it has no standard streams
    bool as_another; // a user who may do less
} place_run;
int place_program_run(const place_run *run);

// Gives a program to another user, whose rights it has from then on whoever runs it. NULL, or why
// that cannot be had here.
const char *place_privileges_raise(const char *path);

#endif
