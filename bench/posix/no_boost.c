// SPDX-License-Identifier: MIT
#include "boost.h"

#include <stddef.h>

const struct variant boost_mutex = { .name = "Boost interprocess_mutex", .step = NULL };
