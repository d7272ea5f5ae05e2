# SPDX-License-Identifier: MIT
# brood_warnings(target): the compile options of every target of the project.

# Warnings of cl.exe at /W4 about correct code:
#   4127  a condition is constant
#   4200 4201 4204 4221  C99 and C11 features are extensions: flexible array members, anonymous
#         members, values in initializers that are not constant, or local
#   4232  the address of an imported function is not a constant for the linker
#   4324  a structure was padded for its alignment
#   5105  a macro of older Windows SDKs expands to "defined"
set(BROOD_MSVC_WARNINGS /W4 /wd4127 /wd4200 /wd4201 /wd4204 /wd4221 /wd4232 /wd4324 /wd5105)

function(brood_warnings target)
  if(MSVC)
    target_compile_options(${target} PRIVATE ${BROOD_MSVC_WARNINGS} /utf-8 $<$<BOOL:${BROOD_WERROR}>:/WX>
      $<$<C_COMPILER_ID:Clang>:-Wpedantic -Wconversion -Wshadow -Wundef -Watomic-implicit-seq-cst>)
    # Suppresses the advice to replace getenv and similar functions, and POSIX names.
    target_compile_definitions(${target} PRIVATE _CRT_SECURE_NO_WARNINGS _CRT_NONSTDC_NO_WARNINGS)
    return()
  endif()
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wvla -Wcast-qual
    -Wpointer-arith -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wdouble-promotion
    $<$<BOOL:${BROOD_WERROR}>:-Werror>)
  # MinGW's format checks do not match its C99 printf, which -std=c11 selects.
  target_compile_definitions(${target} PRIVATE $<$<BOOL:${MINGW}>:__USE_MINGW_ANSI_STDIO=1>)
endfunction()
