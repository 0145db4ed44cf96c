// SPDX-License-Identifier: GPL-2.0

//! `rmmap demo`: maps memory of each kind in each way of allocating it, and compares what the
//! kernel did with what it should do.
//!
//! | module | what it does |
//! |---|---|
//! | [`case`] | the kinds and the ways |
//! | [`facts`] | facts about a mapping, and the differences between two sets |
//! | [`expect`] | the rules: the expectation for each case |
//! | [`mod@run`] | runs a case in a child and records the facts |
//! | [`render`] | the table |
//!
//! Below the table it shows the path of one mapping, which [`trace`] records.

mod case;
mod expect;
mod facts;
mod render;
mod run;

use std::process::ExitCode;

use anyhow::Context;
use rmmap_uapi::RmmapInfo;
use serde_json::{json, Value};

use crate::observe::PAGES;
use crate::target::Object;
use crate::trace::{self, Trace, Unavailable};
use crate::{device, output, stat::hook_name, status::DIFFERS, style::HEAD};
use case::{Case, Kind};
use facts::{Difference, Facts};
use run::Observation;

/// Options of `rmmap demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Map new regions (RMMAP_IOC_CREATE) instead of /dev/rmmap
    #[arg(long)]
    region: bool,

    /// Print JSON instead of the table
    #[arg(long)]
    json: bool,

    /// Leave out the call path (it needs root, and tracefs in the kernel)
    #[arg(long)]
    no_trace: bool,
}

/// A row of the table.
pub struct Row {
    /// The mapping and the way of allocating.
    case: Case,
    /// Its outcome.
    outcome: Outcome,
    /// The differences from the expectation.
    differences: Vec<Difference>,
    /// The rules that determine the expectation.
    rules: Vec<&'static str>,
}

/// The outcome of a case.
enum Outcome {
    /// It ran.
    Observed(Box<Observation>),
    /// It could not run, for this reason.
    Failed(String),
}

impl Row {
    /// Runs a case and compares.
    fn new(case: Case, object: Object) -> Self {
        let rules = expect::rules(case);
        match run::observe(case, object) {
            Ok(observation) => {
                let target = observation.target.as_deref().unwrap_or_default();
                let expected = expect::expected(case, target);
                Self {
                    case,
                    differences: Facts::differences(&expected, &observation.facts),
                    outcome: Outcome::Observed(Box::new(observation)),
                    rules,
                }
            }
            Err(error) => Self {
                case,
                outcome: Outcome::Failed(format!("{error:#}")),
                differences: Vec::new(),
                rules,
            },
        }
    }

    /// Returns whether the kernel did what the rules say.
    fn is_as_expected(&self) -> bool {
        !self.has_failed() && self.differences.is_empty()
    }

    /// Returns whether the case could not run.
    fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }

    /// Returns the row for JSON.
    fn json(&self) -> Value {
        let (observed, error) = match &self.outcome {
            Outcome::Observed(observation) => (json!(observation), Value::Null),
            Outcome::Failed(why) => (Value::Null, json!(why)),
        };
        json!({
            "kind": self.case.kind,
            "way": self.case.way,
            "rules": self.rules,
            "as_expected": self.is_as_expected(),
            "observed": observed,
            "differences": self.differences,
            "error": error,
        })
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (_, info) = device::open()?;
    let object = match args.region {
        true => Object::Region,
        false => Object::Device,
    };
    if !args.json {
        output::line(format!("{}\n{}", title(&info, object), render::legend()))?;
    }
    let rows = run_cases(object, !args.json)?;
    let trace = match args.no_trace {
        true => Err(Unavailable::NotWanted.into()),
        false => trace::of_lazy(object),
    };
    if args.json {
        output::line(json_of(&info, object, &rows, &trace)?)?;
    } else {
        output::line(format!("\n{}\n", call_path(&trace)))?;
        output::line(render::summary(&rows))?;
    }
    Ok(match rows.iter().all(Row::is_as_expected) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(DIFFERS),
    })
}

/// Runs every case, and prints each as soon as it is done if `show` is set.
fn run_cases(object: Object, show: bool) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for kind in Kind::ALL {
        if show {
            output::line(format!("\n{}", render::heading(kind)))?;
        }
        for case in Case::all().filter(|case| case.kind == kind) {
            let row = Row::new(case, object);
            if show {
                output::line(render::row(&row))?;
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Returns the title: the object, its place, and the kernel.
fn title(info: &RmmapInfo, object: Object) -> String {
    let object = match object {
        Object::Device => "/dev/rmmap itself",
        Object::Region => "fresh regions (RMMAP_IOC_CREATE)",
    };
    format!(
        "{HEAD}rmmap demo{HEAD:#}: Linux {}, hook {}, mapping {object}\n",
        device::release(),
        hook_name(info)
    )
}

/// Returns the path of one mapping through the kernel, or why it is not shown.
fn call_path(trace: &anyhow::Result<Trace>) -> String {
    let what = match trace {
        Ok(trace) => format!(" of one mapping\n{}", trace.text()),
        Err(why) => format!(": not shown: {why:#}"),
    };
    format!("{HEAD}Call path{HEAD:#}{what}")
}

/// Returns everything for JSON.
fn json_of(
    info: &RmmapInfo,
    object: Object,
    rows: &[Row],
    trace: &anyhow::Result<Trace>,
) -> anyhow::Result<String> {
    let value = json!({
        "kernel": device::release(),
        "abi_version": info.abi_version,
        "hook": hook_name(info),
        "object": match object { Object::Device => "device", Object::Region => "region" },
        "pages": PAGES,
        "as_expected": rows.iter().all(Row::is_as_expected),
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "trace": match trace {
            Ok(trace) => json!(trace),
            Err(why) => json!({ "unavailable": format!("{why:#}") }),
        },
    });
    serde_json::to_string_pretty(&value).context("cannot write JSON")
}
