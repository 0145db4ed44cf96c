// SPDX-License-Identifier: GPL-2.0

//! One kernel: builds for it, boots it, and reads what the lab and the guest leave.

use crate::row::{Part, Row};
use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The folder in which the lab keeps what a guest of `lab vm` leaves in `/run/lab/out`.
const OUT: &str = "build/vm/try/out";
/// The file in which the lab keeps the results of `lab test`.
const RESULTS: &str = "build/test/results.json";

/// The command of the guest that shows what there is. It fails as the demo does.
const DEMO: &str = "cd /run/lab/out && uname -m > machine && \
                    grep -m 1 KernelPageSize /proc/self/smaps > page && rmmap demo";
/// The programs besides `rmmap-lab` that decide on results.
const PROGRAMS: [&str; 4] = ["rmmap", "rmmap-guest", "rmmap-selftest", "rmmap-trace-test"];
/// The lines of a log that are a reason.
const TAIL: usize = 12;

/// What to try on each kernel.
pub struct Plan {
    /// The lab's program.
    pub lab: PathBuf,
    /// The checkout.
    pub project: PathBuf,
    /// Options of `make test` that pick tests.
    pub options: Vec<String>,
}

impl Plan {
    /// Builds everything that `kernel` needs. Returns a hash of kernel, modules, programs and options:
    /// results of another one are old.
    pub fn build(&self, kernel: &str, log: &Path) -> Result<u64> {
        let mut lab = self.lab(kernel, log)?;
        let output = lab.arg("lab").stdout(Stdio::piped()).output();
        let output = output.context("cannot run the lab")?;
        ensure!(output.status.success(), "{}", tail(log));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let path = |name: &str| {
            let path = said.lines().find_map(|line| line.strip_prefix(name));
            let path = path.with_context(|| format!("the lab printed no `{name}`"));
            path.map(PathBuf::from)
        };
        let mut files = vec![path("kernel: ")?, path("module: ")?];
        let programs = path("programs: ")?;
        files.extend(PROGRAMS.map(|program| programs.join(program)));
        let mut hasher = DefaultHasher::new();
        for file in files {
            let bytes = fs::read(&file);
            hasher.write(&bytes.with_context(|| format!("cannot read {}", file.display()))?);
        }
        for option in &self.options {
            hasher.write(option.as_bytes());
            hasher.write_u8(0);
        }
        Ok(hasher.finish())
    }

    /// Boots `kernel` for the demo, then for the tests. Returns their results.
    pub fn test(&self, kernel: &str, digest: u64, log: &Path) -> Result<Row> {
        let mut vm = self.lab(kernel, log)?;
        let status = vm.args(["vm", "--module", "--", "sh", "-c", DEMO]).status();
        let status = status.context("cannot run the lab")?;
        let out = self.project.join(OUT);
        let mut row = Row {
            arch: word(&out.join("machine")).unwrap_or_else(|| "-".to_owned()),
            page_size: word(&out.join("page")).map_or(0, |line| page_size(&line)),
            ..Row::new(kernel, digest)
        };
        match finished(status) {
            true => row.parts.push(demo(status, log)),
            false => row.broken = Some(format!("demo: {}", tail(log))),
        }
        let demo_is_good = row.is_good();
        let results = self.project.join(RESULTS);
        if results.exists() {
            fs::remove_file(&results)?;
        }
        let mut test = self.lab(kernel, log)?;
        test.args(["test", "--only", "selftest", "--kernel", "stock"]);
        test.args(&self.options);
        let status = test.status().context("cannot run the lab")?;
        let text = fs::read_to_string(&results).unwrap_or_default();
        let parts = parts(&text);
        // A guest that died leaves the results of the others.
        if parts.is_err() || !finished(status) {
            let demo = row.broken.map_or(String::new(), |why| why + "\n");
            row.broken = Some(demo + &tail(log));
        }
        row.parts.extend(parts.unwrap_or_default());
        ensure!(
            row.is_good() || status.code() != Some(0) || !demo_is_good,
            "the lab's exit status contradicts its results, see {}",
            log.display()
        );
        Ok(row)
    }

