"""Names as bytes. `make DIR` makes files and directories of all kinds of names below DIR, one
directory for each class of names. `look SOURCE_DIR MOUNT_DIR` compares, and prints as JSON what each
directory and each name below it came to over the mount. `make-root DIR PREFIX` and `look-root
SOURCE_DIR MOUNT_DIR PREFIX` do the like with entries of the root itself."""

import errno
import json
import os
import sys

WORDS = [
    b"with space", b" lead", b"trail ", b"  ", b"plus+plus", b"+", b"100%", b"%", b"%%", b"%41",
    b"a%2Fb", b"%2f", b"%3A", b"%3F", b"%252B", b"%00", b"a&b=c;d", b"&amp;", b"hash#tag", b"#",
    b"quote'\"`", b"<angle>", b"]]>", b"new\nline", b"\n", b"tab\there", b"cr\rcr", b"crlf\r\n",
    b"colon:colon", b":", b"a:b:c", b"http:", b"file:", b"...", b". .", b".hidden", b"..dots", b"dots..",
    b"-", b"--help", b"-rf", b"~", b"~!@$^*()[]{}|,", b"*", b"null", b"undefined", b"true", b"NaN",
    b"__proto__", b"constructor", b"toString", b"hasOwnProperty", b"007", b"0", b"-1", b"1e3", b"1.0",
    b"{}", b"[]", b"\"", b"'", b"index.html", b"path=x", b"list-type=2", b"uploads", b"delete",
    "\u00fcn\u00efc\u00f6d\u00e9".encode(), "e\u0301".encode(), "\u00e9".encode(), "\u65e5\u672c".encode(),
    "\U0001f600 smile".encode(), "\ufeffbom".encode(), "\u202eright".encode(),
    "\u2028".encode(), "\u0085".encode(), "\ufffd".encode(), "\ufffe".encode(), b"n" * 255,
    b"\xc3\xa9" * 127 + b"n", b"% " * 127 + b"%", b"\x7f",
]
MARKED = [b"?", b"what?", b"?x", b"a?b=c", b"??", b"?versions"]
BACK = [b"\\", b"a\\b", b"\\x", b"x\\", b"..\\up", b"\\\\"]
BROKEN = [b"latin\xe9", b"\xff", b"\xfe\xff", b"\xc3", b"a\x80b", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5x",
          b"\xe9" * 255]


def classes():
    words = list(WORDS)
    single = [byte for byte in range(1, 256) if byte != ord("/")]
    for byte in single:
        for name in (bytes([byte]), b"x%cy" % byte, b"%cz" % byte, b"z%c" % byte):
            if name in (b".", b".."):
                continue
            words_of(byte, words).append(name)
    return {
        b"plain": unique(words),
        b"question": unique(MARKED),
        b"backslash": unique(BACK),
        b"broken": unique(BROKEN),
    }


def words_of(byte, words):
    if byte == ord("?"):
        return MARKED
    if byte == ord("\\"):
        return BACK
    return BROKEN if byte >= 0x80 else words


def unique(names):
    return sorted(set(names))


def content(*parts):
    return b"content of " + b" ".join(parts).hex().encode() + b"\n"


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def make(root):
    for kind, names in classes().items():
        files = os.path.join(root, kind + b"-files")
        directories = os.path.join(root, kind + b"-directories")
        os.mkdir(files)
        os.mkdir(directories)
        # What a worker that confuses names would find instead.
        for name in (b"b", b"a", b"x", b"decoy"):
            if name not in names:
                write(os.path.join(files, name), b"decoy " + name)
        for name in names:
            write(os.path.join(files, name), content(kind, name))
            if len(name) == 2 and kind == b"plain" and name not in WORDS:
                # Each is three round trips more; the byte alone and in the middle will do.
                continue
            os.mkdir(os.path.join(directories, name))
            write(os.path.join(directories, name, b"inside"), content(kind, name, b"inside"))
            write(os.path.join(directories, name, name), content(kind, name, name))


def attempt(work):
    try:
        return work()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def stat_of(path):
    info = os.lstat(path)
    return [info.st_mode & 0o170000, info.st_size if info.st_mode & 0o170000 == 0o100000 else 0]


def judge(source, mount):
    """'same' or an errno or what differs, for one file or directory."""
    result = attempt(lambda: "same" if stat_of(source) == stat_of(mount) else f"stat {stat_of(mount)}")
    if result != "same":
        return result
    if os.path.isdir(source):
        return "same"
    return attempt(lambda: "same" if read(source) == read(mount) else "WRONG BYTES")


def look(source_root, mount_root):
    report = {}
    for kind in sorted(os.listdir(source_root)):
        source, mount = os.path.join(source_root, kind), os.path.join(mount_root, kind)
        if not os.path.isdir(source):
            continue
        names = sorted(os.listdir(source))
        # Names first: a listing would teach the mount attributes that it should find by itself.
        judged = {name.hex(): judge(os.path.join(source, name), os.path.join(mount, name)) for name in names}
        inner = {}
        if kind.endswith(b"-directories"):
            for name in names:
                for inside in (b"inside", name):
                    key = f"{name.hex()}/{inside.hex()}"
                    path = os.path.join(name, inside)
                    inner[key] = judge(os.path.join(source, path), os.path.join(mount, path))
                key = f"{name.hex()}/"
                inner[key] = listing(os.path.join(source, name), os.path.join(mount, name))
        report[kind.decode()] = {
            "listing": listing(source, mount),
            "names": judged,
            "inner": inner,
        }
    print(json.dumps(report))


def listing(source, mount):
    found = attempt(lambda: os.listdir(mount))
    if isinstance(found, str):
        return {"error": found, "missing": [], "extra": []}
    there = os.listdir(source)
    return {
        "error": "",
        "missing": sorted(name.hex() for name in set(there) - set(found)),
        "extra": sorted(name.hex() for name in set(found) - set(there)),
        "twice": len(found) - len(set(found)),
    }


ROOT_SUFFIXES = [b" plain", b"+plus", b"%41", b"\xc3\xbc", b"#h", b"&a=b;c", b":colon", b"'q\"", b"?q", b"\\b"]


def make_root(root, prefix):
    for suffix in ROOT_SUFFIXES:
        directory = os.path.join(root, prefix + b"-directory" + suffix)
        os.mkdir(directory)
        write(os.path.join(directory, b"inside"), content(suffix, b"inside"))
        write(os.path.join(root, prefix + b"-file" + suffix), content(suffix))


def look_root(source_root, mount_root, prefix):
    names = sorted(name for name in os.listdir(source_root) if name.startswith(prefix + b"-"))
    judged = {}
    for name in names:
        path = os.path.join(name, b"inside") if name.startswith(prefix + b"-directory") else name
        judged[path.hex()] = judge(os.path.join(source_root, path), os.path.join(mount_root, path))
    print(json.dumps({"listing": listing(source_root, mount_root), "names": judged}))


command, *paths = [os.fsencode(argument) for argument in sys.argv[1:]]
{b"make": make, b"look": look, b"make-root": make_root, b"look-root": look_root}[command](*paths)
