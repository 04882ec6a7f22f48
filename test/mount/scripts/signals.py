"""Changes names again and again under a timer that fires every few milliseconds; prints what failed."""

import os
import signal
import sys

fired = 0


def on_alarm(*_):
    global fired
    fired += 1


root, rounds = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
failed = []
for number in range(rounds):
    a, b = os.path.join(root, f"a{number}"), os.path.join(root, f"b{number}")
    for step, path in (
        (os.mkdir, (a,)),
        (os.rename, (a, b)),
        (os.stat, (b,)),
        (os.symlink, ("b", a)),
        (os.unlink, (a,)),
        (os.rmdir, (b,)),
    ):
        try:
            step(*path)
        except OSError as error:
            failed.append(f"{step.__name__} {error.strerror}")
signal.setitimer(signal.ITIMER_REAL, 0)
print(f"{len(failed)} failed {sorted(set(failed))} enough {fired > rounds}")
