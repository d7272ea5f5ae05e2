# SPDX-License-Identifier: MIT
# Checks a package that vcpkg has made: cmake -DTRIPLET=... -DPACKAGE=... -DWORK=<where it was
# made> -P inspect.cmake
cmake_minimum_required(VERSION 3.23)
get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
include("${CMAKE_CURRENT_LIST_DIR}/layout.cmake")
layout_package("${PACKAGE}" "${TRIPLET}" "${WORK}" "${root}/include" "${root}/src")
layout_verdict()
