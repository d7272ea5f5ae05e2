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


class Lane:
    """Messages one way, by a queue or a pipe."""

    def __init__(self, context, carrier, capacity):
        if carrier == "queue":
            queue = context.Queue(capacity)
            self.send, self.receive = queue.put, queue.get
        else:
            receiver, sender = context.Pipe(duplex=False)
            self.send, self.receive = sender.send_bytes, receiver.recv_bytes


def word_of(number):
    return number.to_bytes(8, "little")


def fill(buffer, number):
    """Writes one word into each cache line of the message."""
    word = word_of(number)
    for at in range(0, len(buffer), 64 * 64):  # Python is slow: every 64th line
        buffer[at:at + 8] = word
    return bytes(buffer)


def check(message, size):
    if len(message) != size:
        raise ValueError("a damaged message")
    word = message[:8]
    for at in range(0, size, 64 * 64):
        if message[at:at + 8] != word:
            raise ValueError("a damaged message")


def send_all(lane, size, count):
    buffer = bytearray(size)
    for number in range(count):
        lane.send(fill(buffer, number))


def receive_all(lane, size, count):
    for _ in range(count):
        check(lane.receive(), size)


def exchange(there, back, size, count):
    buffer = bytearray(size)
    for number in range(count):
        there.send(fill(buffer, number))
        check(back.receive(), size)


def send_back(there, back, size, count):
    for _ in range(count):
        message = there.receive()
        check(message, size)
        back.send(message)


def measure(work, arguments, barrier, results):
    barrier.wait()
    begin, effort = time.monotonic_ns(), time.process_time_ns()
    work(*arguments)
    results.put((begin, time.monotonic_ns(), time.process_time_ns() - effort))


def run_parties(context, parties):
    """Returns the nanoseconds from the first begin to the last end, and those of the processors."""
    barrier, results = context.Barrier(len(parties)), context.SimpleQueue()
    children = [context.Process(target=measure, args=(work, arguments, barrier, results))
                for work, arguments in parties]
    for child in children:
        child.start()
    times = [results.get() for _ in children]
    for child in children:
        child.join()
    wall = max(end for _, end, _ in times) - min(begin for begin, _, _ in times)
    return wall, sum(effort for _, _, effort in times)


effort_of_last = 0.0


def sample_messages(task, starts, budget):
    """Nanoseconds for a message: way-queue-SIZE-PAIRS-CAPACITY, or trip, or pipe."""
    global effort_of_last
    kind, carrier, size, pairs, capacity = task.split("-")
    size, pairs = int(size), int(pairs)
    context = multiprocessing.get_context("fork")
    there, back = Lane(context, carrier, int(capacity)), Lane(context, carrier, int(capacity))
    # About this long, as far as can be known: 5 us for a message, and 2 ns for a byte.
    count = max(budget // (5000 + 2 * size) // pairs, 2)
    if kind == "trip":
        parties = [(exchange, (there, back, size, count)), (send_back, (there, back, size, count))]
    else:
        parties = [(send_all, (there, size, count)), (receive_all, (there, size, count))] * pairs
    wall, effort = run_parties(context, parties)
    effort_of_last = effort / (count * pairs)
    return wall / (count * pairs)


def last_effort(what, starts, budget):
    return effort_of_last


def main():
    memory = touch(int(sys.argv[1]))
    tasks = {
        "thread": (sample_start, threading.Thread),
        "lock": (sample_lock, multiprocessing.Lock()),
        "contended": (sample_contended, multiprocessing.get_context("fork")),
        "effort": (last_effort, None),
    }
    for method in multiprocessing.get_all_start_methods():
        tasks[method] = (sample_start, multiprocessing.get_context(method).Process)
    for line in sys.stdin:
        task, starts, budget = line.split()
        if task in tasks or "-" in task:
            run, what = tasks.get(task, (sample_messages, task))
            print(run(what, int(starts), int(budget)), flush=True)
        else:
            print(-1, flush=True)
    memory.close()


if __name__ == "__main__":
    main()
