// SPDX-License-Identifier: GPL-2.0

//! Loading and unloading a module, as an operation.

use crate::faults;
use crate::op::Answer;
use crate::report::Tally;
use crate::run::Bench;
use crate::sites::Site;
use anyhow::{bail, ensure, Context, Result};
use rmmap_guest::insmod;
use rmmap_sys::{module, Errno};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A module to load.
pub struct Module {
    name: String,
    file: PathBuf,
    image: Vec<u8>,
    parameters: String,
}

impl Module {
    /// Reads its file.
    pub fn read(folder: &Path, name: &str, parameters: &str) -> Result<Self> {
        let file = folder.join(format!("{name}.ko"));
        let image = std::fs::read(&file).with_context(|| file.display().to_string())?;
        Ok(Self {
            name: name.to_owned(),
            file,
            image,
            parameters: parameters.to_owned(),
        })
    }

    fn load(&self) -> rmmap_sys::Result<()> {
        module::load_image(&self.image, &self.parameters)
    }

    fn unload(&self) -> Result<()> {
        insmod::unload(&self.file).map_err(anyhow::Error::msg)
    }

    /// Checks that a failed load left nothing.
    fn is_gone(&self) -> Result<()> {
        ensure!(!module::is_loaded(&self.name), "the module is still there");
        let node = Path::new("/dev").join(&self.name);
        ensure!(!node.exists(), "{} is still there", node.display());
        Ok(())
    }
}

/// More allocations than loading a module has.
const MANY: u32 = 1_000_000;

/// The number of an allocation differs by so much from one time to the next: the trace has no
/// copies, and caches need new pages at other times.
const SHIFT: u32 = 30;

/// Loads a module, after each allocation of its initialization failed once.
///
/// What the kernel itself allocates before and after is left out: there are a thousand, and no
/// code of the module runs. It may not be loaded then, or it may.
pub fn load(bench: &mut Bench<'_>, module: &Module, prefix: &str) -> Result<()> {
    let name = format!("{prefix}load");
    if !bench.args.wants("load", &name) {
        module.load()?;
        return faults::let_caches_fail();
    }
    // Once without: what only the first load allocates.
    module.load().with_context(|| name.clone())?;
    module.unload()?;
    bench.trace.clear()?;
    bench.trace.record_all(true)?;
    let loaded = bench.faults.fail(MANY, || module.load());
    bench.trace.record_all(false)?;
    loaded?.0.with_context(|| name.clone())?;
    module.unload()?;
    let all = bench.trace.take()?;
    bench.report.cannot_fail(&all);
    let sites = all.iter().filter(|(event, site)| {
        // Those of kmemleak do not count (`faults::let_caches_fail()`).
        event.starts_with("site") && !(event == "site_slab" && site.is_below("__create_object"))
    });
    let of_init: Vec<(u32, &Site)> = (1..)
        .zip(sites)
        .map(|(nth, (_, site))| (nth, site))
        .filter(|(_, site)| site.is_below("do_one_initcall"))
        .collect();
    let (Some((first, _)), Some((last, _))) = (of_init.first(), of_init.last()) else {
        bail!("{name}: the module's initialization allocates nothing");
    };
    let mut missing: BTreeSet<_> = of_init.iter().map(|(_, site)| site.in_kernel()).collect();
    let numbers = first.saturating_sub(SHIFT).max(1)..=last + SHIFT;
    // Once more for those that were missed.
    let again = numbers.clone().map(|nth| (nth, true));

    let mut tally = Tally::new(&name);
    for (nth, is_again) in numbers.map(|nth| (nth, false)).chain(again) {
        if is_again && missing.is_empty() {
            break;
        }
        bench.trace.clear()?;
        let (done, has_failed) = bench.faults.fail(nth, || module.load())?;
        let site = bench.hit()?;
        let at = site.as_ref().map_or("?".to_owned(), ToString::to_string);
        let answer = Answer::from(&done);
        if bench.args.sites {
            println!("{name} {nth}: {answer}: {at}");
        }
        match answer {
            Answer::Done => module.unload()?,
            Answer::Failed(Errno::NOMEM | Errno::FAULT) if has_failed => {}
            _ => bench.report.fail(
                &name,
                &format!("allocation {nth} ({at}): undocumented {answer}"),
            ),
        }
        if let Err(error) = module.is_gone() {
            bench
                .report
                .fail(&name, &format!("allocation {nth} ({at}): {error}"));
            if module::is_loaded(&module.name) {
                bail!("{name}: the module stays");
            }
        }
        if let Some(site) = &site {
            missing.remove(&site.in_kernel());
        }
        if has_failed {
            tally.add(answer, site);
        }
    }
    for frames in missing {
        println!("{name}: missed {}", frames.join(" < "));
    }
    module.load()?;
    faults::let_caches_fail()?;
    bench.check_log(&name)?;
    bench.report.add(tally);
    Ok(())
}

/// Unloads a module.
pub fn unload(bench: &mut Bench<'_>, module: &Module, prefix: &str) -> Result<()> {
    module.unload()?;
    bench.check_log(&format!("{prefix}unload"))
}
