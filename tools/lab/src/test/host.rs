// SPDX-License-Identifier: GPL-2.0

//! The unit tests of the workspace: built with cargo, then run program by program, so that each
//! result has its crate's name and a program that dies loses no other's results.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::ktap::{failure, Test};
use super::libtest::Parser;
use crate::project::Project;
use crate::steps::command;

/// The time limit of one test program, seconds.
const LIMIT: &str = "300";

/// The lines of a program's standard error that are kept if its report is broken.
const LAST_WORDS: usize = 10;

/// The target must be named: otherwise the flags for static linking would also apply to procedural
/// macros.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A test program.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    /// Crate, and test file if it is not the crate's own code.
    name: String,
    file: PathBuf,
    /// Cargo runs tests in the crate's folder.
    folder: PathBuf,
}

/// The part of cargo's messages about test programs.
#[derive(Deserialize)]
struct Message {
    package_id: String,
    manifest_path: PathBuf,
    target: Target,
    executable: PathBuf,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Runs all tests whose name contains one of `patterns`, or all tests without patterns. Results go
/// to `sink` as `CRATE/TEST`.
pub fn run(
    project: &Project,
    patterns: &[String],
    sink: &mut dyn FnMut(Test) -> Result<()>,
) -> Result<()> {
    let Some(programs) = build(project)? else {
        return sink(failure(
            "(build)",
            "cargo could not build the tests: see its messages above",
        ));
    };
    let log = project.build("test/host.log");
    File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    for program in &programs {
        let mut command = command(&format!("timeout --kill-after=5 {LIMIT}"));
        command.arg(&program.file).current_dir(&program.folder);
        command.arg("--test-threads=1").args(patterns);
        for mut test in read(command, &log)? {
            test.name = format!("{}/{}", program.name, test.name);
            sink(test)?;
        }
    }
    let mut doc = cargo(project, "test --workspace --doc --no-fail-fast");
    doc.args(["--", "--test-threads=1"]).args(patterns);
    for mut test in read(doc, &log)? {
        test.name = format!("doc/{}", test.name);
        sink(test)?;
    }
    Ok(())
}

fn cargo(project: &Project, words: &str) -> Command {
    let mut cargo = command(&format!("cargo {words}"));
    // After the subcommand, before the tests' own options.
    cargo.args(["--target", TARGET]).current_dir(project.root());
    cargo
}

/// Builds the tests; returns `None` if they do not compile.
fn build(project: &Project) -> Result<Option<Vec<Program>>> {
    let words = "test --workspace --no-run --message-format=json-render-diagnostics";
    let output = cargo(project, words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    Ok(output
        .status
        .success()
        .then(|| messages.lines().filter_map(program).collect()))
}

/// Returns the test program in one of cargo's messages, if it is about one.
fn program(line: &str) -> Option<Program> {
    // With --no-run nothing else has an executable, but the binaries that integration tests use.
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    if value.pointer("/profile/test")?.as_bool()? {
        let message: Message = serde_json::from_value(value).ok()?;
        let package = package(&message.package_id)?;
        let is_own = message.target.kind.iter().all(|kind| kind != "test");
        let name = match is_own {
            true => package.to_owned(),
            false => format!("{package}/{}", message.target.name),
        };
        let folder = message.manifest_path.parent()?.to_owned();
        return Some(Program {
            name,
            file: message.executable,
            folder,
        });
    }
    None
}

/// Returns the name in `path+file:///a/b#name@0.1.0`, or `path+file:///a/name#0.1.0`.
fn package(id: &str) -> Option<&str> {
    let (path, fragment) = id.rsplit_once('#')?;
    match fragment.split_once('@') {
        Some((name, _)) => Some(name),
        None => Path::new(path).file_name()?.to_str(),
    }
}

/// Runs a test program and reads its report; adds its standard error to `log`.
fn read(mut command: Command, log: &Path) -> Result<Vec<Test>> {
    let mut said = OpenOptions::new().read(true).append(true).open(log)?;
    writeln!(said, "+ {command:?}")?;
    let begin = said.metadata()?.len();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(said.try_clone()?)
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let mut parser = Parser::start();
    let output = child.stdout.take().context("no pipe to a test program")?;
    let mut before = String::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        // A program that reports in KTAP prints the reason in the line before.
        if line.starts_with("not ok ") {
            writeln!(said, "{before}\n{line}")?;
        }
        parser.line(&line);
        before = line;
    }
    let status = child.wait()?;
    let end = match status.code() {
        Some(124) => format!("the tests took longer than {LIMIT} s and were stopped"),
        _ => status.to_string(),
    };
    let mut words = String::new();
    said.seek(SeekFrom::Start(begin))?;
    said.read_to_string(&mut words)?;
    let mut lines: Vec<&str> = words.lines().collect();
    lines.drain(..lines.len().saturating_sub(LAST_WORDS));
    lines.insert(0, &end);
    let end = lines.join("\n");
    Ok(parser.finish(status.success(), &end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = r#"{"reason":"compiler-artifact",
        "package_id":"path+file:///w/tools/sys#rmmap-sys@0.1.0",
        "manifest_path":"/w/tools/sys/Cargo.toml",
        "target":{"kind":["KIND"],"name":"child"},
        "profile":{"test":TEST},"executable":"/w/build/child-1"}"#;

    fn message(kind: &str, test: &str) -> Option<Program> {
        program(&MESSAGE.replace("KIND", kind).replace("TEST", test))
    }

    #[test]
    fn programs_are_named_by_crate_and_file() {
        assert_eq!(message("test", "true").unwrap().name, "rmmap-sys/child");
        let unit = message("lib", "true").unwrap();
        assert_eq!(unit.name, "rmmap-sys");
        assert_eq!(unit.folder, Path::new("/w/tools/sys"));
        assert_eq!(message("bin", "false"), None);
        assert_eq!(
            program(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }

    #[test]
    fn failures_in_ktap_are_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "").unwrap();
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo '# why'; echo 'not ok 1 a'; echo 'ok 2 b'; exit 1",
        ]);
        let tests = read(command, &log).unwrap();
        assert_eq!(tests[0].message, "exit status: 1\n# why\nnot ok 1 a");
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "older\n").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo the reason >&2; exit 3"]);
        let tests = read(command, &log).unwrap();
        assert_eq!(tests[0].message, "exit status: 3\nthe reason");
        assert!(std::fs::read_to_string(&log)
            .unwrap()
            .starts_with("older\n+ "));
    }

    #[test]
    fn both_forms_of_a_package_id_are_understood() {
        assert_eq!(
            package("path+file:///w/rust/uapi#rmmap-uapi@0.1.0"),
            Some("rmmap-uapi")
        );
        assert_eq!(package("path+file:///w/rmmap-lab#0.1.0"), Some("rmmap-lab"));
        assert_eq!(package("nonsense"), None);
    }
}
