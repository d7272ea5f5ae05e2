// SPDX-License-Identifier: MIT
#include "carriers.h"

const struct carrier zeromq_carrier = { .name = "ZeroMQ pair, ipc",
                                        .missing = "not installed: libzmq3-dev" };
