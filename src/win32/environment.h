// SPDX-License-Identifier: MIT
// Inside the Windows port: a list of environment variables on its way to CreateProcessW.
#ifndef WIN32_ENVIRONMENT_H
#define WIN32_ENVIRONMENT_H

#include <brood/status.h>
#include <wchar.h>

// Makes the one sorted UTF-16 block that the system wants, from malloc, of `first` and of a list
// that ends with NULL; an entry there with the name of `first` is left out. BROOD_NO_MEMORY;
// BROOD_INVALID when an entry is not UTF-8.
brood_status broodi_environment_block(const char *const *entries, const char *first, wchar_t **out);

#endif
