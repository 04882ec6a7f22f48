"""Programs that write, move and remove files below one directory, and others that read them meanwhile.
Usage: DIRECTORY SECONDS SEED. Prints one line of JSON; ends with exit code 1 where anybody was told what a
local directory would not say, or waited longer than for any one answer."""

import errno
import json
import os
import random
import sys
import time
from multiprocessing import Process, Queue

WRITERS = 2
READERS = 2
NAMES = ["d", "e", "x", "f"]
DEPTH_MAX = 3
# A worker that says nothing more is given up after 15 s.
WAIT_MAX_S = 12
# Names come and go, and a directory may be where a file was.
USUAL = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL)


def overwrite(chance, path):
    with open(path, "wb") as file:
        file.write(chance.randbytes(chance.choice([10, 5_000, 70_000, 200_000])))


def change(chance, path):
    with open(path, "r+b") as file:
        file.seek(chance.randrange(100_000))
        file.write(chance.randbytes(3_000))
        file.flush()
        os.fsync(file.fileno())
        file.truncate(chance.randrange(60_000))


def act(chance, top):
    below = [path for path, _, _ in os.walk(top) if path.count("/") - top.count("/") < DEPTH_MAX]
    path, other = (os.path.join(chance.choice(below), chance.choice(NAMES)) for _ in range(2))
    kind = chance.choices(["mkdir", "overwrite", "change", "cut", "rename", "unlink", "rmdir"], [3, 6, 6, 2, 4, 2, 1])[0]
    if kind == "mkdir":
        os.mkdir(path)
    elif kind == "overwrite":
        overwrite(chance, path)
    elif kind == "change":
        change(chance, path)
    elif kind == "cut":
        os.truncate(path, chance.randrange(100_000))
    elif kind == "rename":
        os.rename(path, other)
    elif kind == "unlink":
        os.unlink(path)
    else:
        os.rmdir(path)


def look(path):
    os.lstat(path)
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def each(top, index, seed, end):
    """What this process does, one by one, as functions."""
    chance = random.Random(f"{seed} {index}")
    while time.monotonic() < end:
        if index < WRITERS:
            yield lambda: act(chance, os.path.join(top, f"w{index}"))
        else:
            found = [os.path.join(at, name) for at, _, names in os.walk(top) for name in names]
            for path in found:
                yield lambda path=path: look(path)


def run(top, index, seed, end, results):
    problems = []
    done = 0
    for step in each(top, index, seed, end):
        started = time.monotonic()
        try:
            step()
            done += 1
        except OSError as error:
            if error.errno not in USUAL:
                problems.append(f"{'reader' if index >= WRITERS else 'writer'}: {error}")
        waited = time.monotonic() - started
        if waited > WAIT_MAX_S:
            problems.append(f"process {index} waited for {waited:.1f} s")
    results.put((index < WRITERS, done, problems))


def main():
    top, seconds, seed = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    for index in range(WRITERS):
        os.makedirs(os.path.join(top, f"w{index}"))
    results = Queue()
    end = time.monotonic() + seconds
    processes = [
        Process(target=run, args=(top, index, seed, end, results)) for index in range(WRITERS + READERS)
    ]
    for process in processes:
        process.start()
    told = [results.get() for _ in processes]
    for process in processes:
        process.join()
    problems = [problem for _, _, some in told for problem in some]
    writes = sum(done for is_writer, done, _ in told if is_writer)
    reads = sum(done for is_writer, done, _ in told if not is_writer)
    print(json.dumps({"writes": writes, "reads": reads, "problems": problems[:20]}))
    sys.exit(1 if problems else 0)


main()
