// SPDX-License-Identifier: GPL-2.0

//! The result of a call, as text and as JSON.

use std::fmt::Write;

use rmmap_sys::process::Faults;
use rmmap_sys::Mapping;
use serde::Serialize;

use super::object::Object;
use super::request::Request;
use super::state::State;
use super::touch::{Touch, Touched};
use crate::style::{BAD, DIM, GOOD, HEAD};
use crate::{output, vmflags};

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The call, in C.
    pub call: String,
    /// The mapped object.
    pub object: String,
    /// Why there is no mapping.
    pub error: Option<Refused>,
    /// First address.
    pub address: Option<usize>,
    /// Page faults while the mapping was made.
    pub faults: Option<FaultCount>,
    /// The growth of VmLck, kB.
    pub vm_lck_kb: Option<i64>,
    /// The mapping before it was touched.
    pub after_mmap: Option<State>,
    /// The touches.
    pub touch: Option<TouchReport>,
}

/// An errno and its cause.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// Its name.
    pub errno: String,
    /// The cause.
    pub why: String,
}

/// Page faults.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FaultCount {
    /// Without input or output.
    pub minor: u64,
    /// With it.
    pub major: u64,
}

/// The result of touches.
#[derive(Clone, Debug, Serialize)]
pub struct TouchReport {
    /// In words.
    pub what: String,
    /// Pages that were touched.
    pub pages: usize,
    /// Page faults meanwhile.
    pub faults: FaultCount,
    /// The page whose touch raised a signal, and the signal.
    pub failed: Option<String>,
    /// The mapping afterwards.
    pub after: State,
    /// Differences from the expected contents; `None` if they were not compared.
    pub differences: Option<Vec<String>>,
}

impl From<Faults> for FaultCount {
    fn from(faults: Faults) -> Self {
        Self {
            minor: faults.minor,
            major: faults.major,
        }
    }
}

impl TouchReport {
    /// Makes the report of touches.
    pub fn new(
        touch: &Touch,
        touched: &Touched,
        after: State,
        differences: Option<Vec<String>>,
    ) -> Self {
        let failed = touched.failed;
        Self {
            what: touch.to_string(),
            pages: touched.pages.len(),
            faults: touched.faults.into(),
            failed: failed.map(|(page, fault)| format!("page {page}: {fault}")),
            after,
            differences,
        }
    }
}

impl Report {
    /// Makes the report before the call.
    pub fn new(request: &Request, object: &Object) -> Self {
        Self {
            call: request.to_string(),
            object: object.name.clone(),
            error: None,
            address: None,
            faults: None,
            vm_lck_kb: None,
            after_mmap: None,
            touch: None,
        }
    }

    /// Notes that the call failed.
    pub fn refused(&mut self, errno: String, why: &str) {
        let why = why.to_owned();
        self.error = Some(Refused { errno, why });
    }

    /// Notes that the call succeeded.
    pub fn mapped(&mut self, mapping: &Mapping, faults: Faults, vm_lck_kb: i64) {
        self.address = Some(mapping.address());
        self.faults = Some(faults.into());
        self.vm_lck_kb = Some(vm_lck_kb);
    }

    /// Returns whether the kernel did everything as requested, and the contents are right.
    pub fn is_good(&self) -> bool {
        let touch = self.touch.as_ref();
        let is_touched = touch.is_none_or(|touch| {
            touch.failed.is_none() && touch.differences.as_ref().is_none_or(Vec::is_empty)
        });
        self.error.is_none() && is_touched
    }

