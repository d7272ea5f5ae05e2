# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

# The child would print its line 1 s after its start.
run_program_into_files(1.5)
expect_nothing_else()

if(NOT milliseconds LESS 20000)
    fail("took ${milliseconds} ms; it ends without waiting for its child")
endif()
