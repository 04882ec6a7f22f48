"""Reads a record of 4 KiB every 10 MiB and prints what the records hold. Usage: FILE"""

import hashlib
import os
import sys

RECORD = 4096
STRIDE = 10 * 1024 * 1024

with open(sys.argv[1], "rb", buffering=0) as file:
    size = os.fstat(file.fileno()).st_size
    for offset in range(0, size, STRIDE):
        record = os.pread(file.fileno(), RECORD, offset)
        print(offset, hashlib.sha256(record).hexdigest())
