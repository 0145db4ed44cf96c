#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Runs programs on memfd or tmpfs, and on rmmap: `make clients` calls it in a guest.

Usage: run.py PAGE OUT [WORD...]. Each program runs twice, in a cgroup of its own, whose numbers are
compared. OUT is PAGE with the table filled in. WORDs select programs by name.
"""

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import time
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
RMMAP = os.path.join(HERE, "rmmap")
TMP = os.path.join(HERE, "tmp")
CGROUPS = os.path.join(HERE, "cgroup")
NODE = "/dev/rmmap"
MARK = ".. The table of `make clients` begins here.\n"
LIMIT = 300

EXEC = [RMMAP, "exec", "--stat", "--"]
PYTHON = ["/usr/bin/python3", os.path.join(HERE, "uses.py")]


@dataclass
class Client:
    """A program, how it runs on memfd or tmpfs, and on rmmap."""

    name: str
    about: str
    before: list
    after: list
    stdin: bytes = b""
    # Reads what the program printed: the lines that must be the same.
    results: object = None


def exec_of(name, about, command, **rest):
    """A program whose memfds become regions."""
    return Client(name, about, command, EXEC + command, **rest)


def file_of(name, about, command, **rest):
    """A program that has a file's name in its arguments, as @."""
    with_file = lambda path: [word.replace("@", path) for word in command]
    return Client(name, about, with_file(f"{TMP}/file"), with_file(NODE), **rest)


def qemu(use, backend):
    """QEMU with RAM of this backend; machine.py says what it does there."""
    return [PYTHON[0], os.path.join(HERE, "machine.py"), use, backend]


FIO = "fio --name=t --size=16m --bs=64k --rw=randwrite --verify=crc32c --do_verify=1 --verify_fatal=1"
FIO = (FIO + " --fallocate=none --norandommap=0 --randseed=7 --output-format=terse").split()
RING = f"{FIO[0]} --name=t --filename={TMP}/data --size=16m --bs=64k --rw=write --verify=crc32c"
RING = (RING + " --ioengine=io_uring --fixedbufs=1 --iodepth=8 --output-format=terse").split()
STRESS = "stress-ng --verify --timeout 120 --temp-path".split() + [TMP]
MEMFD = STRESS + "--memfd 1 --memfd-ops 8 --memfd-fds 8 --memfd-bytes 4m".split()
SEAL = STRESS + "--seal 1 --seal-ops 20".split()
TRINITY = "setpriv --reuid=65534 --regid=65534 --clear-groups trinity --quiet --logging=off".split()
# It stops if the kernel becomes tainted. fanotify and old calls may do that without fault.
TRINITY += "--kernel_taint=BAD_PAGE,DIE,WARN --children=2 -N3000 -s7".split()
TRINITY += "--enable-fds=memfd --enable-fds=testfile --victims".split()


def stressors(text):
    """The results of stress-ng: `passed: 1: memfd (1)`."""
    found = re.findall(r"(passed|failed|skipped): \d+: (.*)", text)
    return [("ok " if how == "passed" else how + " ") + name for how, name in found]


def clients():
    uses = {
        "mmap": "stores, fork, resize",
        "numpy": "numpy.memmap of /proc/self/fd/N",
        "balloon": "memory given back by MADV_REMOVE",
        "rights": "two processes share a file over a socket, as vhost-user does",
        "jit": "code through a writable and an executable mapping",
        "pool": "create, seal, pass, map, grow, as Wayland does",
    }
    for use, about in uses.items():
        yield exec_of(f"Python {use}", about, PYTHON + [use])
    for use, about in {"mmap": "stores, reads", "numpy": "numpy.memmap of the node"}.items():
        yield file_of(f"Python {use} of a file", about, PYTHON + [use, "@"])
    yield file_of("fio mmap", "verified random writes through a mapping",
                  FIO + ["--ioengine=mmap", "--filename=@"])
    yield file_of("fio sync", "verified random pwrite(2)",
                  FIO + ["--ioengine=psync", "--filename=@"])
    yield file_of("fio io_uring", "registered buffers in the mapping",
                  RING + ["--mem=mmapshared:@"])
    yield exec_of("stress-ng --memfd", "memfds of all flags, holes, seals", MEMFD, results=stressors)
    yield exec_of("stress-ng --seal", "seals, and what they forbid", SEAL, results=stressors)
    yield exec_of("QEMU memfd share=on", "firmware runs in memory-backend-memfd, sealed",
                  qemu("start", "memory-backend-memfd,share=on"))
    yield exec_of("QEMU memfd share=off", "the same, private and allocated first",
                  qemu("start", "memory-backend-memfd,share=off,prealloc=on"))
    for share in ["on", "off"]:
        yield file_of(f"QEMU file share={share}", "firmware runs in memory-backend-file, allocated first",
                      qemu("start", f"memory-backend-file,mem-path=@,share={share},prealloc=on"))
    yield exec_of("QEMU snapshot", "state saved, loaded and compared, memory-backend-memfd",
                  qemu("snapshot", "memory-backend-memfd"))
    yield Client("trinity", "random calls with memfds and a victim file", TRINITY + [f"{TMP}/file"],
                 EXEC + TRINITY + [NODE])


