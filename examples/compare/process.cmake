# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
expect(parent 1 "Parent process ${number}\\.")
expect(start 1 "Child Process will start\\.")
expect(run 1 "Run child process test \\(${number}\\)\\.\\.\\.")
expect(end 1 "Child Process end\\.")
expect_nothing_else()

expect_order(parent start run end)
expect_different(${parent_1} ${run_1})
