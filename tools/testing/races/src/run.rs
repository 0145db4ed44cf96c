// SPDX-License-Identifier: GPL-2.0

//! The part in the guest: sweeps the points of the scenarios.

use crate::args::{Args, Role};
use crate::cx::{load, pin, watch_for_hangs, Cx};
use crate::plugin::{self, Delay, BEGIN, NONE};
use crate::report::{head, Counts};
use crate::scenarios::{self, Scenario};
use crate::symbols::{readable, Symbols};
use anyhow::{ensure, Context, Result};
use rmmap_guest::klog;
use rmmap_guest::kmsg::KernelLog;
use rmmap_guest::leak::{map_program, Snapshot};
use rmmap_guest::taint::Mask;
use rmmap_sys::{module, Device};
use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long what a trial leaves may stay.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the module's code is.
const TEXT: &str = "/sys/module/rmmap/sections/.text";

/// What the scenarios share.
struct Bench<'a> {
    args: &'a Args,
    image: Vec<u8>,
    symbols: Symbols,
    log: KernelLog,
    /// Where the module is, as the kernel and as its symbols say.
    base: String,
    module: (u64, u64),
    /// Regions of the module itself.
    regions: u64,
}

/// Does what the command line says. Returns the exit status.
pub fn run(args: &Args) -> Result<u8> {
    let begun = Instant::now();
    let file = args.module.display();
    let image = fs::read(&args.module).with_context(|| format!("cannot read {file}"))?;
    map_program()?;
    let taint = Mask::read()?;
    let mut log = KernelLog::open()?;
    log.read_new()?;
    let before = Snapshot::take()?;
    load(&image)?;
    watch_for_hangs();
    pin(0)?;
    let mut bench = Bench {
        args,
        image,
        symbols: Symbols::read()?,
        log,
        base: String::new(),
        module: (0, 0),
        regions: Device::open()?.info()?.regions,
    };
    let core = args.core.iter().map(|name| bench.symbols.function(name));
    plugin::watch(&core.collect::<Result<Vec<_>>>()?);
    bench.watch()?;

    head();
    let mut all = Counts::default();
    let mut scenarios = 0;
    for scenario in scenarios::all().filter(|one| args.wants(one.name)) {
        all += bench.sweep(scenario)?;
        scenarios += 1;
        if args.stop && all.findings > 0 {
            break;
        }
    }
    ensure!(scenarios > 0, "no scenario has such a name, see --list");

    module::unload("rmmap").context("rmmod rmmap")?;
    if all.ended + all.idle + all.limit == 0 {
        println!("no role was delayed");
        all.findings += 1;
    }
    let mut end = |what: &str, text: String| {
        println!("FAILED {what}: {text}");
        all.findings += 1;
    };
    if let Some(missing) = before.wait_until_back()? {
        end("memory that the module left", missing);
    }
    if let Some(letters) = Mask::read()?.new_since(taint, false, false) {
        end("taint", letters);
    }
    if let Some(text) = bench.new_reports()? {
        end("kernel log", text);
    }
    all.print(&format!("{scenarios} scenarios"), begun.elapsed());
    Ok(u8::from(all.findings > 0))
}