def ioctl(number, data):
    """An ioctl of the device: number with direction and size, as in rmmap.h."""
    with open(NODE, "r+b", buffering=0) as node:
        answer = bytearray(data)
        fcntl.ioctl(node, number, answer)
        return answer


def counters():
    """What all regions together did: calls of the hook, faults, and folios added."""
    answer = ioctl(2 << 30 | 384 << 16 | 0xBE << 8 | 3, bytes(384))
    words = struct.unpack("48Q", answer)[24:]
    return sum(words[:5]) + sum(words[12:22])


def clean():
    """Frees what the device's own region holds, and the files in the tmpfs."""
    info = ioctl(2 << 30 | 64 << 16 | 0xBE << 8 | 0, bytes(64))
    capacity = struct.unpack("4I6Q", info)[6]
    ioctl(1 << 30 | 16 << 16 | 0xBE << 8 | 2, struct.pack("2Q", 0, capacity))
    for name in os.listdir(TMP):
        os.unlink(os.path.join(TMP, name))
    with open(f"{TMP}/file", "wb") as file:
        file.truncate(64 << 20)


def number(path, word=None):
    with open(path) as file:
        text = file.read()
    if word is None:
        return int(text)
    return next(int(line.split()[1]) for line in text.splitlines() if line.split()[0] == word)


def remove(group):
    """Ends what is left in a cgroup, and removes it."""
    with open(os.path.join(group, "cgroup.kill"), "w") as file:
        file.write("1")
    for _ in range(200):
        try:
            return os.rmdir(group)
        except OSError:
            time.sleep(0.05)
    os.rmdir(group)


def run(command, stdin):
    """Runs a command in a new cgroup; returns whether it worked, what it printed, and its numbers."""
    group = os.path.join(CGROUPS, "client")
    os.mkdir(group)
    enter = lambda: open(os.path.join(group, "cgroup.procs"), "w").write("0")
    try:
        done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=LIMIT, preexec_fn=enter, cwd=TMP)
        status, text = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        status, text = "no end", (error.stdout or b"").decode(errors="replace")
    numbers = {
        "status": status,
        "memory": number(os.path.join(group, "memory.peak")),
        "faults": number(os.path.join(group, "memory.stat"), "pgfault"),
        "instructions": 1000 * number(os.path.join(group, "cpu.stat"), "usage_usec"),
    }
    remove(group)
    return text, numbers


def compare(client):
    """Runs a client both ways. Returns a row of the table, and complaints."""
    clean()
    old_text, old = run(client.before, client.stdin)
    clean()
    used = counters()
    new_text, new = run(client.after, client.stdin)
    used = counters() - used
    complaints = []
    if used == 0:
        complaints.append("it did not use rmmap")
    if new["status"] != 0:
        complaints.append(f"it fails: {new_text[-800:]}")
    same = old["status"] == new["status"]
    if client.results:
        before, after = client.results(old_text), client.results(new_text)
        same = same and before == after
        if not any(line.startswith("ok") for line in after):
            complaints.append(f"nothing passed: {after}, {new_text[-800:]}")
    if not same:
        complaints.append(f"status {old['status']} before: {old_text[-300:]}")
    outcome = "**differs**" if complaints else "works"
    return (client, outcome, old, new), complaints


def table(rows):
    """The table in reStructuredText."""
    head = ["program", "result", "memory, MiB", "page faults", "million instructions"]
    text = ".. list-table::\n   :header-rows: 1\n   :widths: 40 24 12 12 12\n\n"
    lines = [head] + [
        [
            f"{client.name}: {client.about}",
            outcome,
            f"{old['memory'] / 2**20:.0f} → {new['memory'] / 2**20:.0f}",
            f"{old['faults']:,} → {new['faults']:,}",
            f"{old['instructions'] / 1e6:.0f} → {new['instructions'] / 1e6:.0f}",
        ]
        for client, outcome, old, new in rows
    ]
    for line in lines:
        text += "   * - " + "\n     - ".join(line) + "\n"
    return text


def main():
    page, out, words = sys.argv[1], sys.argv[2], sys.argv[3:]
    os.makedirs(TMP, exist_ok=True)
    wanted = [c for c in clients() if not words or any(word in c.name for word in words)]
    # So that none is charged with reading a program from disk.
    for program in {client.before[0] for client in wanted} | {RMMAP, "qemu-system-x86_64"}:
        subprocess.run([program, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([PYTHON[0], "-c", "import numpy, ctypes, socket, mmap"], check=True)
    rows, failed = [], 0
    for client in wanted:
        row, complaints = compare(client)
        rows.append(row)
        failed += bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} {client.name}: {row[1]}", *row[2:], flush=True)
        for complaint in complaints:
            print("# " + complaint.replace("\n", "\n# "), flush=True)
    with open(page) as file:
        text, mark, _ = file.read().partition(MARK)
    with open(out, "w") as file:
        file.write(text + mark + "\n" + table(rows))
    with open(out + ".json", "w") as file:
        json.dump([(c.name, o, old, new) for c, o, old, new in rows], file, indent=1)
    print(f"{len(rows) - failed} as on memfd, {failed} otherwise", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
