#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Starts QEMU with 64 MiB of RAM from a backend, and checks that RAM by QMP.

Usage: machine.py start|snapshot BACKEND. BACKEND is the word for `-object`, without id and size.
"""

import hashlib
import json
import os
import subprocess
import sys
import time

QEMU = "qemu-system-x86_64 -accel tcg -machine pc,memory-backend=ram -m 64M -nodefaults -display none"
MIB = 1 << 20
SIZE = 64


class Machine:
    """A running QEMU."""

    def __init__(self, backend, *words):
        # SeaBIOS writes what it does to this port, and Debian's does so without being asked.
        command = QEMU.split() + ["-object", f"{backend},id=ram,size=64M", "-qmp", "stdio"]
        command += ["-chardev", "file,id=log,path=bios", "-device", "isa-debugcon,iobase=0x402,chardev=log"]
        self.qemu = subprocess.Popen(command + list(words), stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.next()
        self.ask("qmp_capabilities")

    def next(self):
        """The next message."""
        line = self.qemu.stdout.readline()
        assert line, f"QEMU ended with {self.qemu.wait()}"
        return json.loads(line)

    def ask(self, command, **arguments):
        """What a command returns. Events before it are of no interest."""
        question = {"execute": command, "arguments": arguments}
        print(json.dumps(question), file=self.qemu.stdin, flush=True)
        while True:
            answer = self.next()
            assert "error" not in answer, f"{command}: {answer}"
            if "return" in answer:
                return answer["return"]

    def wait(self, event, **data):
        """Waits for an event with this data."""
        while True:
            message = self.next()
            if message.get("event") == event and data.items() <= message.get("data", {}).items():
                return

    def memory(self, number):
        """A MiB of the RAM, by the emulated processor's addresses; the machine stands still."""
        self.ask("pmemsave", val=number * MIB, size=MIB, filename=os.path.abspath("memory"))
        with open("memory", "rb") as file:
            return file.read()

    def digests(self):
        """One of each MiB."""
        return [hashlib.sha256(self.memory(number)).digest() for number in range(SIZE)]

    def quit(self):
        """Ends it; its status must be 0."""
        self.ask("quit")
        self.qemu.communicate()
        assert self.qemu.returncode == 0, self.qemu.returncode


def booted(backend):
    """A machine whose firmware found nothing to boot, stopped."""
    machine = Machine(backend)
    # QEMU made the file before it answered.
    with open("bios") as log:
        text = ""
        while "No bootable device" not in text:
            assert machine.qemu.poll() is None, "QEMU ended"
            time.sleep(0.1)
            text += log.read()
    machine.ask("stop")
    return machine


def start(backend):
    """The firmware runs from start to end, in RAM of the backend."""
    machine = booted(backend)
    # The interrupt table, and QEMU's ACPI tables, which the firmware copies to the end of RAM.
    assert any(machine.memory(0)[:1024]) and b"BOCHS" in machine.memory(SIZE - 1), "no firmware in RAM"
    options = dict(word.split("=") for word in backend.split(",")[1:])
    if "mem-path" in options:
        with open(options["mem-path"], "rb", buffering=0) as file:
            # In the first MiB devices hide RAM.
            for number in range(1, SIZE):
                shared = machine.memory(number) if options["share"] == "on" else bytes(MIB)
                assert os.pread(file.fileno(), MIB, number * MIB) == shared, "the file differs"
    [ram] = machine.ask("query-memdev")
    assert ram["size"] == SIZE * MIB, ram
    machine.quit()


def snapshot(backend):
    """The state of a machine is saved, and another one loads it: its RAM has the same bytes."""
    machine = booted(backend)
    before = machine.digests()
    machine.ask("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
    machine.ask("migrate", uri="file:" + os.path.abspath("state"))
    machine.wait("MIGRATION", status="completed")
    machine.quit()
    machine = Machine(backend, "-S", "-incoming", "defer")
    machine.ask("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
    machine.ask("migrate-incoming", uri="file:" + os.path.abspath("state"))
    machine.wait("MIGRATION", status="completed")
    assert before == machine.digests(), "the RAM differs"
    machine.quit()


if __name__ == "__main__":
    {"start": start, "snapshot": snapshot}[sys.argv[1]](sys.argv[2])
