#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Uses of memfd_create(2) by plain Python: each is a function, and checks what it does."""

import ctypes
import fcntl
import mmap
import os
import socket
import sys

MIB = 1 << 20
SIZE = 16 * MIB


def memfd(name, size, flags=0):
    """A memfd, or the file that the command line names, which has the size."""
    if len(sys.argv) > 2:
        return os.open(sys.argv[2], os.O_RDWR | os.O_CLOEXEC)
    fd = os.memfd_create(name, os.MFD_CLOEXEC | flags)
    os.ftruncate(fd, size)
    return fd


def use_mmap():
    """mmap: store, verify by read, a forked child's stores, a slice that grows"""
    fd = memfd("python", SIZE)
    with mmap.mmap(fd, SIZE) as m:
        for at in range(0, SIZE, mmap.PAGESIZE):
            m[at : at + 8] = at.to_bytes(8, "little")
        pid = os.fork()
        if pid == 0:
            m[:5] = b"child"
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert m[:5] == b"child" and os.pread(fd, 5, 0) == b"child"
        for at in range(mmap.PAGESIZE, SIZE, mmap.PAGESIZE):
            assert os.pread(fd, 8, at) == at.to_bytes(8, "little")
        if len(sys.argv) > 2:
            return
        m.resize(2 * SIZE)
        m[SIZE : SIZE + 4] = b"more"
    assert os.fstat(fd).st_size == 2 * SIZE
    assert os.pread(fd, 4, SIZE) == b"more"


def use_numpy():
    """numpy.memmap: fill, sum, reopen read-only"""
    import numpy

    path = sys.argv[2] if len(sys.argv) > 2 else f"/proc/self/fd/{memfd('numpy', SIZE)}"
    count = SIZE // 8
    array = numpy.memmap(path, dtype="u8", mode="r+", shape=(count,))
    array[:] = numpy.arange(count, dtype="u8")
    array.flush()
    again = numpy.memmap(path, dtype="u8", mode="r", shape=(count,))
    assert int(again.sum()) == count * (count - 1) // 2


def use_balloon():
    """memory is given back as QEMU's balloon does it: MADV_REMOVE"""
    fd = memfd("balloon", SIZE)
    held = lambda: 512 * os.fstat(fd).st_blocks
    with mmap.mmap(fd, SIZE) as m:
        m[:] = SIZE * b"x"
        assert held() == SIZE
        m.madvise(mmap.MADV_REMOVE, SIZE // 2, SIZE // 4)
        assert held() == SIZE * 3 // 4
        assert m[SIZE // 2 : SIZE * 3 // 4] == bytes(SIZE // 4)
        assert m[: SIZE // 2] == SIZE // 2 * b"x" and m[-1:] == b"x"


def use_rights():
    """two processes share a file over a socket, as vhost-user does"""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
        with mmap.mmap(fds[0], SIZE) as m:
            ring = m[:6]
            m[SIZE - 4 :] = b"back"
        theirs.send(ring)
        os._exit(0)
    theirs.close()
    fd = memfd("ring", SIZE)
    with mmap.mmap(fd, SIZE) as m:
        m[:6] = b"vrings"
        socket.send_fds(ours, [b"x"], [fd])
        assert ours.recv(6) == b"vrings"
        assert m[SIZE - 4 :] == b"back"
    assert os.waitpid(pid, 0)[1] == 0


def use_jit():
    """code is stored through a writable mapping and run through an executable one"""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
    fd = memfd("jit", MIB)
    protections = [mmap.PROT_READ | mmap.PROT_WRITE, mmap.PROT_READ | mmap.PROT_EXEC]
    write, run = [libc.mmap(None, MIB, prot, mmap.MAP_SHARED, fd, 0) for prot in protections]
    assert ctypes.c_void_p(-1).value not in (write, run), os.strerror(ctypes.get_errno())
    for value in range(1, 200):
        # mov eax, value; ret
        code = b"\xb8" + value.to_bytes(4, "little") + b"\xc3"
        ctypes.memmove(write + 64 * value, code, len(code))
        assert ctypes.CFUNCTYPE(ctypes.c_int)(run + 64 * value)() == value


def use_pool():
    """a pool as of Wayland: create, size, seal, pass, map, grow, map again"""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    fd = memfd("wayland-shm", SIZE, os.MFD_ALLOW_SEALING)
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    pid = os.fork()
    if pid == 0:
        _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
        # A compositor trusts the size only if it cannot shrink.
        assert fcntl.fcntl(fds[0], fcntl.F_GET_SEALS) == seals
        with mmap.mmap(fds[0], SIZE, prot=mmap.PROT_READ) as m:
            theirs.send(m[:5])
        assert theirs.recv(4) == b"grow"
        with mmap.mmap(fds[0], 2 * SIZE, prot=mmap.PROT_READ) as m:
            theirs.send(m[SIZE : SIZE + 5])
        os._exit(0)
    with mmap.mmap(fd, SIZE) as m:
        m[:5] = b"first"
        socket.send_fds(ours, [b"x"], [fd])
        assert ours.recv(5) == b"first"
    try:
        os.ftruncate(fd, SIZE // 2)
        raise AssertionError("it shrank")
    except PermissionError:
        pass
    os.ftruncate(fd, 2 * SIZE)
    with mmap.mmap(fd, 2 * SIZE) as m:
        m[SIZE : SIZE + 5] = b"later"
        ours.send(b"grow")
        assert ours.recv(5) == b"later"
    assert os.waitpid(pid, 0)[1] == 0


if __name__ == "__main__":
    globals()[f"use_{sys.argv[1]}"]()
