// SPDX-License-Identifier: MIT
// Carriers of libraries. Each is in a file of its own, of which the build takes another one, with
// a carrier that is not available, if the library is not installed.
#ifndef BENCH_CARRIERS_H
#define BENCH_CARRIERS_H

#include "../carrier.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct carrier zeromq_carrier;
extern const struct carrier nng_carrier;
extern const struct carrier boost_carrier;

#ifdef __cplusplus
}
#endif

#endif
