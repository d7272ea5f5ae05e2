# SPDX-License-Identifier: MIT
# brood_warnings(target): what every target of the project is compiled with.

function(brood_warnings target)
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 $<$<BOOL:${BROOD_WERROR}>:/WX>)
    return()
  endif()
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wvla -Wcast-qual
    -Wpointer-arith -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wdouble-promotion
    $<$<BOOL:${BROOD_WERROR}>:-Werror>)
  # With the C99 printf of MinGW, which -std=c11 selects, its format checks do not agree.
  target_compile_definitions(${target} PRIVATE $<$<BOOL:${MINGW}>:__USE_MINGW_ANSI_STDIO=1>)
endfunction()