impl Bench<'_> {
    /// Makes the plugin watch the module, which may be at other addresses than before.
    fn watch(&mut self) -> Result<()> {
        let base = fs::read_to_string(TEXT).context(TEXT)?;
        // To read all symbols takes a second.
        if base != self.base {
            self.base = base;
            self.symbols = Symbols::read()?;
            self.module = self.symbols.module()?;
            plugin::watch(&[self.module]);
        }
        Ok(())
    }

    /// Returns where a point is that was in a module at `from`.
    fn moved(point: u64, from: (u64, u64), to: (u64, u64)) -> u64 {
        match (from.0..from.1).contains(&point) {
            true => point - from.0 + to.0,
            false => point,
        }
    }

    /// Delays each role of a scenario at each of its points.
    fn sweep(&mut self, scenario: &Scenario) -> Result<Counts> {
        let begun = Instant::now();
        fs::write(plugin::file(plugin::OUT), scenario.name)?;
        let mut counts = Counts::default();
        // The first time is different: of code, and of memory that stays.
        self.trial(scenario, 0, NONE, 1, &mut Counts::default())?;
        for (first, role) in [Role::A, Role::B].into_iter().enumerate() {
            if self.args.role.is_some_and(|only| only != role) {
                continue;
            }
            plugin::forget();
            let begun_in = self.module;
            let mut seen = BTreeSet::new();
            let mut points = VecDeque::from([(NONE, 1), (BEGIN, 1)]);
            if let Some(point) = &self.args.point {
                let point = match point.as_str() {
                    "none" => NONE,
                    "begin" => BEGIN,
                    address => self.symbols.point(address)?,
                };
                points = VecDeque::from([(point, self.args.hit)]);
            }
            let most = match self.args.stop {
                true => 1,
                false => counts.findings + self.args.findings,
            };
            while let Some((point, hit)) = points.pop_front() {
                let point = Self::moved(point, begun_in, self.module);
                self.trial(scenario, first, point, hit, &mut counts)?;
                if counts.findings >= most {
                    points.clear();
                }
                if points.is_empty() {
                    let answer = plugin::answer()?;
                    counts.add(&answer);
                    if self.args.point.is_none() && counts.findings < most {
                        let all = answer.new.iter();
                        let new = all.filter(|new| new.is_block || self.args.instructions);
                        let new = new.map(|new| {
                            let back = Self::moved(new.address, self.module, begun_in);
                            (back, new.hit)
                        });
                        points.extend(new.filter(|new| seen.insert(*new)));
                    }
                }
            }
            if self.args.stop && counts.findings > 0 {
                break;
            }
        }
        counts.print(scenario.name, begun.elapsed());
        Ok(counts)
    }

    /// Runs a trial.
    fn trial(
        &mut self,
        scenario: &Scenario,
        first: usize,
        point: u64,
        hit: u64,
        counts: &mut Counts,
    ) -> Result<()> {
        let cx = Cx {
            image: &self.image,
            delay: Delay { first, point, hit },
            hits: self.args.hits,
            reloaded: Cell::new(false),
        };
        let mut outcome = (scenario.run)(&cx).and_then(|()| check_nothing_left(self.regions));
        if cx.reloaded.get() {
            self.watch()?;
        }
        if let Some(text) = self.new_reports()? {
            outcome = Err(anyhow::anyhow!("kernel log: {text}"));
        }
        let role = if first == 0 { "A" } else { "B" };
        let name = match point {
            NONE => "none".to_owned(),
            BEGIN => "begin".to_owned(),
            address => self.symbols.name(address),
        };
        if self.args.verbose {
            println!("{} {role} {name} {hit}: {:?}", scenario.name, outcome);
        }
        counts.points += u32::from(point != NONE);
        if let Err(error) = outcome {
            counts.findings += 1;
            println!(
                "FAILED {}: {error:#}\n  {role} delayed at {}, execution {hit}\n  \
                 make races RACES='--scenario {} --role {role} --point {name} --hit {hit}'",
                scenario.name,
                readable(&name),
                scenario.name,
            );
        }
        Ok(())
    }

    /// Returns reports that are new in the kernel log.
    fn new_reports(&mut self) -> Result<Option<String>> {
        let lines = self.log.read_new()?.into_iter();
        let lines: Vec<String> = lines.map(|line| line.text).collect();
        let report = klog::scan(&lines.join("\n")).into_iter().next();
        Ok(report.map(|splat| splat.to_string()))
    }
}

/// Checks that no region and no page is left.
fn check_nothing_left(regions: u64) -> Result<()> {
    let begun = Instant::now();
    let device = Device::open()?;
    loop {
        let info = device.info()?;
        if (info.regions, info.used_bytes) == (regions, 0) {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "{} regions and {} bytes are left",
            info.regions - regions,
            info.used_bytes
        );
        sleep(Duration::from_millis(1));
    }
}
