// SPDX-License-Identifier: GPL-2.0

//! Arguments and return values: dynamic events (kprobes) at the functions that matter.
//!
//! The function graph of Debian's kernel has neither (`CONFIG_FUNCTION_GRAPH_RETVAL` is off). The
//! events go into the same buffer as the graph, next to the function's own lines.

use std::{fs::OpenOptions, io::Write};

use super::{
    decode::Returns,
    names,
    path::SYSCALL,
    tracefs::{Instance, Tracefs},
};

/// The prefix of the event at a function's entry, before the function's name.
pub const ENTER: &str = "enter_";

/// The prefix of the event at a function's return, before the function's name.
pub const EXIT: &str = "exit_";

/// A function, and the values to record of it.
pub struct Probe {
    /// Its name.
    pub function: &'static str,
    /// Names of its arguments and their places; [`super::decode::argument`] knows the names.
    fetch: &'static str,
    /// The kind of its return value.
    pub returns: Returns,
}

/// Makes a row of the table.
const fn probe(function: &'static str, fetch: &'static str, returns: Returns) -> Probe {
    Probe {
        function,
        fetch,
        returns,
    }
}

/// The arguments of mmap(2), which lie in `struct pt_regs`: rdi, rsi, rdx, r10, r8, r9.
#[cfg(target_arch = "x86_64")]
const MMAP: &str = "addr=+112($arg1):x64 len=+104($arg1):x64 prot=+96($arg1):x64 \
                    flags=+56($arg1):x64 fd=+72($arg1):x32 offset=+64($arg1):x64";
/// The same in x0 to x5.
#[cfg(target_arch = "aarch64")]
const MMAP: &str = "addr=+0($arg1):x64 len=+8($arg1):x64 prot=+16($arg1):x64 \
                    flags=+24($arg1):x64 fd=+32($arg1):x32 offset=+40($arg1):x64";

/// All of them.
#[rustfmt::skip] // A table.
pub const PROBES: &[Probe] = &[
    probe(SYSCALL, MMAP, Returns::Address),
    probe("ksys_mmap_pgoff", "addr=$arg1:x64 len=$arg2:x64 prot=$arg3:x64 flags=$arg4:x64 \
        fd=$arg5:x32 pgoff=$arg6:x64", Returns::Address),
    probe("security_mmap_file", "prot=$arg2:x64 flags=$arg3:x64", Returns::Errno),
    probe("vm_mmap_pgoff", "addr=$arg2:x64 len=$arg3:x64 prot=$arg4:x64 flags=$arg5:x64 \
        pgoff=$arg6:x64", Returns::Address),
    probe("do_mmap", "addr=$arg2:x64 len=$arg3:x64 prot=$arg4:x64 flags=$arg5:x64 \
        pgoff=$arg7:x64", Returns::Address),
    probe("__get_unmapped_area", "addr=$arg2:x64 len=$arg3:x64 pgoff=$arg4:x64 flags=$arg5:x64",
        Returns::Address),
    probe("mmap_region", "addr=$arg2:x64 len=$arg3:x64 vm_flags=$arg4:x64 pgoff=$arg5:x64",
        Returns::Address),
    probe("__mmap_region", "addr=$arg2:x64 len=$arg3:x64 vm_flags=$arg4:x64 pgoff=$arg5:x64",
        Returns::Address),
    probe("vma_merge_new_range", "", Returns::Pointer),
    probe("__mm_populate", "start=$arg1:x64 len=$arg2:x64", Returns::Errno),
    probe("populate_vma_page_range", "start=$arg2:x64 end=$arg3:x64", Returns::Count),
    probe("handle_mm_fault", "address=$arg2:x64 fault_flags=$arg3:x32", Returns::Fault),
    probe("__do_fault", "", Returns::Fault),
    probe("filemap_map_pages", "first=$arg2:x64 last=$arg3:x64", Returns::Fault),
    probe("shmem_fault", "", Returns::Fault),
    probe("filemap_fault", "", Returns::Fault),
    probe("do_anonymous_page", "", Returns::Fault),
    probe("finish_fault", "", Returns::Fault),
    probe("filemap_add_folio", "index=$arg3:x64", Returns::Errno),
];

/// Returns the kind of a function's return value, if it has a probe.
pub fn returns(function: &str) -> Option<Returns> {
    let probe = PROBES.iter().find(|probe| probe.function == function);
    probe.map(|probe| probe.returns)
}

/// Returns the lines that make the events of a probe.
fn definitions(group: &str, probe: &Probe) -> [String; 2] {
    let Probe {
        function, fetch, ..
    } = probe;
    [
        format!("p:{group}/{ENTER}{function} {function} {fetch}\n"),
        format!("r:{group}/{EXIT}{function} {function} ret=$retval:x64\n"),
    ]
}

/// The events, until they are dropped.
#[derive(Debug)]
pub struct Probes {
    /// Why events are missing.
    pub missing: Option<String>,
}

impl Probes {
    /// Makes the events of all functions that this kernel has.
    pub fn new(tracefs: &Tracefs) -> Self {
        let group = names::own();
        let path = tracefs.path("dynamic_events");
        // Append: opening it without O_APPEND would remove everybody's events.
        let file = OpenOptions::new().append(true).open(&path);
        let Ok(mut file) = file else {
            let why = "no arguments and return values: this kernel lacks CONFIG_KPROBE_EVENTS=y";
            return Self {
                missing: Some(why.to_owned()),
            };
        };
        let mut missing = Vec::new();
        for probe in PROBES {
            let lines = definitions(&group, probe);
            if lines
                .iter()
                .any(|line| file.write_all(line.as_bytes()).is_err())
            {
                missing.push(probe.function);
            }
        }
        let missing = (!missing.is_empty())
            .then(|| format!("no arguments of {}: no kprobe there", missing.join(", ")));
        Self { missing }
    }

    /// Enables them in an instance.
    pub fn enable(&mut self, instance: &Instance) {
        let file = format!("events/{}/enable", names::own());
        if let Err(error) = instance.set(&file, "1") {
            self.missing
                .get_or_insert_with(|| format!("no arguments and return values: {error}"));
        }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        names::clear_own();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::path;

    #[test]
    fn an_entry_and_a_return_are_defined() {
        let probe = probe("f", "addr=$arg1:x64", Returns::Errno);
        assert_eq!(
            definitions("rmmap_1_2", &probe),
            [
                "p:rmmap_1_2/enter_f f addr=$arg1:x64\n",
                "r:rmmap_1_2/exit_f f ret=$retval:x64\n"
            ]
        );
    }

    #[test]
    fn every_probed_function_is_in_the_graph() {
        for probe in PROBES {
            let known = path::FUNCTIONS
                .iter()
                .any(|(name, _)| *name == probe.function);
            assert!(known, "{}", probe.function);
        }
    }

    #[test]
    fn names_of_events_fit() {
        // MAX_EVENT_NAME_LEN of kernel/trace/trace_probe.h is 64.
        for probe in PROBES {
            assert!(ENTER.len() + probe.function.len() < 64);
        }
        assert_eq!(returns("do_mmap"), Some(Returns::Address));
        assert_eq!(returns("kfree"), None);
    }
}
