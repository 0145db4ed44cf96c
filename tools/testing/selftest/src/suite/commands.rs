// SPDX-License-Identifier: GPL-2.0

//! The commands `rmmap map` and `rmmap watch`: their output matches the kernel's view.

use crate::area::Pinned;
use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::{cases, check, check_eq};
use rmmap_procfs::Process;
use rmmap_sys::{MapOptions, Mapping};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, Output, Stdio};

cases! {
    Rmmap map_command_tells_what_the_kernel_says [] "rmmap map: address, maps line, VmFlags, resident and locked pages are those of /proc/PID", 120;
    Rmmap map_command_counts_faults [] "rmmap map --touch: a fault for each page of a lazy mapping, none for those of a populated one; contents verified", 120;
    Rmmap map_command_names_errors [] "rmmap map: the errno of a call that fails, its cause, and exit status 1", 120;
    Rmmap map_command_stops_at_a_signal [] "rmmap map --touch: the first page that the kernel refuses is named, exit status 1", 120;
    Rmmap watch_command_sees_a_mapping [] "rmmap watch --once --pid: the pages that pagemap says are resident, and no other", 120;
    Rmmap watch_command_sees_an_object [] "rmmap watch --once PATH: the pages that a region holds, whichever process touched them", 120;
}

/// The output of the program.
struct Printed(String);

impl Printed {
    /// Returns the rest of the `nth` line that begins with this word, counted from 0.
    fn nth(&self, word: &str, nth: usize) -> Result<&str> {
        let lines = self.0.lines().map(str::trim_start);
        let mut found = lines.filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        let rest = found.nth(nth).map(str::trim);
        rest.ok_or_else(|| Stop::fail(format_args!("no {word} in {:?}", self.0)))
    }

    /// Returns the number before a word in that line, as 16 in `16 resident, 0 dirty`.
    fn number(&self, line: &str, nth: usize, word: &str) -> Result<usize> {
        let text = self.nth(line, nth)?;
        let before = text.split(&format!(" {word}")).next().unwrap_or_default();
        let number = before.rsplit(' ').next().unwrap_or_default();
        number
            .parse()
            .map_err(|_| Stop::fail(format_args!("no number of {word} in {text:?}")))
    }

    /// Returns the start address of the mapping.
    fn address(&self) -> Result<usize> {
        let start = self.nth("maps", 0)?.split('-').next().unwrap_or_default();
        usize::from_str_radix(start, 16)
            .map_err(|_| Stop::fail(format_args!("no address in {:?}", self.0)))
    }

    /// Returns the letters of the rows of `rmmap watch`, which begin with an address.
    fn letters(&self) -> String {
        let rows = self.0.lines().filter_map(|line| line.split_once(' '));
        let is_address =
            |word: &str| word.len() == 12 && word.chars().all(|c| c.is_ascii_hexdigit());
        rows.filter(|(address, _)| is_address(address))
            .map(|(_, letters)| letters)
            .collect()
    }
}

/// Returns a command for the program `rmmap` with these arguments.
fn rmmap(arguments: &str) -> Result<Command> {
    program("rmmap", arguments)
}

/// Returns a command for a program in the folder of this one, with these arguments.
pub fn program(name: &str, arguments: &str) -> Result<Command> {
    let program = std::env::current_exe()?.with_file_name(name);
    if !program.is_file() {
        let folder = program.parent().unwrap_or(&program).display();
        return Err(Stop::skip(format_args!(
            "there is no program {name} in {folder}"
        )));
    }
    let mut command = Command::new(program);
    command
        .args(arguments.split_whitespace())
        .stdin(Stdio::null());
    Ok(command)
}

/// Runs `rmmap`, which must exit with this status.
fn run(arguments: &str, status: i32) -> Result<Printed> {
    let output: Output = rmmap(arguments)?.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    check_eq!(
        output.status.code(),
        Some(status),
        "exit status of rmmap {arguments} ({said})"
    );
    Ok(Printed(
        String::from_utf8_lossy(&output.stdout).into_owned(),
    ))
}

/// A running `rmmap map --hold`, which keeps its mapping.
pub struct Held {
    child: Child,
    printed: Printed,
}

impl Held {
    /// Starts it, and returns once it has mapped.
    pub fn start(arguments: &str) -> Result<Self> {
        let mut child = rmmap(&format!("map --hold {arguments}"))?
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take();
        let mut held = Self {
            child,
            printed: Printed(String::new()),
        };
        for line in output
            .into_iter()
            .flat_map(|output| BufReader::new(output).lines())
        {
            held.printed.0 += &(line? + "\n");
            // It prints nothing more and waits.
            if held.printed.0.contains("\nheld: ") {
                return Ok(held);
            }
        }
        Err(Stop::fail(format_args!(
            "rmmap map printed only {:?}",
            held.printed.0
        )))
    }

