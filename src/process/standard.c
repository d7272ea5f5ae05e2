// SPDX-License-Identifier: MIT
#include "process/standard.h"

#include "base/fail.h"

enum { STREAM_INPUT, STREAM_OUTPUT, STREAM_ERROR };

// The source of a stream for each value of its mode; the length of an array is the number of
// values.
static const int input_sources[] = { [BROOD_INPUT_NULL] = BROOD_OS_STREAM_NULL,
                                     [BROOD_INPUT_INHERIT] = STREAM_INPUT,
                                     [BROOD_INPUT_RESOURCE] = BROOD_OS_STREAM_RESOURCE };
static const int output_sources[] = { [BROOD_OUTPUT_INHERIT] = STREAM_OUTPUT,
                                      [BROOD_OUTPUT_NULL] = BROOD_OS_STREAM_NULL,
                                      [BROOD_OUTPUT_RESOURCE] = BROOD_OS_STREAM_RESOURCE };
static const int error_sources[] = { [BROOD_OUTPUT_INHERIT] = STREAM_ERROR,
                                     [BROOD_OUTPUT_NULL] = BROOD_OS_STREAM_NULL,
                                     [BROOD_OUTPUT_RESOURCE] = BROOD_OS_STREAM_RESOURCE,
                                     [BROOD_OUTPUT_MERGE] = STREAM_OUTPUT };

static brood_status check(const char *name, int32_t mode, const int *sources, size_t count,
                          const brood_resource *resource)
{
    if (mode < 0 || (size_t)mode >= count)
        return broodi_fail(BROOD_INVALID, "invalid %s mode %d", name, (int)mode);
    if (sources[mode] == BROOD_OS_STREAM_RESOURCE)
        return brood_os_resource_check(resource);
    if (resource->kind != 0)
        return broodi_fail(BROOD_INVALID, "%s_resource is set, but the %s mode is %d", name, name,
                           (int)mode);
    return BROOD_OK;
}

#define COUNT(row) (sizeof(row) / sizeof(row)[0])

brood_status broodi_standard_check(const brood_process_options *options)
{
    brood_status status = check("input", options->input, input_sources, COUNT(input_sources),
                                &options->input_resource);
    if (status == BROOD_OK)
        status = check("output", options->output, output_sources, COUNT(output_sources),
                       &options->output_resource);
    if (status == BROOD_OK)
        status = check("error", options->error, error_sources, COUNT(error_sources),
                       &options->error_resource);
    return status;
}

void broodi_standard_plan(const brood_process_options *options,
                          brood_os_stream out[BROOD_OS_STREAMS])
{
    out[STREAM_INPUT] = (brood_os_stream){ input_sources[options->input], options->input_resource };
    out[STREAM_OUTPUT] =
        (brood_os_stream){ output_sources[options->output], options->output_resource };
    out[STREAM_ERROR] = (brood_os_stream){ error_sources[options->error], options->error_resource };
    if (options->error == BROOD_OUTPUT_MERGE)
        out[STREAM_ERROR] = out[STREAM_OUTPUT];
}
