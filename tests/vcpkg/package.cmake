# SPDX-License-Identifier: MIT
# Builds one port for one triplet as vcpkg would, and checks the result:
#   cmake -DTRIPLET=... -DFILES=<folder of portfile.cmake and vcpkg.json> -DWORK=<folder>
#     -P package.cmake
# The rest of the port, and brood itself, are those of this repository. What is already built in
# WORK is not built again.
cmake_minimum_required(VERSION 3.23)
set(helper_dir "${CMAKE_CURRENT_LIST_DIR}")
get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

# Variables that vcpkg sets for a portfile.
set(PORT brood)
set(TARGET_TRIPLET "${TRIPLET}")
set(CURRENT_PORT_DIR "${root}/ports/brood")
set(CURRENT_BUILDTREES_DIR "${WORK}/buildtrees")
set(CURRENT_PACKAGES_DIR "${WORK}/package")
set(VCPKG_LIBRARY_LINKAGE static)
set(VCPKG_CMAKE_SYSTEM_NAME Linux)
set(VCPKG_CHAINLOAD_TOOLCHAIN_FILE "")
if(TRIPLET MATCHES "-dynamic$")
  set(VCPKG_LIBRARY_LINKAGE dynamic)
endif()
if(TRIPLET MATCHES "-mingw-")
  set(VCPKG_CMAKE_SYSTEM_NAME MinGW)
  set(VCPKG_CHAINLOAD_TOOLCHAIN_FILE "${root}/cmake/toolchains/mingw-w64.cmake")
endif()

set(MANIFEST "${FILES}/vcpkg.json")
set(helper_configs debug release)
set(helper_trees "${CURRENT_BUILDTREES_DIR}/${TRIPLET}-dbg" "${CURRENT_BUILDTREES_DIR}/${TRIPLET}-rel")
include("${helper_dir}/functions.cmake")
include("${helper_dir}/layout.cmake")

layout_portfile("${FILES}/portfile.cmake")
layout_verdict()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}")
include("${FILES}/portfile.cmake")
layout_package("${CURRENT_PACKAGES_DIR}" "${TRIPLET}" "${WORK}" "${root}/include" "${root}/src")
layout_verdict()
