# SPDX-License-Identifier: MIT
# brood_warnings(target): what every target of the project is compiled with.

# What cl.exe says at /W4 of code that is right:
#   4127  a condition is constant
#   4200 4201 4204 4221  C99 and C11 are an extension: flexible array members, anonymous members, values in initializers that are not constant, or local
#   4232  the address of an imported function is not a constant of the linker
#   4324  a structure has grown by its alignment
#   5105  a macro of older Windows SDKs makes the word "defined"
set(BROOD_MSVC_WARNINGS /W4 /wd4127 /wd4200 /wd4201 /wd4204 /wd4221 /wd4232 /wd4324 /wd5105)

function(brood_warnings target)
  if(MSVC)
    target_compile_options(${target} PRIVATE ${BROOD_MSVC_WARNINGS} /utf-8 $<$<BOOL:${BROOD_WERROR}>:/WX>
      $<$<C_COMPILER_ID:Clang>:-Wpedantic -Wconversion -Wshadow -Wundef -Watomic-implicit-seq-cst>)
    # That getenv and its like, and the names of POSIX, should be others.
    target_compile_definitions(${target} PRIVATE _CRT_SECURE_NO_WARNINGS _CRT_NONSTDC_NO_WARNINGS)
    return()
  endif()
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wvla -Wcast-qual
    -Wpointer-arith -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wdouble-promotion
    $<$<BOOL:${BROOD_WERROR}>:-Werror>)
  # With the C99 printf of MinGW, which -std=c11 selects, its format checks do not agree.
  target_compile_definitions(${target} PRIVATE $<$<BOOL:${MINGW}>:__USE_MINGW_ANSI_STDIO=1>)
endfunction()
