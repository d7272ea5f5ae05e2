// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief How the names of brood cross a library boundary. The one header that looks at the compiler.
 *
 * A program that links the shared library on Windows defines `BROOD_SHARED`; the CMake target and the
 * pkg-config file do it by themselves.
 */
#ifndef BROOD_EXPORT_H
#define BROOD_EXPORT_H

#if defined(BROOD_SHARED) && defined(_WIN32)
#if defined(BROOD_BUILDING)
#define BROOD_API __declspec(dllexport)
#else
#define BROOD_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define BROOD_API __attribute__((visibility("default")))
#else
#define BROOD_API
#endif

/** The caller must look at what this call returns. */
#if defined(__GNUC__)
#define BROOD_NODISCARD __attribute__((warn_unused_result))
#elif defined(_MSC_VER)
#define BROOD_NODISCARD _Check_return_
#else
#define BROOD_NODISCARD
#endif

#ifdef __cplusplus
#define BROOD_BEGIN_DECLS extern "C" {
#define BROOD_END_DECLS }
#else
#define BROOD_BEGIN_DECLS
#define BROOD_END_DECLS
#endif

#endif
