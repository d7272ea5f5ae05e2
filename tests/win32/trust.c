// SPDX-License-Identifier: MIT
// Forged announcements. The test does by hand what a parent does, and changes one thing. The
// victim is another process of this program; it begins as a main process unless it trusts the
// announcement.
//
// windows.h comes before <intrin.h>, some of whose functions Wine's headers define.
#include <windows.h>

#include "../meeting.h"

#include "arena/family.h"
#include "arena/process_slot.h"
#include "process/boot.h"
#include "win32/channel.h"

#include <wchar.h>

enum { TOKEN = 0x1234, AS_MAIN = 10, AS_CHANGED_MAIN = 11, AS_CHILD = 20 };

static struct {
    HANDLE mapping;
    HANDLE event;
    HANDLE arena;
    channel_letter *letter;
} forger;

// The victim's side

static int be_target(void *arg)
{
    (void)arg;
    return AS_CHILD;
}

static bool is_inheritable(const char *handle)
{
    DWORD facts = 0;
    return GetHandleInformation((HANDLE)(uintptr_t)strtoull(handle, NULL, 16), &facts) &&
           (facts & HANDLE_FLAG_INHERIT);
}

// Checks that brood_init has erased the announcement, and neither closed the handles nor changed
// their flags.
static int be_victim(char **handles)
{
    brood_init();
    const bool erased =
        !getenv(CHANNEL_VARIABLE) && GetEnvironmentVariableW(CHANNEL_VARIABLE_WIDE, NULL, 0) == 0;
    for (int i = 0; i < 3; i++)
        if (!erased || !is_inheritable(handles[i]))
            return AS_CHANGED_MAIN;
    return AS_MAIN;
}

static int run(const char *role, const char *handles)
{
    char command[512];
    DWORD code = 0;
    STARTUPINFOA startup = { .cb = sizeof startup };
    PROCESS_INFORMATION process;
    char program[MAX_PATH];
    (void)GetModuleFileNameA(NULL, program, sizeof program);
    (void)snprintf(command, sizeof command, "forged %s %s", role, handles);
    if (!CreateProcessA(program, command, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &process))
        return -1;
    (void)WaitForSingleObject(process.hProcess, INFINITE);
    (void)GetExitCodeProcess(process.hProcess, &code);
    CloseHandle(process.hProcess);
    CloseHandle(process.hThread);
    return (int)code;
}

// Passes the inherited handles and the environment on to a victim.
static int be_between(char **handles)
{
    char list[64];
    (void)snprintf(list, sizeof list, "%s %s %s", handles[0], handles[1], handles[2]);
    return run("victim", list);
}

// The forger's side

static unsigned char *made_record(size_t *size)
{
    struct broodi_boot boot = { .token = TOKEN,
                                .window = broodi_family.header->window,
                                .name = "forged",
                                .identity = "1",
                                .parent_pid = (int64_t)GetCurrentProcessId() };
    const struct broodi_process_facts facts = { .parent = BROODI_NONE,
                                                .origin = BROODI_ORIGIN_SPAWN,
                                                .name = "forged" };
    memcpy(boot.family, broodi_family.header->family, sizeof boot.family);
    struct broodi_target *target;
    assert_status(broodi_target_encode(be_target, &target), BROOD_OK);
    boot.target = target;
    assert_status(broodi_process_slot_allocate(&facts, &boot.process), BROOD_OK);
    boot.live = broodi_process_slot_live(boot.process);
    unsigned char *record = broodi_boot_encode(&boot, size);
    assert_non_null(record);
    free(target);
    return record;
}

static int forge(void **state)
{
    (void)state;
    size_t size = 0;
    SECURITY_ATTRIBUTES inheritable = { sizeof inheritable, NULL, TRUE };
    unsigned char *record = made_record(&size);
    const DWORD whole = (DWORD)channel_resources_at(size);
    forger.mapping =
        CreateFileMappingW(INVALID_HANDLE_VALUE, &inheritable, PAGE_READWRITE, 0, whole, NULL);
    forger.event = CreateEventW(&inheritable, TRUE, FALSE, NULL);
    forger.letter = MapViewOfFile(forger.mapping, FILE_MAP_WRITE, 0, 0, 0);
    assert_non_null(forger.letter);
    assert_true(DuplicateHandle(GetCurrentProcess(), (HANDLE)broodi_family.arena.object,
                                GetCurrentProcess(), &forger.arena, 0, TRUE,
                                DUPLICATE_SAME_ACCESS));
    forger.letter->magic = CHANNEL_MAGIC;
    forger.letter->size = size;
    forger.letter->parent = GetCurrentProcessId();
    memcpy((unsigned char *)forger.letter + CHANNEL_RECORD, record, size);
    free(record);
    return 0;
}

static int forget(void **state)
{
    (void)state;
    UnmapViewOfFile(forger.letter);
    CloseHandle(forger.mapping);
    CloseHandle(forger.event);
    CloseHandle(forger.arena);
    return 0;
}

static int run_announced(const char *role, HANDLE mapping)
{
    char handles[64];
    wchar_t announcement[96];
    const unsigned long long numbers[] = { (uintptr_t)mapping, (uintptr_t)forger.event,
                                           (uintptr_t)forger.arena };
    (void)snprintf(handles, sizeof handles, "%llx %llx %llx", numbers[0], numbers[1], numbers[2]);
    (void)swprintf(announcement, sizeof announcement / sizeof announcement[0], L"%llx:%llx:%llx:%x",
                   numbers[0], numbers[1], numbers[2], TOKEN);
    assert_true(SetEnvironmentVariableW(CHANNEL_VARIABLE_WIDE, announcement));
    const int code = run(role, handles);
    assert_true(SetEnvironmentVariableW(CHANNEL_VARIABLE_WIDE, NULL));
    return code;
}

static void a_parent_of_the_same_user_is_believed(void **state)
{
    (void)state;
    const int code = run_announced("victim", forger.mapping);
    if (code != AS_CHILD)
        fail_msg("ended with %d: %s", code, forger.letter->text);
}

static void a_process_that_is_not_the_parent_is_not_believed(void **state)
{
    (void)state;
    assert_int_equal(run_announced("between", forger.mapping), AS_MAIN);
    forger.letter->parent = 4; // the system's process
    assert_int_equal(run_announced("victim", forger.mapping), AS_MAIN);
    forger.letter->parent = 0;
    assert_int_equal(run_announced("victim", forger.mapping), AS_MAIN);
}

static void handles_that_no_parent_passes_are_not_believed(void **state)
{
    (void)state;
    assert_int_equal(run_announced("victim", forger.arena), AS_MAIN);
    assert_int_equal(run_announced("victim", forger.event), AS_MAIN);
    forger.letter->magic = 0;
    assert_int_equal(run_announced("victim", forger.mapping), AS_MAIN);
}

int main(int argc, char **argv)
{
    if (argc > 4)
        return strcmp(argv[1], "victim") == 0 ? be_victim(argv + 2) : be_between(argv + 2);
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_parent_of_the_same_user_is_believed, forge, forget),
        cmocka_unit_test_setup_teardown(a_process_that_is_not_the_parent_is_not_believed, forge,
                                        forget),
        cmocka_unit_test_setup_teardown(handles_that_no_parent_passes_are_not_believed, forge,
                                        forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
