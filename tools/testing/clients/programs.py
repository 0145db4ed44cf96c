# SPDX-License-Identifier: GPL-2.0
"""The programs that `make clients` runs: how each runs on memfd or tmpfs, and on rmmap."""

import os
import re
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
RMMAP = os.path.join(HERE, "rmmap")
TMP = os.path.join(HERE, "tmp")
NODE = "/dev/rmmap"

EXEC = [RMMAP, "exec", "--stat", "--"]
PYTHON = ["/usr/bin/python3", os.path.join(HERE, "uses.py")]


@dataclass
class Client:
    """A program, how it runs on memfd or tmpfs, and on rmmap."""

    name: str
    about: str
    # None: it runs on rmmap alone.
    before: list
    after: list
    # Reads what the program printed: names of tests, and how each ended.
    results: object = None
    # Tests that end otherwise by design: how on rmmap, and the reason.
    differs: dict = field(default_factory=dict)
    # It makes no memfd, and must end the same way all the same.
    idle: bool = False
    # Seconds.
    limit: int = 300


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
TRINITY = "setpriv --reuid=65534 --regid=65534 --clear-groups trinity --quiet --logging=off".split()
# It stops if the kernel becomes tainted. fanotify and old calls may do that without fault.
TRINITY += "--kernel_taint=BAD_PAGE,DIE,WARN --children=2 -N3000 --enable-fds=memfd".split()
# `pseudo` are the files below --victims.
TRINITY += "--enable-fds=testfile --enable-fds=pseudo --victims".split()
MINUTES = 10


def stressors(text):
    """The results of stress-ng: `passed: 1: memfd (1)`."""
    found = re.findall(r"(passed|failed|skipped): \d+: (.*)", text)
    return {name: "ok" if how == "passed" else how for how, name in found}


def lines(text):
    """Those of the Go program: `ok 3 3145728`."""
    return {line: "ok" for line in text.splitlines() if line.startswith("ok ")}


def tap(text):
    """The results of a test in TAP: `ok 3 name # SKIP reason`, or `ok 3 # SKIP name`."""
    results = {}
    found = re.findall(r"^(Bail out!|(not ok|ok) (\d+)) ?(.*)$", text, re.M)
    for all_of_it, how, number, rest in found:
        name, _, directive = rest.partition("# ")
        word, _, reason = directive.partition(" ")
        if word in ["SKIP", "XFAIL"]:
            how = {"SKIP": "skipped", "XFAIL": "expected to fail"}[word]
        if not number:
            how, number = all_of_it, "end"
        results[f"{number} {name.strip() or reason.strip()}"] = how
    return results


def selftests():
    """The kernel's own tests, in tools/testing/selftests/mm."""
    uffd = (
        "A fault that is to wait for userfaultfd needs ``handle_userfault()`` (mm/userfaultfd.c), which is "
        "not exported: ``vma_can_userfault()`` asks the ``uffd_ops``, which offer write protection only"
    )
    filesystem = (
        "The test knows the file system by fstatfs(2)'s number, and skips what it does not know "
        "(``fs_is_unknown()`` in gup_longterm.c). *fio io_uring* registers such buffers"
    )
    clean = (
        "``collapse_file()`` (mm/khugepaged.c) takes dirty folios of shmem alone "
        "(``SCAN_PAGE_DIRTY_OR_WRITEBACK``). A region has 2 MiB folios by its policy instead"
    )
    shared = "33 io_uring fixed buffer with MAP_SHARED file mapping ... with memfd"
    differs = {
        "guard-regions": {"48 guard_regions.shmem.uffd": ("not ok", uffd)},
        "gup_longterm": {shared: ("skipped", filesystem)},
    }
    idle = ["madv_populate", "memory-failure", "mremap_test", "process_madv", "soft-dirty"]
    for name in ["cow", "gup_longterm", "guard-regions", "madv_populate", "memory-failure", "merge",
                 "mremap_dontunmap", "mremap_test", "mseal_test", "pagemap_ioctl", "process_madv",
                 "soft-dirty"]:
        yield exec_of(f"selftests/mm {name}", f"the kernel's own {name}.c", [os.path.join(HERE, name)],
                      results=tap, differs=differs.get(name, {}), idle=name in idle)
    gone = "The test ends when ``MADV_COLLAPSE`` fails"
    names = 2 * ["collapse_full"] + 2 * ["collapse_single_pte_entry"] + 2 * ["collapse_full_of_compound"]
    names += ["madvise_collapse_existing_thps", "madvise_retracted_page_tables"]
    collapses = {f"{number} {name}": ("not ok", clean) if number < 6 else ("not reached", gone)
                 for number, name in enumerate(names, 2)}
    for words in [[], ["-s", "4"]]:
        yield exec_of(" ".join(["selftests/mm khugepaged"] + words + ["all:shmem"]),
                      "the kernel's own khugepaged.c",
                      [os.path.join(HERE, "khugepaged")] + words + ["all:shmem"],
                      results=tap, differs=collapses)


