// SPDX-License-Identifier: GPL-2.0

//! The kernel with the series, booted: its KUnit suites report, each sample is loaded, mapped and
//! unloaded.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use rmmap_sys::{Errno, MapOptions, PAGE_SIZE};

use crate::project::Project;
use crate::protocol;
use crate::test::insmod;
use crate::test::kmsg::Line;
use crate::test::ktap::{failure, Test};
use crate::test::kunit;
use crate::test::record::Outcome;
use crate::vm::{Kernel, Stream, Vm};

/// Time limit for the boot with all its tests.
const LIMIT: Duration = Duration::from_secs(240);

/// The kernel's list of misc devices.
const DEVICES: &str = "/sys/class/misc";

/// Boots `kernel`, in which `suites` run by themselves, and tries the modules of the `samples`
/// there. Results are named `kunit/...` and `samples/...`.
pub fn boot(
    project: &Project,
    kernel: Kernel,
    suites: &[String],
    samples: &[PathBuf],
) -> Result<Vec<Test>> {
    let vm = Vm::new("patches", kernel).timeout(LIMIT);
    let mut command = vec![
        project.program("rmmap-lab").to_string_lossy().into_owned(),
        "guest-samples".to_owned(),
    ];
    command.extend(
        samples
            .iter()
            .map(|path| path.to_string_lossy().into_owned()),
    );
    let mut said = Vec::new();
    let outcome = vm.run_with(project, &command, &mut |stream, bytes| {
        if stream == Stream::Stdout {
            said.extend_from_slice(bytes);
        }
    })?;
    let log = fs::read_to_string(outcome.dir.join(protocol::DMESG)).unwrap_or_default();
    let mut tests = kunit::read(&log.lines().filter_map(line).collect::<Vec<_>>());
    tests.extend(kunit::missing(&tests, suites));
    for test in &mut tests {
        test.name = format!("kunit/{}", test.name);
    }
    let said = String::from_utf8_lossy(&said);
    for sample in samples {
        let name = insmod::name(sample);
        let result = said
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}\t")));
        let why = result.map_or_else(|| outcome.ending.to_string(), str::to_owned);
        let mut test = failure(&format!("samples/{name}"), &why);
        if why.is_empty() {
            test.outcome = Outcome::Pass;
        }
        tests.push(test);
    }
    let splats = outcome.splats.iter();
    let reports: Vec<_> = splats
        .map(|splat| format!("{}\n{}", splat.text, splat.context.join("\n")))
        .collect();
    let mut clean = failure("boot/kernel-log", &reports.join("\n\n"));
    if reports.is_empty() {
        clean.outcome = Outcome::Pass;
        clean.ms = Some(outcome.elapsed.as_millis() as u64);
    }
    tests.push(clean);
    Ok(tests)
}

/// Parses a line of the saved kernel log, `<6>[ 1.234567] text`.
fn line(text: &str) -> Option<Line> {
    let (_, rest) = text.split_once("[")?;
    let (time, text) = rest.split_once("] ")?;
    let (seconds, micros) = time.trim().split_once('.')?;
    Some(Line {
        micros: seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?,
        text: text.to_owned(),
    })
}

/// Tries each module, in the guest, and prints for each its name, a tab, and the reason if it
/// failed. Returns the exit status.
pub fn try_samples(files: &[PathBuf]) -> Result<u8> {
    for file in files {
        let begun = Instant::now();
        let why = try_sample(file).err().unwrap_or_default();
        println!("{}\t{}", insmod::name(file), why.replace('\n', " "));
        eprintln!("{}: {} ms", insmod::name(file), begun.elapsed().as_millis());
    }
    Ok(0)
}

fn try_sample(file: &Path) -> Result<(), String> {
    let before = devices()?;
    insmod::load(file, &[])?;
    let made: Vec<String> = devices()?.difference(&before).cloned().collect();
    // Always unload it, so that the next module does not depend on this one.
    let used = made
        .iter()
        .try_for_each(|name| map(&Path::new("/dev").join(name)));
    insmod::unload(file)?;
    used?;
    if made.is_empty() {
        return Err("it was loaded and registered no device".to_owned());
    }
    match devices()? == before {
        true => Ok(()),
        false => Err(format!(
            "its device is still in {DEVICES} after it was unloaded"
        )),
    }
}

fn devices() -> Result<BTreeSet<String>, String> {
    let why = |error| format!("cannot read {DEVICES}: {error}");
    let entries = fs::read_dir(DEVICES).map_err(why)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect::<Result<_, _>>().map_err(why)
}

/// The largest size, in pages, of a sample's device that can only be mapped as a whole.
const MOST_PAGES: usize = 64;

/// Maps a device, with the smallest number of pages that it accepts, and reads the first.
fn map(device: &Path) -> Result<(), String> {
    let why =
        |what: &str, error: &dyn std::fmt::Display| format!("{what} {}: {error}", device.display());
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(device)
        .map_err(|error| why("open", &error))?;
    let mapping = (1..=MOST_PAGES)
        .map(|pages| MapOptions::new(pages * PAGE_SIZE).read_only().map(&file))
        .find(|mapping| !matches!(mapping, Err(Errno::INVAL)))
        .unwrap_or(Err(Errno::INVAL))
        .map_err(|error| why("mmap", &error))?;
    mapping
        .touch_read(0)
        .map_err(|error| why("touch", &error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log_have_a_time() {
        let line = line("<6>[    1.000002]     ok 1 case").unwrap();
        assert_eq!(
            (line.micros, line.text.as_str()),
            (1_000_002, "    ok 1 case")
        );
        assert!(super::line("no time").is_none());
    }
}
