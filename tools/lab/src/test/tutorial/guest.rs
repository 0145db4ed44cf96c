// SPDX-License-Identifier: GPL-2.0

//! The page's commands in a virtual machine, and the comparison of their output with the page.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::page::{Block, Folder, Kind, Page};
use super::test;
use crate::build::Stock;
use crate::project::Project;
use crate::test::ktap::Test;
use crate::vm::{Stream, Vm};

/// The prefix of lines that are not a command's: `@@ begin 3`, `@@ end 3 STATUS`.
const SIGN: &str = "@@ ";

/// Commands of the page, their expected output, and the name of the test.
struct Step<'a> {
    name: String,
    block: &'a Block,
    folder: Folder,
    shows: Vec<&'a Block>,
}

/// Boots `stock` as `make shell` does and runs the commands: those of a checkout in this one, the
/// others in `own`. Results go to `sink`.
pub fn run(
    project: &Project,
    page: &Page,
    stock: &Stock,
    own: &Path,
    sink: &mut dyn FnMut(Test) -> Result<()>,
) -> Result<()> {
    let steps = steps(page);
    let mut vm = Vm::new("test-tutorial", stock.kernel()?);
    let module = project.module(&stock.label);
    vm.insmod.push(vec![module.to_string_lossy().into_owned()]);
    let programs = project.program("");
    vm.env.push((
        "PATH".into(),
        format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display()),
    ));
    let script = script(&steps, project.root(), own);
    let begun = Instant::now();
    let mut said = Vec::new();
    let outcome = vm.run_with(project, &["bash", "-c", &script], &mut |stream, bytes| {
        if stream == Stream::Stdout {
            said.extend_from_slice(bytes);
        }
    })?;
    let said = String::from_utf8_lossy(&said);
    for (index, step) in steps.iter().enumerate() {
        let why = match output_of(index, &said) {
            Some((0, output)) => missing(step, &output),
            Some((status, output)) => Some(format!(
                "{}: a command ended with {status}, after\n{output}",
                step.block
            )),
            None => Some(format!("{}: {}", step.block, outcome.ending)),
        };
        sink(test(&step.name, begun, why))?;
    }
    let reports: Vec<String> = outcome
        .splats
        .iter()
        .map(|splat| format!("{}\n{}", splat.text, splat.context.join("\n")))
        .collect();
    let log = (!reports.is_empty()).then(|| reports.join("\n\n"));
    sink(test("kernel-log", begun, log))
}

/// Returns the guest's blocks, each with its expected output.
fn steps(page: &Page) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for block in page.blocks() {
        match block.kind {
            Kind::Run(folder) => {
                let same = |step: &&Step<'_>| step.block.section == block.section;
                let nth = steps.iter().filter(same).count() + 1;
                steps.push(Step {
                    name: format!("{}-{nth}", slug(&block.section)),
                    block,
                    folder,
                    shows: Vec::new(),
                });
            }
            Kind::Shows => {
                if let Some(step) = steps.last_mut() {
                    step.shows.push(block);
                }
            }
            _ => {}
        }
    }
    steps
}

/// Turns `9. Try it` into `9-try-it`.
fn slug(title: &str) -> String {
    let lower = title.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// Returns one shell for each block, which ends at the first command that fails.
fn script(steps: &[Step<'_>], checkout: &Path, own: &Path) -> String {
    let mut script = String::new();
    for (index, step) in steps.iter().enumerate() {
        let folder = match step.folder {
            Folder::Checkout => checkout,
            Folder::Own => own,
        };
        script += &format!(
            "echo '{SIGN}begin {index}'\n(set -e -o pipefail\ncd '{}'\n{}\n) 2>&1\n\
             echo \"{SIGN}end {index} $?\"\n",
            folder.display(),
            step.block.text
        );
    }
    script
}

/// Returns the exit status and the output of block `index`, if it ended.
fn output_of(index: usize, said: &str) -> Option<(i32, String)> {
    let (_, rest) = said.split_once(&format!("{SIGN}begin {index}\n"))?;
    let (output, rest) = rest.split_once(&format!("{SIGN}end {index} "))?;
    let status = rest.lines().next()?.trim().parse().ok()?;
    Some((status, output.to_owned()))
}

/// Returns the first line that the page shows and the commands did not print.
fn missing(step: &Step<'_>, output: &str) -> Option<String> {
    let mut printed = output.lines();
    for shown in &step.shows {
        for line in shown.text.lines() {
            if !printed.any(|printed| fits(line, printed)) {
                return Some(format!(
                    "{shown}: the page shows `{line}`, but {} printed\n{output}",
                    step.block
                ));
            }
        }
    }
    None
}

/// Returns whether `line` matches `pattern`, in which `...` stands for any text.
fn fits(pattern: &str, line: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once("...") else {
        return pattern.trim_end() == line.trim_end();
    };
    let Some(mut line) = line.strip_prefix(begin) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split("...").collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match line.split_once(part) {
            Some((_, after)) => line = after,
            None => return false,
        }
    }
    line.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: Kind, text: &str) -> Block {
        Block {
            kind,
            section: "9. Try it".into(),
            line: 7,
            text: text.into(),
        }
    }

    #[test]
    fn dots_stand_for_anything() {
        assert!(fits("[...] a: 4 MiB", "[    9.1] a: 4 MiB"));
        assert!(fits("a...b...c", "a1b2c") && fits("...", "") && fits("x", "x"));
        assert!(!fits("[...] a", "[1] ab") && !fits("a...b", "ba") && !fits("x", "xy"));
    }

    #[test]
    fn what_the_page_shows_must_come_in_its_order() {
        let run = block(Kind::Run(Folder::Checkout), "true");
        let shows = block(Kind::Shows, "one\ntwo");
        let step = Step {
            name: "n".into(),
            block: &run,
            folder: Folder::Checkout,
            shows: vec![&shows],
        };
        assert_eq!(missing(&step, "one\nother\ntwo\n"), None);
        let why = missing(&step, "two\none\n").unwrap();
        assert!(why.contains("line 7: the page shows `two`"), "{why}");
    }

    #[test]
    fn each_block_has_its_output_and_status() {
        let run = block(Kind::Run(Folder::Own), "echo a; false; echo b");
        let step = Step {
            name: slug("9. Try it"),
            block: &run,
            folder: Folder::Own,
            shows: Vec::new(),
        };
        let script = script(&[step], Path::new("/"), Path::new("/"));
        let output = std::process::Command::new("bash")
            .args(["-c", &script])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output_of(0, &said), Some((1, "a\n".into())));
        assert_eq!(output_of(1, &said), None);
        assert_eq!(slug("9. Try it"), "9-try-it");
    }
}
