// SPDX-License-Identifier: GPL-2.0

//! `rmmap map`: mmap(2) as a command, for trying things.
//!
//! | module | what it does |
//! |---|---|
//! | [`flags`] | protections and flags by name |
//! | [`object`] | the mapped object |
//! | [`request`] | the call |
//! | [`why`] | the cause of a failure |
//! | [`touch`], [`verify`] | touches of the pages, and their contents |
//! | [`state`] | the kernel's information about the mapping |
//! | [`report`] | all of it as text and JSON |

mod flags;
mod object;
mod report;
mod request;
pub mod state;
mod touch;
mod verify;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use rmmap_procfs::Process;
use rmmap_sys::process::{errno_name, faults};
use rmmap_sys::Mapping;

use crate::status::DIFFERS;
use crate::{output, size};
use object::{Access, Choice, Object};
use report::{Report, TouchReport};
use request::{Refusal, Request};
use state::State;
use touch::{since, Touch};
use verify::Before;

/// Arguments of `rmmap map`.
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("object"))]
pub struct Args {
    /// Bytes to map, or with k, M, G, T, or p for pages; passed on unchecked
    #[arg(value_name = "LENGTH", value_parser = size::parse)]
    length: u64,

    /// Map a fresh region of SIZE (RMMAP_IOC_CREATE) instead of /dev/rmmap
    #[arg(long, value_name = "SIZE", group = "object", value_parser = size::parse)]
    region: Option<u64>,

    /// Map a fresh memfd of SIZE
    #[arg(long, value_name = "SIZE", group = "object", value_parser = size::parse)]
    memfd: Option<u64>,

    /// Map this file or device
    #[arg(long, value_name = "PATH", group = "object")]
    file: Option<PathBuf>,

    /// Map no object: anonymous memory
    #[arg(long, group = "object")]
    anonymous: bool,

    /// Open the object in this mode
    #[arg(long, value_enum, default_value_t, value_name = "ACCESS")]
    open: Access,

    /// First byte of the object to map; as LENGTH, passed on unchecked
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = size::parse)]
    offset: u64,

    /// Address, in hexadecimal: a hint, unless a flag says `fixed` or `noreplace`
    #[arg(long, value_name = "HEX", default_value = "0", value_parser = size::address)]
    addr: usize,

    /// Protections: none, read, write, exec, sem, growsdown, growsup, or numbers
    #[arg(
        long,
        value_name = "NAME,...",
        default_value = "read,write",
        value_delimiter = ',',
        value_parser = flags::prot
    )]
    prot: Vec<flags::Word>,

    /// Flags by name, or numbers (0x1000): shared, private, shared-validate, droppable; fixed,
    /// noreplace, anonymous, 32bit, above4g, growsdown, denywrite, executable, locked, noreserve,
    /// populate, nonblock, stack, hugetlb, hugetlb-2m, hugetlb-1g, sync, uninitialized. Without a
    /// type or a number: shared, or private for anonymous memory
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = flags::flag)]
    flags: Vec<flags::Word>,

    /// Touch pages afterwards: read or write, then :seq, :random or :stride=N (each Nth page), then
    /// :PAGES for their number, as in write:random:100
    #[arg(long, value_name = "KIND[:ORDER][:PAGES]", value_parser = Touch::parse)]
    touch: Option<Touch>,

    /// Compare each touched page with the object's old contents and the stores
    #[arg(long, requires = "touch")]
    verify: bool,

    /// Keep the mapping for SECONDS, or until a signal, and print how to watch it
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "inf",
          value_parser = seconds)]
    hold: Option<f64>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Parses seconds; `inf` means forever.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Ok(seconds),
        _ => Err("give a number of seconds".into()),
    }
}

impl Args {
    fn choice(&self) -> Choice {
        match (self.region, self.memfd, &self.file) {
            (Some(size), ..) => Choice::Region(size),
            (_, Some(size), _) => Choice::Memfd(size),
            (.., Some(path)) => Choice::File(path.clone()),
            _ if self.anonymous => Choice::Anonymous,
            _ => Choice::Device,
        }
    }

    fn request(&self, choice: &Choice) -> anyhow::Result<Request> {
        Ok(Request {
            address: self.addr,
            length: usize::try_from(self.length)?,
            prot: flags::prot_bits(&self.prot),
            flags: flags::flag_bits(&self.flags, choice.default_type()),
            offset: self.offset,
            is_anonymous: *choice == Choice::Anonymous,
        })
    }
}

