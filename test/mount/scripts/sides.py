"""One side of a comparison: does one operation below a root directory and says what came of it.
Operations are lists of plain values, so that they can be printed, kept and done again."""

import ctypes
import errno
import fcntl
import mmap
import os
import random
import stat

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
AT_FDCWD = -100
# Times that programs set are in a range of their own, so that they can be told from times that
# the clock gave, which differ by nature.
SET_TIMES = range(1_000_000_000, 1_100_000_000)
SHOWN_BYTES = 40

libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """An answer that is not an errno, such as Python's own refusal to map an empty file."""


def content(seed, length):
    """The same bytes for the same seed, and no stretch of them like another."""
    return random.Random(seed).randbytes(length)


def renameat2(source, target, flags):
    if libc.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def described(status):
    """What two file systems must agree on. Directories have sizes and link counts of their own."""
    kind = stat.S_IFMT(status.st_mode)
    shown = {
        "mode": oct(status.st_mode),
        "owner": (status.st_uid, status.st_gid),
    }
    # The kernel passes bytes through a pipe without a word to its file system.
    if kind != stat.S_IFIFO:
        shown["mtime"] = mtime(status)
    if kind != stat.S_IFDIR:
        shown["nlink"] = status.st_nlink
        shown["size"] = status.st_size
    return shown


def mtime(status):
    return status.st_mtime_ns if status.st_mtime_ns // 10**9 in SET_TIMES else "now"


