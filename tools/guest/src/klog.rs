// SPDX-License-Identifier: GPL-2.0
//! Finds messages that a healthy kernel never prints: warnings, oopses, lock reports, sanitizer
//! reports, leaks.

use crate::kmsg;
use std::fmt;

/// Phrases that begin or name a report. Each is specific enough that plain driver messages, and the
/// KTAP that KUnit prints, do not contain it.
const SIGNS: &[&str] = &[
    "BUG: ",
    "BUG at ",
    "WARNING: ",
    "Oops: ",
    "Oops - ",
    "Kernel panic",
    "kernel BUG",
    "Internal error: ",
    "general protection fault",
    "double fault",
    "stack guard page was hit",
    "unable to handle kernel",
    "Unable to handle kernel",
    "KASAN: ",
    "KCSAN: ",
    "KFENCE: ",
    "UBSAN: ",
    "possible circular locking",
    "possible recursive locking",
    "possible irq lock inversion",
    "inconsistent lock state",
    "inconsistent {",
    "suspicious RCU usage",
    "bad unlock balance",
    "held lock freed",
    "lock held when returning to user space",
    "Invalid wait context",
    "scheduling while atomic",
    "sleeping function called from invalid context",
    "blocked for more than",
    "self-detected stall",
    "detected stalls on CPUs",
    "soft lockup",
    "hard LOCKUP",
    "refcount_t: ",
    "list_add corruption",
    "list_del corruption",
    "Bad page state",
    "Bad page map",
    "Bad page cache",
    "Bad rss-counter state",
    "nonzero pgtables_bytes",
    "page dumped because",
    "suspected memory leaks",
    "leaked ",
    "ODEBUG: ",
    "panicked at ",
    "rust_kernel: panicked",
    "Object padding overwritten",
    "Poison overwritten",
    "Redzone overwritten",
];

/// One report in the kernel log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splat {
    /// The line that identified it, without priority and time.
    pub text: String,
    /// The following lines, for people.
    pub context: Vec<String>,
}

impl fmt::Display for Splat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.text, self.context.join("\n"))
    }
}

/// The number of lines that are kept of a report after its first.
const CONTEXT: usize = 12;

/// Lists the reports in `log`: the guest's `dmesg` (with priorities) or its console (without).
pub fn scan(log: &str) -> Vec<Splat> {
    let mut lines = texts(log).into_iter();
    let mut splats = Vec::new();
    while let Some(text) = lines.find(|line| is_report(line)) {
        // The lines of one report contain several phrases: count it once.
        let context = lines.by_ref().take(CONTEXT).collect();
        splats.push(Splat { text, context });
    }
    splats
}

/// Lists the reports in the guest's own log and those that only the console has: later ones (power
/// off), and all those of a dead guest.
pub fn scan_both(dmesg: &str, console: &str) -> Vec<Splat> {
    let mut splats = scan(dmesg);
    // Only the log distinguishes the kernel's lines from a program's, so its lines are judged there
    // and not on the console.
    splats.extend(
        scan(console)
            .into_iter()
            .filter(|splat| !dmesg.contains(&splat.text)),
    );
    splats
}

/// Returns the kernel's report of its death, if there is one: the panic, and the oops that led to
/// it.
pub fn death(console: &str) -> Option<String> {
    let lines = texts(console);
    let is_panic = |line: &String| line.contains("Kernel panic - not syncing");
    let Some(panic) = lines.iter().position(is_panic) else {
        return lines.into_iter().find(|line| is_report(line));
    };
    // Of one oops: `BUG: kernel NULL pointer dereference ...`, then `Oops: Oops: 0002 [#1] SMP`.
    let last = |sign: &str| lines[..panic].iter().rposition(|line| line.contains(sign));
    let oops = last("Oops: ").map(|oops| match last("BUG: ") {
        Some(bug) if bug < oops && oops - bug <= CONTEXT => &lines[bug],
        _ => &lines[oops],
    });
    Some(match oops {
        Some(oops) => format!(
            "Oops: {} ({})",
            oops.trim_start_matches("Oops: "),
            lines[panic]
        ),
        None => lines[panic].clone(),
    })
}

