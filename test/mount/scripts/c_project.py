"""Makes a small C project with a Makefile. Its program prints 1 + 2 + ... + PARTS. Usage: DIRECTORY PARTS"""

import os
import sys

directory, parts = sys.argv[1], int(sys.argv[2])
os.makedirs(os.path.join(directory, "src"), exist_ok=True)


def write(name, text):
    with open(os.path.join(directory, name), "w", encoding="ascii") as file:
        file.write(text)


names = [f"part{number}" for number in range(1, parts + 1)]
write("src/parts.h", "".join(f"int {name}(void);\n" for name in names))
for number, name in enumerate(names, 1):
    write(f"src/{name}.c", f'#include "parts.h"\nint {name}(void) {{ return {number}; }}\n')
calls = " + ".join(f"{name}()" for name in names)
write(
    "src/main.c",
    f'#include <stdio.h>\n#include "parts.h"\nint main(void) {{ printf("%d\\n", {calls}); return 0; }}\n',
)
write(
    "Makefile",
    """objects := $(patsubst src/%.c,%.o,$(wildcard src/*.c))
program: libparts.a main.o
	$(CC) -o $@ main.o libparts.a
libparts.a: $(filter-out main.o,$(objects))
	rm -f $@; $(AR) Drcs $@ $(sort $^)
%.o: src/%.c src/parts.h
	$(CC) -O1 -c -o $@ $<
clean:
	rm -f *.o *.a program
""",
)
