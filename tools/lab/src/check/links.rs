// SPDX-License-Identifier: GPL-2.0
//! Files that the pages at the top of the checkout point to exist. (Sphinx sees `Documentation/`
//! only.)

use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;

/// The pages.
const PAGES: &[&str] = &["README.md", "CONTRIBUTING.rst"];
/// Each of these begins the target of a link: in Markdown, and in reStructuredText.
const BEGINNINGS: &[&str] = &["](", " <"];

/// The pages at the top.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let mut complaints = Vec::new();
    for page in lab.those(|file| PAGES.iter().any(|page| file.path.as_os_str() == *page)) {
        for target in targets(page.text()) {
            if !lab.project.root().join(target).exists() {
                complaints.push(format!("{}: there is no {target}", page.path.display()));
            }
        }
    }
    Ok(Verdict::of(&complaints))
}

/// What `text` links to, except addresses and places in the page itself.
fn targets(text: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for beginning in BEGINNINGS {
        for rest in text.split(beginning).skip(1) {
            let Some(end) = rest.find([')', '>']) else {
                continue;
            };
            let target = rest[..end].split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.contains(' ') {
                targets.push(target);
            }
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_both_syntaxes() {
        let text = "[a](x/y.rst#part) and `b <z>`_, not [c](#here)";
        assert_eq!(targets(text), ["x/y.rst", "z"]);
    }
}
