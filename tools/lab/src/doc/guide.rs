// SPDX-License-Identifier: GPL-2.0
//! The guide: `Documentation/` by Sphinx, as the kernel's own documentation.

use super::folder;
use crate::mmap_path;
use crate::project::Project;
use crate::steps::{command, Log};
use anyhow::{Context, Result};

/// Settings that the kernel's documentation keeps in a file of Python.
const SETTINGS: &[&str] = &[
    "project=rmmap",
    "copyright=rmmap developers",
    "html_theme=furo",
    "html_title=rmmap",
    "html_static_path=_static",
    "html_css_files=guide.css",
    "html_show_sphinx=0",
    "highlight_language=none",
];

/// Makes the pages. A broken reference is an error.
pub fn build(log: &mut Log, project: &Project) -> Result<()> {
    mmap_path::write_rows(project)?;
    // -C: there is no conf.py; -W and -n: warnings are errors; -E -a: also for pages that are up to
    // date.
    let mut sphinx = command("sphinx-build -C -E -a -W -n --keep-going --quiet -b html");
    for setting in SETTINGS {
        sphinx.args(["-D", setting]);
    }
    sphinx.arg("-d").arg(folder(project, ".guide-cache"));
    sphinx.arg(project.root().join("Documentation"));
    sphinx.arg(folder(project, "guide"));
    log.run(&mut sphinx).context("Sphinx warns about the guide")
}
