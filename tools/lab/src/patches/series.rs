// SPDX-License-Identifier: GPL-2.0

//! The series: what each patch says and does.
//!
//! Wrappers come first, a patch for each C header; then the library, from what uses nothing to what
//! uses all, modules that use each other in one patch; then the suites, and the samples.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::helpers::{with_line, Wrappers};
use super::kconfig;
use super::order;
use super::ours::{Declaration, Ours};
use super::place::{self, KUNIT, KUNIT_DIR, PARENT, PARENT_DIR};
use super::rewrite::Names;
use super::tree::{before, Tree};
use super::words::{paragraphs, wrapped, COLUMNS};

/// Longest subject of a patch.
const SUBJECT: usize = 75;

/// One patch.
#[derive(Debug)]
pub struct Patch {
    /// Its first line.
    pub subject: String,
    /// What comes below, without the sign-off.
    pub body: String,
    /// The files that it changes or makes, with their new texts.
    pub files: Vec<(String, String)>,
}

/// All patches, in their order, on top of `tree`.
pub fn make(ours: &Ours, tree: &mut Tree) -> Result<Vec<Patch>> {
    let names = ours.names()?;
    let mut patches = wrappers(ours, tree)?;
    let mut declared = BTreeMap::new();
    for group in order::groups(&ours.uses()?) {
        patches.push(modules(ours, &names, &group, &mut declared, tree)?);
    }
    patches.push(kunit(ours, &names, tree)?);
    for (name, source) in &ours.samples {
        patches.push(sample(&names, name, source, tree)?);
    }
    Ok(patches)
}

/// What the series is about, for its first mail.
pub fn cover(ours: &Ours) -> (String, String) {
    let texts = paragraphs(&ours.root);
    (
        "rust: mm: mappings and page faults for drivers".to_owned(),
        body(&texts),
    )
}

fn body(texts: &[String]) -> String {
    let texts: Vec<_> = texts
        .iter()
        .map(|text| wrapped(text, COLUMNS, ""))
        .collect();
    texts.join("\n\n")
}

fn wrappers(ours: &Ours, tree: &mut Tree) -> Result<Vec<Patch>> {
    let mut patches = Vec::new();
    for (name, text) in &ours.helpers {
        let mut parts = Wrappers::read(&place::rename_files(text));
        let headers = parts.take_lack_of_headers();
        if !headers.is_empty() {
            patches.push(bindings(&headers, tree)?);
        }
        if parts.items.is_empty() {
            continue;
        }
        let path = format!("rust/helpers/{name}.c");
        let mut files = Vec::new();
        match tree.get(&path)? {
            Some(old) => files.push(tree.set(&path, parts.add_to(&old))?),
            None => {
                files.push(tree.set(&path, parts.write())?);
                let all = tree.must_have("rust/helpers/helpers.c")?;
                let all = with_line(&all, "#include \"", &format!("#include \"{name}.c\""));
                files.push(tree.set("rust/helpers/helpers.c", all)?);
            }
        }
        let functions = parts.functions().join("(), ");
        patches.push(Patch {
            subject: format!("rust: helpers: add wrappers in {name}.c"),
            body: body(&[format!(
                "Inline functions, macros and variables that Rust cannot reach by itself, for the \
                 abstractions that follow: {functions}()."
            )]),
            files,
        });
    }
    Ok(patches)
}

fn bindings(headers: &[String], tree: &mut Tree) -> Result<Patch> {
    let path = "rust/bindings/bindings_helper.h";
    let mut text = tree.must_have(path)?;
    for header in headers {
        text = with_line(&text, "#include <linux/", &format!("#include {header}"));
    }
    let headers = headers.join(", ");
    Ok(Patch {
        subject: format!("rust: bindings: add {headers}"),
        body: body(&["The abstractions that follow call functions that it declares.".to_owned()]),
        files: vec![tree.set(path, text)?],
    })
}

/// The modules that are there so far.
type Declared = BTreeMap<String, Declaration>;

