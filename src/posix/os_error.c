// SPDX-License-Identifier: MIT
#include "os/os_error.h"

#include "base/fail.h"

#include <errno.h>
#include <stddef.h>

static const struct {
    int code;
    brood_status status;
} table[] = {
    { ENOMEM, BROOD_NO_MEMORY },
    { ENOSPC, BROOD_NO_MEMORY },
    { EFBIG, BROOD_NO_MEMORY },
    { EAGAIN, BROOD_NO_RESOURCES },
    { EMFILE, BROOD_NO_RESOURCES },
    { ENFILE, BROOD_NO_RESOURCES },
    { EPERM, BROOD_DENIED },
    { EACCES, BROOD_DENIED },
    { ENOENT, BROOD_NOT_FOUND },
    { ENOTDIR, BROOD_NOT_FOUND },
    { ELOOP, BROOD_NOT_FOUND },
    { ENOSYS, BROOD_UNSUPPORTED },
    { EOPNOTSUPP, BROOD_UNSUPPORTED },
    { ENOBUFS, BROOD_NO_RESOURCES },
    { ETOOMANYREFS, BROOD_NO_RESOURCES },
    { E2BIG, BROOD_TOO_LARGE },
    { ENAMETOOLONG, BROOD_TOO_LARGE },
};

brood_status brood_os_error(const char *what, int64_t code)
{
    brood_status status = BROOD_SYSTEM;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].code == code)
            status = table[i].status;
    return broodi_fail(status, "%s (%lld)", what, (long long)code);
}
