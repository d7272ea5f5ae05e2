// SPDX-License-Identifier: MIT
#include "arena/log.h"

#include "arena/here.h"
#include "arena/kinds.h"
#include "arena/race.h"
#include "arena/self.h"
#include "base/compiler.h"
#include "base/invariant.h"
#include "os/os_boot.h"
#include "os/os_guard.h"
#include "os/os_stdio.h"
#include "os/os_thread.h"

#include <brood/registry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sink {
    brood_log_handler handler; // NULL: none
    brood_log_level level;
    void *user;
};

_Atomic int broodi_log_threshold = BROOD_LOG_OFF;

static struct sink sink = { .level = BROOD_LOG_OFF }; // guarded by the guard
static broodi_log_name_of name_of;

// The calling thread is inside the handler, or was started there.
static BROODI_THREAD_LOCAL bool inside;

// The handler

static void set_sink(struct sink set)
{
    if (!set.handler || set.level > BROOD_LOG_OFF)
        set.level = BROOD_LOG_OFF;
    brood_os_guard_lock();
    sink = set;
    atomic_store_explicit(&broodi_log_threshold, (int)set.level, memory_order_relaxed);
    brood_os_guard_unlock();
}

static struct sink load_sink(void)
{
    brood_os_guard_lock();
    const struct sink now = sink;
    brood_os_guard_unlock();
    return now;
}

void brood_log_set_handler(brood_log_handler handler, brood_log_level level, void *user)
{
    set_sink((struct sink){ .handler = handler, .level = level, .user = user });
}

brood_log_handler broodi_log_handler_now(brood_log_level *out_level)
{
    const struct sink now = load_sink();
    *out_level = inside ? BROOD_LOG_OFF : now.level;
    return inside ? NULL : now.handler;
}

void broodi_log_inherit(brood_log_handler handler, brood_log_level level)
{
    inside = false; // the parent's handler may have started a child by fork, which is this one
    brood_log_set_handler(handler, level, NULL);
}

bool broodi_log_is_silent(void)
{
    return inside;
}

void broodi_log_silence(void)
{
    inside = true;
}

void broodi_log_prepare(broodi_log_name_of passed)
{
    name_of = passed;
    broodi_race_ignore(&broodi_log_threshold, sizeof broodi_log_threshold);
}

// Lines

// The handler sees the state before the line, and the thread the state before the handler.
static void pass(const struct sink *to, brood_log_level level, const char *text)
{
    struct broodi_failure failure;
    const int error = errno;
    broodi_failure_save(&failure);
    const int before = brood_os_thread_protect();
    inside = true;
    to->handler(level, broodi_here.name, text, to->user);
    inside = false;
    brood_os_thread_unprotect(before);
    broodi_failure_restore(&failure);
    errno = error;
}

void brood_log(brood_log_level level, const char *text)
{
    if (!broodi_log_wants(level) || level >= BROOD_LOG_OFF || inside || !text)
        return;
    broodi_assert(!brood_os_guard_is_held());
    const struct sink to = load_sink();
    if (to.handler && level >= to.level)
        pass(&to, level, text);
}

// The names in a line may hold any byte: a control character, which could end the line or control a
// terminal, becomes a question mark.
static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

void broodi_log_line(brood_log_level level, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (!broodi_log_wants(level))
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    clean(text);
    brood_log(level, text);
}

static void describe_object(const char *what, uint64_t id, char *text, size_t size)
{
    char name[BROOD_REGISTRY_NAME_MAX + 2];
    const uint32_t kind = broodi_handle_unpack(id).kind;
    const bool is_named = name_of && name_of(id, name);
    (void)snprintf(text, size, "%s%s %016" PRIx64 "%s%s%s", what, broodi_kinds[kind].name, id,
                   is_named ? " \"" : "", is_named ? name : "", is_named ? "\"" : "");
}

