// SPDX-License-Identifier: MIT
#include "posix/descriptor.h"

#include "posix/posix.h"

#include "os/os_thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(SOCK_CLOEXEC)
static bool make_pair(int type, int ends[2])
{
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0;
}
#else
// If another thread forks and executes a program in between, that program inherits both.
// SO_NOSIGPIPE: a send to a closed peer must not raise a signal. O_NONBLOCK: not every such
// system honours MSG_DONTWAIT in send().
static bool make_pair(int type, int ends[2])
{
    const int yes = 1;
    if (socketpair(AF_UNIX, type, 0, ends) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(ends[i], F_SETFL, O_NONBLOCK);
        (void)setsockopt(ends[i], SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
    }
    return true;
}
#endif

// close() is a cancellation point, and the callers may hold a lock. Keeps errno.
static void close_whole(int descriptor)
{
    const int error = errno;
    const int before = brood_os_thread_protect();
    close(descriptor);
    brood_os_thread_unprotect(before);
    errno = error;
}

int broodi_descriptor_up(int descriptor)
{
    if (descriptor < 0 || descriptor > STDERR_FILENO)
        return descriptor;
    const int moved =
        broodi_posix_fault(EMFILE) ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close_whole(descriptor);
    return moved;
}

// The library's own descriptors

static struct {
    pthread_mutex_t mutex;
    sigset_t before; // the holder's mask; guarded by the mutex, like the next two
    uint64_t *bits;  // one for each descriptor number
    size_t words;
    unsigned copies;
} own = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local int kept = -1;

enum { BITS = 64 };

// Signals are blocked: a handler that forks would wait for a lock of its own thread.
void broodi_descriptors_lock(void)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&own.mutex);
    own.before = before;
}

void broodi_descriptors_unlock(void)
{
    const sigset_t before = own.before;
    pthread_mutex_unlock(&own.mutex);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool grow_to(size_t word)
{
    if (word < own.words)
        return true;
    const size_t words = word * 2 + 1;
    uint64_t *bits = broodi_fault() ? NULL : realloc(own.bits, words * sizeof *bits);
    if (!bits)
        return false;
    memset(bits + own.words, 0, (words - own.words) * sizeof *bits);
    own.bits = bits;
    own.words = words;
    return true;
}

int broodi_descriptor_note(int descriptor)
{
    if (descriptor < 0)
        return descriptor;
    if (grow_to((size_t)descriptor / BITS)) {
        own.bits[descriptor / BITS] |= UINT64_C(1) << descriptor % BITS;
        return descriptor;
    }
    close_whole(descriptor);
    errno = ENOMEM;
    return -1;
}

void broodi_descriptor_close(int descriptor)
{
    broodi_descriptors_lock();
    const size_t word = (size_t)descriptor / BITS;
    const uint64_t bit = UINT64_C(1) << descriptor % BITS;
    if (word < own.words && own.bits[word] & bit) {
        own.bits[word] &= ~bit;
        close_whole(descriptor);
    }
    broodi_descriptors_unlock();
}

void broodi_descriptor_keep(int descriptor)
{
    kept = descriptor;
}

void broodi_descriptors_forget(void)
{
    for (size_t word = 0; word < own.words; word++) {
        for (int bit = 0; own.bits[word] >> bit; bit++) {
            const int descriptor = (int)(word * BITS) + bit;
            if (own.bits[word] >> bit & 1 && kept != BROODI_DESCRIPTOR_ALL && descriptor != kept)
                close(descriptor);
            if (bit == BITS - 1)
                break;
        }
        own.bits[word] = 0;
    }
    kept = -1;
    own.copies++;
    broodi_descriptors_unlock();
}

unsigned broodi_descriptors_copies(void)
{
    return own.copies;
}

// Notes both; false if one of them could not be noted, which is -1 then.
static bool note_pair(int ends[2])
{
    ends[0] = broodi_descriptor_note(broodi_descriptor_up(ends[0]));
    ends[1] = broodi_descriptor_note(broodi_descriptor_up(ends[1]));
    return ends[0] >= 0 && ends[1] >= 0;
}

bool broodi_descriptor_pair(int type, int ends[2])
{
    broodi_descriptors_lock();
    const bool made = !broodi_posix_fault(EMFILE) && make_pair(type, ends);
    const bool noted = made && note_pair(ends);
    broodi_descriptors_unlock();
    for (int i = 0; made && !noted && i < 2; i++)
        if (ends[i] >= 0)
            broodi_descriptor_close(ends[i]);
    return noted;
}
