# SPDX-License-Identifier: MIT
# How tests are built and registered.
#
#   brood_public_test(name)     tests/<name>.c against the library, under every start method; the
#                               preset "portable" runs it with the portable wait provider
#   brood_internal_test(name)   tests/internal/<name>.c, with injected faults and internal names;
#                               natively with both wait providers; SOURCE <file> for another file,
#                               as of one port
#                               both take TIMEOUT <seconds>, and LINK <library...> for further
#                               libraries
#   brood_soak_test(name)       tests/stress/<name>.c under every start method, with the label
#                               "soak": a few rounds, or all with BROOD_SOAK=1 in the environment
#   brood_internal_soak_test(name)  the same with internal names, and natively with both wait
#                               providers
#   bare.<name>                 the public test on Linux as on a kernel without robust lists and
#                               futex_waitv
#   brood_fuzz_test(name)       tests/fuzz/<name>.c on its seeds and mutations of them; with
#                               BROOD_FUZZ for libFuzzer too; SEEDS <file> for seeds in a file of
#                               their own
#   brood_register(test [TIMEOUT s] [METHOD m])  the common properties of all tests, for tests that
#                               are added in other ways
#
# Cross-compiled Windows programs run through tools/wine-run; one Wine server serves all of them
# (tests wine.up, wine.down). Tests that are shell scripts exist where the build host is a Unix.

include(CheckIncludeFile)

set(BROOD_SANITIZER "" CACHE STRING "The sanitizer that CMAKE_C_FLAGS ask for: address, thread or none")
option(BROOD_FUZZ "Build the fuzz targets for libFuzzer too; the compiler must be Clang" OFF)
set(BROOD_CMOCKA_ROOT "" CACHE PATH "Where CMocka for the target system is installed; empty: where CMake finds it")

find_path(CMOCKA_INCLUDE_DIR cmocka.h HINTS ${BROOD_CMOCKA_ROOT}/include NO_CMAKE_FIND_ROOT_PATH)
find_library(CMOCKA_LIBRARY NAMES cmocka-static cmocka HINTS ${BROOD_CMOCKA_ROOT}/lib NO_CMAKE_FIND_ROOT_PATH)
if(NOT CMOCKA_INCLUDE_DIR OR NOT CMOCKA_LIBRARY)
  message(FATAL_ERROR "CMocka not found: install it (tools/test does), or configure with BROOD_BUILD_TESTS=OFF")
endif()
add_library(cmocka INTERFACE)
target_include_directories(cmocka SYSTEM INTERFACE ${CMOCKA_INCLUDE_DIR})
target_link_libraries(cmocka INTERFACE ${CMOCKA_LIBRARY})
target_compile_definitions(cmocka INTERFACE $<$<BOOL:${WIN32}>:CMOCKA_STATIC>)

# A static program with musl cannot open a library at run time. A build of such programs leaves
# out tests that mostly do that: tests of functions in libraries, and of programs that are linked
# to one.
set(BROOD_STATIC_PROGRAMS OFF)
if(CMAKE_EXE_LINKER_FLAGS MATCHES "(^| )-static( |$)")
  set(BROOD_STATIC_PROGRAMS ON)
endif()

# An emulator of user programs cannot execute a program of its architecture from an emulated one:
# tests/posix/emulated.c makes the test programs execute the emulator.
set(BROOD_EMULATED OFF)
if(CMAKE_CROSSCOMPILING_EMULATOR AND NOT WIN32)
  set(BROOD_EMULATED ON)
  list(GET CMAKE_CROSSCOMPILING_EMULATOR 0 emulator)
  find_program(BROOD_EMULATOR ${emulator} REQUIRED NO_CMAKE_FIND_ROOT_PATH)
  add_library(brood_emulated OBJECT tests/posix/emulated.c)
  target_compile_definitions(brood_emulated PRIVATE EMULATOR="${BROOD_EMULATOR}" EMULATED_ROOT="${CMAKE_FIND_ROOT_PATH}")
  link_libraries($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:$<TARGET_OBJECTS:brood_emulated>>)
  add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-Wl,--wrap=execve,--wrap=posix_spawn>)
endif()

# Variants of the library, for tests of internals and of the other wait provider.
brood_library(brood_testing STATIC TESTING)
set(BROOD_TESTING_VARIANTS brood_testing)
if(NOT WIN32 AND NOT BROOD_WAIT_PORTABLE)
  brood_library(brood_testing_portable STATIC PORTABLE TESTING)
  list(APPEND BROOD_TESTING_VARIANTS brood_testing_portable)
endif()

# The start methods that the tests run under on this system. The thread sanitizer cannot start
# threads after a fork of a process with several threads. An emulator takes a quarter of a second
# to start a program: there, other methods run only in tests that ask for them.
if(WIN32)
  set(BROOD_METHODS spawn)
elseif(BROOD_EMULATED)
  set(BROOD_METHODS fork)
elseif(BROOD_SANITIZER STREQUAL "thread")
  set(BROOD_METHODS spawn forkserver)
else()
  set(BROOD_METHODS spawn forkserver fork)
endif()

# A test program; a DLL that it needs is copied beside it.
function(brood_test_program target source library)
  add_executable(${target} ${source})
  # MSVC's C run-time library reports a crash in a window that has to be closed.
  if(MSVC AND NOT CMAKE_CROSSCOMPILING)
    target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/win32/quiet.c)
  endif()
  target_link_libraries(${target} PRIVATE ${library})
  brood_warnings(${target})
  brood_bring_dll(${target})
