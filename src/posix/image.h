// SPDX-License-Identifier: MIT
// Inside the POSIX port, on Linux: what is executed to make this program once more.
#ifndef POSIX_IMAGE_H
#define POSIX_IMAGE_H

#include <brood/status.h>

struct image {
    const char *path;
    char *const *argv;
    char *const *least; // arguments for a child that has no room for all of them
    char *name[2];
    char *own_path; // what those stand in, from malloc, or NULL
    char **own_argv;
};

// Fails with BROOD_NOT_FOUND when the file of the program is gone and nothing else leads to it;
// BROOD_NO_MEMORY. broodi_image_forget is next, whatever comes of it; the struct points into
// itself.
brood_status broodi_image_find(struct image *out);
void broodi_image_forget(struct image *image);

#endif
