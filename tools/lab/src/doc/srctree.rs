// SPDX-License-Identifier: GPL-2.0
//! Links of the form `srctree/include/linux/fs.h` in the kernel's documentation.
//!
//! rustdoc does not support them. As in the kernel's own build, each is looked up in the source and
//! becomes a path on this machine.

use anyhow::{bail, Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use walkdir::WalkDir;

/// rustdoc's output for such a link, up to the path.
const LINK: &str = "<a href=\"srctree/";

/// Rewrites all pages below `pages` for the source in `source`. A link to nothing is an error.
pub fn resolve(pages: &Path, source: &Path) -> Result<()> {
    let mut broken = BTreeSet::new();
    for entry in WalkDir::new(pages).sort_by_file_name() {
        let entry = entry?;
        if entry.path().extension().is_some_and(|end| end == "html") {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            if text.contains(LINK) {
                broken.extend(targets(&text).filter(|path| !source.join(path).exists()));
                let there = format!("<a href=\"file://{}/", source.display());
                fs::write(entry.path(), text.replace(LINK, &there))?;
            }
        }
    }
    if !broken.is_empty() {
        let list: Vec<_> = broken.into_iter().collect();
        bail!("the kernel's source has no {}", list.join(", "));
    }
    Ok(())
}

fn targets(text: &str) -> impl Iterator<Item = String> + '_ {
    let after = text.split(LINK).skip(1);
    after.filter_map(|rest| Some(rest.split(['"', '#']).next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_source_or_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        let (pages, source) = (dir.path().join("doc"), dir.path().join("linux"));
        fs::create_dir_all(source.join("mm")).unwrap();
        fs::create_dir_all(&pages).unwrap();
        fs::write(source.join("mm/vma.c"), "").unwrap();
        let page = pages.join("index.html");
        fs::write(&page, "<a href=\"srctree/mm/vma.c\">x</a>").unwrap();
        resolve(&pages, &source).unwrap();
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(&format!("file://{}/mm/vma.c", source.display())));

        fs::write(&page, "<a href=\"srctree/mm/none.c\">x</a>").unwrap();
        let error = resolve(&pages, &source).unwrap_err().to_string();
        assert!(error.contains("mm/none.c"), "{error}");
    }
}
