# SPDX-License-Identifier: MIT

include(${CMAKE_CURRENT_LIST_DIR}/compare.cmake)

run_program()
expect(parent 1 "Parent process ${number}\\.")
expect(start 5 "Child Process will start\\.")
expect(cpus 1 "CPU number: ${number}")
expect(listed ANY "Child process name:Process-([1-5]) id:${number}")
foreach(k RANGE 4)
    expect(run${k} 1 "Run child process test${k} \\(${number}\\)\\.\\.\\.")
endforeach()
expect_nothing_else()

# The lines of the parent have one order. The first children may end between them, the last ones may
# not.
expect_order(parent start cpus listed run3)
expect_order(listed run4)
expect_different(${parent_1} ${run0_1} ${run1_1} ${run2_1} ${run3_1} ${run4_1})

# Each child is listed once, in the order of the starts, with the process number that it prints
# itself.
set(before 0)
foreach(child pid IN ZIP_LISTS listed_1 listed_2)
    if(NOT child GREATER before)
        fail("Process-${child} is listed twice, or not in the order of the starts")
    endif()
    set(before ${child})
    math(EXPR k "${child} - 1")
    expect_equal(${pid} ${run${k}_1})
endforeach()

# A child that sleeps for seconds is alive when the others have just been started.
foreach(child 4 5)
    if(NOT child IN_LIST listed_1)
        fail("Process-${child} is not listed")
    endif()
endforeach()

if(milliseconds LESS 4000 OR NOT milliseconds LESS 60000)
    fail("took ${milliseconds} ms; the longest sleep is 4 s, and all children sleep at once")
endif()
