"""Writes files on a mount whose processes are killed meanwhile, and tells after each step what was
acknowledged. Usage: DIRECTORY SEED ROUND, ends at the end of its input. Prints lines of JSON:

    {"begin": NAME, "content": [SEED, LENGTH]}    the name may hold this from now on
    {"done": NAME, "content": [SEED, LENGTH]}     close or fsync returned 0: it must hold this, or
                                                  what begins later
    {"done": NAME, "content": null}               it was removed
    {"absent": NAME}                              instead: there was nothing to remove. The kernel
                                                  may say so of a mount that is dead, out of what it
                                                  remembers: a rename cut short may have made it

Whatever fails is not acknowledged and is tried no further; a new step follows."""

import json
import os
import random
import select
import sys
import time

directory, seed, turn = sys.argv[1], sys.argv[2], sys.argv[3]
chance = random.Random(f"{seed} {turn}")
NAMES = [f"file-{number}" for number in range(8)]
LENGTHS = [1, 300, 5_000, 65_536, 65_537, 200_000, 700_000]
# A mount that is not there answers at once: do not spin.
PAUSE_S = 0.02


def say(**what):
    print(json.dumps(what), flush=True)


def new_content():
    return [chance.randrange(2**32), chance.choice(LENGTHS)]


def data_of(content):
    return random.Random(content[0]).randbytes(content[1])


def write_all(fd, data):
    at = 0
    while at < len(data):
        at += os.write(fd, data[at : at + 50_000])


def put(path, content, flags, with_fsync, name):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o644)
    try:
        write_all(fd, data_of(content))
        if with_fsync:
            os.fsync(fd)
            say(done=name, content=content)
    except OSError:
        try:
            os.close(fd)
        except OSError:
            pass
        raise
    os.close(fd)
    say(done=name, content=content)


def overwrite(name):
    content = new_content()
    say(begin=name, content=content)
    put(os.path.join(directory, name), content, os.O_TRUNC, chance.random() < 0.5, name)


def replace(name):
    """As editors save: a new file under another name, then a rename."""
    content = new_content()
    other = name + ".new"
    say(begin=other, content=content)
    put(os.path.join(directory, other), content, os.O_TRUNC, chance.random() < 0.5, other)
    say(begin=name, content=content)
    say(begin=other, content=None)
    os.rename(os.path.join(directory, other), os.path.join(directory, name))
    say(done=name, content=content)
    say(done=other, content=None)


def remove(name):
    say(begin=name, content=None)
    try:
        os.unlink(os.path.join(directory, name))
    except FileNotFoundError:
        say(absent=name)
        return
    say(done=name, content=None)


def nest(name):
    """A directory with a file in it that gets another name."""
    content = new_content()
    for part in (f"dir-{name}", f"moved-{name}"):
        path = os.path.join(directory, part)
        if os.path.isdir(path):
            remove(f"{part}/inside")
            os.rmdir(path)
    os.mkdir(os.path.join(directory, f"dir-{name}"))
    inside = f"dir-{name}/inside"
    say(begin=inside, content=content)
    put(os.path.join(directory, inside), content, os.O_EXCL, False, inside)
    moved = f"moved-{name}/inside"
    say(begin=moved, content=content)
    say(begin=inside, content=None)
    os.rename(os.path.join(directory, f"dir-{name}"), os.path.join(directory, f"moved-{name}"))
    say(done=moved, content=content)
    say(done=inside, content=None)


while not select.select([sys.stdin], [], [], 0)[0]:
    step = chance.choices([overwrite, replace, remove, nest], [5, 5, 1, 2])[0]
    try:
        step(chance.choice(NAMES))
    except OSError as error:
        say(failed=error.strerror)
        time.sleep(PAUSE_S)
