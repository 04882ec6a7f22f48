"""Random operations on a small tree, most of them on names and files that exist. What is chosen
depends on the seed and on what the reference holds, never on the side that is tested."""

import fcntl
import os
import random
import stat

from sides import SET_TIMES

SLOTS = 6
ENTRIES_MAX = 60
DEPTH_MAX = 4
LOOK_EVERY = 20
NAMES = ["a", "b", "c", "d", "e f", "ü", "n%41+&#;", "-x", ".hidden", "long" * 8]
XATTRS = ["user.a", "user.b", "user.c"]
ACCESS = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR]
MODES = [0o644, 0o600, 0o755, 0o444, 0o666, 0o777, 0o4755, 0o2755, 0o1777, 0]
PAGE = 64 * 1024

WEIGHTS = {
    "open": 120, "close": 90, "pwrite": 90, "write": 40, "pread": 70, "read": 25, "seek": 15,
    "ftruncate": 25, "fallocate": 6, "fsync": 8, "fdatasync": 4, "forget": 12, "copy_range": 8,
    "flock": 10, "map_write": 15, "map_read": 15, "truncate": 20, "rename": 45, "rename_new": 10,
    "exchange": 3, "link": 4, "unlink": 45, "mkdir": 25, "rmdir": 18, "symlink": 12, "readlink": 8,
    "mkfifo": 3, "list": 30, "sync_directory": 4, "stat": 20, "lstat": 20, "fstat": 20,
    "chmod": 12, "fchmod": 6, "lchown": 8, "utime": 10, "futime": 6, "touch": 5, "umask": 3,
    "setxattr": 8, "getxattr": 6, "listxattr": 4, "removexattr": 4,
}  # fmt: skip


