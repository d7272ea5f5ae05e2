# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
expect(first 1 "message 1")
expect(second 1 "message 2")
expect(third 1 "message 3")
expect(end 1 "the child exited with code 0, after 3 ticks")
expect_nothing_else()
