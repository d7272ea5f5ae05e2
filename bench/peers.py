#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Python's part of the benchmarks: peers.py MEGABYTES. The protocol is in posix/runner.c."""

import mmap
import multiprocessing
import sys
import threading
import time


MADV_POPULATE_WRITE = 23  # of Linux 5.14


def nothing():
    pass


def touch(megabytes):
    """Allocates and touches this many megabytes, in pages of the smallest size."""
    memory = mmap.mmap(-1, megabytes << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    try:
        memory.madvise(MADV_POPULATE_WRITE)
    except OSError:
        for at in range(0, len(memory), mmap.PAGESIZE):
            memory[at] = 1
    return memory


def start_once(make):
    """Whether it started and ended well."""
    child = make(target=nothing)
    child.start()
    child.join()
    return getattr(child, "exitcode", 0) == 0


def sample_start(make, starts, budget):
    """Nanoseconds for one start and join, after one that is not counted."""
    if not start_once(make):
        return -1
    begin = now = time.monotonic_ns()
    count = 0
    while count < starts and now - begin < budget:
        if not start_once(make):
            return -1
        count += 1
        now = time.monotonic_ns()
    return (now - begin) / max(count, 1)


def use(lock, budget):
    """Returns how often the lock was acquired and released, and in how many nanoseconds."""
    begin = now = time.monotonic_ns()
    count = 0
    while now - begin < budget:
        for _ in range(100):
            lock.acquire()
            lock.release()
        count += 100
        now = time.monotonic_ns()
    return count, now - begin


def sample_lock(lock, starts, budget):
    """Nanoseconds for one acquire and release by one thread."""
    count, spent = use(lock, budget)
    return spent / count


def meet_and_use(lock, barrier, budget, results):
    barrier.wait()
    results.put(use(lock, budget))


def sample_contended(context, starts, budget):
    """The same by two processes at once."""
    lock, barrier, results = context.Lock(), context.Barrier(2), context.SimpleQueue()
    child = context.Process(target=meet_and_use, args=(lock, barrier, budget, results))
    child.start()
    meet_and_use(lock, barrier, budget, results)
    child.join()
    both = [results.get(), results.get()]
    return max(spent for _, spent in both) / sum(count for count, _ in both)


def main():
    memory = touch(int(sys.argv[1]))
    tasks = {
        "thread": (sample_start, threading.Thread),
        "lock": (sample_lock, multiprocessing.Lock()),
        "contended": (sample_contended, multiprocessing.get_context("fork")),
    }
    for method in multiprocessing.get_all_start_methods():
        tasks[method] = (sample_start, multiprocessing.get_context(method).Process)
    for line in sys.stdin:
        task, starts, budget = line.split()
        if task in tasks:
            run, what = tasks[task]
            print(run(what, int(starts), int(budget)), flush=True)
        else:
            print(-1, flush=True)
    memory.close()


if __name__ == "__main__":
    main()