    /// Returns its process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn process(&self) -> Process {
        Process::Pid(self.child.id() as i32)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It may already have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn map_command_tells_what_the_kernel_says(_: &Context) -> Result {
    for (flags, perms, resident) in [
        ("shared", "rw-s", 0),
        ("private,populate", "rw-p", 16),
        ("shared,locked", "rw-s", 16),
    ] {
        let held = Held::start(&format!("16p --region 16p --flags {flags}"))?;
        let (process, address) = (held.process(), held.printed.address()?);
        let smap = process.smap_at(address)?;
        check_eq!(smap.map.perms, perms);
        check_eq!(smap.map.range, address..address + 16 * P);
        let line = held.printed.nth("maps", 0)?;
        let start = format!("{address:x}-{:x} {perms} ", address + 16 * P);
        check!(
            line.starts_with(&start),
            "{line:?} does not begin with {start:?}"
        );
        let shown = held.printed.nth("VmFlags", 0)?.split(", ");
        let shown: Vec<_> = shown.filter_map(|words| words.split(' ').next()).collect();
        check_eq!(shown, smap.vm_flags.iter().collect::<Vec<_>>());
        check_eq!(
            process.pagemap()?.resident(address, 16)?,
            resident,
            "of {flags}"
        );
        check_eq!(held.printed.number("pages", 0, "resident")?, resident);
        let locked = smap.kb("Locked") as usize * 1024 / P;
        check_eq!(held.printed.number("pages", 0, "locked")?, locked);
        check_eq!(
            held.printed.nth("VmLck", 0)?,
            format!("+{} kB", locked * P / 1024)
        );
    }
    Ok(())
}

fn map_command_counts_faults(_: &Context) -> Result {
    let _pinned = Pinned::single_pages()?;
    for (arguments, while_mapping, while_touching) in [
        ("--flags shared --touch write", 0, 16),
        ("--flags private --touch write:random", 0, 16),
        ("--flags shared,populate --touch write", 16, 0),
        ("--flags shared --touch read:stride=4", 0, 4),
    ] {
        let printed = run(&format!("map 16p --region 16p --verify {arguments}"), 0)?;
        for (nth, expected) in [(0, while_mapping), (1, while_touching)] {
            let faults = printed.number("faults", nth, "minor")?;
            // The program's own memory may add one or two faults.
            check!(
                (expected..expected + 3).contains(&faults),
                "{arguments}: {faults} faults instead of {expected}, {nth} of map and touch"
            );
        }
        check_eq!(printed.nth("contents", 0)?, "as they must be");
    }
    Ok(())
}

fn map_command_names_errors(cx: &Context) -> Result {
    let capacity = cx.device()?.info()?.capacity;
    for (arguments, errno) in [
        ("0".to_owned(), "EINVAL"),
        ("1p --offset 1".to_owned(), "EINVAL"),
        ("1p --flags 0x0".to_owned(), "EINVAL"),
        (format!("1p --offset {capacity}"), "ENXIO"),
        ("1p --open rdonly".to_owned(), "EACCES"),
        ("1p --flags shared-validate,sync".to_owned(), "EOPNOTSUPP"),
        ("18446744073709551615".to_owned(), "ENOMEM"),
    ] {
        let Printed(text) = run(&format!("map {arguments}"), 1)?;
        let mut lines = text.lines();
        let call = lines.next().unwrap_or_default();
        check!(
            call.ends_with(&format!(" = {errno}")),
            "{arguments}: {call:?}"
        );
        let why = lines.next().unwrap_or_default();
        check!(why.trim().len() > 10, "{arguments}: no cause in {text:?}");
    }
    Ok(())
}

fn map_command_stops_at_a_signal(_: &Context) -> Result {
    let Printed(text) = run("map 6p --memfd 4p --touch write", 1)?;
    check!(text.contains("\n4 pages touched"), "{text}");
    check!(text.contains("\n  page 4: SIGBUS (BUS_ADRERR)"), "{text}");
    Ok(())
}

fn watch_command_sees_a_mapping(_: &Context) -> Result {
    let _pinned = Pinned::single_pages()?;
    let held = Held::start("16p --region 16p --touch write:stride=3")?;
    let (process, address) = (held.process(), held.printed.address()?);
    let pid = held.pid();
    let printed = run(&format!("watch --once --pid {pid}"), 0)?;
    let start = format!("{address:x}-");
    check!(
        printed.0.starts_with(&start),
        "{:?} is not {start}",
        printed.0
    );
    let pages = process.pagemap()?.pages(address, 16)?;
    check_eq!(pages.iter().filter(|page| page.is_present()).count(), 6);
    // The program stored to each page, so all resident pages are dirty.
    let letter = |present: bool| if present { 'D' } else { '.' };
    let expected: String = pages.iter().map(|page| letter(page.is_present())).collect();
    check_eq!(printed.letters(), expected);
    check_eq!(printed.number("16 pages:", 0, "resident")?, 6);
    check_eq!(printed.number("16 pages:", 0, "dirty")?, 6);
    let middle = address + 5 * P;
    let by_address = run(&format!("watch --once --pid {pid} --address {middle:x}"), 0)?;
    check_eq!(by_address.letters(), expected);
    Ok(())
}

fn watch_command_sees_an_object(cx: &Context) -> Result {
    let region = cx.region_of_pages(8)?;
    let m = MapOptions::new(8 * P).map(&region)?;
    let fd = region.as_fd().as_raw_fd();
    let me = std::process::id();
    let look = |m: &Mapping| -> Result {
        let printed = run(&format!("watch --once /proc/{me}/fd/{fd}"), 0)?;
        let held = m.mincore(0, 8 * P)?;
        let letter = |held: bool| if held { 'O' } else { '.' };
        let expected: String = held.into_iter().map(letter).collect();
        check_eq!(printed.letters(), expected);
        Ok(())
    };
    look(&m)?;
    m.touch_write(2, 1)?;
    m.touch_write(7, 1)?;
    check_eq!(m.mincore(0, 8 * P)?.iter().filter(|held| **held).count(), 2);
    look(&m)
}
