// SPDX-License-Identifier: MIT
// Forged announcements. The test does by hand what a parent does, and changes one thing: which
// process has made the channel, or whose memory the arena is. The victim is this program again,
// which begins as a main process unless it believes the announcement.
#define _GNU_SOURCE
#include "../meeting.h"

#include "../platform.h"

#include "arena/family.h"
#include "arena/process_slot.h"
#include "posix/channel.h"
#include "process/boot.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TOKEN = 0x1234, ANOTHER = 65534, NO_SUCH_RIGHT = 71 };

extern char **environ;

_Noreturn static void give_up(const char *what)
{
    perror(what);
    _exit(99);
}

// The victim's side

static int be_target(void *arg)
{
    (void)arg;
    puts("target");
    return 0;
}

static int be_victim(void)
{
    brood_init();
    const char *announcement = getenv("BROOD_BOOT");
    printf("main, descriptors %d and %d, \"%s\"\n", fcntl(CHANNEL_DESCRIPTOR, F_GETFD),
           fcntl(CHANNEL_ARENA, F_GETFD), announcement ? announcement : "");
    return 0;
}

// As a main process it has erased the announcement, and has neither closed the descriptors nor
// changed their flags.
static const char as_main[] = "main, descriptors 0 and 0, \"\"\n";
static const char as_child[] = "target\n";

// The forger's side

static struct {
    unsigned char *record;
    size_t size;
    int output; // that of the victim
    int arena;
} forger;

static void forge_record(void)
{
    struct broodi_boot boot = { .token = TOKEN,
                                .window = broodi_family.header->window,
                                .name = "forged",
                                .identity = "1",
                                .parent_pid = getpid() };
    const struct broodi_process_facts facts = { .parent = BROODI_NONE,
                                                .origin = BROODI_ORIGIN_SPAWN,
                                                .name = "forged" };
    memcpy(boot.family, broodi_family.header->family, sizeof boot.family);
    struct broodi_target *target;
    assert_status(broodi_target_encode(be_target, &target), BROOD_OK);
    boot.target = target;
    assert_status(broodi_process_slot_allocate(&facts, &boot.process), BROOD_OK);
    boot.live = broodi_process_slot_live(boot.process);
    boot.live = broodi_process_slot_live(boot.process);
    free(forger.record);
    forger.record = broodi_boot_encode(&boot, &forger.size);
    assert_non_null(forger.record);
    forger.arena = (int)broodi_family.arena.object;
    free(target);
}

static void make_pair(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        give_up("socketpair");
}

static void send_letter(int end)
{
    const brood_os_plan plan = { .record = forger.record, .size = forger.size, .token = TOKEN };
    broodi_channel_send_letter(end, &plan);
}

static void place(int descriptor, int number)
{
    const int moved = fcntl(descriptor, F_DUPFD, 10);
    if (moved < 0 || dup2(moved, number) < 0)
        give_up("dup2");
}

// Becomes the victim, as root again, like a program that a set-uid program executes.
_Noreturn static void execute(int channel, int arena, const char *announcement)
{
    static char name[] = "forged";
    static char victim[] = "victim";
    char *const arguments[] = { name, victim, NULL };
    if (setresuid(0, 0, 0) != 0 || setresgid(0, 0, 0) != 0)
        give_up("setresuid");
    const int both[] = { fcntl(channel, F_DUPFD, 20), fcntl(arena, F_DUPFD, 20) };
    place(both[0], CHANNEL_DESCRIPTOR);
    place(both[1], CHANNEL_ARENA);
    if (dup2(forger.output, STDOUT_FILENO) < 0 || putenv((char *)(uintptr_t)announcement) != 0)
        give_up("putenv");
    (void)execve("/proc/self/exe", arguments, environ);
    give_up("execve");
}

static const char announcement[] = "BROOD_BOOT=3:4:1234";

static pid_t copied(void)
{
    const pid_t copy = fork();
    if (copy < 0)
        give_up("fork");
    return copy;
}

// Gives the copy a pid that no process has.
static pid_t copied_with_pid(pid_t number)
{
    enum { CLONE3 = 435 };
    const struct {
        uint64_t flags[4];
        uint64_t exit_signal;
        uint64_t stack[3];
        uint64_t numbers;
        uint64_t number_count;
    } how = { .exit_signal = SIGCHLD, .numbers = (uint64_t)(uintptr_t)&number, .number_count = 1 };
    const pid_t copy = (pid_t)syscall(CLONE3, &how, sizeof how);
    if (copy < 0)
        _exit(NO_SUCH_RIGHT);
    return copy;
}

