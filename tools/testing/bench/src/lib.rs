// SPDX-License-Identifier: GPL-2.0

//! What memory costs: `rmmap bench`.
//!
//! Objects that can be mapped are measured side by side in one run: each workload on each object, in
//! fresh memory, several times. A measurement is printed as a line of JSON when it is made
//! ([`record::Record`]); `make bench` runs it where a nanosecond is an instruction, and makes tables
//! of it.
//!
//! | module | what it is |
//! |---|---|
//! | [`args`] | the command line |
//! | [`object`] | what is mapped |
//! | [`setting`] | settings of the system that an object needs, put back afterwards |
//! | [`workload`] | what is done with it: the names |
//! | [`measure`] | how each is done, and what is counted of it |
//! | [`threads`] | workloads of several threads |
//! | [`shared`] | faults of threads whose shared lines an emulator counts |
//! | [`lines`] | what the emulator tells of them |
//! | [`symbols`] | the kernel's symbols, and profiles |
//! | [`unfinished`] | what an interrupted `make bench` measured |
//! | [`usage`] | how much memory the system uses |
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
