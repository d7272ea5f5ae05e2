# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
foreach(i RANGE 9)
    expect(run${i} 1 "${i}")
endforeach()
expect_nothing_else()
