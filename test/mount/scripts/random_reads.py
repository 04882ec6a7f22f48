"""Reads files of a mount at random places from several threads, with pread and with mmap, and
compares each piece with the same piece of the source. Usage: SOURCE_DIR MOUNT_DIR SEED FILE..."""

import mmap
import os
import random
import sys
import threading

THREADS = 8
READS = 60
LENGTH_MAX = 300_000

source_dir, mount_dir, seed = sys.argv[1:4]
files = sys.argv[4:]
problems = []


def compare(name, what, offset, got, expected):
    if got != expected:
        problems.append(f"{name}: {what} of {len(expected)} bytes at {offset}: got {len(got)}")


def work(number):
    chance = random.Random(f"{seed} {number}")
    try:
        for turn in range(READS):
            name = chance.choice(files)
            with open(os.path.join(source_dir, name), "rb") as source, open(
                os.path.join(mount_dir, name), "rb"
            ) as mounted:
                size = os.fstat(source.fileno()).st_size
                if os.fstat(mounted.fileno()).st_size != size:
                    problems.append(f"{name}: wrong size")
                    continue
                for _ in range(4):
                    offset = chance.randrange(size + 1)
                    length = chance.randrange(LENGTH_MAX)
                    expected = os.pread(source.fileno(), length, offset)
                    compare(name, "pread", offset, os.pread(mounted.fileno(), length, offset), expected)
                if turn % 3 == 0 and size > 0:
                    with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as a, mmap.mmap(
                        mounted.fileno(), 0, access=mmap.ACCESS_READ
                    ) as b:
                        for _ in range(4):
                            offset = chance.randrange(size)
                            end = min(size, offset + chance.randrange(LENGTH_MAX))
                            compare(name, "mmap", offset, b[offset:end], a[offset:end])
    except Exception as error:  # The other threads go on; the test fails all the same.
        problems.append(f"thread {number}: {error!r}")


threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\n".join(problems[:20]))
sys.exit(1 if problems else 0)
