// SPDX-License-Identifier: MIT
// Letters that are none, absurd, truncated or never completed: the child's side of the channel
// returns a status and keeps nothing.
#include "../meeting.h"

#include "posix/channel.h"

#include <sys/socket.h>
#include <unistd.h>

struct row {
    struct channel_letter letter;
    size_t sent;         // bytes of the letter
    size_t behind;       // and zeros after it
    brood_status status; // what the receiver returns
    bool is_letter;
};

#define WHOLE sizeof(struct channel_letter)

static const struct row cut[] = {
    { .sent = 0, .status = BROOD_SYSTEM },
    { .letter = { .magic = CHANNEL_MAGIC, .size = 1 }, .sent = 1, .status = BROOD_SYSTEM },
    { .letter = { .magic = CHANNEL_MAGIC, .size = 1 }, .sent = WHOLE - 1, .status = BROOD_SYSTEM },
    { .letter = { .magic = CHANNEL_MAGIC, .size = 9 },
      .sent = WHOLE,
      .status = BROOD_SYSTEM,
      .is_letter = true },
    { .letter = { .magic = CHANNEL_MAGIC, .size = 9 },
      .sent = WHOLE,
      .behind = 8,
      .status = BROOD_SYSTEM,
      .is_letter = true },
    { .letter = { .magic = CHANNEL_MAGIC, .size = 1 << 20 },
      .sent = WHOLE,
      .behind = 4000,
      .status = BROOD_SYSTEM,
      .is_letter = true },
    { .letter = { .magic = CHANNEL_MAGIC, .size = 9, .resources = 1 << 20 },
      .sent = WHOLE,
      .behind = 3,
      .status = BROOD_SYSTEM,
      .is_letter = true },
};

static const struct row absurd[] = {
    { .letter = { .size = 1 }, .sent = WHOLE, .status = BROOD_INVALID },
    { .letter = { .magic = CHANNEL_MAGIC + 1, .size = 1 }, .sent = WHOLE, .status = BROOD_INVALID },
    { .letter = { .magic = CHANNEL_MAGIC },
      .sent = WHOLE,
      .status = BROOD_INVALID,
      .is_letter = true },
    { .letter = { .magic = CHANNEL_MAGIC, .size = UINT64_MAX },
      .sent = WHOLE,
      .status = BROOD_INVALID,
      .is_letter = true },
    { .letter = { .magic = CHANNEL_MAGIC, .size = UINT64_C(1) << 63 },
      .sent = WHOLE,
      .status = BROOD_INVALID,
      .is_letter = true },
    { .letter = { .magic = CHANNEL_MAGIC, .size = UINT64_C(1) << 61 },
      .sent = WHOLE,
      .status = SIZE_MAX > UINT32_MAX ? BROOD_NO_MEMORY : BROOD_INVALID,
      .is_letter = true },
    { .letter = { .magic = CHANNEL_MAGIC, .size = 1, .resources = (1 << 20) + 1 },
      .sent = WHOLE,
      .status = BROOD_INVALID,
      .is_letter = true },
    { .letter = { .magic = CHANNEL_MAGIC, .size = 1, .resources = UINT64_MAX },
      .sent = WHOLE,
      .status = BROOD_INVALID,
      .is_letter = true },
};

// The sender stays, or closes its end after the last byte.
static void expect(const struct row *row, size_t number, bool stays)
{
    int ends[2];
    static const char zeros[4096];
    bool is_letter = !row->is_letter;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(send(ends[0], &row->letter, row->sent, 0), row->sent);
    assert_int_equal(send(ends[0], zeros, row->behind, 0), row->behind);
    if (!stays)
        close(ends[0]);
    brood_os_boot boot = { .channel = ends[1] };
    const brood_status status = broodi_channel_receive_letter(&boot, &is_letter);
    if (status != row->status || is_letter != row->is_letter)
        fail_msg("row %d: %s, %d", (int)number, brood_status_name(status), is_letter);
    assert_null(boot.record);
    assert_null(boot.resources);
    close(ends[1]);
    if (stays)
        close(ends[0]);
}

static void a_truncated_letter_is_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++)
        expect(&cut[i], i, false);
}

static void an_absurd_letter_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++)
        expect(&absurd[i], i, true);
}

static void a_wait_for_a_silent_sender_ends_with_the_patience(void **state)
{
    (void)state;
    const int usual = broodi_channel_patience;
    broodi_channel_patience = 50;
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        const int64_t before = brood_clock();
        expect(&cut[i], i, true);
        assert_true(brood_clock() - before >= BROOD_MILLISECONDS(50));
        assert_true(brood_clock() - before < BROOD_SECONDS(30)); // half of the usual patience
    }
    broodi_channel_patience = usual;
}

int main(void)
{
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_truncated_letter_is_reported),
        cmocka_unit_test(an_absurd_letter_is_refused),
        cmocka_unit_test(a_wait_for_a_silent_sender_ends_with_the_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
