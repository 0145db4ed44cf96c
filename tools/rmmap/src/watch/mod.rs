// SPDX-License-Identifier: GPL-2.0

//! `rmmap watch`: the pages of a mapping or an object that are in memory, live.
//!
//! | module | what it does |
//! |---|---|
//! | [`source`] | samples a mapping or an object |
//! | [`snapshot`] | the result of a sample |
//! | [`cells`] | pages as letters |
//! | [`once`] | one sample as text or JSON |
//! | [`draw`], [`live`] | the screen, and keeping it up to date |

mod cells;
mod draw;
mod live;
mod once;
mod snapshot;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::{output, size, Moment};
use live::End;
use source::Source;

/// Arguments of `rmmap watch`.
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("watched").required(true))]
pub struct Args {
    /// The object that holds the pages: /dev/rmmap, a region (/proc/PID/fd/N), a file
    #[arg(value_name = "PATH", group = "watched")]
    path: Option<PathBuf>,

    /// Watch a mapping of this process
    #[arg(long, value_name = "PID", group = "watched")]
    pid: Option<i32>,

    /// An address in the mapping, hexadecimal [default: the only mapping of /dev/rmmap or a region]
    #[arg(long, value_name = "HEX", requires = "pid", conflicts_with = "path", value_parser = size::address)]
    address: Option<usize>,

    /// Seconds between two samples
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = interval)]
    interval: Duration,

    /// Take one sample and print plain text
    #[arg(long)]
    once: bool,

    /// Take one sample and print JSON
    #[arg(long)]
    json: bool,
}

/// Parses the time between two samples.
fn interval(text: &str) -> Result<Duration, String> {
    match text.parse().map(Duration::try_from_secs_f64) {
        Ok(Ok(time)) if !time.is_zero() => Ok(time),
        _ => Err("give a number of seconds above 0".into()),
    }
}

/// Runs the command; calls `at` whenever it has drawn.
pub fn run(args: &Args, at: fn(Moment)) -> anyhow::Result<ExitCode> {
    let source = match (&args.path, args.pid) {
        (Some(path), _) => Source::object(path)?,
        (None, Some(pid)) => Source::process(pid, args.address)?,
        (None, None) => anyhow::bail!("give PATH or --pid"),
    };
    if !(args.once || args.json) {
        if live::run(&source, args.interval, at)? == End::Gone {
            output::line("what was watched is gone")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let snapshot = source
        .look()?
        .context("there is no mapping at this address any more")?;
    match args.json {
        true => output::line(once::json(&snapshot)?)?,
        false => output::line(once::text(&snapshot).trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
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
        Line::try_parse_from(["watch"].into_iter().chain(line.split_whitespace()))
            .map(|line| line.args)
    }

    #[test]
    fn a_path_or_a_process_is_named() {
        let neither = parse("").unwrap_err().to_string();
        assert!(neither.contains("<PATH|--pid <PID>>"), "{neither}");
        assert!(parse("/dev/rmmap --pid 7").is_err());
        assert!(parse("/dev/rmmap --address 1000").is_err());
        let args = parse("--pid 7 --address 0x1000 --once").unwrap();
        assert_eq!((args.pid, args.address), (Some(7), Some(0x1000)));
        assert_eq!(args.interval, Duration::from_millis(500));
    }

    #[test]
    fn the_interval_is_a_time() {
        assert!(parse("x --interval 2").is_ok());
        for bad in ["0", "-1", "x", "inf"] {
            assert!(parse(&format!("x --interval {bad}")).is_err(), "{bad}");
        }
    }
}