static void describe(enum broodi_waits kind, uint64_t number, char *text, size_t size)
{
    static const char *const words[] = {
        [BROODI_WAITS_NOT] = "",
        [BROODI_WAITS_OBJECT] = "for ",
        [BROODI_WAITS_PROCESS] = "for the end of process ",
        [BROODI_WAITS_THREAD] = "for the end of thread ",
        [BROODI_WAITS_PARENT] = "for the end of its parent",
        [BROODI_WAITS_STOP] = "to be asked to stop",
        [BROODI_WAITS_ONCE] = "for a brood_once of its process",
        [BROODI_WAITS_ANY] = "for any of ",
        [BROODI_WAITS_ITEM] = "for a message of ",
        [BROODI_WAITS_ROOM] = "for room in ",
    };
    const char *what = (size_t)kind < sizeof words / sizeof words[0] ? words[kind] : "";
    if (kind == BROODI_WAITS_OBJECT || kind == BROODI_WAITS_ITEM || kind == BROODI_WAITS_ROOM)
        describe_object(what, number, text, size);
    else if (number || kind == BROODI_WAITS_ANY)
        (void)snprintf(text, size, "%s%" PRIu64, what, number);
    else
        (void)snprintf(text, size, "%s", what);
}

void broodi_log_wait(enum broodi_waits kind, uint64_t number)
{
    char what[BROOD_REGISTRY_NAME_MAX + 64];
    struct broodi_self *self = broodi_self_known();
    if (!self || inside || !broodi_log_wants(BROOD_LOG_DEBUG))
        return;
    describe(kind, number, what, sizeof what);
    self->reports_wait = true;
    broodi_log_line(BROOD_LOG_DEBUG, "thread %" PRIu64 "%s%s%s has waited for a second %s",
                    self->id, self->name[0] ? " \"" : "", self->name, self->name[0] ? "\"" : "",
                    what);
    self->reports_wait = false;
}

// A ready handler, and the environment

static const struct {
    const char *name;
    brood_log_level level;
} levels[] = { { "DEBUG", BROOD_LOG_DEBUG },
               { "INFO", BROOD_LOG_INFO },
               { "WARNING", BROOD_LOG_WARNING },
               { "ERROR", BROOD_LOG_ERROR },
               { "OFF", BROOD_LOG_OFF } };

enum { LEVELS = sizeof levels / sizeof levels[0] };

void brood_log_stderr(brood_log_level level, const char *process, const char *text, void *user)
{
    char name[24];
    (void)user;
    (void)snprintf(name, sizeof name, "Level %d", (int)level);
    for (int i = 0; i < LEVELS; i++)
        if (levels[i].level == level)
            (void)snprintf(name, sizeof name, "%s", levels[i].name);
    const char *const parts[] = { "[", name, "/", process, "] ", text };
    brood_os_stdio_write(parts, sizeof parts / sizeof parts[0]);
}

// Independent of the locale, in which the program may have another idea of upper case.
static bool is_same(const char *word, const char *name)
{
    for (; *word && *name; word++, name++)
        if ((*word >= 'a' && *word <= 'z' ? *word - 'a' + 'A' : *word) != *name)
            return false;
    return *word == *name;
}

static bool read_level(const char *word, brood_log_level *out)
{
    for (int i = 0; i < LEVELS; i++) {
        *out = levels[i].level;
        if (is_same(word, levels[i].name))
            return true;
    }
    int number = 0;
    const size_t digits = strspn(word, "0123456789");
    if (digits == 0 || digits > 6 || word[digits])
        return false;
    for (; *word; word++)
        number = number * 10 + (*word - '0');
    *out = (brood_log_level)number;
    return true;
}

void broodi_log_read_environment(void)
{
    char line[192];
    brood_log_level level;
    const char *word = brood_os_boot_is_privileged() ? NULL : getenv("BROOD_LOG");
    if (!word || !word[0] || load_sink().handler)
        return;
    if (read_level(word, &level)) {
        brood_log_set_handler(brood_log_stderr, level, NULL);
        return;
    }
    (void)snprintf(line, sizeof line,
                   "BROOD_LOG=%.64s is ignored: the levels are \"debug\", \"info\", \"warning\", "
                   "\"error\", \"off\", and numbers",
                   word);
    brood_os_stdio_print(line);
}
