// SPDX-License-Identifier: GPL-2.0

//! The module's part: what `llvm-cov` found in the module and what was read from the kernel's memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::function::{Function, Group, Line};

/// The folders of the checkout that are reported.
pub const FOLDERS: [(&str, Group); 2] = [
    ("rust/rmmap/", Group::Module),
    ("rust/kernel_mm/", Group::Library),
];

/// One file of an lcov report.
#[derive(Debug, Default)]
struct Record {
    /// Names of functions by their first line.
    starts: BTreeMap<usize, String>,
    lines: BTreeMap<usize, Line>,
}

impl Record {
    /// Takes one line of the report.
    fn line(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(':')?;
        let mut fields = rest.split(',');
        let number: usize = fields.next()?.parse().ok()?;
        match kind {
            "FN" => {
                let name = plain_name(fields.next()?);
                // Code of a closure belongs to the function around it.
                if !name.contains("{closure") {
                    self.starts.entry(number).or_insert(name);
                }
            }
            "DA" => {
                let line = self.lines.entry(number).or_default();
                line.count = line.count.max(fields.next()?.parse().ok()?);
            }
            "BRDA" => {
                let line = self.lines.entry(number).or_default();
                line.branches += 1;
                let count = fields.nth(2)?;
                line.taken += usize::from(count.parse::<u64>().is_ok_and(|count| count > 0));
            }
            _ => {}
        }
        Some(())
    }

    /// Gives each line to the function that begins last before it.
    fn functions(self, file: &str, group: Group, text: &[String]) -> Vec<Function> {
        let mut functions: BTreeMap<usize, Function> = BTreeMap::new();
        for (number, line) in self.lines {
            let Some((start, name)) = self.starts.range(..=number).next_back() else {
                continue;
            };
            let function = functions.entry(*start).or_insert_with(|| Function {
                group,
                name: name.clone(),
                file: file.to_owned(),
                lines: BTreeMap::new(),
                text: text.to_vec(),
            });
            function.lines.insert(number, line);
        }
        functions.into_values().collect()
    }
}

/// The functions in an lcov report of modules of the checkout in `root`.
pub fn functions(lcov: &str, root: &Path) -> Result<Vec<Function>> {
    let mut functions = Vec::new();
    for record in lcov.split("end_of_record") {
        let mut lines = record.trim().lines();
        let Some(path) = lines.next().and_then(|line| line.strip_prefix("SF:")) else {
            continue;
        };
        let path = Path::new(path);
        let file = path
            .strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string();
        let group = FOLDERS.iter().find(|(folder, _)| file.starts_with(folder));
        let Some((_, group)) = group else { continue };
        let mut record = Record::default();
        for line in lines {
            // What this reader does not know is of no use here.
            let _ = record.line(line);
        }
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let text: Vec<String> = text.lines().map(str::to_owned).collect();
        functions.extend(record.functions(&file, *group, &text));
    }
    // Code that nobody instantiated is no code.
    functions.retain(|function: &Function| !function.name.contains("<_"));
    functions.sort_by(|a, b| (a.group, &a.file).cmp(&(b.group, &b.file)));
    Ok(functions)
}

/// A function's name as people write it.
fn plain_name(mangled: &str) -> String {
    // llvm-cov puts the file before the name of a function that only its file sees.
    let symbol = mangled.rsplit(':').next().unwrap_or(mangled);
    format!("{:#}", rustc_demangle::demangle(symbol))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LCOV: &str = "FN:2,_RNvNtCsdmhMX35DlpC_10rmmap_main2vm5fault\n\
        FN:9,_RNvNtCsdmhMX35DlpC_10rmmap_main2vm8and_more\nFNDA:3,x\nFNF:2\n\
        DA:2,3\nDA:3,0\nBRDA:3,0,0,2\nBRDA:3,0,1,0\nBRDA:3,0,1,-\nDA:9,1\nLF:3\nLH:2\n";

    #[test]
    fn lines_go_to_the_function_before_them() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("rust/rmmap/vm.rs");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "\nfn fault() {\n    a();\n").unwrap();
        let text = format!("SF:{}\n{LCOV}end_of_record\n", file.display());
        let found = functions(&text, root.path()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].name, "rmmap_main::vm::fault");
        assert_eq!(found[0].file, "rust/rmmap/vm.rs");
        assert_eq!(found[0].group, Group::Module);
        assert_eq!((found[0].lines.len(), found[0].lines_hit()), (2, 1));
        assert_eq!((found[0].branches(), found[0].branches_taken()), (3, 1));
        assert_eq!(found[0].text(3), "a();");
        assert_eq!(found[1].lines_hit(), 1);
    }

    #[test]
    fn what_is_not_of_the_project_is_left_out() {
        let text = format!("SF:/usr/src/core/mod.rs\n{LCOV}end_of_record\n");
        assert!(functions(&text, Path::new("/p")).unwrap().is_empty());
    }
}
