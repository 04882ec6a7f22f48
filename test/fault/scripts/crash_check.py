"""Compares files below a directory with what each may hold. Usage: DIRECTORY, with JSON on the input:
{NAME: [[SEED, LENGTH] or null, ...]}; null stands for a name that does not exist."""

import json
import os
import random
import sys

directory = sys.argv[1]
allowed = json.load(sys.stdin)
problems = []


def held(name):
    try:
        with open(os.path.join(directory, name), "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


for name, contents in sorted(allowed.items()):
    got = held(name)
    wanted = [each and random.Random(each[0]).randbytes(each[1]) for each in contents]
    if got in wanted:
        continue
    shown = "missing" if got is None else f"{len(got)} bytes"
    lengths = [None if each is None else len(each) for each in wanted]
    prefix = got is not None and any(each is not None and each.startswith(got) for each in wanted)
    problems.append(f"{name}: {shown}{' (a beginning)' if prefix else ''}, allowed: {lengths}")

for parent, names, files in os.walk(directory):
    names[:] = [name for name in names if not name.startswith(".alluxio-fuse")]
    for name in files:
        path = os.path.relpath(os.path.join(parent, name), directory)
        if path not in allowed and not name.startswith(".alluxio-fuse"):
            problems.append(f"{path}: nobody made it")

print("\n".join(problems[:20]))
sys.exit(1 if problems else 0)
