// SPDX-License-Identifier: GPL-2.0

//! Where allocations fail: stacks that the kernel's tracing records.

use anyhow::{Context, Result};
use rmmap_sys::rustix::fs::OFlags;
use rmmap_sys::rustix::mount::{mount, MountFlags};
use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const TRACEFS: &str = "/sys/kernel/tracing";
const GROUP: &str = "rmmap_fail_nth";

/// Name, probe and filter. Copies have no probe: all of lib/ is built without them (lib/Makefile).
const EVENTS: [(&str, &str, &str); 7] = [
    (
        "hit_slab",
        "r:{} should_failslab ret=$retval:s32",
        "ret != 0",
    ),
    (
        "hit_page",
        "r:{} should_fail_alloc_page ret=$retval:u8",
        "ret != 0",
    ),
    // `___GFP_NOFAIL` (include/linux/gfp_types.h): no injection.
    (
        "site_slab",
        "p:{} should_failslab gfp=%si:u32",
        "!(gfp & 0x8000)",
    ),
    (
        "site_page",
        "p:{} should_fail_alloc_page gfp=%di:u32",
        "!(gfp & 0x8000)",
    ),
    (
        "never_slab",
        "p:{} should_failslab gfp=%si:u32",
        "gfp & 0x8000",
    ),
    (
        "never_page",
        "p:{} should_fail_alloc_page gfp=%di:u32",
        "gfp & 0x8000",
    ),
    // mm/percpu.c has no injection of its own.
    ("never_percpu", "p:{} pcpu_alloc_noprof gfp=%cx:u32", ""),
];

/// What is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An object of a slab.
    Slab,
    /// Pages.
    Page,
    /// A copy from or to the program.
    Copy,
    /// An allocation of the debug kernel's checks themselves.
    Check,
    /// A per-CPU allocation.
    PerCpu,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Slab => "slab",
            Self::Page => "page",
            Self::Copy => "usercopy",
            Self::Check => "checks",
            Self::PerCpu => "per-CPU",
        })
    }
}

/// A place in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// What it asks for.
    pub kind: Kind,
    /// The functions, from the inside, without those of the allocator.
    pub frames: Vec<String>,
    /// Whether a function of a module is among them.
    pub in_module: bool,
}

/// Functions of the allocators and of probes, which every stack begins with.
const INNER: &[&str] = &[
    "dump_stack",
    "fail_dump",
    "should_fail",
    "__should_fail",
    "kretprobe",
    "arch_rethook",
    "rethook",
    "trace_",
    "kprobe",
    "ftrace",
    "slab_",
    "___slab",
    "__slab",
    "kmem_cache_alloc",
    "__kmem_cache",
    "__kmalloc",
    "kmalloc",
    "krealloc",
    "__kvmalloc",
    "kvmalloc",
    "kvrealloc",
    "vrealloc",
    "__alloc_",
    "alloc_pages",
    "alloc_frozen",
    "alloc_slab",
    "allocate_slab",
    "new_slab",
    "refill_",
    "folio_alloc",
    "__folio_alloc",
    "vma_alloc_folio",
    "_copy_",
    "__copy_",
    "copy_to_user",
    "copy_from_user",
    "_inline_copy",
    "pcpu_alloc",
    "get_free_pages",
    "__get_free_pages",
    "prepare_alloc_pages",
];

/// Functions of checks that allocate for themselves.
const CHECKS: &[&str] = &[
    "kmemleak",
    "__create_object",
    "__alloc_object",
    "__link_object",
    "stack_depot",
    "depot_",
    "page_owner",
    "kasan_",
    "__kasan",
    "lockdep",
];

/// Where stacks end to be of interest.
const OUTER: &[&str] = &[
    "do_syscall_64",
    "x64_sys_call",
    "__x64_sys",
    "entry_SYSCALL",
    "asm_exc_page_fault",
    "exc_page_fault",
    "do_user_addr_fault",
    "ret_from_fork",
];

fn is_one(frame: &str, names: &[&str]) -> bool {
    names.iter().any(|name| frame.starts_with(name))
}

impl Site {
    fn of(event: &str, frames: &[String]) -> Self {
        let kind = match event {
            "never_percpu" => Kind::PerCpu,
            _ if frames.iter().any(|frame| is_one(frame, CHECKS)) => Kind::Check,
            "log" => Kind::Copy,
            _ if event.ends_with("_page") => Kind::Page,
            _ => Kind::Slab,
        };
        let outer = frames.iter().skip_while(|frame| is_one(frame, INNER));
        let kept = outer.take_while(|frame| !is_one(frame, OUTER));
        Self {
            kind,
            frames: kept.cloned().collect(),
            // A module that failed to load has no names any more.
            in_module: frames
                .iter()
                .any(|frame| frame.ends_with(']') || frame.starts_with("0x")),
        }
    }

