"""Does the same random operations below two directories, one of them on the mount, and compares
after each one what came of it. Usage:

    differential.py MOUNTED REFERENCE SEED OPERATIONS [--label NAME] [--shared DIR] [--plant FAULT]

Both directories must be empty. Prints one line of JSON at the end. When something differs it prints
the seed and the operations that lead there, as few as it can find, and ends with exit code 1.

What may differ, and nothing else:
  - hard links: EPERM; exchanging two names: EINVAL (where nothing else is wrong first)
  - link count and size of directories; block counts; inode numbers
  - times that no program set; access and change times; times of pipes
  - the attributes user.alluxio.*, which the mount shows of itself"""

import argparse
import json
import os
import random
import signal
import sys
import time

from operations import Operations
from sides import Side, difference, shortened

TREE_EVERY = 400
# An answer that takes longer is a hang: an operation is a few requests to a worker on this machine.
HANG_S = 60
SHOWN_OPERATIONS = 60
# What another process does to its own part at the same time.
LOOK_ERRNOS = ("ENOENT", "ENOTDIR", "ELOOP")


class Difference(Exception):
    def __init__(self, at, operation, text):
        super().__init__(text)
        self.at = at
        self.operation = operation


class Hang(Exception):
    pass


def on_alarm(_signal, _frame):
    raise Hang(f"no answer within {HANG_S} s")


class Pair:
    def __init__(self, mounted, reference, plant):
        os.umask(0o022)
        # With a plant both sides are local, so that the plant is the only difference.
        self.mounted = PLANTS[plant](mounted, plant != "none")
        self.reference = Side(reference, True)
        # Operations that changed something.
        self.effective = set()

    def run(self, at, operation):
        expected = self.reference.apply(operation)
        self.expect(at, operation, expected, operation)
        if operation[0] in READS_ONLY or expected[0] == "refused":
            return
        if expected[0] == "ok":
            self.effective.add(at)
        for look in looks_after(operation):
            self.expect(at, operation, self.reference.apply(look), look)

    def expect(self, at, operation, expected, doing):
        signal.alarm(HANG_S)
        try:
            got = self.mounted.apply(doing)
        except Hang as hang:
            raise Difference(at, operation, f"{doing}: {hang}") from hang
        finally:
            signal.alarm(0)
        text = difference(expected, got)
        if text is not None:
            after = "" if doing is operation else f"then {doing}: "
            raise Difference(at, operation, after + text)

    def end(self, at):
        for slot in sorted(self.reference.slots):
            self.run(at, ["close", slot])
        self.run(at, ["tree"])

    def close(self):
        for side in (self.mounted, self.reference):
            try:
                side.close_all()
            except OSError:
                pass  # What the difference was about.


READS_ONLY = {
    "pread", "read", "seek", "map_read", "readlink", "list", "stat", "lstat", "fstat", "tree",
    "getxattr", "listxattr", "umask", "forget", "flock",
}  # fmt: skip
BY_SLOT = {
    "pwrite", "write", "ftruncate", "fallocate", "fsync", "fdatasync", "map_write", "fchmod", "futime",
}  # fmt: skip


def looks_after(operation):
    kind, *args = operation
    if kind in BY_SLOT:
        return [["fstat", args[0]]]
    if kind == "open":
        return [["fstat", args[0]], ["lstat", args[1]]]
    if kind == "copy_range":
        return [["fstat", args[1]]]
    if kind == "symlink":
        return [["lstat", args[1]]]
    if kind in ("rename", "rename_new", "exchange", "link"):
        return [["lstat", args[0]], ["lstat", args[1]]]
    if kind == "close":
        return []
    return [["lstat", args[0]]]


class ForgetsBytes(Side):
    """Each 50th write loses its last byte."""

    count = 0

    def do_pwrite(self, slot, seed, length, offset):
        done = super().do_pwrite(slot, seed, length, offset)
        self.count += 1
        if self.count % 50 == 0 and done > 0:
            os.pwrite(self.fd(slot), b"\0", offset + done - 1)
        return done


class RemovesFull(Side):
    """Directories that are not empty go away."""

    def do_rmdir(self, name):
        try:
            super().do_rmdir(name)
        except OSError:
            if os.path.isdir(self.path(name)) and not os.path.islink(self.path(name)):
                os.rename(self.path(name), self.root + "-removed-" + str(time.monotonic_ns()))
            else:
                raise


class LosesModes(Side):
    """A renamed file has the mode of a new one."""

    def do_rename(self, source, target):
        super().do_rename(source, target)
        if os.path.isfile(self.path(target)):
            os.chmod(self.path(target), 0o644)


PLANTS = {
    "none": Side, "nothing": Side, "bytes": ForgetsBytes, "rmdir": RemovesFull, "modes": LosesModes,
}  # fmt: skip