class Operations:
    def __init__(self, seed, reference, without=()):
        self.weights = {kind: part for kind, part in WEIGHTS.items() if kind not in without}
        self.chance = random.Random(seed)
        self.reference = reference
        self.known = []
        self.directories = [""]
        self.until_look = 0

    def next(self):
        if self.until_look == 0:
            self.look()
            self.until_look = LOOK_EVERY
        self.until_look -= 1
        kind = self.chance.choices(list(self.weights), list(self.weights.values()))[0]
        if len(self.known) > ENTRIES_MAX and kind in ("open", "mkdir", "symlink", "mkfifo"):
            kind = self.chance.choice(["unlink", "unlink", "rmdir"])
        return [kind, *getattr(self, "for_" + kind)()]

    def look(self):
        root = self.reference.root
        self.known, self.directories = [], [""]
        for directory, names, files in os.walk(root):
            names.sort()
            relative = os.path.relpath(directory, root)
            for name in sorted(names + files):
                path = name if relative == "." else f"{relative}/{name}"
                self.known.append(path)
                if stat.S_ISDIR(os.lstat(os.path.join(root, path)).st_mode):
                    self.directories.append(path)

    # Parts.

    def fresh(self):
        shallow = [each for each in self.directories if each.count("/") < DEPTH_MAX]
        directory = self.chance.choice(shallow)
        if self.known and self.chance.random() < 0.03:
            directory = self.chance.choice(self.known)
        name = self.chance.choice(NAMES)
        return f"{directory}/{name}" if directory else name

    def name(self):
        if self.known and self.chance.random() < 0.85:
            return self.chance.choice(self.known)
        return self.fresh()

    def slot(self):
        used = sorted(self.reference.slots)
        return self.chance.choice(used) if used else 0

    def seed(self):
        return self.chance.randrange(2**32)

    def length(self):
        """Mostly small; sometimes pages, and their edges."""
        turn = self.chance.random()
        if turn < 0.5:
            return self.chance.randrange(200)
        if turn < 0.8:
            return self.chance.randrange(20_000)
        if turn < 0.9:
            return PAGE * self.chance.randrange(1, 3) + self.chance.choice([-1, 0, 1])
        return self.chance.randrange(3 * PAGE)

    def offset(self):
        turn = self.chance.random()
        if turn < 0.4:
            return 0
        if turn < 0.8:
            return self.chance.randrange(30_000)
        if turn < 0.9:
            return PAGE * self.chance.randrange(4) + self.chance.choice([0, 1, 4095])
        return self.chance.randrange(6 * PAGE)

    def time_ns(self):
        # Whole milliseconds: what the mount keeps.
        return self.chance.randrange(SET_TIMES.start, SET_TIMES.stop) * 10**9 + (
            self.chance.randrange(1000) * 10**6
        )

    def for_open(self):
        free = [slot for slot in range(SLOTS) if slot not in self.reference.slots]
        flags = self.chance.choice(ACCESS)
        is_new = self.chance.random() < 0.5
        if is_new or self.chance.random() < 0.2:
            flags |= os.O_CREAT
        for flag, part in [(os.O_EXCL, 0.1), (os.O_TRUNC, 0.2), (os.O_APPEND, 0.15)]:
            if self.chance.random() < part and (flag != os.O_EXCL or flags & os.O_CREAT):
                flags |= flag
        if self.chance.random() < 0.03:
            flags |= os.O_NOFOLLOW
        name = self.fresh() if is_new else self.name()
        return [free[0] if free else 0, name, flags, self.chance.choice(MODES)]

    def for_close(self):
        return [self.slot()]

    def for_pwrite(self):
        return [self.slot(), self.seed(), self.length(), self.offset()]

    def for_write(self):
        return [self.slot(), self.seed(), self.length()]

    def for_pread(self):
        return [self.slot(), self.length(), self.offset()]

    def for_read(self):
        return [self.slot(), self.length()]

    def for_seek(self):
        return [self.slot(), self.offset(), self.chance.choice([os.SEEK_SET, os.SEEK_CUR])]

    def for_ftruncate(self):
        return [self.slot(), self.chance.choice([0, self.offset(), self.length()])]

    def for_fallocate(self):
        return [self.slot(), self.offset(), 1 + self.length()]

    for_fsync = for_fdatasync = for_forget = for_fstat = for_close

    def for_copy_range(self):
        return [self.slot(), self.slot(), self.length(), self.offset(), self.offset()]

    def for_flock(self):
        return [self.slot(), self.chance.choice([fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_UN])]

    def for_map_write(self):
        return [*self.for_pwrite(), self.chance.random() < 0.5]

    for_map_read = for_pread

    def for_truncate(self):
        return [self.name(), self.chance.choice([0, self.offset(), self.length()])]

    def for_rename(self):
        return [self.name(), self.chance.choice([self.name(), self.fresh()])]

    for_rename_new = for_exchange = for_link = for_rename

    def for_unlink(self):
        return [self.name()]

    for_rmdir = for_readlink = for_list = for_stat = for_lstat = for_touch = for_unlink
    for_sync_directory = for_listxattr = for_unlink

    def for_mkdir(self):
        return [self.fresh(), self.chance.choice(MODES)]

    for_mkfifo = for_mkdir

    def for_symlink(self):
        # Nothing with `..`: a link that is moved must not lead out of the tree.
        target = self.chance.choice([*NAMES, "a/b", "nowhere"])
        return [target, self.fresh()]

    def for_chmod(self):
        return [self.name(), self.chance.choice(MODES)]

    def for_fchmod(self):
        return [self.slot(), self.chance.choice(MODES)]

    def for_lchown(self):
        return [self.name(), self.chance.choice([-1, 0, 7]), self.chance.choice([-1, 0, 8])]

    def for_utime(self):
        return [self.name(), self.time_ns(), self.time_ns()]

    def for_futime(self):
        return [self.slot(), self.time_ns(), self.time_ns()]

    def for_umask(self):
        return [self.chance.choice([0, 0o022, 0o022, 0o077])]

    def for_setxattr(self):
        flags = self.chance.choice([0, 0, os.XATTR_CREATE, os.XATTR_REPLACE])
        length = self.chance.choice([0, 3, 100])
        return [self.name(), self.chance.choice(XATTRS), self.seed(), length, flags]

    def for_getxattr(self):
        return [self.name(), self.chance.choice(XATTRS)]

    for_removexattr = for_getxattr
