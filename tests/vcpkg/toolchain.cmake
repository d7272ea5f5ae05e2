# SPDX-License-Identifier: MIT
# A stand-in for vcpkg's toolchain file, which loads the triplet's, here and in projects of
# try_compile().
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES VCPKG_CHAINLOAD_TOOLCHAIN_FILE)
if(VCPKG_CHAINLOAD_TOOLCHAIN_FILE)
  include("${VCPKG_CHAINLOAD_TOOLCHAIN_FILE}")
endif()
