# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
expect(sum 1 "6 blocks, the sum is 179999700000")
expect_nothing_else()
