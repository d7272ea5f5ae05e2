// SPDX-License-Identifier: MIT
// What Linux reports in small files about the control groups of this process, and about the
// machine. The calling thread may have little stack: buffers are small, or allocated.
#ifndef CGROUP_H
#define CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Reads the beginning of a file into `text` and terminates it with a zero; false if the file is
// missing or empty. `path` is relative to the directory, unless it is absolute.
bool broodi_file_read(int directory, const char *path, char *text, size_t capacity);

// Returns the number that follows `name` in the first line that begins with `name`, or, if `name`
// is NULL, the number at the beginning of the file. UINT64_MAX if there is none, also for "max".
uint64_t broodi_file_number(int directory, const char *path, const char *name);

// Calls `visit` with the directory of the control group of this process under `controller`, then
// with that of each group above it; for the controller's own hierarchy (version 1) and for the
// unified one (version 2). Each hierarchy has only some of the files that a visitor may try to
// read.
void broodi_cgroup_each(const char *controller, void (*visit)(int directory, void *user),
                        void *user);

#endif
