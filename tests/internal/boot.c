// SPDX-License-Identifier: MIT
// The boot record: intact, damaged, truncated and forged.
#include "../encoded.h"
#include "../meeting.h"

#include "base/fail.h"
#include "process/boot.h"

#include <string.h>

static const uint64_t token = UINT64_C(0x1122334455667788);

static struct broodi_target *target;
static struct broodi_target *handler; // of the log, in every second record
static const char argument[] = "forty bytes of an argument, more or less";

static struct broodi_boot sample(size_t arg_size)
{
    const struct broodi_boot boot = {
        .token = token,
        .family = { 11, 22 },
        .window = UINT64_C(1) << 34,
        .process = 7,
        .live = 99,
        .daemon = 1,
        .method = BROOD_START_FORK,
        .parent_pid = 4711,
        .parent_birth = UINT64_C(99999999999),
        .name = "Process-1:2",
        .identity = "1:2",
        .target = target,
        .log = arg_size % 2 ? handler : NULL,
        .log_level = 30,
        .arg = arg_size ? argument : NULL,
        .arg_size = arg_size,
    };
    return boot;
}

static unsigned char *encoded(size_t arg_size, size_t *out_size)
{
    const struct broodi_boot boot = sample(arg_size);
    unsigned char *record = broodi_boot_encode(&boot, out_size);
    assert_non_null(record);
    return record;
}

static void what_was_encoded_is_decoded(void **state)
{
    (void)state;
    for (size_t arg_size = 0; arg_size <= sizeof argument; arg_size++) {
        size_t size = 0;
        struct broodi_boot boot;
        unsigned char *record = encoded(arg_size, &size);
        assert_status(broodi_boot_decode(record, size, token, &boot), BROOD_OK);
        const struct broodi_boot wanted = sample(arg_size);
        assert_true(boot.token == wanted.token);
        assert_memory_equal(boot.family, wanted.family, sizeof boot.family);
        assert_true(boot.window == wanted.window);
        assert_int_equal(boot.process, wanted.process);
        assert_true(boot.live == wanted.live);
        assert_int_equal(boot.daemon, wanted.daemon);
        assert_int_equal(boot.method, wanted.method);
        assert_true(boot.parent_pid == wanted.parent_pid);
        assert_true(boot.parent_birth == wanted.parent_birth);
        assert_string_equal(boot.name, wanted.name);
        assert_string_equal(boot.identity, wanted.identity);
        assert_true(boot.target->size == wanted.target->size);
        assert_memory_equal(boot.target, wanted.target, (size_t)wanted.target->size);
        assert_int_equal(boot.log_level, 30);
        assert_int_equal(boot.log != NULL, arg_size % 2);
        if (boot.log)
            assert_memory_equal(boot.log, handler, (size_t)handler->size);
        assert_true(boot.arg_size == arg_size);
        if (arg_size > 0) {
            assert_memory_equal(boot.arg, argument, arg_size);
            assert_int_equal(((const unsigned char *)boot.arg - record) % 64, 0);
        } else {
            assert_null(boot.arg);
        }
        free(record);
    }
}

static void texts_may_be_empty_or_long(void **state)
{
    (void)state;
    enum { LONG = 100000 };
    char *text = malloc(LONG + 1);
    assert_non_null(text);
    memset(text, 'x', LONG);
    for (size_t length = 0; length <= LONG; length += LONG / 4) {
        struct broodi_boot boot = sample(3);
        struct broodi_boot out;
        size_t size = 0;
        text[length] = 0;
        struct broodi_target *named = encoded_by_hand(text);
        boot.name = boot.identity = text;
        boot.target = named;
        unsigned char *record = broodi_boot_encode(&boot, &size);
        assert_non_null(record);
        assert_status(broodi_boot_decode(record, size, token, &out), BROOD_OK);
        assert_string_equal(out.name, text);
        assert_string_equal(out.identity, text);
        assert_string_equal(out.target->path, text);
        assert_memory_equal(out.arg, argument, 3);
        free(record);
        free(named);
        text[length] = 'x';
    }
    free(text);
}

// A size beyond any memory is refused before anything is copied.
static void an_absurd_size_is_out_of_memory(void **state)
{
    (void)state;
    const uint64_t absurd[] = { UINT64_MAX, UINT64_MAX - 100, (uint64_t)INT64_MAX };
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
        struct broodi_boot boot = sample(1);
        size_t size = 0;
        boot.arg_size = absurd[i];
        assert_null(broodi_boot_encode(&boot, &size));
    }
}

