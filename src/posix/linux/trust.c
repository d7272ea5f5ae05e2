// SPDX-License-Identifier: MIT
// The kernel records the process, effective user and effective group that make a socket pair, and
// reports them at either end.
#include "posix/trust.h"

#include "posix/descriptor.h"
#include "posix/posix.h"

#include "os/os_process.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#if !defined(SO_PEERPIDFD) // since Linux 6.5
#define SO_PEERPIDFD 77
#endif
#if !defined(F_GET_SEALS)
#define F_GET_SEALS 1034
#endif

// Each check returns NULL, or the reason for a refusal, with errno: of the system call that
// failed, or EPERM.
#define REFUSAL "a child would not accept its announcement: "

static const char *refuse(const char *cause)
{
    errno = EPERM;
    return cause;
}

// A listener has a name, so a socket that connects to it or is accepted from it has a name at one
// of its ends. The sockets of a pair have none.
static const char *check_pair(int channel)
{
    struct sockaddr_un own = { .sun_family = AF_UNSPEC };
    struct sockaddr_un peer = { .sun_family = AF_UNSPEC };
    socklen_t own_size = sizeof own;
    socklen_t peer_size = sizeof peer;
    if (getsockname(channel, (struct sockaddr *)&own, &own_size) != 0)
        return REFUSAL "getsockname";
    if (getpeername(channel, (struct sockaddr *)&peer, &peer_size) != 0)
        return REFUSAL "getpeername";
    const bool is_pair = own.sun_family == AF_UNIX && own_size == sizeof own.sun_family &&
                         peer_size == sizeof peer.sun_family;
    return is_pair ? NULL : refuse(REFUSAL "the channel is not a socket pair");
}

// The maker's pid is 0 if it is not visible in this process's namespace, as getppid() is then.
static const char *check_maker(int channel, pid_t *out_maker)
{
    struct ucred maker;
    socklen_t size = sizeof maker;
    if (getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &maker, &size) != 0 || size != sizeof maker)
        return REFUSAL "getsockopt of SO_PEERCRED";
    *out_maker = maker.pid;
    return maker.uid == geteuid() && maker.gid == getegid()
               ? NULL
               : refuse(REFUSAL "another user or group has made the channel");
}

static uint64_t read_number(const char **text)
{
    uint64_t number = 0;
    while (**text == ' ')
        (*text)++;
    for (; **text >= '0' && **text <= '9'; (*text)++)
        number = number * 10 + (uint64_t)(**text - '0');
    return number;
}

// Parses lines of "first number, first number outside, count". An unreadable line counts as a
// range that contains the user.
static bool is_in_a_range(const char *text, uid_t user)
{
    while (*text) {
        const uint64_t first = read_number(&text);
        (void)read_number(&text);
        const uint64_t count = read_number(&text);
        if (*text++ != '\n' || (user >= first && user - first < count))
            return true;
    }
    return false;
}

// Returns whether `user` does not exist in this process's user namespace: the kernel reports each
// user from outside as one and the same number, which may also be that of a user of the
// namespace. The initial namespace has all numbers.
static bool is_from_outside(uid_t user)
{
    char text[1024];
    const int map =
        broodi_posix_fault(EMFILE) ? -1 : open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
    if (map < 0)
        return false;
    const ssize_t length = read(map, text, sizeof text - 1);
    close(map);
    if (length <= 0 || length == sizeof text - 1) // there may be more
        return false;
    text[length] = 0;
    return !is_in_a_range(text, user);
}

// Memory of root is accepted too: a program may have become another user after it created its
// arena, and only root can give a file to root. In a user namespace that the program has entered
// since, root is a user from outside.
static bool is_owner_accepted(uid_t owner)
{
    return owner == geteuid() || owner == 0 || is_from_outside(owner);
}

// The arena must be a memory file, which has no name in any file system.
static const char *check_memory(int arena)
{
    struct stat facts;
    if (fstat(arena, &facts) != 0)
        return REFUSAL "fstat of the memory of the family";
    if (!S_ISREG(facts.st_mode) || facts.st_nlink != 0)
        return refuse(REFUSAL "the memory of the family is a file with a name");
    if (fcntl(arena, F_GET_SEALS) < 0)
        return REFUSAL "fcntl of F_GET_SEALS";
    return is_owner_accepted(facts.st_uid)
               ? NULL
               : refuse(REFUSAL "the memory of the family is another user's");
}

static const char *find_refusal(int channel, int arena, pid_t *out_maker)
{
    const char *cause = check_pair(channel);
    if (!cause)
        cause = check_maker(channel, out_maker);
    return cause ? cause : check_memory(arena);
}

static bool is_ended(int pidfd)
{
    struct pollfd end = { .fd = pidfd, .events = POLLIN };
    const bool ended = poll(&end, 1, 0) > 0;
    close(pidfd);
    return ended;
}

// Returns whether the maker itself has ended, even if its pid has been reused. With older
// kernels, and if this process is out of descriptors, only the pid is checked: a child must not
// begin as a main process for lack of a descriptor.
static bool has_maker_ended(int channel, pid_t maker)
{
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    if (!broodi_posix_fault(EMFILE) &&
        getsockopt(channel, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
        return is_ended(pidfd);
    if (errno == ESRCH || errno == EINVAL)
        return true;
    return maker > 0 && maker != getppid() && brood_os_process_birth(maker) == 0;
}

enum broodi_trust broodi_trust_judge(int channel, int arena)
{
    pid_t maker = 0;
    if (find_refusal(channel, arena, &maker))
        return BROODI_TRUST_STRANGER;
    const bool is_parent = maker == getppid();
    const bool has_ended = has_maker_ended(channel, maker);
    if (is_parent && !has_ended)
        return BROODI_TRUST_PARENT;
    // The parent is alive, so an ended maker that had the same pid is not the parent. If both
    // pids are 0 they may be different processes, which the namespace does not see.
    const bool is_parents_pid = is_parent && maker != 0;
    return has_ended && !is_parents_pid ? BROODI_TRUST_ORPHAN : BROODI_TRUST_STRANGER;
}

bool broodi_trust_is_unseen(int channel, int *out_descriptor)
{
    struct ucred maker = { .pid = -1 };
    socklen_t size = sizeof maker;
    *out_descriptor = -1;
    if (getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &maker, &size) != 0 || maker.pid != 0)
        return false;
    int pidfd = -1;
    size = sizeof pidfd;
    broodi_descriptors_lock();
    if (!broodi_posix_fault(EMFILE) &&
        getsockopt(channel, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
        *out_descriptor = broodi_descriptor_note(broodi_descriptor_up(pidfd));
    broodi_descriptors_unlock();
    return true;
}

// The system treats a program that is executed with different real and effective user or group as
// one with raised privileges.
const char *broodi_trust_check(int channel, int arena)
{
    pid_t maker = 0;
    if (getuid() != geteuid() || getgid() != getegid())
        return refuse(REFUSAL "the effective user or group is not the real one");
    const char *cause = find_refusal(channel, arena, &maker);
    if (cause)
        return cause;
    return maker == getppid() ? NULL : refuse(REFUSAL "the parent has not made the channel");
}