    /// Returns its functions but those of modules, which have no names while it is being loaded.
    pub fn in_kernel(&self) -> Vec<String> {
        let frames = self.frames.iter();
        let kept = frames.filter(|frame| !frame.starts_with("0x") && !frame.ends_with(']'));
        kept.cloned().collect()
    }

    /// Returns whether a function with this beginning is among the callers.
    pub fn is_below(&self, name: &str) -> bool {
        self.frames.iter().any(|frame| frame.starts_with(name))
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Frames before the first of the module, and in all where there is none.
        const SHOWN: usize = 4;
        let module = self.frames.iter().position(|frame| frame.ends_with(']'));
        let shown: Vec<&str> = self.frames.iter().map(String::as_str).collect();
        let line = match module {
            Some(at) if at > SHOWN => {
                let outer = &shown[at..shown.len().min(at + 2)];
                format!(
                    "{} < ... < {}",
                    shown[..SHOWN].join(" < "),
                    outer.join(" < ")
                )
            }
            Some(at) => shown[..shown.len().min(at + 3)].join(" < "),
            None => shown[..shown.len().min(SHOWN)].join(" < "),
        };
        write!(f, "{:8} {line}", self.kind)
    }
}

/// A trace instance with the probes; both disappear on drop.
pub struct Trace {
    folder: PathBuf,
    /// What is read from it is gone: to empty the file `trace` waits for RCU each time.
    pipe: Option<File>,
}

