# SPDX-License-Identifier: MIT
# The sources, and brood_library(name STATIC|SHARED [PORTABLE] [TESTING]): defines the library, or a
# variant of it for tests.
#   PORTABLE  with the portable wait provider
#   TESTING   with injected faults and assertions, all names visible

include(CheckCCompilerFlag)

set(BROOD_CORE_SOURCES
  base/cpu.c base/exit.c base/invariant.c base/status.c base/time.c
  arena/allocator.c arena/arena.c arena/blocking.c arena/chunk.c arena/groups.c arena/heap.c
  arena/here.c arena/kinds.c arena/log.c arena/members.c arena/owner.c arena/process_slot.c
  arena/report.c arena/self.c arena/space.c arena/spin.c arena/thread_slot.c arena/watch.c
  sync/barrier.c sync/condition.c sync/event.c sync/lock.c sync/lock_slot.c sync/object.c
  sync/once.c sync/parties.c sync/seat.c sync/semaphore.c
  thread/handlers.c thread/local.c thread/stop.c thread/thread.c
  memory/block.c memory/gap.c memory/heap_lock.c memory/mapping.c memory/piece.c
  memory/registry.c memory/section.c memory/sweep.c
  message/bulk_receive.c message/bulk_send.c message/call.c message/chain.c message/chain_head.c
  message/chain_tail.c message/connection.c message/end.c message/get.c message/holding.c
  message/in_place.c message/joinable.c message/passage.c message/poller.c message/put.c
  message/queue.c message/queue_life.c message/room.c message/receive.c message/send.c message/user_entry.c
  message/users.c message/users_gone.c message/wait_any.c message/waitable.c message/watcher.c
  process/boot.c process/burial.c process/child.c process/children.c process/copy.c
  process/ending.c process/ends.c process/environment.c process/init.c process/launches.c
  process/method.c process/plan.c process/process.c process/served.c process/server.c
  process/standard.c process/start.c process/target.c process/target_cache.c process/waitables.c
  insight/cycle.c insight/dump.c insight/snapshot.c)

# The ports. Those for Linux and for macOS have src/posix in common.
set(BROOD_POSIX_SOURCES
  posix/channel.c posix/descriptor.c posix/launch.c posix/os_boot.c posix/os_error.c
  posix/os_guard.c posix/os_process.c posix/os_stdio.c posix/watch_keys.c)
set(BROOD_LINUX_SOURCES
  posix/linux/bell.c posix/linux/cgroup.c posix/linux/circumstances.c posix/linux/clone.c
  posix/linux/exec.c posix/linux/fork_server.c posix/linux/image.c posix/linux/os_clock.c
  posix/linux/os_cpu.c posix/linux/os_futex.c posix/linux/os_life.c posix/linux/os_memory.c
  posix/linux/os_module.c posix/linux/os_race.c posix/linux/os_random.c posix/linux/os_server.c
  posix/linux/os_thread.c posix/linux/os_watch.c posix/linux/proc.c posix/linux/spare.c
  posix/linux/spawn.c posix/linux/starter.c posix/linux/stream.c posix/linux/trust.c)
set(BROOD_DARWIN_SOURCES
  posix/darwin/os_clock.c posix/darwin/os_cpu.c posix/darwin/os_futex.c posix/darwin/os_life.c
  posix/darwin/os_memory.c posix/darwin/os_module.c posix/darwin/os_race.c posix/darwin/os_random.c
  posix/darwin/os_server.c posix/darwin/os_thread.c posix/darwin/os_watch.c posix/darwin/proc.c
  posix/darwin/spawn.c posix/darwin/stream.c posix/darwin/trust.c)
set(BROOD_WIN32_SOURCES
  win32/environment.c win32/launch.c win32/os_boot.c win32/os_clock.c win32/os_cpu.c
  win32/os_error.c win32/os_futex.c win32/os_guard.c win32/os_life.c win32/os_memory.c
  win32/os_module.c win32/os_process.c win32/os_race.c win32/os_random.c win32/os_server.c
  win32/os_stdio.c win32/os_thread.c win32/os_watch.c win32/ring.c win32/trust.c win32/win32.c)

if(WIN32)
  set(BROOD_PORT win32)
  set(BROOD_PORT_SOURCES ${BROOD_WIN32_SOURCES})
else()
  set(BROOD_PORT posix)
  if(APPLE)
    set(BROOD_PORT_SOURCES ${BROOD_POSIX_SOURCES} ${BROOD_DARWIN_SOURCES})
  else()
    set(BROOD_PORT_SOURCES ${BROOD_POSIX_SOURCES} ${BROOD_LINUX_SOURCES})
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
    set(wait arena/wait_portable.c)
  else()
    set(wait arena/wait_futex.c)
  endif()
  set(sources ${BROOD_CORE_SOURCES} ${wait} ${BROOD_PORT_SOURCES})
  list(TRANSFORM sources PREPEND ${BROOD_SOURCE_DIR}/src/)

  add_library(${name} ${kind} ${sources})
  target_include_directories(${name}
    PUBLIC $<BUILD_INTERFACE:${BROOD_SOURCE_DIR}/include>
    PRIVATE ${BROOD_SOURCE_DIR}/src)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(${name} PRIVATE BROOD_BUILDING $<$<BOOL:${BROOD_ASSERTS}>:BROOD_ASSERTS>)
  if(kind STREQUAL "SHARED")
    brood_shared(${name})
  endif()
  if(arg_TESTING)
    target_compile_definitions(${name} PUBLIC BROOD_TESTING BROOD_ASSERTS
      $<$<STREQUAL:${wait},arena/wait_portable.c>:BROOD_TESTING_PORTABLE>)
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
