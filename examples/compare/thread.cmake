# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
expect(run 1 "Test")
expect_nothing_else()
