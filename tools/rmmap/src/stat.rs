// SPDX-License-Identifier: GPL-2.0

//! `rmmap stat`: the properties and the counters of a region and the device.

mod counters;
mod render;

use std::{process::ExitCode, thread, time::Duration};

use anyhow::Context;
use rmmap_sys::{rustix::fs::OFlags, Device};
use rmmap_uapi::{RmmapInfo, RmmapStats, RMMAP_DEVICE};

use crate::{device, output};
pub use render::{bytes, hook_name};

/// Options of `rmmap stat`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The device, a region (/proc/PID/fd/N), or the number of an inherited descriptor
    #[arg(value_name = "FD-OR-PATH", default_value = RMMAP_DEVICE)]
    target: String,

    /// Print JSON; with --watch one line for each sample
    #[arg(long)]
    json: bool,

    /// Take a sample every SECS seconds, and show the increase since the last one
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    watch: Option<Duration>,
}

/// One sample of the region and the device.
#[derive(Clone, Copy)]
pub struct Look {
    /// Their properties.
    pub info: RmmapInfo,
    /// Their counters.
    pub stats: RmmapStats,
}

impl Look {
    /// Takes a sample.
    fn take(device: &Device) -> anyhow::Result<Self> {
        Ok(Self {
            info: device
                .info()
                .context("cannot read the state of the region (RMMAP_IOC_INFO)")?,
            stats: device::stats(device)?,
        })
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (device, _) = device::open_target(&args.target, OFlags::RDONLY)?;
    let mut before = None;
    loop {
        let look = Look::take(&device)?;
        if args.json {
            let pretty = args.watch.is_none();
            output::line(render::json(&args.target, &look, pretty)?)?;
        } else {
            if args.watch.is_some() {
                output::clear()?;
            }
            output::line(render::text(&args.target, &look, before.as_ref()))?;
        }
        let Some(interval) = args.watch else {
            return Ok(ExitCode::SUCCESS);
        };
        before = Some(look);
        thread::sleep(interval);
    }
}

/// Parses the interval: a positive number of seconds, for example 0.5.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>().map(Duration::try_from_secs_f64) {
        Ok(Ok(interval)) if !interval.is_zero() => Ok(interval),
        _ => Err("a positive number of seconds is wanted, for example 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_positive_numbers() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "x", "inf", "NaN", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
