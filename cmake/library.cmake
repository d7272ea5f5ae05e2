# SPDX-License-Identifier: MIT
# The sources, and brood_library(name STATIC|SHARED [PORTABLE] [TESTING]): defines the library, or a
# variant of it for tests.
#   PORTABLE  with the portable wait provider
#   TESTING   with injected faults, all names visible

include(CheckCCompilerFlag)

set(BROOD_CORE_SOURCES
  barrier.c block.c boot.c burial.c child.c children.c condition.c copy.c cpu.c dump.c ending.c
  environment.c event.c exit.c family.c gap.c groups.c handlers.c heap.c here.c init.c kinds.c
  local.c lock.c lock_slot.c mapping.c method.c object.c once.c parties.c plan.c process.c
  process_slot.c registry.c seat.c section.c self.c semaphore.c served.c server.c space.c
  standard.c start.c status.c stop.c thread.c thread_slot.c time.c)

# Files that both ports have.
set(BROOD_PORT_SOURCES
  os_boot.c os_clock.c os_cpu.c os_error.c os_futex.c os_guard.c os_life.c os_memory.c os_module.c
  os_process.c os_race.c os_random.c os_server.c os_stdio.c os_thread.c)

# Files of one port. On macOS, files of posix/darwin replace those of the same name, and the files
# for Linux alone are left out.
set(BROOD_POSIX_SOURCES channel.c descriptor.c launch.c proc.c spawn.c stream.c trust.c)
set(BROOD_LINUX_SOURCES cgroup.c circumstances.c clone.c exec.c image.c spare.c starter.c fork_server.c)
set(BROOD_WIN32_SOURCES environment.c launch.c trust.c win32.c)

if(WIN32)
  set(BROOD_PORT win32)
  list(APPEND BROOD_PORT_SOURCES ${BROOD_WIN32_SOURCES})
else()
  set(BROOD_PORT posix)
  list(APPEND BROOD_PORT_SOURCES ${BROOD_POSIX_SOURCES})
  if(APPLE)
    file(GLOB darwin_sources RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/src/posix CONFIGURE_DEPENDS src/posix/darwin/*.c)
    foreach(source IN LISTS darwin_sources)
      get_filename_component(name ${source} NAME)
      list(TRANSFORM BROOD_PORT_SOURCES REPLACE "^${name}$" ${source})
    endforeach()
  else()
    list(APPEND BROOD_PORT_SOURCES ${BROOD_LINUX_SOURCES})
  endif()
  set(THREADS_PREFER_PTHREAD_FLAG ON)
  find_package(Threads REQUIRED)
endif()

# Without a PLT, because the loader would resolve a function that a forked child calls first again
# in every child, which costs up to a tenth of a fork.
set(BROOD_EAGER "")
if(NOT WIN32)
  check_c_compiler_flag(-fno-plt BROOD_HAS_NO_PLT)
  if(BROOD_HAS_NO_PLT)
    set(BROOD_EAGER -fno-plt)
  endif()
endif()

set(BROOD_SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR})

# The system libraries and options of a port.
function(brood_system target)
  if(WIN32)
    target_compile_definitions(${target} PRIVATE _WIN32_WINNT=0x0A00 UNICODE _UNICODE WIN32_LEAN_AND_MEAN)
    target_link_libraries(${target} PRIVATE advapi32)
  else()
    # 64-bit file offsets and inode numbers, also where long has 32 bits.
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE _FILE_OFFSET_BITS=64)
    target_compile_options(${target} PRIVATE ${BROOD_EAGER})
    target_link_libraries(${target} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
  endif()
endfunction()

# Properties of a shared library.
function(brood_shared target)
  target_compile_definitions(${target} PUBLIC BROOD_SHARED)
  # Until 1.0 every minor version may break the ABI.
  set_target_properties(${target} PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  if(WIN32)
    enable_language(RC)
    configure_file(${BROOD_SOURCE_DIR}/cmake/brood.rc.in ${CMAKE_CURRENT_BINARY_DIR}/brood.rc @ONLY)
    target_sources(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/brood.rc)
    # The DLL then needs no others except those of the system.
    target_link_options(${target} PRIVATE $<$<BOOL:${MINGW}>:-static-libgcc>)
  elseif(NOT APPLE)
    # Threads, handlers and destructors of thread-local values may use the code as long as the
    # process lives.
    target_link_options(${target} PRIVATE -Wl,-z,nodelete)
  endif()
endfunction()

function(brood_library name kind)
  cmake_parse_arguments(PARSE_ARGV 2 arg "PORTABLE;TESTING" "" "")
  if(WIN32 OR arg_PORTABLE OR BROOD_WAIT_PORTABLE)
    set(wait wait_portable.c)
  else()
    set(wait wait_futex.c)
  endif()
  set(port ${BROOD_PORT_SOURCES})
  list(TRANSFORM port PREPEND ${BROOD_PORT}/)
  set(sources ${BROOD_CORE_SOURCES} ${wait} ${port})
  list(TRANSFORM sources PREPEND ${BROOD_SOURCE_DIR}/src/)

  add_library(${name} ${kind} ${sources})
  target_include_directories(${name}
    PUBLIC $<BUILD_INTERFACE:${BROOD_SOURCE_DIR}/include>
    PRIVATE ${BROOD_SOURCE_DIR}/src $<$<BOOL:${APPLE}>:${BROOD_SOURCE_DIR}/src/posix>)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(${name} PRIVATE BROOD_BUILDING)
  if(kind STREQUAL "SHARED")
    brood_shared(${name})
  endif()
  if(arg_TESTING)
    target_compile_definitions(${name} PUBLIC BROOD_TESTING
      $<$<STREQUAL:${wait},wait_portable.c>:BROOD_TESTING_PORTABLE>)
    target_include_directories(${name} PUBLIC ${BROOD_SOURCE_DIR}/src)
  else()
    set_target_properties(${name} PROPERTIES C_VISIBILITY_PRESET hidden)
  endif()
  brood_system(${name})
  brood_warnings(${name})
endfunction()

# Windows searches for a DLL beside the program.
function(brood_bring_dll program)
  if(WIN32 AND BUILD_SHARED_LIBS)
    add_custom_command(TARGET ${program} POST_BUILD
      COMMAND ${CMAKE_COMMAND} -E copy_if_different $<TARGET_FILE:brood> $<TARGET_FILE_DIR:${program}>)
  endif()
endfunction()
