"""What Alluxio's own Python client makes of a cluster. Reads a JSON object from standard input:

    {"root": URI of a directory of the under store, "client": arguments of AlluxioFileSystem,
     "upload": a local file, "download": a local path,
     "placement": arguments for the cluster that "paths", URIs, are placed in}

Releases name some operations differently; the name in the results is that of 1.0.6. In the directory
lie `theirs` (our client wrote it) and `sub/deep`. Prints a JSON object: for each operation what it gave, or {"error": why}; bytes as their MD5 and length. It has no under store to fall back to."""

import hashlib
import json
import logging
import sys

from alluxiofs import AlluxioFileSystem

QUIET = logging.getLogger("alluxiofs-test")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


def shown(value):
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, (bytes, bytearray)):
        return {"md5": hashlib.md5(value).hexdigest(), "length": len(value)}
    return value


def main():
    task = json.load(sys.stdin)
    root = task["root"]
    fs = AlluxioFileSystem(logger=QUIET, **task["client"])
    results = {}

    def step(name, operation):
        try:
            results[name] = shown(operation())
        except Exception as error:
            results[name] = {"error": f"{type(error).__name__}: {error}"}

    def opened():
        with fs.open(f"{root}/theirs", "rb", block_size=64 * 1024) as file:
            file.seek(100_000)
            return file.read(70_000)

    # Since 1.1 these have other names, or are left to the client below, and upload takes its paths in turn.
    is_new = not hasattr(fs, "upload_data")
    client = fs.alluxio
    read = client.read if is_new else fs.read
    write = client.write_chunked if is_new else fs.write
    download_data = client.read_chunked if is_new else fs.download_data

    def transfer(operation, remote, local):
        return operation(local, remote) if is_new else operation(remote, local)

    data = bytes(range(256)) * 1200
    step("ls", lambda: sorted(entry["name"] for entry in fs.ls(root, detail=True)))
    step("info", lambda: fs.info(f"{root}/theirs")["size"])
    step("isdir", lambda: fs.isdir(f"{root}/sub"))
    step("exists", lambda: [fs.exists(f"{root}/theirs"), fs.exists(f"{root}/none")])
    step("open, seek, read", opened)
    step("read", lambda: read(f"{root}/theirs"))
    step("cat_file", lambda: fs.cat_file(f"{root}/theirs", start=65_530, end=65_550))
    step("head", lambda: fs.head(f"{root}/theirs", 100))
    step("tail", lambda: fs.tail(f"{root}/theirs", 100))
    step("mkdir", lambda: fs.mkdir(f"{root}/made"))
    step("touch", lambda: fs.touch(f"{root}/made/touched"))
    step("write", lambda: write(f"{root}/made/written", data))
    step("upload", lambda: transfer(fs.upload, f"{root}/made/uploaded", task["upload"]))
    step("download_data", lambda: download_data(f"{root}/made/written"))
    step("download", lambda: transfer(fs.download, f"{root}/theirs", task["download"]))
    step("copy", lambda: fs.copy(f"{root}/made/written", f"{root}/made/copied"))
    step("mv", lambda: fs.mv(f"{root}/made/uploaded", f"{root}/made/moved"))
    step("rm", lambda: fs.rm(f"{root}/made/touched"))
    step("rm -r", lambda: fs.rm(f"{root}/sub", recursive=True))
    step("load", lambda: client.load(f"{root}/theirs", timeout=5))
    step("submit_load", lambda: client.submit_load(f"{root}/made"))
    step("load_progress", lambda: str(client.load_progress(f"{root}/none")[0]))
    step("stop_load", lambda: client.stop_load(f"{root}/none"))

    if not is_new:
        ring = AlluxioFileSystem(logger=QUIET, **task["placement"]).alluxio.hash_provider
        workers = [ring.get_multiple_workers(path, 1)[0] for path in task["paths"]]
        results["placement"] = [f"{worker.host}:{worker.http_server_port}" for worker in workers]
    json.dump(results, sys.stdout)


main()
