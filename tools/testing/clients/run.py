#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Runs programs on memfd or tmpfs, and on rmmap: `make clients` calls it in a guest.

Usage: run.py OUT [--random] [WORD...]. Each program runs twice, in a cgroup of its own, whose numbers are
compared; with --random those that run for some minutes, on rmmap alone. WORDs select programs by name.
The folder OUT gets rows.rst, a table, and differ.rst, a table of what ended otherwise by design.
"""

import fcntl
import os
import struct
import subprocess
import sys
import textwrap
import time

from programs import HERE, NODE, PYTHON, RMMAP, TMP, at_random, clients

CGROUPS = os.path.join(HERE, "cgroup")


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


def run(command, limit):
    """Runs a command in a new cgroup; returns what it printed, and its numbers."""
    group = os.path.join(CGROUPS, "client")
    os.mkdir(group)
    enter = lambda: open(os.path.join(group, "cgroup.procs"), "w").write("0")
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=limit, preexec_fn=enter, cwd=TMP)
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


def compare(client, out):
    """Runs a client both ways. Returns a row of the table, what differs by design, and complaints."""
    old_text, old = None, None
    if client.before:
        clean()
        old_text, old = run(client.before, client.limit)
    clean()
    used = counters()
    new_text, new = run(client.after, client.limit)
    used = counters() - used
    for text, kind in [(old_text, "memfd"), (new_text, "rmmap")]:
        with open(os.path.join(out, f"{client.name.replace('/', ' ')}.{kind}"), "w") as file:
            file.write(text or "")
    complaints, differ = [], []
    if used == 0 and not client.idle:
        complaints.append("it did not use rmmap")
    outcome = "works"
    if client.results:
        after = client.results(new_text)
        before = client.results(old_text) if old else after
        for name in sorted(before.keys() | after.keys()):
            was, is_now = before.get(name, "not reached"), after.get(name, "not reached")
            if was != is_now:
                wanted, reason = client.differs.get(name, (None, None))
                if wanted == is_now:
                    differ.append((client.name, name, was, is_now, reason))
                else:
                    complaints.append(f"{name}: {was} on memfd, {is_now} on rmmap")
        if old and (alike := [name for name in client.differs if before.get(name) == after.get(name)]):
            complaints.append(f"no longer otherwise: {alike}")
        if "ok" not in after.values():
            complaints.append(f"nothing passed: {new_text[-800:]}")
        ends = list(after.values())
        if len(ends) > 1:
            counts = [f"{ends.count(end)} {end}" for end in ["ok", "not ok", "skipped", "expected to fail"]
                      if end in ends]
            outcome = ", ".join(counts) + ", as on memfd" * (not differ)
            outcome += f", {len(differ)} otherwise, see below" * bool(differ)
    elif new["status"] != 0:
        complaints.append(f"it fails: {new_text[-800:]}")
    if old and old["status"] != new["status"] and not differ:
        complaints.append(f"status {new['status']}, {old['status']} before: {old_text[-300:]}")
    return (client, "**differs**" if complaints else outcome, old, new), differ, complaints


def table(head, widths, lines):
    """A table in reStructuredText."""
    text = f".. list-table::\n   :header-rows: 1\n   :widths: {widths}\n\n" if head else ""
    for line in [head] * bool(head) + lines:
        text += "   * - " + "\n     - ".join(line) + "\n"
    return text


def cells(client, outcome, old, new):
    """A row of the table: the numbers of memfd and of rmmap."""
    def pair(name, show):
        return f"{show(old[name])} → {show(new[name])}" if old else f"{show(new[name])}"

    mib, million = (lambda value: f"{value / 2**20:.0f}"), (lambda value: f"{value / 1e6:.0f}")
    return [f"{client.name}: {client.about}", outcome, pair("memory", mib),
            pair("faults", lambda value: f"{value:,}"),
            pair("instructions", million) if old else "not counted"]


def together(differ):
    """One row for tests of a program that end in one way for one reason."""
    rows = {}
    for client, name, was, is_now, reason in differ:
        rows.setdefault((client, was, is_now, reason), []).append(name)
    for (client, was, is_now, reason), names in rows.items():
        yield [client, ", ".join(names), was, is_now, "\n       ".join(textwrap.wrap(reason, 100, break_long_words=False,
                                                                       break_on_hyphens=False))]


def main():
    out, words = sys.argv[1], sys.argv[2:]
    at_random_too = words[:1] == ["--random"]
    words = words[at_random_too:]
    wanted = list(at_random() if at_random_too else clients())
    wanted = [c for c in wanted if not words or any(word in c.name for word in words)]
    # So that none is charged with reading a program from disk.
    for program in {(client.before or client.after)[0] for client in wanted} | {RMMAP, "qemu-system-x86_64"}:
        if not program.startswith(HERE) or program == RMMAP:
            subprocess.run([program, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([PYTHON[0], "-c", "import numpy, ctypes, socket, mmap"], check=True)
    rows, differ, failed = [], [], 0
    for client in wanted:
        row, otherwise, complaints = compare(client, out)
        rows.append(cells(*row))
        differ += otherwise
        failed += bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} {': '.join(rows[-1])}", flush=True)
        for complaint in complaints:
            print("# " + complaint.replace("\n", "\n# "), flush=True)
    head = ["program", "result", "memory, MiB", "page faults", "million instructions"]
    with open(os.path.join(out, "rows.rst"), "w") as file:
        file.write(table(None if at_random_too else head, "40 24 12 12 12", rows))
    head = ["program", "test", "on memfd", "on rmmap", "why"]
    with open(os.path.join(out, "differ.rst"), "w") as file:
        if not at_random_too:
            file.write("\n" + table(head, "14 28 8 8 42", list(together(differ))))
    print(f"{len(rows) - failed} as wanted, {failed} otherwise", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
