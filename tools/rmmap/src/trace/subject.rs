// SPDX-License-Identifier: GPL-2.0

//! The traced subject: one mapping, or a program. It runs in a child, which enables the recording
//! at the last moment.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::Write,
    os::unix::process::CommandExt,
    process::Command,
};

use anyhow::{anyhow, Context};
use nix::sys::signal::SigSet;
use rmmap_sys::{
    process::errno_name,
    rustix::fs::{ftruncate, memfd_create, MemfdFlags},
    MapOptions, Mapping,
};
use serde::{Deserialize, Serialize};

use super::{
    spec::{Object, Spec, Touch},
    tracefs::Instance,
    Subject,
};
use crate::{
    device,
    observe::rehearse,
    target::{self, Target},
};

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The return value of mmap(2), or the name of its error; how a program ended.
    pub result: String,
    /// The address of the mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    /// Its length, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Pages that were touched.
    pub touched: u64,
    /// The signal that a touch raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// Runs the subject in this process, a child made for it. A program replaces the process, so this
/// returns only if it cannot run.
pub fn run(subject: &Subject, instance: &Instance, held: SigSet) -> anyhow::Result<Outcome> {
    let pid = std::process::id().to_string();
    for file in ["set_ftrace_pid", "set_event_pid"] {
        instance.set(file, &pid)?;
    }
    let path = instance.path("tracing_on");
    let switch = OpenOptions::new().write(true).open(path);
    let mut switch = Switch(switch.context("cannot open tracing_on")?);
    match subject {
        Subject::Mapping(spec) => map(spec, &mut switch),
        Subject::Command(argv) => {
            for (file, value) in [("options/function-fork", "1"), ("options/event-fork", "1")] {
                instance.set(file, value)?;
            }
            held.thread_unblock().context("cannot unblock signals")?;
            switch.turn(true)?;
            Err(exec(argv))
        }
    }
}

/// Enables or disables the recording.
struct Switch(File);

impl Switch {
    fn turn(&mut self, on: bool) -> anyhow::Result<()> {
        let value = if on { b"1" } else { b"0" };
        self.0
            .write_all(value)
            .context("cannot switch the recording")
    }
}

/// Executes the program; returns the reason if that fails.
fn exec(argv: &[OsString]) -> anyhow::Error {
    let Some((program, args)) = argv.split_first() else {
        return anyhow!("no program was given");
    };
    let error = Command::new(program).args(args).exec();
    anyhow!("cannot run {}: {error}", program.to_string_lossy())
}

/// The mapped object; it lives as long as the mapping.
enum Held {
    Target(Target),
    Memfd(std::os::fd::OwnedFd),
    Nothing,
}

/// Maps and touches.
fn map(spec: &Spec, switch: &mut Switch) -> anyhow::Result<Outcome> {
    let held = object(spec)?;
    let length = usize::try_from(spec.length).context("the length is too large")?;
    let options = MapOptions::new(length)
        .prot(spec.prot())
        .only_flags(spec.flags());
    rehearse()?;

    switch.turn(true)?;
    let mapping = match &held {
        Held::Target(target) => options.offset(target.offset).map(&target.device),
        Held::Memfd(fd) => options.offset(spec.offset.unwrap_or(0)).map(fd),
        Held::Nothing => options.map_anonymous(),
    };
    let touched = mapping
        .as_ref()
        .map(|mapping| touch_all(mapping, spec.touch));
    switch.turn(false)?;
    Ok(match (&mapping, touched) {
        (Ok(mapping), Ok((touched, signal))) => Outcome {
            result: format!("{:#x}", mapping.address()),
            address: Some(mapping.address() as u64),
            length: Some(mapping.len() as u64),
            touched,
            signal,
        },
        (Err(errno), _) | (_, Err(errno)) => Outcome {
            result: errno_name(*errno),
            ..Outcome::default()
        },
    })
}

/// Opens or makes the object.
fn object(spec: &Spec) -> anyhow::Result<Held> {
    let target = |object| match spec.offset {
        None => Target::new(object, spec.length),
        Some(offset) => Target::at(object, spec.length, offset),
    };
    Ok(match spec.object {
        Object::Rmmap => Held::Target(target(target::Object::Device)?),
        Object::Region => Held::Target(target(target::Object::Region)?),
        Object::Memfd => {
            let fd = memfd_create(c"rmmap-trace", MemfdFlags::CLOEXEC);
            let fd = fd.context("cannot create a memfd")?;
            ftruncate(&fd, spec.length).context("cannot set the size of the memfd")?;
            Held::Memfd(fd)
        }
        Object::Anon => Held::Nothing,
    })
}

/// Touches every page, until one raises a signal; returns the number of touched pages, and the
/// signal.
fn touch_all(mapping: &Mapping, touch: Touch) -> (u64, Option<String>) {
    for page in 0..mapping.pages() {
        let touched = match touch {
            Touch::Read => mapping.touch_read(page).map(drop),
            Touch::Write => mapping.touch_write(page, 1),
            Touch::Untouched => return (0, None),
        };
        if let Err(fault) = touched {
            return (page as u64, Some(fault.to_string()));
        }
    }
    (mapping.pages() as u64, None)
}

/// Returns whether the subject needs the device, and why it cannot be opened.
pub fn check(subject: &Subject) -> anyhow::Result<()> {
    match subject {
        Subject::Mapping(spec) if matches!(spec.object, Object::Rmmap | Object::Region) => {
            device::open()?;
            Ok(())
        }
        _ => Ok(()),
    }
}
