# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
expect(sum 1 "40 tasks done, 6 workers killed, sum of the squares: 20540")
expect_nothing_else()