class Neighbours:
    """Looks at what other processes have on the same mount."""

    def __init__(self, mounted, shared, seed):
        self.above = os.path.dirname(mounted)
        self.shared = shared
        self.chance = random.Random(f"{seed} looks")

    def look(self, at):
        if self.shared is not None:
            name = self.chance.choice(sorted(os.listdir(self.shared)))
            seed, length = name.split("-")
            with open(os.path.join(self.shared, name), "rb") as file:
                text = difference(random.Random(int(seed)).randbytes(int(length)), file.read())
            if text is not None:
                raise Difference(at, ["shared", name], text)
        side = Side(os.path.join(self.above, self.chance.choice(sorted(os.listdir(self.above)))), False)
        for operation in (["list", ""], ["tree"]):
            answer = side.apply(operation)
            if answer[0] != "ok" and answer[1] not in LOOK_ERRNOS:
                raise Difference(at, ["look", side.root, *operation], shortened(answer))


def kind_of(found):
    """Of two differences that are probably the same fault: what was done, and what is wrong."""
    words = str(found).split(": expected ")[0]
    got = str(found).rpartition("got ")[2]
    return found.operation[0], words.rpartition("'")[0].rpartition("'")[2], got[:12]


def replay(base, number, operations, plant):
    """The difference that these operations lead to in fresh directories, or None."""
    mounted, reference = (f"{each}-replay-{number}" for each in base)
    for each in (mounted, reference):
        os.mkdir(each)
    pair = Pair(mounted, reference, plant)
    try:
        for at, operation in enumerate(operations):
            pair.run(at, operation)
        pair.end(len(operations))
    except Difference as found:
        return found
    finally:
        pair.close()
    return None


def shrink(base, operations, effective, plant, wanted, limit_s):
    """Takes away ever smaller parts as long as what is left still shows the same difference."""
    deadline = time.monotonic() + limit_s
    state = {"best": operations, "found": None, "number": 0}

    def still_wrong(trial):
        state["number"] += 1
        again = replay(base, state["number"], trial, plant)
        if again is None or kind_of(again) != kind_of(wanted):
            return False
        state["best"], state["found"] = trial[: again.at + 1], again
        return True

    # First without all that changed nothing, then half, quarter, … of the rest.
    if not still_wrong(effective) and not still_wrong(operations):
        return operations, None
    part = max(1, len(state["best"]) // 2)
    while time.monotonic() < deadline:
        start = 0
        shorter = False
        while start < len(state["best"]) and time.monotonic() < deadline:
            if still_wrong(state["best"][:start] + state["best"][start + part :]):
                shorter = True
            else:
                start += part
        if part == 1 and not shorter:
            break
        part = max(1, part // 2)
    return state["best"], state["found"]


def report(seed, label, found, operations, shrunk):
    print(f"Seed {seed} ({label}), operation {found.at}: {found.operation}\n  {found}")
    best, again = shrunk
    if again is None:
        print("Not seen again in fresh directories. What came last and changed something:")
        best = operations
    else:
        print(f"{len(best)} operations suffice: {again}")
    for operation in best[-SHOWN_OPERATIONS:]:
        print("  " + json.dumps(operation, ensure_ascii=False))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mounted")
    parser.add_argument("reference")
    parser.add_argument("seed", type=int)
    parser.add_argument("operations", type=int)
    parser.add_argument("--label", default="")
    parser.add_argument("--shared")
    parser.add_argument("--shrink", type=int, default=60, help="seconds")
    parser.add_argument("--without", default="", help="kinds of operations, with commas")
    parser.add_argument("--plant", default="none", choices=sorted(PLANTS))
    args = parser.parse_args()
    signal.signal(signal.SIGALRM, on_alarm)
    pair = Pair(args.mounted, args.reference, args.plant)
    chosen = Operations(args.seed, pair.reference, args.without.split(","))
    neighbours = Neighbours(args.mounted, args.shared, args.seed) if args.shared else None
    done = []
    try:
        for at in range(args.operations):
            done.append(chosen.next())
            pair.run(at, done[-1])
            if at % TREE_EVERY == TREE_EVERY - 1:
                pair.run(at, ["tree"])
                if neighbours is not None:
                    neighbours.look(at)
        pair.end(args.operations)
    except Difference as found:
        pair.close()
        # And the one that was answered wrongly, whatever it is.
        effective = [each for at, each in enumerate(done) if at in pair.effective or at == found.at]
        shrunk = shrink((args.mounted, args.reference), done, effective, args.plant, found, args.shrink)
        report(args.seed, args.label, found, effective, shrunk)
        sys.exit(1)
    print(json.dumps({"operations": len(done)}))


main()
