# SPDX-License-Identifier: MIT
# Stand-ins for those helper functions of vcpkg that the port calls, as documented: the same
# arguments, and the same effect on the packages folder as far as brood is concerned. What vcpkg
# only warns about ends the build here.

# Ends the build if there is an argument that is not documented.
function(helper_refuse_rest)
  if(arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
    layout_reject("unknown arguments of a helper: ${arg_UNPARSED_ARGUMENTS} ${arg_KEYWORDS_MISSING_VALUES}")
  endif()
endfunction()

# Runs a command, and prints its output if it fails.
function(helper_run out_text)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT result EQUAL 0)
    message(NOTICE "${text}")
    layout_reject("this failed:" ${ARGN})
  endif()
  set(${out_text} "${text}" PARENT_SCOPE)
endfunction()

# The host dependencies that the manifest names: only their functions are available.
set(helper_host_dependencies "")
file(READ "${MANIFEST}" helper_manifest)
string(JSON helper_count ERROR_VARIABLE helper_ignored LENGTH "${helper_manifest}" dependencies)
if(helper_count MATCHES "^[1-9]")
  math(EXPR helper_last "${helper_count} - 1")
  foreach(helper_number RANGE ${helper_last})
    string(JSON helper_host ERROR_VARIABLE helper_ignored GET "${helper_manifest}" dependencies ${helper_number} host)
    string(JSON helper_name ERROR_VARIABLE helper_ignored GET "${helper_manifest}" dependencies ${helper_number} name)
    if(helper_host STREQUAL "ON")
      list(APPEND helper_host_dependencies ${helper_name})
    endif()
  endforeach()
endif()

function(helper_needs dependency)
  if(NOT dependency IN_LIST helper_host_dependencies)
    layout_reject("${dependency} is no host dependency in vcpkg.json")
  endif()
endfunction()

function(vcpkg_cmake_configure)
  helper_needs(vcpkg-cmake)
  cmake_parse_arguments(PARSE_ARGV 0 arg "DISABLE_PARALLEL_CONFIGURE;NO_CHARSET_FLAG;WINDOWS_USE_MSBUILD"
    "SOURCE_PATH;GENERATOR;LOGFILE_BASE" "OPTIONS;OPTIONS_DEBUG;OPTIONS_RELEASE;MAYBE_UNUSED_VARIABLES")
  helper_refuse_rest()
  string(COMPARE EQUAL "${VCPKG_LIBRARY_LINKAGE}" dynamic shared)
  set(common
    -DBUILD_SHARED_LIBS=${shared}
    -DCMAKE_INSTALL_LIBDIR:STRING=lib
    -DCMAKE_INSTALL_BINDIR:STRING=bin
    -DCMAKE_ERROR_ON_ABSOLUTE_INSTALL_DESTINATION=ON
    -DCMAKE_DISABLE_SOURCE_CHANGES=ON
    -DFETCHCONTENT_FULLY_DISCONNECTED=ON
    -DCMAKE_EXPORT_NO_PACKAGE_REGISTRY=ON
    -DCMAKE_FIND_PACKAGE_NO_PACKAGE_REGISTRY=ON
    -DCMAKE_FIND_PACKAGE_NO_SYSTEM_PACKAGE_REGISTRY=ON
    -DCMAKE_TOOLCHAIN_FILE=${helper_dir}/toolchain.cmake
    -DVCPKG_CHAINLOAD_TOOLCHAIN_FILE=${VCPKG_CHAINLOAD_TOOLCHAIN_FILE}
    -DVCPKG_TARGET_TRIPLET=${TARGET_TRIPLET}
    -DCMAKE_SYSTEM_NAME=${VCPKG_CMAKE_SYSTEM_NAME})
  set(release -DCMAKE_BUILD_TYPE=Release "-DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}" ${arg_OPTIONS_RELEASE})
  set(debug -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}/debug" ${arg_OPTIONS_DEBUG})
  foreach(config tree IN ZIP_LISTS helper_configs helper_trees)
    helper_run(text "${CMAKE_COMMAND}" -G Ninja -S "${arg_SOURCE_PATH}" -B "${tree}" ${common} ${arg_OPTIONS} ${${config}})
    helper_refuse_unused("${text}" ${arg_OPTIONS} ${arg_OPTIONS_RELEASE} ${arg_OPTIONS_DEBUG})
  endforeach()
endfunction()

# Refuses an option of the port that the project does not have.
function(helper_refuse_unused text)
  string(REGEX MATCH "Manually-specified variables were not used by the project:[A-Za-z0-9_ \n]*" unused "${text}")
  foreach(option IN LISTS ARGN)
    string(REGEX REPLACE "^-D([^:=]*).*" "\\1" name "${option}")
    if(unused MATCHES "[ \n]${name}\n" AND NOT name IN_LIST arg_MAYBE_UNUSED_VARIABLES)
      layout_reject("brood has no option ${name}")
    endif()
  endforeach()
endfunction()

function(vcpkg_cmake_install)
  helper_needs(vcpkg-cmake)
  cmake_parse_arguments(PARSE_ARGV 0 arg "DISABLE_PARALLEL;ADD_BIN_TO_PATH" "" "")
  helper_refuse_rest()
  foreach(tree IN LISTS helper_trees)
    helper_run(text "${CMAKE_COMMAND}" --build "${tree}" --target install)
  endforeach()
