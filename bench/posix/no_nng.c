// SPDX-License-Identifier: MIT
#include "carriers.h"

const struct carrier nng_carrier = { .name = "nng pair, ipc",
                                     .missing = "not installed: libnng-dev" };
