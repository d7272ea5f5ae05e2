// SPDX-License-Identifier: MIT
// Inside the POSIX port, on Linux: what is executed to make a fresh image of this program.
#ifndef POSIX_IMAGE_H
#define POSIX_IMAGE_H

#include <brood/status.h>

struct image {
    const char *path;
    char *const *argv;
    char *const *least; // the arguments if all of argv are too large
    char *name[2];
    char *own_path; // memory of the path and of the arguments, from malloc, or NULL
    char **own_argv;
};

// Fails with BROOD_NOT_FOUND if the file of the program no longer exists and /proc/self/exe is
// another one; BROOD_NO_MEMORY. The caller calls broodi_image_forget in every case. The struct
// points into itself: it must not be copied.
brood_status broodi_image_find(struct image *out);
void broodi_image_forget(struct image *image);

#endif