/// Maps, touches and reports.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let choice = args.choice();
    let request = args.request(&choice)?;
    let object = choice.open(args.open)?;
    let mut report = Report::new(&request, &object);

    let locked = locked_kb()?;
    let before = faults();
    let mapping = match request.map(&object) {
        Ok(mapping) => mapping,
        Err(Refusal::Kernel(errno)) => {
            report.refused(errno_name(errno), why::why(&request, errno));
            report.print(args.json)?;
            return Ok(ExitCode::from(DIFFERS));
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let taken = since(before);
    let locked_now = locked_kb()?;
    report.mapped(&mapping, taken, locked_now as i64 - locked as i64);
    report.after_mmap = Some(State::of(&mapping)?);
    if let Some(touch) = &args.touch {
        report.touch = Some(touch_it(args, touch, &request, &object, &mapping)?);
    }
    report.print(args.json)?;
    if let Some(seconds) = args.hold {
        hold(seconds, &mapping)?;
    }
    Ok(match report.is_good() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(DIFFERS),
    })
}

fn touch_it(
    args: &Args,
    touch: &Touch,
    request: &Request,
    object: &Object,
    mapping: &Mapping,
) -> anyhow::Result<TouchReport> {
    let pages = touch.order(mapping.pages());
    let before = args
        .verify
        .then(|| Before::read(object, request.offset, &pages));
    let touched = touch.run(mapping);
    // Sampled before the contents are compared, since that also touches pages.
    let after = State::of(mapping)?;
    let is_shared = request.flags & flags::MAP_SHARED != 0;
    let differences =
        before.map(|before| before.differences(object, mapping, &touched, touch.kind, is_shared));
    Ok(TouchReport::new(touch, &touched, after, differences))
}

/// Returns the locked memory of this process, kB.
fn locked_kb() -> anyhow::Result<u64> {
    let status = Process::Myself.status()?;
    status
        .get("VmLck")
        .context("/proc/self/status has no VmLck")
}

/// Waits; the kernel unmaps the mappings of a killed process.
fn hold(seconds: f64, mapping: &Mapping) -> std::io::Result<()> {
    output::line(format_args!(
        "held: look at it with `rmmap watch --pid {} --address {:x}`",
        std::process::id(),
        mapping.address()
    ))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) => std::thread::sleep(time),
        Err(_) => loop {
            std::thread::park();
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(["map"].into_iter().chain(line.split_whitespace()))
            .map(|line| line.args)
    }

    fn request(line: &str) -> Request {
        let args = parse(line).unwrap();
        args.request(&args.choice()).unwrap()
    }

    #[test]
    fn defaults_are_a_shared_mapping_of_the_device() {
        assert_eq!(parse("16p").unwrap().choice(), Choice::Device);
        let plain = request("16p");
        assert_eq!((plain.length, plain.prot, plain.flags), (65536, 3, 1));
        assert_eq!(request("1 --anonymous --flags locked").flags, 0x2002);
    }

    #[test]
    fn everything_of_the_call_can_be_said() {
        let all = request(
            "4097 --memfd 2M --offset 1 --addr 7f0000000000 --prot exec,0x80 \
             --flags private,populate,0x2000000",
        );
        assert_eq!(
            (all.address, all.length, all.offset),
            (0x7f00_0000_0000, 4097, 1)
        );
        assert_eq!((all.prot, all.flags), (0x84, 0x0200_8002));
        assert_eq!(request("1p --prot none").prot, 0);
    }

    #[test]
    fn one_object_at_a_time_and_nothing_to_verify_without_a_touch() {
        assert!(parse("1p --region 1p --anonymous").is_err());
        assert!(parse("1p --verify").is_err());
        assert!(parse("1p --verify --touch read:random:3").is_ok());
        assert!(parse("").is_err());
    }

    #[test]
    fn hold_takes_seconds_or_none() {
        assert_eq!(parse("--hold=2.5 1p").unwrap().hold, Some(2.5));
        assert_eq!(parse("--hold 1p").unwrap().hold, Some(f64::INFINITY));
        assert_eq!(parse("1p").unwrap().hold, None);
        assert!(parse("1p --hold=x").is_err());
    }
}