endfunction()

function(brood_register test)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT;METHOD" "")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(BROOD_SANITIZER OR BROOD_EMULATED) # makes programs about ten times slower
    math(EXPR arg_TIMEOUT "4 * ${arg_TIMEOUT}")
  endif()
  set_tests_properties(${test} PROPERTIES TIMEOUT ${arg_TIMEOUT})
  if(arg_METHOD)
    set_tests_properties(${test} PROPERTIES ENVIRONMENT BROOD_START_METHOD=${arg_METHOD})
  endif()
  if(WIN32 AND CMAKE_CROSSCOMPILING)
    set_tests_properties(${test} PROPERTIES FIXTURES_REQUIRED wine)
  endif()
  # QEMU 7.2 sometimes fails in a copy that is made while other threads of the process run, which
  # it reports so; what the test finds then is not the library's.
  if(BROOD_EMULATED)
    set_tests_properties(${test} PROPERTIES SKIP_REGULAR_EXPRESSION "cpu_exec: assertion failed: .cpu == current_cpu.")
  endif()
endfunction()

function(brood_public_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT;SOURCE" "LINK")
  if(NOT arg_SOURCE)
    set(arg_SOURCE ${name}.c)
  endif()
  brood_test_program(test_${name} ${arg_SOURCE} brood::brood)
  target_link_libraries(test_${name} PRIVATE cmocka brood_test_platform ${arg_LINK})
  foreach(method IN LISTS BROOD_METHODS)
    add_test(NAME ${name}.${method} COMMAND test_${name})
    brood_register(${name}.${method} METHOD ${method} TIMEOUT ${arg_TIMEOUT})
  endforeach()
endfunction()

function(brood_soak_test name)
  brood_test_program(soak_${name} stress/${name}.c brood::brood)
  target_link_libraries(soak_${name} PRIVATE cmocka brood_test_platform)
  foreach(method IN LISTS BROOD_METHODS)
    add_test(NAME soak.${name}.${method} COMMAND soak_${name})
    brood_register(soak.${name}.${method} METHOD ${method} TIMEOUT 900)
    set_tests_properties(soak.${name}.${method} PROPERTIES LABELS soak)
  endforeach()
endfunction()

function(brood_internal_soak_test name)
  foreach(library IN LISTS BROOD_TESTING_VARIANTS)
    string(REPLACE brood_testing "" suffix ${library})
    string(REPLACE _ . dotted "${suffix}")
    brood_test_program(soak_${name}${suffix} stress/${name}.c ${library})
    target_link_libraries(soak_${name}${suffix} PRIVATE cmocka brood_test_platform)
    foreach(method IN LISTS BROOD_METHODS)
      add_test(NAME soak.${name}${dotted}.${method} COMMAND soak_${name}${suffix})
      brood_register(soak.${name}${dotted}.${method} METHOD ${method} TIMEOUT 900)
      set_tests_properties(soak.${name}${dotted}.${method} PROPERTIES LABELS soak)
    endforeach()
  endforeach()
endfunction()

function(brood_internal_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT;SOURCE" "LINK")
  if(NOT arg_SOURCE)
    set(arg_SOURCE internal/${name}.c)
  endif()
  foreach(library IN LISTS BROOD_TESTING_VARIANTS)
    string(REPLACE brood_testing "" suffix ${library})
    string(REPLACE _ . dotted "${suffix}")
    brood_test_program(internal_${name}${suffix} ${arg_SOURCE} ${library})
    target_link_libraries(internal_${name}${suffix} PRIVATE cmocka brood_test_platform ${arg_LINK})
    add_test(NAME internal.${name}${dotted} COMMAND internal_${name}${suffix})
    brood_register(internal.${name}${dotted} TIMEOUT ${arg_TIMEOUT})
  endforeach()
endfunction()

function(brood_fuzz_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SEEDS" "")
  brood_test_program(fuzz_${name} fuzz/${name}.c brood_testing)
  target_sources(fuzz_${name} PRIVATE fuzz/driver.c ${arg_SEEDS})
  target_link_libraries(fuzz_${name} PRIVATE brood_test_platform)
  add_test(NAME fuzz.${name} COMMAND fuzz_${name})
  brood_register(fuzz.${name})
  if(BROOD_FUZZ)
    brood_test_program(libfuzzer_${name} fuzz/${name}.c brood_testing)
    target_link_libraries(libfuzzer_${name} PRIVATE brood_test_platform)
    target_link_options(libfuzzer_${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()

if(WIN32 AND CMAKE_CROSSCOMPILING)
  add_test(NAME wine.up COMMAND ${PROJECT_SOURCE_DIR}/tools/wine-up)
  add_test(NAME wine.down COMMAND ${PROJECT_SOURCE_DIR}/tools/wine-down)
  set_tests_properties(wine.up PROPERTIES FIXTURES_SETUP wine TIMEOUT 300)
  set_tests_properties(wine.down PROPERTIES FIXTURES_CLEANUP wine TIMEOUT 60)
endif()

# Checks of the source, by shell scripts.
if(CMAKE_HOST_UNIX)
  add_test(NAME layers COMMAND ${PROJECT_SOURCE_DIR}/tools/check-layers)
  add_test(NAME providers
    COMMAND ${PROJECT_SOURCE_DIR}/tools/check-providers ${CMAKE_NM} $<TARGET_FILE:brood_testing> ${BROOD_PORT})
endif()
