# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
expect(first 1 "face 1: 4006")
expect(second 1 "face 2: 3975")
expect(third 1 "face 3: 3913")
expect(fourth 1 "face 4: 4023")
expect(fifth 1 "face 5: 4024")
expect(sixth 1 "face 6: 4059")
expect(sum 1 "24000 throws, the longest run: 6 times 2")
expect_nothing_else()
expect_order(first second third fourth fifth sixth sum)
