"""Makes small files whose bytes tell their names. Usage: DIRECTORY COUNT [PER_DIRECTORY (100)]"""

import os
import sys

directory, count = sys.argv[1], int(sys.argv[2])
each = int(sys.argv[3]) if len(sys.argv) > 3 else 100
for number in range(count):
    parent = os.path.join(directory, str(number // each))
    os.makedirs(parent, exist_ok=True)
    with open(os.path.join(parent, str(number % each)), "w", encoding="ascii") as file:
        file.write(f"{number} " * (1 + number % 700))
