// SPDX-License-Identifier: GPL-2.0

//! The device tests of rmmap: `rmmap selftest`.
//!
//! Every test runs in a process of its own with a time limit. It checks the *kernel's* view
//! (pagemap, smaps, mincore, `/proc/self/status`, the module's counters), not only return values.
//! Results are printed as [KTAP].
//!
//! | module | contents |
//! |---|---|
//! | [`args`] | the command line |
//! | [`outcome`] | the result of a test, and the macros that end it early |
//! | [`case`] | a test: name, description, function |
//! | [`context`] | the context of a test |
//! | [`area`] | fresh memory of the object under test: region, device or memfd |
//! | [`counting`] | the module's counters over a period |
//! | [`ctl`] | the control devices: drivers that each do one odd thing |
//! | [`view`] | the kernel's view of this process |
//! | [`sysctl`] | system-wide settings, restored after the test |
//! | [`rlimit`] | a resource limit of this process, restored on drop |
//! | [`cgroup`] | a process in a memory cgroup |
//! | [`audit`] | a rule of the audit subsystem, and its records |
//! | [`hugepool`] | a pool of huge pages |
//! | [`nodes`] | a second NUMA node |
//! | [`loader`] | loads and unloads the module |
//! | [`elf32`] | a 32-bit program that maps memory |
//! | [`apart`] | a part of a test in a process of its own |
//! | [`mounts`] | file systems that a test mounts for itself |
//! | [`disk`] | disks with a file system, and swap files |
//! | [`folder`] | a folder for the files of a test |
//! | [`terminal`] | a program on a terminal of its own |
//! | [`faults`] | allocations that fail on demand |
//! | [`tracing`] | the kernel's tracing, for events that a program cannot observe itself |
//! | [`undo`] | clean-up that runs even if a test is killed |
//! | [`entry`] | the lines of a report |
//! | [`skips`] | the skips that are expected, by kernel |
//! | [`rows`] | the branches of the mmap path that tests cover |
//! | [`race`] | threads that work against each other |
//! | [`waiting`] | waits for a state instead of a fixed time |
//! | [`table`] | the tests of the rows, for other programs |
//! | [`order`] | the order in which tests run |
//! | [`results`] | the results of the tests, and KTAP |
//! | [`report`] | the results in files: JUnit, JSON |
//! | `message` | a test's result on its way to the harness |
//! | [`harness`] | runs tests, each in a child, and prints their results |
//! | [`suite`] | the tests, a file per topic |
//!
//! [KTAP]: https://docs.kernel.org/dev-tools/ktap.html

#![forbid(unsafe_code)]

pub mod apart;
pub mod area;
pub mod args;
pub mod audit;
pub mod case;
pub mod cgroup;
pub mod context;
pub mod counting;
pub mod ctl;
pub mod disk;
pub mod elf32;
pub mod entry;
pub mod faults;
pub mod folder;
pub mod harness;
pub mod hugepool;
pub mod loader;
mod message;
pub mod mounts;
pub mod nodes;
pub mod order;
pub mod outcome;
pub mod race;
pub mod report;
pub mod results;
pub mod rlimit;
pub mod skips;
pub mod suite;
pub mod sysctl;
pub mod table;
pub mod terminal;
pub mod tracing;
pub mod undo;
pub mod view;
pub mod waiting;

pub use args::Args;
pub use harness::run;
pub use rmmap_rows as rows;
pub use skips::expected_skips;