static int end_of(pid_t process)
{
    int status = 0;
    if (waitpid(process, &status, 0) != process)
        give_up("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int start_victim(int channel, int arena, const char *text)
{
    const pid_t victim = copied();
    if (victim == 0)
        execute(channel, arena, text);
    return end_of(victim);
}

static int start_with_pair(int arena, const char *text)
{
    int ends[2];
    make_pair(ends);
    send_letter(ends[0]);
    return start_victim(ends[1], arena, text);
}

// Each of these runs in a process of its own, and returns the exit code of the victim.

static int be_a_parent(void)
{
    return start_with_pair(forger.arena, announcement);
}

static int be_another_user(void)
{
    if (setresuid((uid_t)-1, ANOTHER, 0) != 0)
        give_up("setresuid");
    return be_a_parent();
}

static int be_another_group(void)
{
    if (setresgid((gid_t)-1, ANOTHER, 0) != 0)
        give_up("setresgid");
    return be_a_parent();
}

static int pass_memory_of_another_user(void)
{
    if (fchown(forger.arena, ANOTHER, ANOTHER) != 0)
        give_up("fchown");
    const int code = be_a_parent();
    if (fchown(forger.arena, 0, 0) != 0)
        give_up("fchown");
    return code;
}

static bool write_map(const char *path, const char *text)
{
    const int map = open(path, O_WRONLY | O_CLOEXEC);
    const bool written = map >= 0 && write(map, text, strlen(text)) == (ssize_t)strlen(text);
    if (map >= 0)
        close(map);
    return written;
}

// Root becomes another user, which enters a namespace where it is root: the owner of the memory
// is not visible from there.
static void enter_a_namespace(void)
{
    if (setresgid(ANOTHER, ANOTHER, ANOTHER) != 0 || setresuid(ANOTHER, ANOTHER, ANOTHER) != 0 ||
        prctl(PR_SET_DUMPABLE, 1) != 0)
        give_up("setresuid");
    if (unshare(CLONE_NEWUSER) != 0 || !write_map("/proc/self/setgroups", "deny") ||
        !write_map("/proc/self/uid_map", "0 65534 1") ||
        !write_map("/proc/self/gid_map", "0 65534 1"))
        _exit(NO_SUCH_RIGHT);
}

static int be_in_a_namespace(void)
{
    enter_a_namespace();
    return be_a_parent();
}

static int pass_a_file_in_a_namespace(void)
{
    const int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    enter_a_namespace();
    return start_with_pair(file, announcement);
}

static int start_by_others_in_a_namespace(void)
{
    int ends[2];
    enter_a_namespace();
    make_pair(ends);
    send_letter(ends[0]);
    const pid_t between = copied();
    if (between == 0)
        _exit(start_victim(ends[1], forger.arena, announcement));
    return end_of(between);
}

static int pass_a_file(void)
{
    const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    return start_with_pair(file, announcement);
}

static int pass_no_memory(void)
{
    int ends[2];
    make_pair(ends);
    return start_with_pair(ends[0], announcement);
}

static int name_the_standard_descriptors(void)
{
    return start_with_pair(forger.arena, "BROOD_BOOT=0:1:1234");
}

static int name_others(void)
{
    return start_with_pair(forger.arena, "BROOD_BOOT=5:6:1234");
}

static int start_by_another(void)
{
    int ends[2];
    make_pair(ends);
    send_letter(ends[0]);
    const pid_t between = copied();
    if (between == 0)
        _exit(start_victim(ends[1], forger.arena, announcement));
    return end_of(between);
}

static int become_the_victim(void)
{
    int ends[2];
    make_pair(ends);
    send_letter(ends[0]);
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    execute(ends[1], forger.arena, announcement);
}

// The listener gets a name that is in no file system.
static int connected(struct sockaddr_un *name, int listener)
{
    socklen_t size = sizeof *name;
    const int end = socket(AF_UNIX, SOCK_STREAM, 0);
    name->sun_family = AF_UNIX;
    if (bind(listener, (struct sockaddr *)name, sizeof name->sun_family) != 0 ||
        listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)name, &size) != 0 ||
        connect(end, (struct sockaddr *)name, size) != 0)
        give_up("connect");
    return end;
}

static int pass_a_connected_socket(void)
{
    struct sockaddr_un name;
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    const int end = connected(&name, listener);
    send_letter(accept(listener, NULL, NULL));
    return start_victim(end, forger.arena, announcement);
}

static int pass_an_accepted_socket(void)
{
    struct sockaddr_un name;
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    send_letter(connected(&name, listener));
    return start_victim(accept(listener, NULL, NULL), forger.arena, announcement);
}

// Passes a pair to a child, and ends; the child becomes the victim without its parent.
static int leave_an_orphan(void)
{
    int ends[2];
    int gone[2];
    make_pair(gone);
    const pid_t maker = copied();
    if (maker == 0) {
        make_pair(ends);
        send_letter(ends[0]);
        if (copied() != 0)
            _exit(0);
        char byte;
        close(gone[1]);
        (void)!read(gone[0], &byte, 1); // until the maker has ended
        execute(ends[1], forger.arena, announcement);
    }
    const int code = end_of(maker);
    close(gone[1]);
    return code;
}

// Passes a pair that was made by a process that has ended to another process with the same pid.
static int have_the_pid_of_the_maker(void)
{
    int ends[2];
    int both[2];
    size_t count = 0;
    char byte = 0;
    make_pair(both);
    const pid_t maker = copied();
    if (maker == 0) {
        make_pair(ends);
        send_letter(ends[0]);
        _exit(broodi_channel_send_with(both[1], &byte, 1, ends, 2) ? 0 : 97);
    }
    if (!broodi_channel_receive_with(both[0], &byte, 1, 0, ends, &count) || end_of(maker) != 0 ||
        count != 2)
        give_up("a pair from another process");
    const pid_t parent = copied_with_pid(maker);
    if (parent == 0)
        _exit(start_victim(ends[1], forger.arena, announcement));
    return end_of(parent);
}

