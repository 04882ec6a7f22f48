"""Reads files of a mount for ever and compares every piece with the same piece of the source.

Usage: SOURCE_DIR MOUNT_DIR SEED FILE...   Ends when standard input does. Prints lines of JSON:
`tick` with what was done so far, `wrong` for bytes that are not the source's, `error` for a call
that failed and, for a file that was open, failed again after it was opened anew, `reopened` for one
that then succeeded."""

import errno
import json
import os
import random
import sys
import threading
import time

PIECE = 256 * 1024
RANDOM_READS = 6
TICK_S = 0.1
# An open file does not survive everything (a new daemon, a changed version); its path must.
REOPEN = {errno.ESTALE, errno.ENOTCONN, errno.EBADF}

source_dir, mount_dir, seed = sys.argv[1:4]
names = sys.argv[4:]
chance = random.Random(seed)
ended = threading.Event()
done = {"kind": "tick", "files": 0, "bytes": 0, "slowestMs": 0}


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def wait_for_end():
    while os.read(0, 4096):
        pass
    ended.set()


def timed(name, op, call):
    start = time.monotonic()
    try:
        return call()
    except OSError as error:
        error.took = (time.monotonic() - start) * 1000
        error.op = op
        raise
    finally:
        done["slowestMs"] = max(done["slowestMs"], (time.monotonic() - start) * 1000)


class File:
    """One open file of the mount and its source."""

    def __init__(self, name):
        self.name = name
        self.path = os.path.join(mount_dir, name)
        self.source = os.open(os.path.join(source_dir, name), os.O_RDONLY)
        self.size = os.fstat(self.source).st_size
        self.mounted = -1

    def open(self):
        self.mounted = timed(self.name, "open", lambda: os.open(self.path, os.O_RDONLY))
        # What the kernel holds would be read without asking anybody.
        os.posix_fadvise(self.mounted, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self):
        if self.mounted >= 0:
            os.close(self.mounted)
        os.close(self.source)

    def reopen(self, error):
        os.close(self.mounted)
        self.mounted = -1
        self.open()
        say({"kind": "reopened", "path": self.name, "errno": errno.errorcode[error.errno]})

    def piece(self, offset, length):
        read = lambda: os.pread(self.mounted, length, offset)
        try:
            got = timed(self.name, "read", read)
        except OSError as error:
            if error.errno not in REOPEN:
                raise
            self.reopen(error)
            got = timed(self.name, "read again", read)
        expected = os.pread(self.source, length, offset)
        # A read may end early where requests are cut; what came must be right.
        if got == expected or (got and expected.startswith(got)):
            done["bytes"] += len(got)
            return len(got)
        at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), len(got))
        wrong = {"kind": "wrong", "path": self.name, "offset": offset + at}
        say({**wrong, "detail": f"{len(got)} bytes came for {len(expected)}"})
        return len(expected)


def read_whole(file):
    offset = 0
    while offset < file.size and not ended.is_set():
        offset += file.piece(offset, PIECE)
    if offset >= file.size:
        file.piece(file.size, PIECE)


def read_somewhere(file):
    for _ in range(RANDOM_READS):
        file.piece(chance.randrange(file.size + 1), chance.randrange(1, PIECE))


def visit(name):
    file = File(name)
    try:
        size = timed(name, "stat", lambda: os.stat(file.path)).st_size
        if size != file.size:
            say({"kind": "wrong", "path": name, "offset": size, "detail": f"size for {file.size}"})
        file.open()
        chance.choice([read_whole, read_somewhere])(file)
        done["files"] += 1
    except OSError as error:
        op = getattr(error, "op", "close")
        line = {"kind": "error", "path": name, "errno": errno.errorcode[error.errno], "op": op}
        say({**line, "atMs": time.time() * 1000, "tookMs": getattr(error, "took", 0)})
    finally:
        file.close()


threading.Thread(target=wait_for_end, daemon=True).start()
ticked = 0
while not ended.is_set():
    visit(chance.choice(names))
    if time.monotonic() - ticked > TICK_S:
        ticked = time.monotonic()
        say(done)
say(done)