    /// Prints it.
    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        match json {
            true => output::line(serde_json::to_string_pretty(self)?)?,
            false => output::line(self.text().trim_end())?,
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "{HEAD}{}{HEAD:#} of {} = ", self.call, self.object);
        if let Some(Refused { errno, why }) = &self.error {
            let _ = writeln!(text, "{BAD}{errno}{BAD:#}\n  {why}");
            return text;
        }
        let _ = writeln!(text, "{GOOD}{:#x}{GOOD:#}", self.address.unwrap_or(0));
        if let Some(state) = &self.after_mmap {
            let _ = writeln!(text, "  maps     {}", state.maps);
            let _ = writeln!(text, "  VmFlags  {}", vmflags::words(&state.vm_flags));
            let _ = writeln!(text, "  pages    {}", pages(state));
        }
        if let Some(faults) = &self.faults {
            let _ = writeln!(text, "  faults   {}", show_faults(faults));
        }
        if let Some(kb) = self.vm_lck_kb {
            let _ = writeln!(text, "  VmLck    {kb:+} kB");
        }
        if let Some(touch) = &self.touch {
            let _ = writeln!(
                text,
                "{HEAD}{} pages touched{HEAD:#} ({})",
                touch.pages, touch.what
            );
            if let Some(failed) = &touch.failed {
                let _ = writeln!(text, "  {BAD}{failed}{BAD:#}");
            }
            let _ = writeln!(text, "  pages    {}", pages(&touch.after));
            let _ = writeln!(text, "  faults   {}", show_faults(&touch.faults));
            text += &contents(touch);
        }
        text
    }
}

fn contents(touch: &TouchReport) -> String {
    match touch.differences.as_deref() {
        None => String::new(),
        Some([]) => format!("  contents {GOOD}as they must be{GOOD:#}\n"),
        Some(differences) => {
            let lines = differences
                .iter()
                .map(|line| format!("           {line}\n"));
            format!(
                "  contents {BAD}differ{BAD:#}\n{}",
                lines.collect::<String>()
            )
        }
    }
}

fn pages(state: &State) -> String {
    let State {
        pages,
        resident,
        dirty,
        locked,
        huge,
        anonymous,
        ..
    } = state;
    format!(
        "{pages}: {resident} resident, {dirty} dirty, {locked} locked, {huge} huge, {anonymous} \
         {DIM}of the process's own{DIM:#}"
    )
}

fn show_faults(faults: &FaultCount) -> String {
    format!("{} minor, {} major", faults.minor, faults.major)
}

#[cfg(test)]
mod tests {
    use super::super::object::{Access, Choice};
    use super::*;

    fn report() -> Report {
        let request = Request {
            address: 0,
            length: 4096,
            prot: 3,
            flags: 1,
            offset: 0,
            is_anonymous: false,
        };
        Report::new(&request, &Choice::Memfd(4096).open(Access::Rdwr).unwrap())
    }

    #[test]
    fn a_refusal_is_one_call_one_name_one_sentence() {
        let mut report = report();
        report.refused("EINVAL".into(), "the length is 0");
        let text = anstream::adapter::strip_str(&report.text()).to_string();
        assert_eq!(
            text,
            "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0) of a memfd = EINVAL\n  the \
             length is 0\n"
        );
        assert!(!report.is_good());
    }

    #[test]
    fn a_difference_makes_it_bad() {
        let state = State {
            maps: String::new(),
            vm_flags: rmmap_procfs::VmFlags::parse("rd lo"),
            pages: 1,
            resident: 1,
            dirty: 0,
            locked: 0,
            huge: 0,
            anonymous: 0,
        };
        let touch = Touch::parse("read").unwrap();
        let touched = Touched::default();
        let mut report = report();
        let clean = TouchReport::new(&touch, &touched, state.clone(), Some(Vec::new()));
        report.touch = Some(clean);
        report.after_mmap = Some(state.clone());
        assert!(report.is_good());
        let text = anstream::adapter::strip_str(&report.text()).to_string();
        assert!(
            text.contains("lo locked") && text.contains("as they must be"),
            "{text}"
        );
        let wrong = Some(vec!["page 0, byte 0".to_owned()]);
        report.touch = Some(TouchReport::new(&touch, &touched, state, wrong));
        assert!(!report.is_good());
        assert!(report.text().contains("page 0, byte 0"));
    }
}