fn modules(
    ours: &Ours,
    names: &Names,
    group: &[String],
    declared: &mut Declared,
    tree: &mut Tree,
) -> Result<Patch> {
    let mut files = Vec::new();
    for name in group {
        for (path, source) in &ours.library[name] {
            let text = match name.as_str() {
                "ffi" => names.values(source),
                _ => names.library(source),
            };
            let text = text.with_context(|| path.clone())?;
            files.push(tree.set(&format!("{PARENT_DIR}/{path}"), text)?);
        }
        declared.insert(name.clone(), ours.declarations[name].clone());
    }
    let path = format!("{PARENT_DIR}.rs");
    let pristine = tree
        .pristine(&path)?
        .with_context(|| format!("no {path}"))?;
    let text = before(&pristine, "pub mod virt;", &(declarations(declared) + "\n"))?;
    files.push(tree.set(&path, text)?);
    let says = |name: &String| paragraphs(&ours.library[name][&format!("{name}.rs")]);
    let texts = match group {
        [one] => says(one),
        _ => {
            let intro = "These modules use each other, so they come together.".to_owned();
            let first = |name: &String| {
                let says = says(name).into_iter().next().unwrap_or_default();
                format!("{name}: {says}")
            };
            [intro].into_iter().chain(group.iter().map(first)).collect()
        }
    };
    Ok(Patch {
        subject: subject(group),
        body: body(&texts),
        files,
    })
}

/// `rust: mm: add folio`; of a large group the first ones are named.
fn subject(group: &[String]) -> String {
    (1..=group.len())
        .rev()
        .map(|shown| {
            let more = match group.len() - shown {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("rust: {PARENT}: add {}{more}", group[..shown].join(", "))
        })
        .find(|subject| subject.len() <= SUBJECT)
        .unwrap_or_else(|| format!("rust: {PARENT}: add {} modules", group.len()))
}

fn declarations(declared: &Declared) -> String {
    let mut lines = Vec::new();
    for (name, declaration) in declared {
        lines.push("#[cfg(CONFIG_MMU)]".to_owned());
        lines.extend(declaration.attributes.iter().cloned());
        let visibility = match declaration.is_public {
            true => "pub",
            false => "pub(crate)",
        };
        lines.push(format!("{visibility} mod {name};"));
    }
    lines.join("\n") + "\n"
}

fn kunit(ours: &Ours, names: &Names, tree: &mut Tree) -> Result<Patch> {
    let mut files = Vec::new();
    for (name, source) in &ours.kunit {
        let text = names
            .user(source)
            .with_context(|| format!("{KUNIT}/{name}.rs"))?;
        files.push(tree.set(&format!("{KUNIT_DIR}/{name}.rs"), text)?);
    }
    files.push(tree.set(&format!("{KUNIT_DIR}/Makefile"), kconfig::kunit_makefile())?);
    let makefile = tree.must_have("mm/Makefile")? + &kconfig::kunit_folder();
    files.push(tree.set("mm/Makefile", makefile)?);
    let entry = kconfig::kunit_entry();
    let kconfig = before(
        &tree.must_have("mm/Kconfig")?,
        "source \"mm/damon/Kconfig\"",
        &entry,
    )?;
    files.push(tree.set("mm/Kconfig", kconfig)?);
    let root = ours
        .kunit
        .get(KUNIT)
        .context("the KUnit suites have no root")?;
    Ok(Patch {
        subject: "rust: mm: add KUnit tests of mappings and the page cache".to_owned(),
        body: body(&paragraphs(root)),
        files,
    })
}

fn sample(names: &Names, name: &str, source: &str, tree: &mut Tree) -> Result<Patch> {
    let text = names.user(source).with_context(|| format!("{name}.rs"))?;
    let makefile = tree.must_have("samples/rust/Makefile")?;
    let kconfig = tree.must_have("samples/rust/Kconfig")?;
    let entry = kconfig::sample_entry(name, source)?;
    let files = vec![
        tree.set(
            "samples/rust/Kconfig",
            before(&kconfig, "config SAMPLE_RUST_HOSTPROGS", &entry)?,
        )?,
        tree.set(
            "samples/rust/Makefile",
            kconfig::with_sample(&makefile, name)?,
        )?,
        tree.set(&format!("samples/rust/{name}.rs"), text)?,
    ];
    Ok(Patch {
        subject: format!("samples: rust: add {name}"),
        body: body(&paragraphs(source)),
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_short() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(subject(&names(&["inode"])), "rust: mm: add inode");
        let long = names(&[
            "vma",
            "fault",
            "a_rather_long_name",
            "another_rather_long_name",
            "b",
            "c",
        ]);
        assert_eq!(
            subject(&long),
            "rust: mm: add vma, fault, a_rather_long_name and 3 more"
        );
    }
}
