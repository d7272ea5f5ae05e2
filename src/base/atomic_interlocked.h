// SPDX-License-Identifier: MIT
// The parts of <stdatomic.h> that this project uses, for a cl.exe that has none: before Visual
// Studio 2022 17.5, and after it without /experimental:c11atomics. Included by atomic.h only.
//
// An atomic object is a volatile object of the same size. Loads and stores are plain accesses
// with the barriers that their order requires; each read-modify-write operation is an intrinsic
// and a full barrier, whatever its order. `_Atomic` is a qualifier here, so there is no
// _Atomic(type), and an operator such as ++ on such an object is not atomic: all accesses use the
// names below. The compiler rejects a type that is not in the list at the end.
#ifndef ATOMIC_INTERLOCKED_H
#define ATOMIC_INTERLOCKED_H

#include <intrin.h>
#include <stdbool.h>
#include <stdint.h>

#if !defined(_M_X64) && !defined(_M_ARM64)
#error "brood needs C11 atomics on this processor"
#endif

#define _Atomic volatile
#define ATOMIC_LLONG_LOCK_FREE 2

typedef enum memory_order {
    memory_order_relaxed,
    memory_order_consume,
    memory_order_acquire,
    memory_order_release,
    memory_order_acq_rel,
    memory_order_seq_cst
} memory_order;

typedef volatile bool atomic_bool;
typedef volatile int atomic_int;
typedef volatile unsigned atomic_uint;

// The compiler moves no memory access across this call. The intrinsic is deprecated in favour of
// the atomics of C++.
static inline void broodi_compiler_barrier(void)
{
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
    _ReadWriteBarrier();
#pragma clang diagnostic pop
#else
#pragma warning(suppress : 4996)
    _ReadWriteBarrier();
#endif
}

#if defined(_M_ARM64)
// Inner shareable domain: all processors that run threads of the system.
static inline void broodi_full_barrier(void)
{
    broodi_compiler_barrier();
    __dmb(_ARM64_BARRIER_ISH);
    broodi_compiler_barrier();
}

static inline void broodi_after_load(memory_order order)
{
    if (order != memory_order_relaxed)
        broodi_full_barrier();
}

static inline void broodi_before_store(memory_order order)
{
    if (order != memory_order_relaxed)
        broodi_full_barrier();
}

static inline void broodi_after_store(memory_order order)
{
    if (order == memory_order_seq_cst)
        broodi_full_barrier();
}

// Some compilers emit the intrinsic without the trailing barrier that keeps a later load from
// moving before it.
static inline void broodi_after_change(void)
{
    broodi_full_barrier();
}
#else
// This processor reorders only a load before an earlier store. An instruction with a lock prefix
// prevents that.
static inline void broodi_full_barrier(void)
{
    volatile long nothing = 0;
    broodi_compiler_barrier();
    (void)_InterlockedIncrement(&nothing);
    broodi_compiler_barrier();
}

static inline void broodi_after_load(memory_order order)
{
    (void)order;
    broodi_compiler_barrier();
}

static inline void broodi_before_store(memory_order order)
{
    (void)order;
    broodi_compiler_barrier();
}

static inline void broodi_after_store(memory_order order)
{
    if (order == memory_order_seq_cst)
        broodi_full_barrier();
}

// The intrinsic is an instruction with a lock prefix.
static inline void broodi_after_change(void)
{
}
#endif

static inline void atomic_thread_fence(memory_order order)
{
    if (order == memory_order_seq_cst)
        broodi_full_barrier();
    else if (order != memory_order_relaxed)
        broodi_after_load(order);
}

// clang-format off

// The operations of one type, made from the intrinsics for `word`, an integer of its size.
#define BROODI_ATOMIC_ACCESS(name, type, word, exchange_word, compare_word)                       \
    static inline type broodi_atomic_load_##name(const volatile type *object, memory_order order) \
    {                                                                                             \
        const type value = *object;                                                               \
        broodi_after_load(order);                                                                 \
        return value;                                                                             \
    }                                                                                             \
    static inline void broodi_atomic_store_##name(volatile type *object, type value,              \
                                                  memory_order order)                             \
    {                                                                                             \
        broodi_before_store(order);                                                               \
        *object = value;                                                                          \
        broodi_after_store(order);                                                                \
    }                                                                                             \
    static inline type broodi_atomic_exchange_##name(volatile type *object, type value)           \
    {                                                                                             \
        const type before = (type)exchange_word((volatile word *)object, (word)value);            \
        broodi_after_change();                                                                    \
        return before;                                                                            \
    }                                                                                             \
    static inline bool broodi_atomic_compare_##name(volatile type *object, type *expected,        \
                                                    type desired)                                 \
    {                                                                                             \
        const type wanted = *expected;                                                            \
        const type seen =                                                                         \
            (type)compare_word((volatile word *)object, (word)desired, (word)wanted);             \
        broodi_after_change();                                                                    \
        *expected = seen;                                                                         \
        return seen == wanted;                                                                    \
    }

