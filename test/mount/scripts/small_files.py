"""Makes small files whose bytes tell their names, 100 to a directory. Usage: DIRECTORY COUNT"""

import os
import sys

directory, count = sys.argv[1], int(sys.argv[2])
for number in range(count):
    parent = os.path.join(directory, str(number // 100))
    os.makedirs(parent, exist_ok=True)
    with open(os.path.join(parent, str(number % 100)), "w", encoding="ascii") as file:
        file.write(f"{number} " * (1 + number % 700))
