// SPDX-License-Identifier: MIT
/**
 * @file
 * @brief How the functions of brood are exported from a library and imported from it. The only
 * header that depends on the compiler.
 *
 * A program needs no macro, whether it links the static library or the shared one: all that brood
 * exports are functions. With `BROOD_SHARED` defined, as the CMake target does for the shared
 * library, calls into a Windows DLL are direct instead of through a jump.
 */
#ifndef BROOD_EXPORT_H
#define BROOD_EXPORT_H

#if !defined(BROOD_SHARED)
#define BROOD_API
#elif defined(_WIN32)
#if defined(BROOD_BUILDING)
#define BROOD_API __declspec(dllexport)
#else
#define BROOD_API __declspec(dllimport)
#endif
#elif defined(BROOD_BUILDING) && defined(__GNUC__)
#define BROOD_API __attribute__((visibility("default")))
#else
#define BROOD_API
#endif

/** The caller must use what this call returns. */
#if defined(__GNUC__) || defined(__clang__)
#define BROOD_NODISCARD __attribute__((warn_unused_result))
#elif defined(_MSC_VER)
#include <stddef.h> // defines _Check_return_
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