endfunction()

# Moves the package to share/; of the debug build only the locations of its libraries remain.
function(vcpkg_cmake_config_fixup)
  helper_needs(vcpkg-cmake-config)
  cmake_parse_arguments(PARSE_ARGV 0 arg "DO_NOT_DELETE_PARENT_CONFIG_PATH;NO_PREFIX_CORRECTION" "PACKAGE_NAME;CONFIG_PATH;TOOLS_PATH" "")
  helper_refuse_rest()
  set(to "${CURRENT_PACKAGES_DIR}/share/${PORT}")
  set(from "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}")
  set(debug_from "${CURRENT_PACKAGES_DIR}/debug/${arg_CONFIG_PATH}")
  file(GLOB files "${from}/*.cmake")
  foreach(file IN LISTS files)
    file(READ "${file}" text)
    cmake_path(GET file FILENAME name)
    helper_same_in_debug("${name}" "${text}" "${debug_from}/${name}")
    helper_lift(text)
    file(WRITE "${to}/${name}" "${text}")
  endforeach()
  file(GLOB files "${debug_from}/*-debug.cmake")
  foreach(file IN LISTS files)
    file(READ "${file}" text)
    cmake_path(GET file FILENAME name)
    string(REGEX REPLACE [[\${_IMPORT_PREFIX}/(lib|bin)/]] [[${_IMPORT_PREFIX}/debug/\1/]] text "${text}")
    file(WRITE "${to}/${name}" "${text}")
  endforeach()
  foreach(dir IN ITEMS "${from}" "${debug_from}")
    file(REMOVE_RECURSE "${dir}")
    helper_remove_empty("${dir}" cmake)
  endforeach()
endfunction()

# Nothing is merged: what both configurations share must be the same in both.
function(helper_same_in_debug name text debug_file)
  if(name MATCHES "-release\\.cmake$")
    return()
  endif()
  file(READ "${debug_file}" debug_text)
  if(NOT debug_text STREQUAL text)
    layout_reject("${name} is not the same for debug and for release")
  endif()
endfunction()

# A file in share/brood/ has two folders above it.
function(helper_lift variable)
  set(up "get_filename_component(_IMPORT_PREFIX \"\${_IMPORT_PREFIX}\" PATH)\n")
  string(REGEX REPLACE "(get_filename_component\\(_IMPORT_PREFIX \"\\\${_IMPORT_PREFIX}\" PATH\\)\n)+" "${up}${up}" text "${${variable}}")
  string(REGEX REPLACE "(PACKAGE_PREFIX_DIR \"\\\${CMAKE_CURRENT_LIST_DIR})(/\\.\\.)+/?\"" "\\1/../..\"" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

# Removes the parent of a folder if it has this name and is empty.
function(helper_remove_empty dir name)
  cmake_path(GET dir PARENT_PATH parent)
  file(GLOB rest "${parent}/*")
  if(parent MATCHES "/${name}$" AND NOT rest)
    file(REMOVE_RECURSE "${parent}")
  endif()
endfunction()

function(vcpkg_fixup_pkgconfig)
  cmake_parse_arguments(PARSE_ARGV 0 arg "SKIP_CHECK" "" "RELEASE_FILES;DEBUG_FILES")
  helper_refuse_rest()
  file(GLOB_RECURSE files "${CURRENT_PACKAGES_DIR}/*.pc")
  foreach(file IN LISTS files)
    cmake_path(GET file PARENT_PATH dir)
    set(prefix "${CURRENT_PACKAGES_DIR}/debug")
    cmake_path(IS_PREFIX prefix "${file}" debug)
    if(NOT debug)
      set(prefix "${CURRENT_PACKAGES_DIR}")
    endif()
    file(RELATIVE_PATH up "${dir}" "${prefix}")
    string(REGEX REPLACE "/$" "" up "${up}")
    file(READ "${file}" text)
    string(REGEX REPLACE "prefix=[^\n]*" "prefix=\${pcfiledir}/${up}" text "${text}")
    if(debug) # the debug configuration has no headers of its own
      string(REPLACE [[${prefix}/include]] [[${prefix}/../include]] text "${text}")
    endif()
    if(VCPKG_LIBRARY_LINKAGE STREQUAL "static") # so that --static is not needed
      string(REGEX REPLACE "\nLibs: ([^\n]*)\nLibs.private: ([^\n]*)" "\nLibs: \\1 \\2" text "${text}")
    endif()
    file(WRITE "${file}" "${text}")
    helper_run(ignored "${CMAKE_COMMAND}" -E env "PKG_CONFIG_LIBDIR=${dir}" pkg-config --exists --print-errors brood)
  endforeach()
endfunction()

# Only MSVC makes such files beside a DLL.
function(vcpkg_copy_pdbs)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "BUILD_PATHS")
  helper_refuse_rest()
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "COMMENT" "FILE_LIST")
  helper_refuse_rest()
  set(text "${arg_COMMENT}")
  foreach(file IN LISTS arg_FILE_LIST)
    file(READ "${file}" more)
    string(APPEND text "${more}")
  endforeach()
  file(WRITE "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright" "${text}")
endfunction()
