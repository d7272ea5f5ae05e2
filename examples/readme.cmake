# SPDX-License-Identifier: MIT
#
# Compares the C programs of a page, the README or one of the guide, with the examples, byte for
# byte:
#
#   cmake -DPAGE=<README.md> [-DFIRST_IS_WHOLE=ON] -DEXAMPLES=<folder> -P readme.cmake
#
# Each ```c block is a part of an example; with FIRST_IS_WHOLE the first one is a whole example.

cmake_minimum_required(VERSION 3.23)

file(READ "${PAGE}" rest)
string(REGEX REPLACE "\n```c [^\n]*\n" "\n```c\n" rest "${rest}") # a block may have a name
file(GLOB_RECURSE examples "${EXAMPLES}/*.c" "${EXAMPLES}/*.h")
set(blocks 0)

# Sets `found` to the example that is `block`, or that contains it when `whole` is false.
function(find_example block whole)
    set(found "" PARENT_SCOPE)
    foreach(example IN LISTS examples)
        file(READ "${example}" text)
        string(FIND "${text}" "${block}" at)
        if(text STREQUAL block OR (NOT whole AND NOT at EQUAL -1))
            set(found "${example}" PARENT_SCOPE)
        endif()
    endforeach()
endfunction()

set(opening "\n```c\n")
string(LENGTH "${opening}" opening_length)
while(TRUE)
    string(FIND "${rest}" "${opening}" at)
    if(at EQUAL -1)
        break()
    endif()
    math(EXPR at "${at} + ${opening_length}")
    string(SUBSTRING "${rest}" ${at} -1 rest)
    string(FIND "${rest}" "\n```\n" end)
    if(end EQUAL -1)
        message(FATAL_ERROR "${PAGE}: a block has no end:\n${rest}")
    endif()
    math(EXPR end "${end} + 1")
    string(SUBSTRING "${rest}" 0 ${end} block)
    string(SUBSTRING "${rest}" ${end} -1 rest)

    if(FIRST_IS_WHOLE AND blocks EQUAL 0)
        find_example("${block}" TRUE)
    else()
        find_example("${block}" FALSE)
    endif()
    if(found STREQUAL "")
        message(FATAL_ERROR "${PAGE}: no example is, or contains, this block:\n${block}")
    endif()
    math(EXPR blocks "${blocks} + 1")
    file(RELATIVE_PATH found "${EXAMPLES}" "${found}")
    message(STATUS "block ${blocks} is from ${found}")
endwhile()

if(blocks EQUAL 0)
    message(FATAL_ERROR "${PAGE}: no C program")
endif()