#define BROODI_ATOMIC_NUMBER(name, type, word, add_word, or_word)                                 \
    static inline type broodi_atomic_add_##name(volatile type *object, type value)                \
    {                                                                                             \
        const type before = (type)add_word((volatile word *)object, (word)value);                 \
        broodi_after_change();                                                                    \
        return before;                                                                            \
    }                                                                                             \
    static inline type broodi_atomic_sub_##name(volatile type *object, type value)                \
    {                                                                                             \
        const type before =                                                                       \
            (type)add_word((volatile word *)object, (word)(0 - (unsigned long long)value));       \
        broodi_after_change();                                                                    \
        return before;                                                                            \
    }                                                                                             \
    static inline type broodi_atomic_or_##name(volatile type *object, type value)                 \
    {                                                                                             \
        const type before = (type)or_word((volatile word *)object, (word)value);                  \
        broodi_after_change();                                                                    \
        return before;                                                                            \
    }

#define BROODI_ATOMIC_NARROW(name, type)                                                          \
    BROODI_ATOMIC_ACCESS(name, type, long, _InterlockedExchange, _InterlockedCompareExchange)     \
    BROODI_ATOMIC_NUMBER(name, type, long, _InterlockedExchangeAdd, _InterlockedOr)

#define BROODI_ATOMIC_WIDE(name, type)                                                            \
    BROODI_ATOMIC_ACCESS(name, type, long long, _InterlockedExchange64,                           \
                         _InterlockedCompareExchange64)                                           \
    BROODI_ATOMIC_NUMBER(name, type, long long, _InterlockedExchangeAdd64, _InterlockedOr64)

BROODI_ATOMIC_ACCESS(bool, bool, char, _InterlockedExchange8, _InterlockedCompareExchange8)
BROODI_ATOMIC_NARROW(int, int)
BROODI_ATOMIC_NARROW(unsigned, unsigned)
BROODI_ATOMIC_NARROW(long, long)
BROODI_ATOMIC_NARROW(ulong, unsigned long)
BROODI_ATOMIC_WIDE(llong, long long)
BROODI_ATOMIC_WIDE(ullong, unsigned long long)

// Selects the function of an operation by the type of the object. "+ 0" drops the qualifiers of
// the pointer itself.
#define BROODI_ATOMIC_ROW(type, function) volatile type *: function, const volatile type *: function
#define BROODI_ATOMIC_NUMBERS(operation)                                                          \
    BROODI_ATOMIC_ROW(int, broodi_atomic_##operation##_int),                                      \
    BROODI_ATOMIC_ROW(unsigned, broodi_atomic_##operation##_unsigned),                            \
    BROODI_ATOMIC_ROW(long, broodi_atomic_##operation##_long),                                    \
    BROODI_ATOMIC_ROW(unsigned long, broodi_atomic_##operation##_ulong),                          \
    BROODI_ATOMIC_ROW(long long, broodi_atomic_##operation##_llong),                              \
    BROODI_ATOMIC_ROW(unsigned long long, broodi_atomic_##operation##_ullong)
#define BROODI_ATOMIC_NUMBER_OF(object, operation)                                                \
    _Generic((object) + 0, BROODI_ATOMIC_NUMBERS(operation))
#define BROODI_ATOMIC_ANY_OF(object, operation)                                                   \
    _Generic((object) + 0,                                                                        \
             BROODI_ATOMIC_ROW(bool, broodi_atomic_##operation##_bool),                           \
             BROODI_ATOMIC_NUMBERS(operation))

#define atomic_init(object, value) (*(object) = (value))
#define atomic_load_explicit(object, order) BROODI_ATOMIC_ANY_OF(object, load)(object, order)
#define atomic_store_explicit(object, value, order)                                               \
    BROODI_ATOMIC_ANY_OF(object, store)(object, value, order)
#define atomic_load(object) atomic_load_explicit(object, memory_order_seq_cst)
#define atomic_store(object, value) atomic_store_explicit(object, value, memory_order_seq_cst)

#define atomic_exchange(object, value) BROODI_ATOMIC_ANY_OF(object, exchange)(object, value)
#define atomic_compare_exchange_strong(object, expected, desired)                                 \
    BROODI_ATOMIC_ANY_OF(object, compare)(object, expected, desired)
#define atomic_compare_exchange_weak(object, expected, desired)                                   \
    atomic_compare_exchange_strong(object, expected, desired)
#define atomic_fetch_add(object, value) BROODI_ATOMIC_NUMBER_OF(object, add)(object, value)
#define atomic_fetch_sub(object, value) BROODI_ATOMIC_NUMBER_OF(object, sub)(object, value)
#define atomic_fetch_or(object, value) BROODI_ATOMIC_NUMBER_OF(object, or)(object, value)

#define atomic_exchange_explicit(object, value, order)                                            \
    ((void)(order), atomic_exchange(object, value))
#define atomic_fetch_add_explicit(object, value, order)                                           \
    ((void)(order), atomic_fetch_add(object, value))
#define atomic_fetch_sub_explicit(object, value, order)                                           \
    ((void)(order), atomic_fetch_sub(object, value))
#define atomic_fetch_or_explicit(object, value, order)                                            \
    ((void)(order), atomic_fetch_or(object, value))
#define atomic_compare_exchange_strong_explicit(object, expected, desired, success, failure)      \
    ((void)(success), (void)(failure), atomic_compare_exchange_strong(object, expected, desired))
#define atomic_compare_exchange_weak_explicit(object, expected, desired, success, failure)        \
    ((void)(success), (void)(failure), atomic_compare_exchange_strong(object, expected, desired))

// clang-format on

#endif
