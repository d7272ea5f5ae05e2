# SPDX-License-Identifier: MIT
# Windows on x86-64 with the ABI and the C run-time library (UCRT) of MSVC, but without any part
# of MSVC: Clang as cl.exe, LLD as link.exe, the headers and import libraries of Debian's
# libwine-dev; Wine runs the programs. What the import libraries lack is built from
# msvc-wine/startup.c.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)

set(llvm /usr/lib/llvm-14/bin)
set(wine_headers /usr/include/wine/wine)
set(wine_libraries /usr/lib/x86_64-linux-gnu/wine/x86_64-windows)

set(CMAKE_C_COMPILER ${llvm}/clang-cl)
set(CMAKE_C_COMPILER_TARGET x86_64-pc-windows-msvc)
set(CMAKE_LINKER ${llvm}/lld-link)
set(CMAKE_AR ${llvm}/llvm-lib)
set(CMAKE_RC_COMPILER ${llvm}/llvm-rc)
set(CMAKE_MT ${llvm}/llvm-mt)
set(CMAKE_NM ${llvm}/llvm-nm)
set(CMAKE_OBJDUMP ${llvm}/llvm-objdump)

# Like Visual Studio 2019 16.11. Wine's libraries have no stack cookies, and its headers lack a
# type.
set(compile_options "-fmsc-version=1929 /GS- -D_UCRT -Dsig_atomic_t=int -mcx16 -imsvc ${wine_headers}/msvcrt -imsvc ${wine_headers}/windows")
set(CMAKE_C_FLAGS_INIT ${compile_options})
set(CMAKE_MSVC_RUNTIME_LIBRARY "") # otherwise names libraries that are not installed

# Shared by all builds, beside them: the startup objects of programs and of DLLs, and the import
# libraries under MSVC's names.
get_filename_component(made ${CMAKE_CURRENT_LIST_DIR}/../../build/msvc-wine ABSOLUTE)
set(startup ${CMAKE_CURRENT_LIST_DIR}/msvc-wine/startup.c)
if(NOT EXISTS ${made}/made OR ${startup} IS_NEWER_THAN ${made}/made OR ${CMAKE_CURRENT_LIST_FILE} IS_NEWER_THAN ${made}/made)
  file(MAKE_DIRECTORY ${made})
  separate_arguments(words UNIX_COMMAND "${compile_options}")
  foreach(kind PROGRAM LIBRARY)
    # After "--" a path that begins like an option is a path.
    execute_process(COMMAND_ERROR_IS_FATAL ANY
      COMMAND ${CMAKE_C_COMPILER} --target=${CMAKE_C_COMPILER_TARGET} ${words} -DSTARTUP_${kind} /O2 /W4 /c /Fo${made}/${kind}.obj -- ${startup})
  endforeach()
  file(GLOB libraries RELATIVE ${wine_libraries} ${wine_libraries}/lib*.a)
  foreach(library IN LISTS libraries)
    string(REGEX REPLACE "^lib(.+)\\.a$" "\\1.lib" name ${library})
    file(CREATE_LINK ${wine_libraries}/${library} ${made}/${name} SYMBOLIC)
  endforeach()
  file(TOUCH ${made}/made)
endif()

set(linked "/manifest:no /nodefaultlib /include:_tls_used /entry:startup /libpath:${made}")
# These come after the objects, whose definitions take precedence.
set(libraries "ucrtbase.lib vcruntime140.lib kernel32.lib ntdll.lib winecrt0.lib")
set(CMAKE_EXE_LINKER_FLAGS_INIT "${linked} ${made}/PROGRAM.obj ${libraries}")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "${linked} ${made}/LIBRARY.obj ${libraries}")
set(CMAKE_MODULE_LINKER_FLAGS_INIT "${linked} ${made}/LIBRARY.obj ${libraries}")
# A build number instead of the time stamp, which is the same for two builds within a second. A
# debug build has an identifier anyway.
foreach(kind EXE SHARED MODULE)
  set(CMAKE_${kind}_LINKER_FLAGS_RELEASE_INIT /Brepro)
endforeach()

set(CMAKE_FIND_ROOT_PATH ${wine_headers})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
set(CMAKE_CROSSCOMPILING_EMULATOR ${CMAKE_CURRENT_LIST_DIR}/../../tools/wine-run)
