# SPDX-License-Identifier: GPL-2.0
"""Drives QEMU's virtio balloon as a guest's kernel does, by QEMU's protocol for tests of devices.

The machine's processor stands still. QEMU does the rest as ever: it gives the pages of the queue back.
"""

import os
import socket
import struct
import time

MIB = 1 << 20
PAGE = 4096
RAM = 64 * MIB
GIVEN = 32 * MIB
PORT = 0xC000
SLOT = 4
# Registers of a legacy virtio device, and what a balloon adds.
QUEUE, SIZE, SELECT, NOTIFY, STATUS, WANTED, ACTUAL = 0x08, 0x0C, 0x0E, 0x10, 0x12, 0x14, 0x18
# The numbers of pages in a request of Linux's driver.
CHUNK = 256


class Test:
    """The protocol: a line with a command, a line with an answer."""

    def __init__(self, path):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen()

    def accept(self):
        self.lines = self.server.accept()[0].makefile("rw")

    def ask(self, command, *numbers):
        print(command, *(f"{number:#x}" if isinstance(number, int) else number for number in numbers),
              file=self.lines, flush=True)
        while True:
            answer = self.lines.readline().split()
            if answer[0] == "IRQ":
                continue
            assert answer[0] == "OK", answer
            return answer[1] if len(answer) > 1 else None

    def number(self, command, address):
        return int(self.ask(command, address), 16)

    def read(self, address, size):
        return bytes.fromhex(self.ask("read", address, size)[2:])

    def write(self, address, data):
        self.ask("write", address, len(data), "0x" + data.hex())

    def set_pci(self, register, value):
        self.ask("outl", 0xCF8, 1 << 31 | SLOT << 11 | register)
        self.ask("outl", 0xCFC, value)


class Queue:
    """A virtqueue with one buffer, which is page numbers."""

    def __init__(self, test, number, address):
        self.test, self.number, self.address = test, number, address
        test.ask("outw", PORT + SELECT, number)
        self.size = test.number("inw", PORT + SIZE)
        self.ring = address + 16 * self.size
        self.used = (self.ring + 6 + 2 * self.size + PAGE - 1) // PAGE * PAGE
        self.buffer = address + 15 * PAGE
        assert self.used + 6 + 8 * self.size <= self.buffer, self.size
        self.count = 0
        test.ask("outl", PORT + QUEUE, address // PAGE)

    def send(self, pages):
        data = struct.pack(f"<{len(pages)}I", *pages)
        self.test.write(self.buffer, data)
        self.test.write(self.address, struct.pack("<QIHH", self.buffer, len(data), 0, 0))
        self.test.write(self.ring + 4 + 2 * (self.count % self.size), bytes(2))
        self.count += 1
        self.test.write(self.ring + 2, struct.pack("<H", self.count))
        self.test.ask("outw", PORT + NOTIFY, self.number)
        while struct.unpack("<H", self.test.read(self.used + 2, 2))[0] != self.count:
            time.sleep(0.001)


def balloon(machine, backend):
    """Takes half of the RAM away, and gives it back. `machine` makes one with words for QEMU."""
    test = Test("test")
    device = f"virtio-balloon-pci,addr={SLOT},disable-modern=on,disable-legacy=off"
    machine = machine(backend, "-device", device, "-qtest", "unix:test", "-qtest-log", "none", "-S")
    test.accept()
    test.ask("memset", MIB, RAM - MIB, 0x5A)
    test.ask("memset", MIB, MIB, 0)  # for the queues
    assert machine.held() >= RAM - MIB, machine.held()
    test.set_pci(0x10, PORT)
    test.set_pci(0x04, 5)  # I/O ports, and the device's access to memory
    for status in [0, 1, 3]:
        test.ask("outb", PORT + STATUS, status)
    inflate, deflate = Queue(test, 0, 1 * MIB), Queue(test, 1, 1 * MIB + 16 * PAGE)
    test.ask("outb", PORT + STATUS, 7)

    def move(queue):
        """Sends all pages of the balloon, and returns how many bytes the RAM's file lost."""
        before = machine.held()
        first = (RAM - GIVEN) // PAGE
        for page in range(first, RAM // PAGE, CHUNK):
            queue.send(range(page, page + CHUNK))
        return before - machine.held()

    def wait(size):
        """The target of QMP reaches the driver; it answers with what it did."""
        pages = (RAM - size) // PAGE
        machine.ask("balloon", value=size)
        assert test.number("inl", PORT + WANTED) == pages
        yield
        test.ask("outl", PORT + ACTUAL, pages)
        assert machine.ask("query-balloon")["actual"] == size
        yield

    target = wait(RAM - GIVEN)
    next(target)
    lost = move(inflate)
    assert lost == GIVEN, f"{lost} bytes came back"
    next(target)
    assert test.read(RAM - GIVEN - PAGE, 2 * PAGE) == PAGE * b"\x5a" + bytes(PAGE)
    target = wait(RAM)
    next(target)
    move(deflate)
    next(target)
    test.ask("memset", RAM - GIVEN, GIVEN, 0xA5)
    assert machine.held() >= RAM - MIB, machine.held()
    assert test.read(RAM - GIVEN - PAGE, 2 * PAGE) == PAGE * b"\x5a" + PAGE * b"\xa5"
    machine.quit()
    os.unlink("test")
