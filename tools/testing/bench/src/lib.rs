// SPDX-License-Identifier: GPL-2.0

//! The cost of memory: `rmmap bench`.
//!
//! A run measures objects that can be mapped side by side: each workload on each object, in fresh
//! memory, several times. It prints each measurement at once, as a line of JSON
//! ([`record::Record`]). `make bench` runs it in a guest whose clock counts instructions, and makes
//! tables of the results.
//!
//! | module | contents |
//! |---|---|
//! | [`args`] | the command line |
//! | [`object`] | the objects that are mapped |
//! | [`setting`] | system settings that an object needs, restored afterwards |
//! | [`workload`] | the workloads: names and access patterns |
//! | [`measure`] | runs a workload and measures it |
//! | [`threads`] | workloads of several threads |
//! | [`shared`] | faults of threads, while an emulator counts accesses to shared cache lines |
//! | [`lines`] | parses the emulator's output for these |
//! | [`symbols`] | the kernel's symbols, and profiles |
//! | [`unfinished`] | the results of an interrupted `make bench` |
//! | [`usage`] | the memory that the system uses |
//! | [`plan`] | which workload runs on which object, at which size |
//! | [`record`] | a measurement |
//! | [`mod@run`] | the runs, with progress |

#![forbid(unsafe_code)]

pub mod args;
pub mod lines;
pub mod measure;
pub mod object;
pub mod plan;
pub mod record;
pub mod run;
pub mod setting;
pub mod shared;
pub mod symbols;
pub mod threads;
pub mod unfinished;
pub mod usage;
pub mod workload;

pub use args::Args;
pub use object::Object;
pub use record::{Place, Record, Unit};
pub use run::run;
pub use workload::Workload;
