// SPDX-License-Identifier: MIT
// Inside the Windows port: converts a list of environment variables for CreateProcessW.
#ifndef WIN32_ENVIRONMENT_H
#define WIN32_ENVIRONMENT_H

#include <brood/status.h>
#include <wchar.h>

// Builds the sorted UTF-16 block that CreateProcessW requires, allocated with malloc, from
// `first` and a NULL-terminated list; entries of the list with the name of `first` are left out.
// Fails with BROOD_NO_MEMORY; with BROOD_INVALID if an entry is not UTF-8.
brood_status broodi_environment_block(const char *const *entries, const char *first, wchar_t **out);

#endif