def clients():
    """Those that are counted in instructions."""
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
    yield exec_of("Go", "a static program: threads, mappings, seals, memfds handed to processes",
                  [os.path.join(HERE, "memfd-go")], results=lines)
    yield file_of("fio mmap", "verified random writes through a mapping",
                  FIO + ["--ioengine=mmap", "--filename=@"])
    yield file_of("fio sync", "verified random pwrite(2)",
                  FIO + ["--ioengine=psync", "--filename=@"])
    yield file_of("fio io_uring", "registered buffers in the mapping",
                  RING + ["--mem=mmapshared:@"])
    stress = {
        "memfd": ("memfds of all flags, holes, seals", "--memfd-ops 8 --memfd-fds 8 --memfd-bytes 4m", False),
        "seal": ("seals, and what they forbid", "--seal-ops 20", False),
        "mmap": ("mappings of all kinds, anonymous", "--mmap-ops 20 --mmap-bytes 4m", True),
        "vm": ("patterns in memory, anonymous", "--vm-ops 2000 --vm-bytes 8m", True),
        "userfaultfd": ("faults that a thread answers, anonymous",
                        "--userfaultfd-ops 200 --userfaultfd-bytes 1m", True),
    }
    for name, (about, words, idle) in stress.items():
        yield exec_of(f"stress-ng --{name}", about, STRESS + [f"--{name}", "1"] + words.split(),
                      results=stressors, idle=idle)
    # The later limit of time counts.
    dev = "--dev 1 --timeout 4 --dev-file".split()
    yield Client("stress-ng --dev", "all calls that any device knows, on /dev/zero and on the node",
                 STRESS + dev + ["/dev/zero"], STRESS + dev + [NODE], results=stressors)
    yield exec_of("QEMU memfd share=on", "firmware runs in memory-backend-memfd, sealed",
                  qemu("start", "memory-backend-memfd,share=on"))
    yield exec_of("QEMU memfd share=off", "the same, private and allocated first",
                  qemu("start", "memory-backend-memfd,share=off,prealloc=on"))
    for share in ["on", "off"]:
        yield file_of(f"QEMU file share={share}", "firmware runs in memory-backend-file, allocated first",
                      qemu("start", f"memory-backend-file,mem-path=@,share={share},prealloc=on"))
    yield exec_of("QEMU snapshot", "state saved, loaded and compared, memory-backend-memfd",
                  qemu("snapshot", "memory-backend-memfd"))
    yield exec_of("QEMU balloon", "a virtio balloon gives 32 of 64 MiB back, and takes them again",
                  qemu("balloon", "memory-backend-memfd,share=on"))
    yield exec_of("QEMU vhost-user", "firmware boots from a disk of qemu-storage-daemon, which maps the RAM",
                  qemu("vhost", "memory-backend-memfd,share=on"))
    yield file_of("QEMU vhost-user of a file", "the same with memory-backend-file",
                  qemu("vhost", "memory-backend-file,mem-path=@,share=on"))
    yield from selftests()
    yield Client("trinity", "random calls with memfds and a victim file", TRINITY + [f"{TMP}/file", "-s7"],
                 EXEC + TRINITY + [NODE, "-s7"])


def at_random():
    """Those that run for a time, on rmmap alone."""
    again = "end=$(($(date +%s) + $0 * 60)) seed=0; while [ $(date +%s) -lt $end ]; do seed=$((seed + 1));"
    again += ' timeout -k 5 120 "$@" -s$seed || exit; done; echo "ok $seed runs"'
    command = ["/bin/sh", "-c", again, str(MINUTES)] + TRINITY + [NODE]
    yield Client(f"trinity, {MINUTES} minutes", "random calls with regions and the node", None,
                 EXEC + command, results=lines, limit=60 * MINUTES + 200)
