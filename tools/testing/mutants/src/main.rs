// SPDX-License-Identifier: GPL-2.0

//! `rmmap-mutants`: makes mistakes in a copy of the module, one at a time, and tells whether
//! `rmmap-fuzz`, or `rmmap-races`, finds them, and when.
//!
//! It runs in the lab's root: `make mutants`.

#![forbid(unsafe_code)]

mod build;
mod guest;
mod mutant;
mod sweep;

use anyhow::{bail, Context, Result};
use clap::Parser;
use guest::{Found, Module};
use mutant::Mutant;
use std::process::ExitCode;

/// Make mistakes in a copy of the module, and tell whether rmmap-fuzz finds them.
#[derive(Debug, Parser)]
#[command(
    name = "rmmap-mutants",
    version,
    help_expected = true,
    max_term_width = 100
)]
struct Args {
    /// Seconds of fuzzing for each mutant.
    #[arg(long, default_value_t = 60)]
    seconds: u64,

    /// The fuzzer's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Let rmmap-races look for those mutants that matter where two actors meet.
    #[arg(long)]
    races: bool,

    /// An option for rmmap-races; may be given more than once.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    sweep: Vec<String>,

    /// Use the modules that the last run built, and build only those that it lacks.
    #[arg(long)]
    again: bool,

    /// Print the mutants' names and do nothing.
    #[arg(long)]
    list: bool,

    /// Mutants, by parts of their names; without any, all.
    names: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rmmap-mutants: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Does what the command line says. Returns whether each mutant was found, and the module without
/// one is clean.
fn run(args: &Args) -> Result<bool> {
    let root = std::env::current_dir().context("no current folder")?;
    let mut mutants = mutant::all()?;
    let wanted = |mutant: &Mutant| {
        let has_name = |name: &String| mutant.name.contains(name);
        let is_named = args.names.is_empty() || args.names.iter().any(has_name);
        is_named && (mutant.race || !args.races)
    };
    mutants.retain(wanted);
    if args.list {
        mutants
            .iter()
            .for_each(|mutant| println!("{}", mutant.name));
        return Ok(true);
    }
    if mutants.is_empty() {
        bail!("no mutant has such a name, see --list");
    }
    let lost: Vec<_> = mutants.iter().filter_map(|m| m.text(&root).err()).collect();
    if !lost.is_empty() {
        for error in &lost {
            eprintln!("rmmap-mutants: {error:#}");
        }
        bail!("{} mutants do not apply", lost.len());
    }
    let stock = build::stock(&root)?;
    let mut modules = Vec::new();
    if !args.races {
        modules.push(Module::new("none", false, stock.clone()));
    }
    if !args.races && mutants.iter().any(|mutant| mutant.race) {
        modules.push(Module::new("none, races", true, stock));
    }
    let builder = build::Builder::new(&root, args.again)?;
    for (number, mutant) in mutants.iter().enumerate() {
        eprintln!(
            "{} of {}: building {}",
            number + 1,
            mutants.len(),
            mutant.name
        );
        let file = builder.build(&root, mutant)?;
        modules.push(Module::new(&mutant.name, mutant.race, file));
    }
    let mut well = true;
    let mut missed = Vec::new();
    println!(
        "{:38} {:>10} {:>7}  found by",
        "mutant", "operations", "seconds"
    );
    let mut report = |name: &str, found: Found| {
        let Found {
            operations,
            seconds,
            by,
        } = found;
        let operations = operations.map_or("-".to_owned(), |n| n.to_string());
        println!(
            "{name:38} {operations:>10} {seconds:>7.1}  {}",
            by.as_deref().unwrap_or("-")
        );
        match (name, by.is_some()) {
            ("none" | "none, races", found) => well &= !found,
            (_, true) => {}
            (_, false) => missed.push(name.to_owned()),
        }
    };
    match args.races {
        false => guest::fuzz(&modules, args.seconds, args.seed, report)?,
        true => {
            for module in &modules {
                report(module.name(), sweep::sweep(module.file(), &args.sweep)?);
            }
        }
    }
    println!(
        "{} of {} mutants found{}{}",
        mutants.len() - missed.len(),
        mutants.len(),
        if missed.is_empty() { "" } else { ", not: " },
        missed.join(", ")
    );
    Ok(well && missed.is_empty())
}
