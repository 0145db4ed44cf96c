// SPDX-License-Identifier: GPL-2.0

//! The device tests of rmmap: `rmmap selftest`.
//!
//! Every test runs in a process of its own with a time limit, and asserts what the *kernel* says of
//! it (pagemap, smaps, mincore, `/proc/self/status`, the module's counters), not return values
//! alone. Results are printed as [KTAP].
//!
//! | module | what it is |
//! |---|---|
//! | [`args`] | the command line |
//! | [`outcome`] | how a test ends, and the macros that end it |
//! | [`case`] | what a test is: name, description, function |
//! | [`context`] | what a test is given |
//! | [`area`] | fresh memory of the object under test: region, device or memfd |
//! | [`counting`] | the module's counters over a while |
//! | [`ctl`] | the control devices, drivers that are odd in one way each |
//! | [`view`] | the kernel's view of this process |
//! | [`sysctl`] | settings of the system, and that they come back |
//! | [`rlimit`] | a limit of this process for a while |
//! | [`cgroup`] | a process in a memory cgroup |
//! | [`audit`] | a rule of the audit subsystem, and its records |
//! | [`hugepool`] | a pool of huge pages |
//! | [`nodes`] | a second NUMA node |
//! | [`loader`] | loads and unloads the module |
//! | [`elf32`] | a 32-bit program that maps |
//! | [`apart`] | a part of a test in a process of its own |
//! | [`mounts`] | file systems that a test mounts for itself |
//! | [`disk`] | disks to have a file system on, files to swap to |
//! | [`terminal`] | a program on a terminal of its own |
//! | [`faults`] | allocations that fail on demand |
//! | [`tracing`] | the kernel's tracing, for what a program cannot see of itself |
//! | [`undo`] | what is undone even if a test is killed |
//! | [`entry`] | what a report has a line for |
//! | [`skips`] | the skips that are expected, by kernel |
//! | [`rows`] | the branches of the mmap path that tests are of |
//! | [`race`] | threads that work against each other |
//! | [`waiting`] | waits for a state, not for a time |
//! | [`table`] | the tests of the rows, for other programs |
//! | [`order`] | the order in which tests run |
//! | [`results`] | what came of the tests, and KTAP |
//! | [`report`] | the results in files: JUnit, JSON |
//! | `message` | a test's result on its way to the harness |
//! | [`harness`] | runs one test in a child and prints what came of it |
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