    /// Returns the lab's command for `kernel`, with its output at the end of `log`.
    fn lab(&self, kernel: &str, log: &Path) -> Result<Command> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let mut lab = Command::new(&self.lab);
        lab.env("KERNEL", kernel).current_dir(&self.project);
        lab.stdin(Stdio::null());
        lab.stdout(file.try_clone()?).stderr(file);
        Ok(lab)
    }
}

/// Returns whether guests lived to the end of their work, good or bad: the lab's other exit statuses
/// mean that one died, or that there was none.
fn finished(status: ExitStatus) -> bool {
    matches!(status.code(), Some(0 | 1))
}

/// The demo is one test.
fn demo(status: ExitStatus, log: &Path) -> Part {
    let failed = match status.success() {
        true => Vec::new(),
        false => vec![("demo".to_owned(), tail(log))],
    };
    Part {
        name: "demo".into(),
        passed: u32::from(status.success()),
        skipped: 0,
        failed,
    }
}

/// A record of [`RESULTS`].
#[derive(Deserialize)]
struct Record {
    id: String,
    hook: Option<String>,
    policy: Option<String>,
    outcome: String,
    message: String,
}

/// Returns the results by hook and policy.
fn parts(text: &str) -> Result<Vec<Part>> {
    let records: Vec<Record> =
        serde_json::from_str(text).context("the lab's results cannot be read")?;
    let mut parts: Vec<Part> = Vec::new();
    for record in records {
        let words: Vec<String> = record.hook.into_iter().chain(record.policy).collect();
        let name = match words.is_empty() {
            true => "any".to_owned(),
            false => words.join("/"),
        };
        let index = match parts.iter().position(|part| part.name == name) {
            Some(index) => index,
            None => {
                parts.push(Part {
                    name,
                    ..Part::default()
                });
                parts.len() - 1
            }
        };
        let part = &mut parts[index];
        match record.outcome.as_str() {
            "pass" => part.passed += 1,
            "skip" => part.skipped += 1,
            "fail" => part.failed.push((record.id, record.message)),
            other => bail!("the lab's results have the outcome `{other}`"),
        }
    }
    ensure!(!parts.is_empty(), "the lab's results are empty");
    Ok(parts)
}

/// Returns the size of a page, bytes, in a line of `smaps`; 0 if it has none.
fn page_size(line: &str) -> u64 {
    let kb = line.split_whitespace().nth(1);
    kb.and_then(|kb| kb.parse().ok())
        .map_or(0, |kb: u64| kb * 1024)
}

fn word(file: &Path) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.trim().to_owned())
}

/// Returns the end of a log.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Makes a lab that is a shell script: `lab` names a module, `vm` and `test` leave files.
    fn plan(dir: &Path, script: &str) -> (Plan, PathBuf) {
        let lab = dir.join("rmmap-lab");
        let head = format!("#!/bin/sh\nmkdir -p {OUT} build/test\n");
        fs::write(&lab, head + script + "\n").unwrap();
        fs::set_permissions(&lab, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(dir.join("arm64")).unwrap();
        for file in ["rmmap.ko", "bzImage"] {
            fs::write(dir.join(file), file).unwrap();
        }
        for program in PROGRAMS {
            fs::write(dir.join("arm64").join(program), program).unwrap();
        }
        let plan = Plan {
            lab,
            project: dir.to_owned(),
            options: vec!["-t".into(), "fork".into()],
        };
        (plan, dir.join("log"))
    }

    const GOOD: &str = r#"case $1 in
lab) echo kernel: $PWD/bzImage; echo module: $PWD/rmmap.ko; echo programs: $PWD/arm64 ;;
vm) echo aarch64 > build/vm/try/out/machine
  echo "KernelPageSize:       16 kB" > build/vm/try/out/page ;;
