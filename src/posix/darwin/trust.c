// SPDX-License-Identifier: MIT
// A socket records which process last used the other end: the one that made the pair and has sent
// its letter. The system reports as which user that process runs.
#include "posix/trust.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysctl.h>
#include <sys/un.h>
#include <unistd.h>

// A listener has a name, so a socket that connects to it or is accepted from it has a name at one
// of its ends. The sockets of a pair have none.
static bool is_of_a_pair(int channel)
{
    struct sockaddr_un own = { .sun_family = AF_UNSPEC };
    struct sockaddr_un peer = { .sun_family = AF_UNIX };
    socklen_t own_size = sizeof own;
    socklen_t peer_size = sizeof peer;
    if (getsockname(channel, (struct sockaddr *)&own, &own_size) != 0 || own.sun_family != AF_UNIX)
        return false;
    const bool has_peer = getpeername(channel, (struct sockaddr *)&peer, &peer_size) == 0;
    return (has_peer || errno == ENOTCONN) && own.sun_path[0] == 0 && peer.sun_path[0] == 0;
}

// Returns false if the other end is closed.
static bool find_peer(int channel, pid_t *out)
{
    socklen_t size = sizeof *out;
    return getsockopt(channel, SOL_LOCAL, LOCAL_PEERPID, out, &size) == 0;
}

// Returns whether the arena is memory without a name in any file system, of this user or of root:
// a program may have become another user after it created its arena.
static bool is_memory_of_same_user(int arena)
{
    struct stat facts;
    return fstat(arena, &facts) == 0 && facts.st_nlink == 0 && !S_ISSOCK(facts.st_mode) &&
           !S_ISFIFO(facts.st_mode) && (facts.st_uid == geteuid() || facts.st_uid == 0);
}

static bool is_of_same_user(pid_t process)
{
    int name[] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, process };
    struct kinfo_proc facts;
    size_t size = sizeof facts;
    return sysctl(name, 4, &facts, &size, NULL, 0) == 0 && size > 0 &&
           facts.kp_eproc.e_ucred.cr_uid == geteuid() &&
           facts.kp_eproc.e_ucred.cr_groups[0] == getegid();
}

enum broodi_trust broodi_trust_judge(int channel, int arena)
{
    pid_t peer = 0;
    if (!is_of_a_pair(channel) || !is_memory_of_same_user(arena))
        return BROODI_TRUST_STRANGER;
    if (!find_peer(channel, &peer))
        return BROODI_TRUST_ORPHAN;
    return peer == getppid() && is_of_same_user(peer) ? BROODI_TRUST_PARENT : BROODI_TRUST_STRANGER;
}

#define DOUBT "a child would not accept its announcement: "

static const char *refuse(const char *cause)
{
    errno = EPERM;
    return cause;
}

const char *broodi_trust_check(int channel, int arena)
{
    pid_t peer = 0;
    if (getuid() != geteuid() || getgid() != getegid())
        return refuse(DOUBT "the effective user or group is not the real one");
    if (!is_of_a_pair(channel))
        return refuse(DOUBT "the channel is not a socket pair");
    if (!find_peer(channel, &peer))
        return DOUBT "getsockopt of LOCAL_PEERPID";
    if (peer != getpid())
        return refuse(DOUBT "another process has used the channel");
    return is_memory_of_same_user(arena)
               ? NULL
               : refuse(DOUBT "the memory of the family is another user's");
}

bool broodi_trust_is_unseen(int channel, int *out_descriptor)
{
    (void)channel;
    *out_descriptor = -1;
    return false; // there is only one pid namespace
}