// The tests

static int run(int (*forge)(void), char *printed, size_t capacity)
{
    int both[2];
    size_t length = 0;
    ssize_t got;
    forge_record();
    assert_int_equal(pipe(both), 0);
    forger.output = both[1];
    const pid_t process = copied();
    if (process == 0)
        _exit(forge());
    close(both[1]);
    while ((got = read(both[0], printed + length, capacity - 1 - length)) > 0)
        length += (size_t)got;
    printed[length] = 0;
    close(both[0]);
    return end_of(process);
}

static void expect(int (*forge)(void), const char *what, const char *text)
{
    char printed[1024];
    const int code = run(forge, printed, sizeof printed);
    if (code != 0 || strcmp(printed, text) != 0)
        fail_msg("%s: the victim ended with %d and printed \"%s\" instead of \"%s\"", what, code,
                 printed, text);
}

#define EXPECT(forge, text) expect((forge), #forge, (text))

static void skip_unless_root(void)
{
    if (geteuid() == 0)
        return;
    print_message("only root can act as several users\n");
    skip();
}

static void a_parent_of_the_same_user_is_believed(void **state)
{
    (void)state;
    skip_unless_root();
    EXPECT(be_a_parent, as_child);
}

static void another_user_is_not_believed(void **state)
{
    (void)state;
    skip_unless_root();
    EXPECT(be_another_user, as_main);
    EXPECT(be_another_group, as_main);
    EXPECT(pass_memory_of_another_user, as_main);
}

static void memory_from_outside_the_namespace_is_believed_from_a_parent(void **state)
{
    (void)state;
    char printed[64];
    skip_unless_root();
    if (run(be_in_a_namespace, printed, sizeof printed) == NO_SUCH_RIGHT) {
        print_message("this user may not make a user namespace\n");
        skip();
    }
    EXPECT(be_in_a_namespace, as_child);
    EXPECT(pass_a_file_in_a_namespace, as_main);
    EXPECT(start_by_others_in_a_namespace, as_main);
}

static void a_process_that_is_not_the_parent_is_not_believed(void **state)
{
    (void)state;
    skip_unless_root();
    EXPECT(start_by_another, as_main);
    EXPECT(become_the_victim, as_main);
}

static void descriptors_that_no_parent_passes_are_not_believed(void **state)
{
    (void)state;
    skip_unless_root();
    EXPECT(pass_a_file, as_main);
    EXPECT(pass_no_memory, as_main);
    EXPECT(name_the_standard_descriptors, as_main);
    EXPECT(name_others, as_main);
}

static void a_socket_of_a_listener_is_not_believed(void **state)
{
    (void)state;
    skip_unless_root();
    EXPECT(pass_a_connected_socket, as_main);
    EXPECT(pass_an_accepted_socket, as_main);
}

static void a_child_whose_parent_has_ended_runs_nothing(void **state)
{
    (void)state;
    skip_unless_root();
    char printed[64];
    assert_int_equal(run(leave_an_orphan, printed, sizeof printed), 0);
    assert_string_equal(printed, "");
}

static bool kernel_has_peer_pidfd(void)
{
    enum { PEER_PIDFD = 77 }; // SO_PEERPIDFD, since Linux 6.5
    int ends[2];
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    make_pair(ends);
    const bool tells = getsockopt(ends[0], SOL_SOCKET, PEER_PIDFD, &pidfd, &size) == 0;
    if (tells)
        close(pidfd);
    close(ends[0]);
    close(ends[1]);
    return tells;
}

static void a_parent_that_has_the_pid_of_another_is_not_believed(void **state)
{
    (void)state;
    skip_unless_root();
    if (!kernel_has_peer_pidfd()) {
        print_message("a kernel before 6.5 knows the maker of a pair by its pid only\n");
        skip();
    }
    char printed[64];
    const int code = run(have_the_pid_of_the_maker, printed, sizeof printed);
    if (code == NO_SUCH_RIGHT) {
        print_message("root may not choose a pid here\n");
        skip();
    }
    assert_int_equal(code, 0);
    assert_string_equal(printed, as_main);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "victim") == 0)
        return be_victim();
    brood_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parent_of_the_same_user_is_believed),
        cmocka_unit_test(another_user_is_not_believed),
        cmocka_unit_test(memory_from_outside_the_namespace_is_believed_from_a_parent),
        cmocka_unit_test(a_process_that_is_not_the_parent_is_not_believed),
        cmocka_unit_test(descriptors_that_no_parent_passes_are_not_believed),
        cmocka_unit_test(a_socket_of_a_listener_is_not_believed),
        cmocka_unit_test(a_child_whose_parent_has_ended_runs_nothing),
        cmocka_unit_test(a_parent_that_has_the_pid_of_another_is_not_believed),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(forger.record);
    return failed;
}
