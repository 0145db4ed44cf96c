#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Starts QEMU with 64 MiB of RAM from a backend, and checks that RAM by QMP.

Usage: machine.py start|snapshot|vhost|balloon BACKEND. BACKEND is the word for `-object`, without id and
size.
"""

import atexit
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
        atexit.register(self.qemu.kill)
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


    def held(self):
        """Bytes of the file that is its RAM."""
        folder = f"/proc/{self.qemu.pid}/fd"
        [ram] = [fd for fd in os.listdir(folder)
                 if ":memory-backend-memfd" in os.readlink(os.path.join(folder, fd))]
        return 512 * os.stat(os.path.join(folder, ram)).st_blocks


def booted(backend, *words, last="No bootable device"):
    """A machine whose firmware found nothing to boot, or whose disk said this last; stopped."""
    machine = Machine(backend, *words)
    # QEMU made the file before it answered.
    with open("bios") as log:
        text = ""
        while last not in text:
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


# Copies its sector to the disk's third, loads 32 from the fifth on to 0x10000, and says so at QEMU's port.
SECTOR = 512
SAID = "from the daemon"
BOOT = bytes.fromhex(
    "31c0 8ed8 8ec0"  # xor ax, ax; mov ds, ax; mov es, ax
    "b80103 b90300 ba8000 bb007c cd13 721f"  # mov ax, 0x301; cx, 3; dx, 0x80; bx, 0x7c00; int 0x13; jc
    "b80010 8ec0 b82002 b90500 31db cd13 720e"  # es, 0x1000; ax, 0x220; cx, 5; xor bx, bx; int 0x13; jc
    "be387c ac 84c0 7406 ba0204 ee ebf5"  # mov si, text; lodsb; test al, al; jz; dx, 0x402; out; jmp
    "f4 ebfd"  # hlt; jmp
)


def vhost(backend):
    """A storage daemon serves the disk from which the firmware boots: it maps the RAM."""
    text = SAID.encode() + b"\0"
    boot = BOOT + text
    boot = boot.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"
    data = b"".join(hashlib.sha512(bytes([number])).digest() for number in range(256))
    with open("disk", "wb") as disk:
        disk.write(boot + bytes(3 * SECTOR) + data)
        disk.truncate(MIB)
    daemon = "qemu-storage-daemon --blockdev driver=file,node-name=disk,filename=disk"
    daemon += " --export type=vhost-user-blk,id=e,node-name=disk,writable=on,addr.type=unix,addr.path=vhost"
    daemon = subprocess.Popen(daemon.split())
    atexit.register(daemon.kill)
    while not os.path.exists("vhost"):
        assert daemon.poll() is None, "the daemon ended"
        time.sleep(0.1)
    words = "-chardev socket,id=vhost,path=vhost -device vhost-user-blk-pci,chardev=vhost,bootindex=0"
    machine = booted(backend, *words.split(), last=SAID)
    # The daemon read into the machine's RAM, and wrote from there.
    assert machine.memory(0)[0x10000 : 0x10000 + len(data)] == data, "RAM has other bytes than the disk"
    machine.quit()
    daemon.terminate()
    assert daemon.wait() == 0, daemon.returncode
    with open("disk", "rb") as disk:
        disk.seek(2 * SECTOR)
        assert disk.read(SECTOR) == boot, "the disk has other bytes than RAM"


def balloon(backend):
    """A balloon of 32 MiB is blown up, and let go; see balloon.py."""
    import balloon as use

    use.balloon(Machine, backend)


if __name__ == "__main__":
    {"start": start, "snapshot": snapshot, "vhost": vhost, "balloon": balloon}[sys.argv[1]](sys.argv[2])
