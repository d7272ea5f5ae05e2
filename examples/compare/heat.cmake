# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
expect(middle 1 "in the middle: 25\\.0 degrees")
expect_nothing_else()
