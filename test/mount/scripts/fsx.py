"""Random reads, writes, truncates and maps of one file, each checked against a copy in memory; the
file is closed, opened again and read as a whole now and then. Usage:

    fsx.py FILE SEED OPERATIONS [--stored STORED] [--plant]

With --stored the file in the under store must have the same bytes after each fsync. Ends with one
line of JSON, or with the seed, the last operations and exit code 1."""

import argparse
import collections
import json
import mmap
import os
import random
import sys

PAGE = 64 * 1024
LENGTH_MAX = 5 * PAGE + 1234
PART_MAX = 2 * PAGE
SHOWN = 40
WEIGHTS = {
    "read": 30, "write": 25, "append": 5, "map_read": 12, "map_write": 12, "cut": 6, "extend": 6,
    "forget": 3, "fsync": 0.4, "reopen": 0.6, "replace": 0.2,
}  # fmt: skip


class Wrong(Exception):
    pass


class OneFile:
    def __init__(self, path, seed, stored, plant, without, is_late):
        self.weights = {kind: part for kind, part in WEIGHTS.items() if kind not in without}
        self.path = path
        self.stored = stored
        self.plant = plant
        self.is_late = is_late
        self.chance = random.Random(seed)
        self.memory = bytearray()
        self.bytes_written = 0
        self.history = collections.deque(maxlen=SHOWN)
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)

    def run(self, operations):
        for at in range(operations):
            kind = self.chance.choices(list(self.weights), list(self.weights.values()))[0]
            self.history.append(f"{at} {kind}")
            getattr(self, kind)()
            if self.plant and at >= operations // 2:
                self.spoil()
            length = os.fstat(self.fd).st_size
            if length != len(self.memory):
                raise Wrong(f"the file is {length} bytes long, not {len(self.memory)}")
        self.reopen()
        os.close(self.fd)
        if not self.is_late:
            self.compare_stored()

    def spoil(self):
        """A fault that the checks must find."""
        if self.memory:
            self.memory[self.chance.randrange(len(self.memory))] ^= 1

    def note(self, *details):
        self.history[-1] += " " + " ".join(map(str, details))

    def place(self, length_max):
        """A start below the bound and a length, often at the edges of pages."""
        start = self.chance.randrange(length_max + 1)
        if self.chance.random() < 0.2:
            start = start // 4096 * 4096
        length = self.chance.choice([self.chance.randrange(300), self.chance.randrange(PART_MAX)])
        self.note(start, length)
        return start, length

    def data(self, length):
        self.bytes_written += length
        return self.chance.randbytes(length)

    def compare(self, start, got, expected):
        if got == expected:
            return
        if len(got) != len(expected):
            raise Wrong(f"{len(got)} bytes at {start}, not {len(expected)}")
        at = next(at for at in range(len(got)) if got[at] != expected[at])
        raise Wrong(f"byte {start + at} is {got[at]}, not {expected[at]}")

    def put(self, start, data):
        if start > len(self.memory):
            self.memory.extend(bytes(start - len(self.memory)))
        self.memory[start : start + len(data)] = data

    def read(self):
        start, length = self.place(len(self.memory))
        got = os.pread(self.fd, length, start)
        self.compare(start, got, bytes(self.memory[start : start + length]))

    def write(self):
        start, length = self.place(LENGTH_MAX - PART_MAX)
        data = self.data(length)
        done = os.pwrite(self.fd, data, start)
        if done != length:
            raise Wrong(f"{done} of {length} bytes written")
        if length > 0:
            self.put(start, data)

    def append(self):
        length = min(self.chance.randrange(PAGE), LENGTH_MAX - len(self.memory))
        self.note(len(self.memory), length)
        data = self.data(max(0, length))
        os.lseek(self.fd, 0, os.SEEK_END)
        if os.write(self.fd, data) != len(data):
            raise Wrong("not all was appended")
        self.put(len(self.memory), data)

    def map_read(self):
        if not self.memory:
            return
        start, length = self.place(len(self.memory))
        with mmap.mmap(self.fd, 0, access=mmap.ACCESS_READ) as view:
            got = view[start : start + length]
        self.compare(start, got, bytes(self.memory[start : start + length]))

    def map_write(self):
        if not self.memory:
            return
        start, length = self.place(len(self.memory) - 1)
        data = self.data(min(length, len(self.memory) - start))
        with mmap.mmap(self.fd, 0) as view:
            view[start : start + len(data)] = data
            if self.chance.random() < 0.3:
                view.flush()
        self.put(start, data)

    def cut(self):
        length = self.chance.randrange(len(self.memory) + 1)
        self.note(length)
        self.set_length(length)
        del self.memory[length:]

    def extend(self):
        length = self.chance.randrange(len(self.memory), LENGTH_MAX + 1)
        self.note(length)
        self.set_length(length)
        self.memory.extend(bytes(length - len(self.memory)))

    def set_length(self, length):
        if self.chance.random() < 0.5:
            os.ftruncate(self.fd, length)
        else:
            os.truncate(self.path, length)

    def forget(self):
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def fsync(self):
        os.fsync(self.fd)
        self.compare_stored()

    def reopen(self):
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR)
        self.compare(0, os.pread(self.fd, len(self.memory) + 1, 0), bytes(self.memory))

    def replace(self):
        """The name goes to a new file; the old one stays as it was for whoever has it open."""
        old = bytes(self.memory)
        new_path = self.path + ".new"
        new = os.open(new_path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        data = self.data(self.chance.randrange(PAGE))
        os.write(new, data)
        os.rename(new_path, self.path)
        self.compare(0, os.pread(self.fd, len(old) + 1, 0), old)
        os.close(self.fd)
        self.fd = new
        self.memory[:] = data

    def compare_stored(self):
        if self.stored is None:
            return
        with open(self.stored, "rb") as file:
            self.compare(0, file.read(), bytes(self.memory))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("seed", type=int)
    parser.add_argument("operations", type=int)
    parser.add_argument("--stored")
    parser.add_argument("--late", action="store_true", help="close does not wait for the under store")
    parser.add_argument("--without", default="", help="kinds of operations, with commas")
    parser.add_argument("--plant", action="store_true")
    args = parser.parse_args()
    without = args.without.split(",")
    one = OneFile(args.file, args.seed, args.stored, args.plant, without, args.late)
    try:
        one.run(args.operations)
    except (Wrong, OSError) as problem:
        print(f"Seed {args.seed}: {problem!r} at the last of\n  " + "\n  ".join(one.history))
        sys.exit(1)
    print(json.dumps({"operations": args.operations, "bytesWritten": one.bytes_written}))


main()
