# SPDX-License-Identifier: MIT
# Installation: headers, library, a CMake package and a pkg-config file, all relocatable.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set_target_properties(brood PROPERTIES
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/brood)
install(TARGETS brood EXPORT broodTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/brood DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT broodTargets NAMESPACE brood:: DESTINATION ${package_dir})

configure_package_config_file(cmake/broodConfig.cmake.in ${PROJECT_BINARY_DIR}/broodConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/broodConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/broodConfig.cmake ${PROJECT_BINARY_DIR}/broodConfigVersion.cmake
  DESTINATION ${package_dir})

# For pkg-config: the prefix is found from the file's own place.
file(RELATIVE_PATH BROOD_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" BROOD_PC_PREFIX "${BROOD_PC_PREFIX}")
if(WIN32)
  set(BROOD_PC_LIBS -ladvapi32)
else()
  set(BROOD_PC_LIBS -pthread)
endif()
set(BROOD_PC_CFLAGS "")
if(BUILD_SHARED_LIBS)
  set(BROOD_PC_CFLAGS -DBROOD_SHARED)
endif()
configure_file(cmake/brood.pc.in ${PROJECT_BINARY_DIR}/brood.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/brood.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
