// SPDX-License-Identifier: MIT
// The standard streams of a child, from the options of its start.
#ifndef STANDARD_H
#define STANDARD_H

#include "os/os_process.h"

#include <brood/process.h>

// BROOD_INVALID, or what brood_os_resource_check reports for a resource.
brood_status broodi_standard_check(const brood_process_options *options);

// For options that were checked.
void broodi_standard_plan(const brood_process_options *options,
                          brood_os_stream out[BROOD_OS_STREAMS]);

#endif
