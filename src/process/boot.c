// SPDX-License-Identifier: MIT
// The layout of a boot record: a fixed head, the target, the log's handler if there is one, two
// strings with their terminating zeros, and the argument at a multiple of ALIGNMENT. Parent and
// child run the same image, so numbers keep their native byte order and layout; the head is what a
// decoder checks that by.
#include "process/boot.h"

#include "base/fail.h"
#include "base/fault.h"

#include <brood/brood.h>
#include <string.h>

#define MAGIC UINT64_C(0x746f6f62646f7262) // "brodboot"

enum { VERSION = 2, ALIGNMENT = 64 };

struct head {
    _Alignas(8) uint64_t magic;
    uint32_t version;
    uint32_t library; // BROOD_VERSION_NUMBER
    uint64_t head_size;
    uint64_t size;             // bytes of the whole record
    uint64_t checksum;         // of the whole record, with this field zero
    struct broodi_boot fields; // with NULL for the pointers
    uint64_t target_at;        // offsets from the start of the record
    uint64_t log_at;           // 0: none
    uint64_t name_at;
    uint64_t identity_at;
    uint64_t arg_at;
};

_Static_assert(sizeof(struct head) % sizeof(uint64_t) == 0, "the head has a whole number of words");

// FNV-1a over 64-bit words, continued from `sum`; fewer than eight bytes at the end are padded with
// zeros. It detects damage, and is no protection against forgery.
static uint64_t checksum(uint64_t sum, const unsigned char *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        const size_t left = size - at;
        memcpy(&word, bytes + at, left < sizeof word ? left : sizeof word);
        sum = (sum ^ word) * UINT64_C(0x100000001b3);
    }
    return sum;
}

// The checksum of the whole record, with the field `checksum` taken as zero.
static uint64_t checksum_of(const unsigned char *record, size_t size)
{
    struct head head;
    memcpy(&head, record, sizeof head);
    head.checksum = 0;
    const uint64_t sum =
        checksum(UINT64_C(0xcbf29ce484222325), (const unsigned char *)&head, sizeof head);
    return checksum(sum, record + sizeof head, size - sizeof head);
}

void broodi_boot_seal(unsigned char *record, size_t size)
{
    struct head head;
    if (size < sizeof head)
        return;
    memcpy(&head, record, sizeof head);
    head.size = size;
    memcpy(record, &head, sizeof head);
    head.checksum = checksum_of(record, size);
    memcpy(record, &head, sizeof head);
}

// Each target begins at a multiple of eight.
static uint64_t round_up(uint64_t size, uint64_t unit)
{
    return (size + unit - 1) / unit * unit;
}

// Stores where everything but the head begins, and the size of the record.
static void lay_out(const struct broodi_boot *boot, struct head *head)
{
    head->head_size = sizeof *head;
    head->target_at = sizeof *head;
    const uint64_t target_end = head->target_at + boot->target->size;
    head->log_at = boot->log ? round_up(target_end, sizeof(uint64_t)) : 0;
    head->name_at = boot->log ? head->log_at + boot->log->size : target_end;
    head->identity_at = head->name_at + strlen(boot->name) + 1;
    head->arg_at = round_up(head->identity_at + strlen(boot->identity) + 1, ALIGNMENT);
    head->size = head->arg_at + boot->arg_size;
}

static void copy(unsigned char *record, const struct broodi_boot *boot, const struct head *head)
{
    memset(record, 0, (size_t)head->arg_at);
    memcpy(record, head, sizeof *head);
    memcpy(record + head->target_at, boot->target, (size_t)boot->target->size);
    if (boot->log)
        memcpy(record + head->log_at, boot->log, (size_t)boot->log->size);
    memcpy(record + head->name_at, boot->name, strlen(boot->name));
    memcpy(record + head->identity_at, boot->identity, strlen(boot->identity));
    if (boot->arg_size > 0)
        memcpy(record + head->arg_at, boot->arg, (size_t)boot->arg_size);
}

unsigned char *broodi_boot_encode(const struct broodi_boot *boot, size_t *out_size)
{
    struct head head = {
        .magic = MAGIC, .version = VERSION, .library = BROOD_VERSION_NUMBER, .fields = *boot
    };
    lay_out(boot, &head);
    if (head.size > PTRDIFF_MAX || head.size < boot->arg_size)
        return NULL;
    unsigned char *record = broodi_alloc((size_t)head.size);
    if (!record)
        return NULL;
    head.fields.name = NULL;
    head.fields.identity = NULL;
    head.fields.target = NULL;
    head.fields.log = NULL;
    head.fields.arg = NULL;
    copy(record, boot, &head);
    broodi_boot_seal(record, (size_t)head.size);
    *out_size = (size_t)head.size;
    return record;
}

// Returns the string at the offset `at` if it lies within the record with its terminating zero,
// else NULL. A loop of its own, because memchr costs every child a page fault and the strings are
// short.
static const char *text_at(const unsigned char *record, const struct head *head, uint64_t at)
{
    if (at < sizeof *head)
        return NULL;
    for (uint64_t end = at; end < head->size; end++)
        if (record[end] == 0)
            return (const char *)record + at;
    return NULL;
}

// Returns the target at the offset `at` if it lies within the record, else NULL.
static const struct broodi_target *target_at(const unsigned char *record, const struct head *head,
                                             uint64_t at)
{
    if (at < sizeof *head || at > head->size || at % sizeof(uint64_t) != 0)
        return NULL;
    const void *target = record + at;
    return broodi_target_is_whole(target, head->size - at) ? target : NULL;
}

brood_status broodi_boot_decode(const unsigned char *record, size_t size, uint64_t token,
                                struct broodi_boot *out)
{
    struct head head;
    if (size < sizeof head)
        return broodi_fail(BROOD_INVALID, "truncated boot record: %zu bytes", size);
    memcpy(&head, record, sizeof head);
    if (head.magic != MAGIC)
        return broodi_fail(BROOD_INVALID, "not a boot record: wrong magic number");
    if (head.version != VERSION || head.head_size != sizeof head ||
        head.library != BROOD_VERSION_NUMBER)
        return broodi_fail(BROOD_MISMATCH,
                           "the parent uses version %u of the library, the child %u",
                           (unsigned)head.library, (unsigned)BROOD_VERSION_NUMBER);
    if (head.size != size || checksum_of(record, size) != head.checksum)
        return broodi_fail(BROOD_INVALID, "the boot record is damaged");
    if (head.fields.token != token)
        return broodi_fail(BROOD_INVALID, "the boot record is for another child");
    *out = head.fields;
    out->target = target_at(record, &head, head.target_at);
    out->log = target_at(record, &head, head.log_at);
    out->name = text_at(record, &head, head.name_at);
    out->identity = text_at(record, &head, head.identity_at);
    if (!out->target || (head.log_at != 0 && !out->log) || !out->name || !out->identity ||
        head.arg_at < sizeof head || head.arg_at % ALIGNMENT != 0 || head.arg_at > size ||
        out->arg_size != size - head.arg_at)
        return broodi_fail(BROOD_INVALID, "the boot record is damaged");
    out->arg = out->arg_size ? record + head.arg_at : NULL;
    return BROOD_OK;
}