test) cat > build/test/results.json <<'END'
[{"id":"selftest/a","hook":"mmap","policy":"always","outcome":"pass","message":""},
 {"id":"selftest/b","hook":"mmap","policy":"always","outcome":"skip","message":"no"},
 {"id":"selftest/a","hook":"prepare","policy":"never","outcome":"pass","message":""}]
END
esac"#;

    #[test]
    fn what_lab_and_guest_leave_makes_a_row() {
        let dir = tempfile::tempdir().unwrap();
        let (plan, log) = plan(dir.path(), GOOD);
        let digest = plan.build("7.3.4", &log).unwrap();
        let row = plan.test("7.3.4", digest, &log).unwrap();
        assert!(row.is_good(), "{row:?}");
        assert_eq!((&*row.arch, row.page_size), ("aarch64", 16384));
        let names: Vec<_> = row.parts.iter().map(|part| &*part.name).collect();
        assert_eq!(names, ["demo", "mmap/always", "prepare/never"]);
        assert_eq!((row.parts[1].passed, row.parts[1].skipped), (1, 1));
        for file in ["rmmap.ko", "bzImage", "arm64/rmmap"] {
            let file = dir.path().join(file);
            let before = fs::read(&file).unwrap();
            fs::write(&file, "other").unwrap();
            assert_ne!(plan.build("7.3.4", &log).unwrap(), digest);
            fs::write(&file, before).unwrap();
        }
        assert_eq!(plan.build("7.3.4", &log).unwrap(), digest);
    }

    #[test]
    fn old_results_are_not_those_of_a_guest_that_died() {
        let dir = tempfile::tempdir().unwrap();
        let script = GOOD.replace("esac", "esac; [ $1 != test ] || [ ! -e died ] || exit 70");
        let (plan, log) = plan(dir.path(), &script);
        assert!(plan.test("7.3.4", 1, &log).unwrap().is_good());
        fs::write(dir.path().join("died"), "").unwrap();
        let row = plan.test("7.3.4", 1, &log).unwrap();
        assert!(row.broken.is_some() && row.parts.len() == 3, "{row:?}");
        let script = "[ $1 != test ] || { echo the guest died >&2; exit 70; }";
        let lab = plan.lab.clone();
        fs::write(lab, format!("#!/bin/sh\n{script}\n")).unwrap();
        let row = plan.test("7.3.4", 1, &log).unwrap();
        assert_eq!(row.parts.len(), 1);
        assert!(row.broken.unwrap().ends_with("the guest died"));
    }

    #[test]
    fn a_demo_whose_guest_died_did_not_fail() {
        let dir = tempfile::tempdir().unwrap();
        let script = GOOD.replace("esac", "esac; [ $1 != vm ] || exit $(cat status)");
        let (plan, log) = plan(dir.path(), &script);
        let test = |status: &str| {
            fs::write(dir.path().join("status"), status).unwrap();
            plan.test("7.3.4", 1, &log).unwrap()
        };
        assert!(test("0").is_good());
        let row = test("1");
        assert!(row.broken.is_none() && row.parts[0].failed.len() == 1);
        let row = test("70");
        assert!(row.broken.unwrap().starts_with("demo: "));
        let names: Vec<_> = row.parts.iter().map(|part| &*part.name).collect();
        assert_eq!(names, ["mmap/always", "prepare/never"]);
    }

    #[test]
    fn what_the_lab_says_is_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let (plan, log) = plan(dir.path(), "echo 'no such kernel' >&2; exit 69");
        let why = plan.build("7.9", &log).err().unwrap().to_string();
        assert_eq!(why, "no such kernel");
    }

    #[test]
    fn failed_tests_keep_their_messages() {
        let text = r#"[{"id":"selftest/b","hook":"mmap","policy":null,"outcome":"fail",
            "message":"why"}]"#;
        let parts = parts(text).unwrap();
        assert_eq!(parts[0].name, "mmap");
        assert_eq!(
            parts[0].failed,
            [("selftest/b".to_owned(), "why".to_owned())]
        );
        assert!(super::parts("[]").is_err() && super::parts("").is_err());
    }
}