class Side:
    def __init__(self, root, is_reference):
        self.root = root
        self.is_reference = is_reference
        self.slots = {}

    def path(self, name):
        return os.path.join(self.root, name) if name else self.root

    def apply(self, operation):
        """('ok', value) or ('errno', name)."""
        kind, *args = operation
        try:
            return ("ok", getattr(self, "do_" + kind)(*args))
        except OSError as error:
            return ("errno", errno.errorcode.get(error.errno, str(error.errno)))
        except Refused as refused:
            return ("refused", str(refused))

    def close_all(self):
        for fd in self.slots.values():
            os.close(fd)
        self.slots.clear()

    def fd(self, slot):
        if slot not in self.slots:
            raise Refused("not open")
        return self.slots[slot]

    # Open files.

    def do_open(self, slot, name, flags, mode):
        if slot in self.slots:
            raise Refused("in use")
        # A pipe must not make anybody wait.
        self.slots[slot] = os.open(self.path(name), flags | os.O_NONBLOCK, mode)

    def do_close(self, slot):
        fd = self.fd(slot)
        del self.slots[slot]
        os.close(fd)

    def do_pread(self, slot, length, offset):
        return os.pread(self.fd(slot), length, offset)

    def do_read(self, slot, length):
        return os.read(self.fd(slot), length)

    def do_pwrite(self, slot, seed, length, offset):
        return os.pwrite(self.fd(slot), content(seed, length), offset)

    def do_write(self, slot, seed, length):
        return os.write(self.fd(slot), content(seed, length))

    def do_seek(self, slot, offset, whence):
        return os.lseek(self.fd(slot), offset, whence)

    def do_ftruncate(self, slot, length):
        os.ftruncate(self.fd(slot), length)

    def do_fallocate(self, slot, offset, length):
        os.posix_fallocate(self.fd(slot), offset, length)

    def do_fsync(self, slot):
        os.fsync(self.fd(slot))

    def do_fdatasync(self, slot):
        os.fdatasync(self.fd(slot))

    def do_forget(self, slot):
        """Lets the kernel drop its pages: what is read next comes from the file system."""
        os.posix_fadvise(self.fd(slot), 0, 0, os.POSIX_FADV_DONTNEED)

    def do_copy_range(self, source, target, length, from_offset, to_offset):
        return os.copy_file_range(self.fd(source), self.fd(target), length, from_offset, to_offset)

    def do_flock(self, slot, how):
        fcntl.flock(self.fd(slot), how | fcntl.LOCK_NB)

    def do_map_write(self, slot, seed, length, offset, flush):
        with self.mapped(slot, mmap.ACCESS_WRITE) as view:
            end = min(len(view), offset + length)
            if end <= offset:
                return 0
            view[offset:end] = content(seed, end - offset)
            if flush:
                view.flush()
            return end - offset

    def do_map_read(self, slot, length, offset):
        with self.mapped(slot, mmap.ACCESS_READ) as view:
            return view[offset : offset + length]

    def mapped(self, slot, access):
        try:
            return mmap.mmap(self.fd(slot), 0, access=access)
        except ValueError as error:
            raise Refused(str(error)) from error

    # Names.

    def do_truncate(self, name, length):
        status = os.stat(self.path(name))
        if stat.S_ISREG(status.st_mode) and status.st_size == length:
            raise Refused("as long already")  # Whether that is a change, file systems disagree.
        os.truncate(self.path(name), length)

    def do_rename(self, source, target):
        os.rename(self.path(source), self.path(target))

    def do_rename_new(self, source, target):
        renameat2(self.path(source), self.path(target), RENAME_NOREPLACE)

    def parent_times(self, *names):
        found = []
        for name in names:
            parent = os.path.dirname(self.path(name))
            try:
                times = os.stat(parent)
            except OSError:
                continue  # The operation will say so.
            found.append((parent, (times.st_atime_ns, times.st_mtime_ns)))
        return found

    def do_exchange(self, source, target):
        """Not offered by the mount. The reference tells whether another errno comes first, and takes
        back what it did."""
        before = self.parent_times(source, target)
        renameat2(self.path(source), self.path(target), RENAME_EXCHANGE)
        if os.path.normpath(source) == os.path.normpath(target):
            return  # Done by the kernel itself, which is nothing to do.
        if not self.is_reference:
            raise Refused("exchanged")
        renameat2(self.path(source), self.path(target), RENAME_EXCHANGE)
        for parent, times in before:
            os.utime(parent, ns=times)
        raise OSError(errno.EINVAL, "")

    def do_link(self, source, target):
        """As `exchange`: there are no hard links."""
        before = self.parent_times(target)
        os.link(self.path(source), self.path(target), follow_symlinks=False)
        if not self.is_reference:
            raise Refused("linked")
        os.unlink(self.path(target))
        for parent, times in before:
            os.utime(parent, ns=times)
        raise OSError(errno.EPERM, "")

    def do_unlink(self, name):
        os.unlink(self.path(name))

    def do_mkdir(self, name, mode):
        os.mkdir(self.path(name), mode)

    def do_rmdir(self, name):
        os.rmdir(self.path(name))

    def do_symlink(self, target, name):
        os.symlink(target, self.path(name))

    def do_readlink(self, name):
        return os.readlink(self.path(name))

    def do_mkfifo(self, name, mode):
        os.mkfifo(self.path(name), mode)

    def do_list(self, name):
        with os.scandir(self.path(name)) as entries:
            return sorted((each.name, kind_of(each)) for each in entries)

    def do_sync_directory(self, name):
        fd = os.open(self.path(name), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    # Attributes.

    def do_stat(self, name):
        return described(os.stat(self.path(name)))

    def do_lstat(self, name):
        return described(os.lstat(self.path(name)))

    def do_fstat(self, slot):
        return described(os.fstat(self.fd(slot)))

    def do_chmod(self, name, mode):
        os.chmod(self.path(name), mode)

    def do_fchmod(self, slot, mode):
        os.fchmod(self.fd(slot), mode)

    def do_lchown(self, name, uid, gid):
        os.lchown(self.path(name), uid, gid)

    def do_utime(self, name, access_ns, modify_ns):
        os.utime(self.path(name), ns=(access_ns, modify_ns), follow_symlinks=False)

    def do_futime(self, slot, access_ns, modify_ns):
        os.utime(self.fd(slot), ns=(access_ns, modify_ns))

    def do_touch(self, name):
        os.utime(self.path(name))

    def do_umask(self, mask):
        os.umask(mask)

    def do_setxattr(self, name, attribute, seed, length, flags):
        os.setxattr(self.path(name), attribute, content(seed, length), flags)

    def do_getxattr(self, name, attribute):
        return os.getxattr(self.path(name), attribute)

    def do_listxattr(self, name):
        found = os.listxattr(self.path(name), follow_symlinks=False)
        # The mount tells where a file lies by attributes of its own.
        return sorted(each for each in found if not each.startswith("user.alluxio."))

    def do_removexattr(self, name, attribute):
        os.removexattr(self.path(name), attribute)

    def do_tree(self):
        """Everything below, with every byte."""
        found = {}
        for directory, names, files in os.walk(self.root):
            for name in names + files:
                path = os.path.join(directory, name)
                found[os.path.relpath(path, self.root)] = self.everything(path)
        return found

    def everything(self, path):
        status = os.lstat(path)
        shown = described(status)
        if stat.S_ISREG(status.st_mode):
            with open(path, "rb") as file:
                shown["content"] = file.read()
        if stat.S_ISLNK(status.st_mode):
            shown["target"] = os.readlink(path)
        else:
            for name in os.listxattr(path):
                if not name.startswith("user.alluxio."):
                    shown[name] = os.getxattr(path, name)
        return shown


def kind_of(entry):
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def difference(expected, got):
    """None, or one line about the first thing that is not the same."""
    if expected == got:
        return None
    if isinstance(expected, bytes) and isinstance(got, bytes):
        return bytes_difference(expected, got)
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in sorted(set(expected) | set(got)):
            if key not in got:
                return f"{key!r} is missing"
            if key not in expected:
                return f"{key!r} is too much: {shortened(got[key])}"
            inner = difference(expected[key], got[key])
            if inner is not None:
                return f"{key!r}: {inner}"
    if isinstance(expected, tuple) and isinstance(got, tuple) and expected[:1] == got[:1] == ("ok",):
        return difference(expected[1], got[1])
    return f"expected {shortened(expected)}, got {shortened(got)}"


def bytes_difference(expected, got):
    if len(expected) != len(got):
        return f"expected {len(expected)} bytes, got {len(got)}"
    wrong = [at for at in range(len(expected)) if expected[at] != got[at]]
    first = wrong[0]
    zeros = " (all zeros)" if not any(got[at] for at in wrong) else ""
    return (
        f"{len(wrong)} of {len(expected)} bytes from {first} to {wrong[-1]} differ{zeros}: expected "
        f"{expected[first : first + 8].hex()}…, got {got[first : first + 8].hex()}…"
    )


def shortened(value):
    if isinstance(value, bytes) and len(value) > SHOWN_BYTES:
        return f"{len(value)} bytes"
    text = repr(value)
    return text if len(text) < 600 else text[:600] + "…"
