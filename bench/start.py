#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Python's part of the benchmark "start": start.py MEGABYTES. What it is asked, and how it answers, stands in posix/helper.c."""

import mmap
import multiprocessing
import sys
import threading
import time


MADV_POPULATE_WRITE = 23  # of Linux 5.14


def nothing():
    pass


def touch(megabytes):
    """Memory of so many megabytes, all of it touched, in pages of the smallest size."""
    memory = mmap.mmap(-1, megabytes << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    try:
        memory.madvise(MADV_POPULATE_WRITE)
    except OSError:
        for at in range(0, len(memory), mmap.PAGESIZE):
            memory[at] = 1
    return memory


def sample(make, starts, budget):
    """Nanoseconds for one start and join."""
    begin = now = time.monotonic_ns()
    count = 0
    while count < starts and now - begin < budget:
        child = make(target=nothing)
        child.start()
        child.join()
        if getattr(child, "exitcode", 0) != 0:
            return -1
        count += 1
        now = time.monotonic_ns()
    return (now - begin) // max(count, 1)


def main():
    memory = touch(int(sys.argv[1]))
    tasks = {"thread": threading.Thread}
    for method in multiprocessing.get_all_start_methods():
        tasks[method] = multiprocessing.get_context(method).Process
    for line in sys.stdin:
        task, starts, budget = line.split()
        print(sample(tasks[task], int(starts), int(budget)) if task in tasks else -1, flush=True)
    memory.close()


if __name__ == "__main__":
    main()
