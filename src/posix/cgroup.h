// SPDX-License-Identifier: MIT
// What Linux says in small files about this process's control groups, and about the machine.
// Callers may have little stack: buffers are small, or allocated.
#ifndef CGROUP_H
#define CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Reads the beginning of a file into `text`, with a zero behind it; false when it is not there or
// empty. `path` is relative to the directory, which has no meaning for an absolute one.
bool broodi_file_read(int directory, const char *path, char *text, size_t capacity);

// The number behind `name` in a line that begins with it, or, without a name, at the beginning of
// the file. UINT64_MAX: there is none, as for "max".
uint64_t broodi_file_number(int directory, const char *path, const char *name);

// Calls `visit` with the directory of this process's group that `controller` is in, then with that
// of each group above it. Of both hierarchies, the unified one and that of the controller alone: in
// each, only some of the files are there that a visitor may look for.
void broodi_cgroup_each(const char *controller, void (*visit)(int directory, void *user),
                        void *user);

#endif
