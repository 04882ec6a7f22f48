"""Reads files around every page boundary, at their ends, past them and with length 0, from the source
and from the mount, and prints what differs. Usage: SOURCE_DIR MOUNT_DIR PAGE_SIZE..."""

import errno
import os
import sys

source_dir, mount_dir = sys.argv[1:3]
page_sizes = [int(text) for text in sys.argv[3:]]
problems = []


def attempt(work):
    try:
        return work()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


def places(size):
    """Offsets next to every boundary of every page size, and next to the end."""
    found = {0, 1}
    for page in page_sizes:
        for boundary in range(0, size + 2 * page, page):
            found.update((boundary - 1, boundary, boundary + 1))
    for end in (size, size + 1, size + (1 << 20), size + (1 << 33)):
        found.update((end - 1, end, end + 1))
    return sorted(offset for offset in found if offset >= 0)


def describe(answer):
    return answer if isinstance(answer, str) else f"{len(answer)} bytes"


def check(name):
    source = os.open(os.path.join(source_dir, name), os.O_RDONLY)
    mounted = os.open(os.path.join(mount_dir, name), os.O_RDONLY)
    size = os.fstat(source).st_size
    if os.fstat(mounted).st_size != size:
        problems.append(f"{name}: size {os.fstat(mounted).st_size} for {size}")
    short = {0, 1, 2, 4096}
    long = {size + 1}
    for page in page_sizes:
        long.update((page - 1, page, page + 1))
    count = 0
    # From the end to the start first: what was read before must not matter.
    for turn, offset in enumerate(places(size)[::-1] + places(size)):
        # Long reads take most of the time: one of the three offsets at a boundary has them, and
        # across the boundary they reach all the same.
        for length in sorted(short | long if turn % 3 == 0 else short):
            expected = attempt(lambda: os.pread(source, length, offset))
            got = attempt(lambda: os.pread(mounted, length, offset))
            count += 1
            if got != expected:
                problems.append(f"{name}: {length} at {offset}: {describe(got)}, not {describe(expected)}")
    os.close(source)
    os.close(mounted)
    return count


total = sum(check(name) for name in sorted(os.listdir(source_dir)))
print(f"{total} reads")
print("\n".join(problems[:20]))
sys.exit(1 if problems or total == 0 else 0)
