// SPDX-License-Identifier: GPL-2.0
//! Phrases that make readers stop (see `CONTRIBUTING.rst`) are in no page, message or comment.

use super::lab::Lab;
use super::verdict::Verdict;
use anyhow::Result;

/// The phrases. Name the actor instead; for places in files and lists write "past" or "after".
const PHRASES: &str = "in vain|own accord|manieth|is told|are told|be told|was told|is had|be had|\
                       was had|brought|behind the end|whoever";
/// The text of the licence, and this list.
const WITHOUT: &[&str] = &["LICENSE", "tools/lab/src/check/words.rs"];

/// All other files of the checkout.
pub fn check(lab: &Lab<'_>) -> Result<Verdict> {
    let mut complaints = Vec::new();
    for file in lab.those(|file| !WITHOUT.iter().any(|path| file.below(path))) {
        for (number, line) in file.text().lines().enumerate() {
            if let Some(phrase) = found(line) {
                let path = file.path.display();
                complaints.push(format!("{path}:{}: says \"{phrase}\"", number + 1));
            }
        }
    }
    Ok(Verdict::of(&complaints))
}

/// The first of the phrases in `line`, as whole words.
fn found(line: &str) -> Option<&'static str> {
    let lower = line.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric() && c != '_');
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let line = format!(" {} ", words.join(" "));
    let mut phrases = PHRASES.split('|');
    phrases.find(|phrase| line.contains(&format!(" {phrase} ")))
}

#[cfg(test)]
mod tests {
    use super::found;

    #[test]
    fn phrases_are_whole_words_in_any_case() {
        assert_eq!(found("Whoever maps it"), Some("whoever"));
        assert_eq!(found("tried, in vain."), Some("in vain"));
        assert_eq!(found("in vainglory, it has been told, page_is_told"), None);
    }
}
