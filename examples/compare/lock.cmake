# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
foreach(item chinese english spanish japanese)
    expect(${item} 1 "${item}")
endforeach()
expect_nothing_else()
