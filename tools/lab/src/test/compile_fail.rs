// SPDX-License-Identifier: GPL-2.0

//! Code that must not compile: each file of `tools/testing/compile-fail` misuses the library in one
//! way, and names the error that it expects.
//!
//! ```text
//! //~ ERROR E0382
//! //~ MESSAGE use of moved value: `folio`
//! ```
//!
//! A case passes when the compiler reports that error, with that text, and no other. A case without
//! an expectation must compile: it shows that the others fail for their own reason. The compiler is
//! called as it was for a sample, by the command that Kbuild has saved.
//!
//! Cases are compiled to objects, because the compiler evaluates a constant of a generic type only
//! when it generates code that uses it (`E0080`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use super::record::Test;
use crate::build;
use crate::project::Project;

/// The sample whose command is used.
const SAMPLE: &str = "rust_mm_lazy";

/// The folder for the code of a case, below the modules; it is removed afterwards.
const OBJECT: &str = ".compile-fail.o";

/// The file that every case includes; it is no case itself.
const COMMON: &str = "common.rs";

/// Compiles the cases whose name contains one of `patterns` (no patterns, all) for the kernel whose
/// modules lie in `modules`. Results go to `sink`.
pub fn run(
    project: &Project,
    modules: &Path,
    patterns: &[String],
    sink: &mut dyn FnMut(Test) -> Result<()>,
) -> Result<()> {
    let saved = modules.join(format!("samples/rust/.{SAMPLE}.o.cmd"));
    let saved =
        fs::read_to_string(&saved).with_context(|| format!("cannot read {}", saved.display()))?;
    let command = build::saved_command(&saved).context("Kbuild saved no command for a sample")?;
    for case in cases(&project.root().join("tools/testing/compile-fail"))? {
        let name = case.file_stem().unwrap_or_default().to_string_lossy();
        if !patterns.is_empty() && !patterns.iter().any(|pattern| name.contains(pattern)) {
            continue;
        }
        let begun = Instant::now();
        let expected = Expected::read(&fs::read_to_string(&case)?);
        let output = Command::new("sh")
            .args(["-c", &for_case(command, &case)])
            .env("RUSTC_BOOTSTRAP", "1")
            .current_dir(modules)
            .stdin(Stdio::null())
            .output()
            .context("cannot run the compiler")?;
        // A case that does not compile produces no object.
        let _ = fs::remove_file(modules.join(OBJECT));
        let said = String::from_utf8_lossy(&output.stderr);
        let why = expected.missed(output.status.success(), &said);
        sink(Test::judged(&name, begun, why.as_deref()))?;
    }
    Ok(())
}

/// Returns the cases, sorted.
fn cases(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut cases = paths.collect::<Result<Vec<PathBuf>>>()?;
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    cases.retain(|path| !path.ends_with(COMMON));
    cases.sort();
    Ok(cases)
}

/// Returns the command with `case` in place of the sample. The object goes to a separate file:
/// rustc, which runs as root here, replaces its output, even `/dev/null`.
fn for_case(command: &str, case: &Path) -> String {
    let words = command.split_whitespace().filter_map(|word| {
        let source = word.ends_with(&format!("{SAMPLE}.rs"));
        match word {
            _ if source => Some(format!("'{}'", case.display())),
            _ if word.starts_with("--emit=dep-info=") => None,
            _ if word.starts_with("--emit=obj=") => Some(format!("--emit=obj={OBJECT}")),
            _ => Some(word.to_owned()),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The expectation of a case.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    /// `E0382`; none if the case must compile.
    code: Option<String>,
    /// Part of the error's text.
    message: String,
}

impl Expected {
    fn read(source: &str) -> Self {
        let value = |key: &str| {
            let mut lines = source.lines();
            lines.find_map(|line| Some(line.strip_prefix("//~ ")?.strip_prefix(key)?.trim()))
        };
        Self {
            code: value("ERROR").map(str::to_owned),
            message: value("MESSAGE").unwrap_or_default().to_owned(),
        }
    }

    /// Returns how the compiler's result differs from the expectation.
    fn missed(&self, compiled: bool, said: &str) -> Option<String> {
        let errors: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("error"))
            .filter(|line| !line.starts_with("error: aborting"))
            .collect();
        let Some(code) = &self.code else {
            return (!compiled).then(|| {
                format!(
                    "the case must compile, but the compiler says: {}",
                    errors.join("; ")
                )
            });
        };
        if compiled {
            return Some(format!("the case compiles, but error {code} was expected"));
        }
        let hit = |error: &&str| {
            error.starts_with(&format!("error[{code}]")) && error.contains(&self.message)
        };
        match errors.as_slice() {
            [only] if hit(only) => None,
            _ => Some(format!(
                "expected error[{code}] with `{}`, and no other error, but got: {}",
                self.message,
                errors.join("; ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "savedcmd_samples/rust/rust_mm_lazy.o := OBJTREE=/k rustc -Copt-level=2 \
        --emit=dep-info=a.d --emit=obj=a.o /p/samples/rust/rust_mm_lazy.rs ; ./objtool a.o\n\n\
        source_samples/rust/rust_mm_lazy.o := /p/samples/rust/rust_mm_lazy.rs\n";

    #[test]
    fn a_case_takes_the_place_of_the_sample() {
        let command = build::saved_command(SAVED).unwrap();
        assert_eq!(
            for_case(command, Path::new("/c/case.rs")),
            "OBJTREE=/k rustc -Copt-level=2 --emit=obj=.compile-fail.o '/c/case.rs'"
        );
        assert_eq!(build::saved_command("nothing\n"), None);
    }

    fn expected() -> Expected {
        Expected::read("//! Text\n//~ ERROR E0382\n//~ MESSAGE use of moved\nfn main() {}\n")
    }

    #[test]
    fn the_expected_error_alone_passes() {
        let right = "error[E0382]: use of moved value: `x`\n --> a.rs\nerror: aborting due to 1";
        assert_eq!(expected().missed(false, right), None);
        assert!(expected().missed(true, "").is_some());
        let other = "error[E0599]: use of moved\n";
        assert!(expected().missed(false, other).is_some());
        let text = "error[E0382]: borrow of something\n";
        assert!(expected().missed(false, text).is_some());
        let two = "error[E0382]: use of moved value\nerror[E0425]: cannot find `y`\n";
        assert!(expected().missed(false, two).is_some());
    }

    #[test]
    fn without_an_expectation_a_case_must_compile() {
        let none = Expected::read("fn main() {}\n");
        assert_eq!(none, Expected::default());
        assert_eq!(none.missed(true, "warning: unused"), None);
        assert!(none.missed(false, "error: no such file").is_some());
    }
}
