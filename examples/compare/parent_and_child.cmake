# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
expect(start 1 "Process ${number} start")
expect(child 1 "I am child process ${number} and my parent is ${number}")
expect(parent 1 "I am parent process ${number} and my kid is ${number}")
expect_nothing_else()

expect_order(start child)
expect_order(start parent)
expect_equal(${parent_1} ${start_1})
expect_equal(${child_2} ${start_1})
expect_equal(${parent_2} ${child_1})
expect_different(${parent_1} ${child_1})
