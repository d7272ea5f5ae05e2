// SPDX-License-Identifier: MIT
#include "carriers.h"

const struct carrier boost_carrier = { .name = "Boost message_queue",
                                       .missing = "not installed: libboost-dev, g++" };
