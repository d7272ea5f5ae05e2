# SPDX-License-Identifier: MIT
# Installation: headers, library, a CMake package and a pkg-config file, all relocatable. A static
# and a shared build can be installed into one prefix: each has files of its own, and the common
# files serve both. Then packages of what is installed.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(BUILD_SHARED_LIBS)
  set(linkage shared)
else()
  set(linkage static)
  if(MSVC) # brood.lib is the import library of the shared build
    set_target_properties(brood PROPERTIES PREFIX lib)
  endif()
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/brood)
install(TARGETS brood EXPORT brood-${linkage}-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/brood DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT brood-${linkage}-targets NAMESPACE brood:: DESTINATION ${package_dir})

configure_package_config_file(cmake/broodConfig.cmake.in ${PROJECT_BINARY_DIR}/broodConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/broodConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/broodConfig.cmake ${PROJECT_BINARY_DIR}/broodConfigVersion.cmake
  DESTINATION ${package_dir})
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# For pkg-config: the prefix is derived from the location of the file. If only the static library
# is installed, --static is not needed. Windows programs need no macro, because only functions are
# imported, so one file serves both linkages, except with MSVC, where the libraries have different
# names.
file(RELATIVE_PATH BROOD_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" BROOD_PC_PREFIX "${BROOD_PC_PREFIX}")
set(BROOD_PC_LIBRARY brood)
if(MSVC AND NOT BUILD_SHARED_LIBS)
  set(BROOD_PC_LIBRARY libbrood)
endif()
if(WIN32)
  set(BROOD_PC_PRIVATE -ladvapi32)
else()
  set(BROOD_PC_PRIVATE -pthread)
  if(CMAKE_DL_LIBS)
    string(APPEND BROOD_PC_PRIVATE " -l${CMAKE_DL_LIBS}")
  endif()
endif()
set(BROOD_PC_STATIC "")
if(NOT BUILD_SHARED_LIBS)
  set(BROOD_PC_STATIC " ${BROOD_PC_PRIVATE}")
endif()
configure_file(cmake/brood.pc.in ${PROJECT_BINARY_DIR}/brood.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/brood.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Packages: cpack -G TGZ, ZIP or DEB in the build directory.
if(PROJECT_IS_TOP_LEVEL)
  set(CPACK_GENERATOR TGZ ZIP)
  set(CPACK_PACKAGE_CONTACT "the brood authors")
  set(CPACK_PACKAGE_VENDOR "the brood authors")
  set(CPACK_PACKAGE_DESCRIPTION "What a C program needs to run its functions in processes and threads.")
  set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
  set(CPACK_STRIP_FILES OFF)
  set(CPACK_VERBATIM_VARIABLES ON)
  string(TOLOWER "brood-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}-${linkage}" CPACK_PACKAGE_FILE_NAME)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    list(APPEND CPACK_GENERATOR DEB)
    set(CPACK_DEBIAN_PACKAGE_NAME libbrood-dev)
    set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
    set(CPACK_DEBIAN_PACKAGE_DEPENDS libc6-dev)
    set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  endif()
  include(CPack)
endif()
