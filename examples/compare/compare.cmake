# SPDX-License-Identifier: MIT
#
# Functions that the comparisons share. Each comparison runs one program and checks every line that
# it prints:
#
#   cmake -DPROGRAM=<executable> [-DEMULATOR=<command;arguments>] -P <program>.cmake
#
# run_program() or run_program_into_files() comes first; then one expect() for each kind of line;
# expect_nothing_else() last.

cmake_minimum_required(VERSION 3.23)

set(number "([1-9][0-9]*)") # a process number, or a count of processors
set(accounted "")           # the indexes of the lines that an expect() has matched

# Ends the comparison with a message and with everything that the program has printed.
function(fail text)
    message(FATAL_ERROR
        "${PROGRAM}: ${text}\n--- stdout\n${output}\n--- stderr\n${errors}\n---")
endfunction()

# Runs the program, and sets `result` and `milliseconds`, the time that it took.
macro(execute_timed)
    string(TIMESTAMP begin "%s%f" UTC)
    execute_process(COMMAND ${EMULATOR} ${PROGRAM} RESULT_VARIABLE result TIMEOUT 55 ${ARGN})
    string(TIMESTAMP end "%s%f" UTC)
    math(EXPR milliseconds "(${end} - ${begin}) / 1000")
endmacro()

# Checks the exit status and stderr, and splits `output` into the list `lines`. Under an emulator
# stderr is not checked, because the emulator prints there. (Windows line ends are gone already:
# execute_process() removes them.)
macro(accept_output)
    if(NOT result STREQUAL "0")
        fail("ended with '${result}' instead of 0")
    endif()
    if(NOT errors STREQUAL "" AND "${EMULATOR}" STREQUAL "")
        fail("printed to stderr")
    endif()
    if(output MATCHES "[][;\\\r]") # these are special in a list, too
        fail("printed a character that no program prints")
    endif()
    if(NOT output STREQUAL "" AND NOT output MATCHES "\n$")
        fail("the last line has no end")
    endif()
    if(output MATCHES "(^|\n)\n")
        fail("printed an empty line")
    endif()
    string(REGEX REPLACE "\n$" "" lines "${output}")
    string(REPLACE "\n" ";" lines "${lines}")
endmacro()

# Runs the program with its stdout and stderr in pipes; returns when no process has them open any
# more, children included.
macro(run_program)
    execute_timed(OUTPUT_VARIABLE output ERROR_VARIABLE errors)
    accept_output()
endmacro()

# Runs the program with its stdout and stderr in files, so that its children are not waited for;
# reads the files `seconds` after its end.
macro(run_program_into_files seconds)
    set(file "${PROGRAM}.$ENV{BROOD_START_METHOD}")
    execute_timed(OUTPUT_FILE "${file}.stdout" ERROR_FILE "${file}.stderr")
    execute_process(COMMAND ${CMAKE_COMMAND} -E sleep ${seconds})
    file(READ "${file}.stdout" output)
    file(READ "${file}.stderr" errors)
    accept_output()
endmacro()

# Matches whole lines against `regex`. There must be `times` of them, or any number if that is ANY.
# Sets <name>_at to their indexes, <name>_1 and <name>_2 to what the groups of `regex` matched.
function(expect name times regex)
    set(index 0)
    set(at "")
    set(first "")
    set(second "")
    foreach(line IN LISTS lines)
        if(line MATCHES "^${regex}$")
            list(APPEND at ${index})
            list(APPEND first "${CMAKE_MATCH_1}")
            list(APPEND second "${CMAKE_MATCH_2}")
        endif()
        math(EXPR index "${index} + 1")
    endforeach()
    list(LENGTH at found)
    if(NOT times STREQUAL "ANY" AND NOT found EQUAL times)
        fail("printed '${regex}' ${found} times instead of ${times}")
    endif()
    set(accounted ${accounted} ${at} PARENT_SCOPE)
    set(${name}_at "${at}" PARENT_SCOPE)
    set(${name}_1 "${first}" PARENT_SCOPE)
    set(${name}_2 "${second}" PARENT_SCOPE)
endfunction()

# Every line must have been matched, and by one expect() only.
function(expect_nothing_else)
    list(LENGTH lines printed)
    list(LENGTH accounted claimed)
    list(REMOVE_DUPLICATES accounted)
    list(LENGTH accounted different)
    if(NOT printed EQUAL claimed OR NOT printed EQUAL different)
        fail("printed ${printed} lines instead of ${claimed}")
    endif()
endfunction()

# The lines of these names must be printed in this order.
function(expect_order)
    set(before -1)
    foreach(name IN LISTS ARGN)
        foreach(at IN LISTS ${name}_at)
            if(at LESS before)
                fail("line ${at}, '${name}', is out of order")
            endif()
            set(before ${at})
        endforeach()
    endforeach()
endfunction()

function(expect_equal a b)
    if(NOT a STREQUAL b)
        fail("${a} and ${b} should be the same number")
    endif()
endfunction()

# All these values must differ from one another.
function(expect_different)
    set(values ${ARGN})
    list(REMOVE_DUPLICATES values)
    list(LENGTH values different)
    if(NOT different EQUAL ARGC)
        fail("two of these should not be the same: ${ARGN}")
    endif()
endfunction()