/// Returns the texts of the kernel's own lines.
fn texts(log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(kmsg::line);
    lines.map(|line| line.text).collect()
}

fn is_report(line: &str) -> bool {
    SIGNS.iter().any(|sign| line.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_log_has_no_splats() {
        let log = "<5>[    0.000000] Linux version 7.3.4\n<4>[    1.2] rmmap: loading out-of-tree \
                   module taints kernel.\n<6>[    1.5] kmemleak: Kernel memory leak detector \
                   initialized\n<6>[    2.0] ok 1 rmmap_region # debugging works\n";
        assert_eq!(scan(log), []);
    }

    #[test]
    fn each_kind_is_found() {
        for text in [
            "WARNING: CPU: 0 PID: 1 at mm/vma.c:1 vma_merge+0x1/0x2",
            "BUG: sleeping function called from invalid context at mm/memory.c:1",
            "Oops: general protection fault, probably for non-canonical address",
            "WARNING: possible circular locking dependency detected",
            "WARNING: inconsistent lock state",
            "WARNING: suspicious RCU usage",
            "BUG: KASAN: slab-use-after-free in foo+0x1",
            "UBSAN: shift-out-of-bounds in a.c:1:2",
            "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
            "INFO: task rmmap:1 blocked for more than 120 seconds.",
            "rust_kernel: panicked at rust/rmmap/region.rs:1:2:",
        ] {
            let found = scan(&format!("<4>[    9.876543] {text}\n"));
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].text, text);
        }
    }

    #[test]
    fn report_of_many_lines_counts_once() {
        let log = "[    1.0] WARNING: CPU: 0 PID: 1 at a.c:1\n[    1.0] BUG: same report\n";
        let found = scan(log);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].context, ["BUG: same report"]);
    }

    #[test]
    fn words_of_programs_are_not_the_kernels() {
        assert_eq!(scan("<14>[    1.0] init: WARNING: no udev\n"), []);
        assert_eq!(scan("<4>[    1.0] WARNING: real\n").len(), 1);
    }

    #[test]
    fn console_adds_only_what_the_log_lacks() {
        let dmesg = "<4>[    1.0] WARNING: one\n<12>[    2.0] WARNING: a program's\n";
        let console = "[    1.0] WARNING: one\n[    2.0] WARNING: a program's\n";
        assert_eq!(scan_both(dmesg, console).len(), 1);
        assert_eq!(scan_both(dmesg, "[    9.0] BUG: at power off\n").len(), 2);
        assert_eq!(scan_both("", console).len(), 1);
    }

    #[test]
    fn death_is_the_panic_and_the_oops_that_led_there() {
        let panic = "[    4.1] Kernel panic - not syncing: Fatal exception\r\n";
        let oops = "[    1.0] WARNING: include/linux/fs.h:1\r\n\
                    [    4.0] BUG: kernel NULL pointer dereference, address: 0000000000000080\r\n\
                    [    4.0] #PF: supervisor write access in kernel mode\r\n\
                    [    4.0] Oops: Oops: 0002 [#1] SMP NOPTI\r\n";
        assert_eq!(
            death(&format!("{oops}{panic}")).unwrap(),
            "Oops: BUG: kernel NULL pointer dereference, address: 0000000000000080 \
             (Kernel panic - not syncing: Fatal exception)"
        );
        let fault = "[    4.0] Oops: general protection fault, probably for non-canonical\r\n";
        assert_eq!(
            death(&format!("{fault}{panic}")).unwrap(),
            "Oops: general protection fault, probably for non-canonical \
             (Kernel panic - not syncing: Fatal exception)"
        );
        assert_eq!(
            death(panic).unwrap(),
            "Kernel panic - not syncing: Fatal exception"
        );
        assert_eq!(death("[    1.0] all is well\n"), None);
    }
}
