"""Makes files whose names tell their bytes: SEED-LENGTH. Usage: DIRECTORY"""

import os
import random
import sys

directory = sys.argv[1]
os.makedirs(directory)
for seed, length in enumerate([0, 1, 4096, 65_535, 65_536, 65_537, 300_000, 1_000_000]):
    with open(os.path.join(directory, f"{seed}-{length}"), "wb") as file:
        file.write(random.Random(seed).randbytes(length))