static void assert_refused(const unsigned char *record, size_t size, const char *what, size_t where)
{
    struct broodi_boot boot;
    // In an allocation of its own, so that the sanitizer reports a read past its end.
    unsigned char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, record, size);
    const brood_status status =
        broodi_answer("decode", broodi_boot_decode(copy, size, token, &boot));
    if (status != BROOD_INVALID && status != BROOD_MISMATCH)
        fail_msg("%s at %u: %s", what, (unsigned)where, brood_status_name(status));
    assert_true(strlen(brood_last_error()) > strlen("decode: a bad argument"));
    free(copy);
}

static void every_damaged_byte_is_noticed(void **state)
{
    (void)state;
    static const unsigned char changes[] = { 0x01, 0x80, 0xff };
    size_t size = 0;
    unsigned char *record = encoded(sizeof argument, &size);
    for (size_t at = 0; at < size; at++)
        for (size_t i = 0; i < sizeof changes; i++) {
            record[at] ^= changes[i];
            assert_refused(record, size, "a changed byte", at);
            record[at] ^= changes[i];
        }
    free(record);
}

static void two_damaged_words_are_noticed(void **state)
{
    (void)state;
    size_t size = 0;
    unsigned char *record = encoded(sizeof argument, &size);
    for (size_t at = 0; at + 16 <= size; at++) {
        unsigned char swapped[8];
        if (memcmp(record + at, record + at + 8, 8) == 0)
            continue;
        memcpy(swapped, record + at, 8);
        memmove(record + at, record + at + 8, 8);
        memcpy(record + at + 8, swapped, 8);
        assert_refused(record, size, "two exchanged words", at);
        memcpy(swapped, record + at, 8);
        memmove(record + at, record + at + 8, 8);
        memcpy(record + at + 8, swapped, 8);
    }
    free(record);
}

static void every_truncation_is_noticed(void **state)
{
    (void)state;
    size_t size = 0;
    unsigned char *record = encoded(sizeof argument, &size);
    for (size_t length = 0; length < size; length++)
        assert_refused(record, length, "a truncation", length);
    unsigned char *longer = calloc(1, size + 64);
    assert_non_null(longer);
    memcpy(longer, record, size);
    for (size_t more = 1; more <= 64; more++)
        assert_refused(longer, size + more, "trailing bytes", more);
    free(longer);
    free(record);
}

static void noise_is_no_record(void **state)
{
    (void)state;
    uint32_t seed = 1;
    size_t size = 0;
    unsigned char *record = encoded(0, &size);
    for (int i = 0; i < 2000; i++) {
        unsigned char noise[1024];
        for (size_t at = 0; at < sizeof noise; at++) {
            seed = seed * 1664525 + 1013904223;
            noise[at] = (unsigned char)(seed >> 24);
        }
        const size_t kept = (size_t)i % 64; // bytes of the real record
        memcpy(noise, record, kept);
        assert_refused(noise, sizeof noise - (size_t)i % 900, "noise", (size_t)i);
    }
    free(record);
}

static void a_record_is_for_one_child(void **state)
{
    (void)state;
    size_t size = 0;
    struct broodi_boot boot;
    unsigned char *record = encoded(5, &size);
    assert_status(broodi_boot_decode(record, size, token + 1, &boot), BROOD_INVALID);
    assert_status(broodi_boot_decode(record, size, 0, &boot), BROOD_INVALID);
    assert_status(broodi_boot_decode(record, size, token, &boot), BROOD_OK);
    free(record);
}

// The words after the eight bytes of magic: the version of the layout and that of the library.
static void another_version_is_a_mismatch(void **state)
{
    (void)state;
    size_t size = 0;
    struct broodi_boot boot;
    unsigned char *record = encoded(5, &size);
    for (size_t at = 8; at < 16; at += 4) {
        uint32_t version;
        memcpy(&version, record + at, sizeof version);
        for (uint32_t other = 0; other < 4; other++) {
            const uint32_t changed = version + 1 + other * 1000;
            memcpy(record + at, &changed, sizeof changed);
            assert_status(broodi_boot_decode(record, size, token, &boot), BROOD_MISMATCH);
        }
        memcpy(record + at, &version, sizeof version);
    }
    assert_status(broodi_boot_decode(record, size, token, &boot), BROOD_OK);
    free(record);
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_is_decoded),
        cmocka_unit_test(texts_may_be_empty_or_long),
        cmocka_unit_test(an_absurd_size_is_out_of_memory),
        cmocka_unit_test(every_damaged_byte_is_noticed),
        cmocka_unit_test(two_damaged_words_are_noticed),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(noise_is_no_record),
        cmocka_unit_test(a_record_is_for_one_child),
        cmocka_unit_test(another_version_is_a_mismatch),
    };
    target = encoded_by_hand("/some/where/library.so");
    handler = encoded_by_hand("/some/where/else.so");
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(target);
    free(handler);
    return failed;
}