impl Trace {
    /// Creates the probes. Records nothing but failures.
    pub fn new() -> Result<Self> {
        let folder = Path::new(TRACEFS);
        if !folder.join("events").exists() {
            mount("tracefs", folder, "tracefs", MountFlags::empty(), None)?;
        }
        let instance = folder.join("instances").join(GROUP);
        for (name, probe, _) in EVENTS {
            let text = probe.replace("{}", &format!("{GROUP}/{name}"));
            append(&folder.join("kprobe_events"), &text)?;
        }
        fs::create_dir(&instance)?;
        let pipe = File::options()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(instance.join("trace_pipe"))?;
        let trace = Self {
            folder: instance,
            pipe: Some(pipe),
        };
        for (name, _, filter) in EVENTS {
            if !filter.is_empty() {
                trace.set(&format!("events/{GROUP}/{name}/filter"), filter)?;
            }
        }
        trace.set("options/stacktrace", "1")?;
        // With offsets the kernel also names the module.
        trace.set("options/sym-offset", "1")?;
        trace.set("options/event-fork", "1")?;
        trace.set("set_event_pid", &std::process::id().to_string())?;
        trace.enable("hit_slab", true)?;
        trace.enable("hit_page", true)?;
        Ok(trace)
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, value).with_context(|| format!("writing {value} to {}", path.display()))
    }

    fn enable(&self, event: &str, on: bool) -> Result<()> {
        let file = format!("events/{GROUP}/{event}/enable");
        self.set(&file, if on { "1" } else { "0" })
    }

    /// Also records what may fail, and what cannot.
    pub fn record_all(&self, on: bool) -> Result<()> {
        for (name, ..) in EVENTS {
            if !name.starts_with("hit") {
                self.enable(name, on)?;
            }
        }
        Ok(())
    }

    /// Forgets what was recorded.
    pub fn clear(&self) -> Result<()> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<String> {
        let mut text = Vec::new();
        let mut part = vec![0; 64 << 10];
        let mut pipe = self.pipe.as_ref().context("trace_pipe is closed")?;
        loop {
            match pipe.read(&mut part) {
                Ok(0) => break,
                Ok(len) => text.extend_from_slice(&part[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("reading trace_pipe"),
            }
        }
        Ok(String::from_utf8(text)?)
    }

    /// Returns what was recorded, with the event's name, in order.
    pub fn take(&self) -> Result<Vec<(String, Site)>> {
        Ok(parse(&self.read()?))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.record_all(false);
        let _ = self.enable("hit_slab", false);
        let _ = self.enable("hit_page", false);
        // An instance whose files are open stays.
        self.pipe = None;
        let _ = fs::remove_dir(&self.folder);
        for (name, ..) in EVENTS {
            let _ = append(
                &Path::new(TRACEFS).join("kprobe_events"),
                &format!("-:{GROUP}/{name}"),
            );
        }
    }
}

fn append(path: &Path, line: &str) -> Result<()> {
    use std::io::Write;
    let file = File::options().append(true).open(path);
    let mut file = file.with_context(|| path.display().to_string())?;
    file.write_all(line.as_bytes())
        .with_context(|| format!("writing {line}"))
}

/// Reads `prog-1 [000] ..... 1.2: hit: (...) ret=0x1`, the line `<stack trace>`, and ` => function`.
fn parse(text: &str) -> Vec<(String, Site)> {
    let mut found = Vec::new();
    let mut event: Option<&str> = None;
    let mut frames: Vec<String> = Vec::new();
    let mut end = |event: &mut Option<&str>, frames: &mut Vec<String>| {
        if let Some(name) = event.filter(|_| !frames.is_empty()) {
            found.push((name.to_owned(), Site::of(name, frames)));
            *event = None;
        }
        frames.clear();
    };
    for line in text.lines() {
        if let Some(frame) = line.strip_prefix(" => ") {
            frames.push(function(frame));
        } else if !line.contains("<stack trace>") {
            end(&mut event, &mut frames);
            let rest = line
                .split_once("] ")
                .and_then(|(_, rest)| rest.split_once(": "));
            event = rest.and_then(|(_, rest)| rest.split(": ").next());
        }
    }
    end(&mut event, &mut frames);
    // Setting and reading the number themselves.
    found.retain(|(_, site)| !site.is_below("proc_fail_nth"));
    found
}

/// Makes `name [module]` of `name+0x1/0x2 [module]`, and leaves a bare address.
fn function(frame: &str) -> String {
    let (name, rest) = frame.split_once("+0x").unwrap_or((frame, ""));
    let module = rest.split_once(' ').map_or("", |(_, module)| module);
    let name = format!("{:#}", rustc_demangle::demangle(name));
    format!("{name} {module}").trim().to_owned()
}

/// Reads the stack of a failed copy in the kernel log: ` name+0x1/0x2 [module]` within `<TASK>`.
pub fn in_log<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Site> {
    let mut lines = lines.skip_while(|line| !line.starts_with("name fail_usercopy"));
    lines.find(|line| line.trim() == "<TASK>")?;
    let stack = lines.take_while(|line| line.trim() != "</TASK>");
    let frames: Vec<String> = stack
        .map(str::trim)
        .filter(|line| line.contains("+0x") && !line.starts_with("? "))
        .map(function)
        .collect();
    Some(Site::of("log", &frames))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_understood() {
        let text = "# tracer: nop\n#\n\
            rmmap-fail-nth-9 [001] .....  1.25: hit_slab: (kmem_cache_alloc+0x1/0x2 <- should_failslab) ret=0x1\n\
            rmmap-fail-nth-9 [001] .....  1.25: <stack trace>\n\
            \x20=> kmem_cache_alloc_noprof+0x1/0x2\n => alloc_inode+0x3/0x4\n\
            \x20=> create+0x1/0x2 [rmmap]\n => do_syscall_64\n\
            rmmap-fail-nth-9 [001] .....  1.26: hit_page: (alloc_pages <- should_fail_alloc_page) ret=0x1\n\
            rmmap-fail-nth-9 [001] .....  1.26: <stack trace>\n\
            \x20=> alloc_pages\n => proc_fail_nth_write\n";
        let found = parse(text);
        assert_eq!(found.len(), 1);
        let (event, site) = &found[0];
        assert_eq!(event, "hit_slab");
        assert_eq!((site.kind, site.in_module), (Kind::Slab, true));
        assert_eq!(site.to_string(), "slab     alloc_inode < create [rmmap]");
        assert_eq!(site.in_kernel(), ["alloc_inode"]);
    }

    #[test]
    fn a_stack_in_the_log_is_understood() {
        let text =
            "FAULT_INJECTION: forcing a failure.\nname fail_usercopy, interval 1\nCall Trace:\n \
            <TASK>\n dump_stack_lvl+0x1/0x2\n should_fail_ex+0x1/0x2\n ? nothing+0x1/0x2\n \
            _copy_from_user+0x1/0x2\n ioctl+0x1/0x2 [rmmap]\n do_syscall_64+0x1/0x2\n </TASK>\n";
        let site = in_log(text.lines()).unwrap();
        assert_eq!((site.kind, site.in_module), (Kind::Copy, true));
        assert_eq!(site.to_string(), "usercopy ioctl [rmmap]");
        assert_eq!(in_log("name failslab\n <TASK>\n".lines()), None);
    }
}
