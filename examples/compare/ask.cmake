# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
expect(first 1 "0: doorb")
expect(second 1 "1: eueuq")
expect(third 1 "2: reward")
expect(end 1 "the server has ended with 0")
expect_nothing_else()
expect_order(first second third end)
