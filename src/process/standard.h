// SPDX-License-Identifier: MIT
// The standard streams of a child, as the options of the start request them.
#ifndef STANDARD_H
#define STANDARD_H

#include "os/os_process.h"

#include <brood/process.h>

// Fails with BROOD_INVALID, or with what brood_os_resource_check returns for a resource.
brood_status broodi_standard_check(const brood_process_options *options);

// Translates the options to the streams of a launch. The options have been checked.
void broodi_standard_plan(const brood_process_options *options,
                          brood_os_stream out[BROOD_OS_STREAMS]);

#endif
