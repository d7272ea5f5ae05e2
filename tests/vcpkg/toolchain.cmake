# SPDX-License-Identifier: MIT
# A stand-in for vcpkg's toolchain file, which loads that of the triplet, here and in what try_compile() makes.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES VCPKG_CHAINLOAD_TOOLCHAIN_FILE)
if(VCPKG_CHAINLOAD_TOOLCHAIN_FILE)
  include("${VCPKG_CHAINLOAD_TOOLCHAIN_FILE}")
endif()
