// SPDX-License-Identifier: MIT
// The mutex of Boost.Interprocess, in boost.cpp where that is installed.
#ifndef BENCH_BOOST_H
#define BENCH_BOOST_H

#include "../variant.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct variant boost_mutex;

#ifdef __cplusplus
}
#endif

#endif
