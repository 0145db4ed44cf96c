// SPDX-License-Identifier: GPL-2.0

//! Finds the code that answered each page fault.

use super::{
    path,
    tree::{Call, Kind},
};

/// A store to a page that is shared or write-protected.
const COPY: &str = "the core: a copy of its own";

/// Functions that supply a page, and the names to show; the first one below a fault counts.
#[rustfmt::skip] // A table.
const SUPPLIERS: &[(&str, &str)] = &[
    ("do_swap_page", "swap"),
    ("hugetlb_fault", "hugetlbfs"),
    ("do_huge_pmd_anonymous_page", "the core: a huge page of its own"),
    ("shmem_fault", "shmem"),
    ("filemap_fault", "the page cache of the file"),
    ("wp_page_copy", COPY),
    ("do_wp_page", "the core: the page may be written now"),
    ("do_anonymous_page", "the core: anonymous memory"),
    ("__do_fault", "the file's fault handler"),
];

/// Notes the answer at every call of `handle_mm_fault`, and at the exception around it.
pub fn note(calls: &mut [Call]) {
    for call in calls {
        note(&mut call.calls);
        if call.name == path::FAULT {
            call.answered_by = Some(of(call));
        } else if call.name == super::parse::PAGE_FAULT {
            call.answered_by = call.calls.iter().find_map(|call| call.answered_by.clone());
        }
    }
}

/// Returns who answered this fault.
fn of(fault: &Call) -> String {
    if let Some(handler) = fault.find(&is_handler) {
        return by_module(handler);
    }
    // The compiler usually inlines wp_page_copy() into do_wp_page(); then a new folio shows it.
    let copies = |call: &Call| call.named("vma_alloc_folio_noprof").is_some();
    if fault.named("do_wp_page").is_some_and(copies) {
        return COPY.to_owned();
    }
    if let Some((_, who)) = SUPPLIERS
        .iter()
        .find(|(name, _)| fault.named(name).is_some())
    {
        return (*who).to_owned();
    }
    match fault.named("filemap_map_pages") {
        Some(_) => "a resident page, mapped along with its neighbours".to_owned(),
        None => "the core: the page table needed no change".to_owned(),
    }
}

fn is_handler(call: &Call) -> bool {
    call.kind == Kind::Module && ["rmmap:fault", "rmmap:populate"].contains(&call.name.as_str())
}

/// Returns the answer of the module's handler.
fn by_module(handler: &Call) -> String {
    let arg = |name| handler.arg(name).map_or("?", |value| value.raw.as_str());
    let order = match arg("order") {
        "0" => String::new(),
        order => format!(" of order {order}"),
    };
    match arg("answer") {
        "new" => format!("rmmap: a new folio{order}"),
        "cached" => format!("rmmap: a folio{order} from its page cache"),
        "zero" => "rmmap: its page of zeroes, which the core copies".to_owned(),
        "sigbus" => "rmmap: past the end, or no memory (SIGBUS)".to_owned(),
        "oom" => "rmmap: no memory".to_owned(),
        other => format!("rmmap: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tree::Arg;

    fn fault(inner: Vec<Call>) -> Call {
        Call {
            calls: inner,
            ..Call::function(path::FAULT)
        }
    }

    fn answered(inner: Vec<Call>) -> String {
        let mut calls = [fault(inner)];
        note(&mut calls);
        calls[0].answered_by.clone().unwrap()
    }

    fn handler(answer: &str, order: &str) -> Call {
        Call {
            kind: Kind::Module,
            args: vec![Arg::new("answer", answer), Arg::new("order", order)],
            ..Call::function("rmmap:fault")
        }
    }

    #[test]
    fn the_module_says_itself_what_it_answered() {
        let below = |call| Call {
            calls: vec![call],
            ..Call::function("__do_fault")
        };
        assert_eq!(
            answered(vec![below(handler("new", "0"))]),
            "rmmap: a new folio"
        );
        assert_eq!(
            answered(vec![below(handler("cached", "9"))]),
            "rmmap: a folio of order 9 from its page cache"
        );
        assert!(answered(vec![below(handler("sigbus", "0"))]).contains("SIGBUS"));
        assert!(answered(vec![below(handler("zero", "0"))]).contains("zeroes"));
    }

    #[test]
    fn others_are_known_by_their_functions() {
        for (name, who) in [
            ("shmem_fault", "shmem"),
            ("do_anonymous_page", "the core: anonymous memory"),
            ("__do_fault", "the file's fault handler"),
        ] {
            assert_eq!(answered(vec![Call::function(name)]), who);
        }
        let copy = Call {
            calls: vec![Call::function("vma_alloc_folio_noprof")],
            ..Call::function("do_wp_page")
        };
        assert_eq!(answered(vec![copy]), COPY);
        assert!(answered(vec![Call::function("do_wp_page")]).contains("may be written now"));
        // shmem's handler is called by __do_fault.
        let shmem = Call {
            calls: vec![Call::function("shmem_fault")],
            ..Call::function("__do_fault")
        };
        assert_eq!(answered(vec![shmem]), "shmem");
        assert!(answered(vec![Call::function("filemap_map_pages")]).contains("neighbours"));
        assert!(answered(Vec::new()).contains("page table"));
    }

    #[test]
    fn the_exception_bears_the_answer_too() {
        let mut calls = [Call {
            calls: vec![fault(vec![Call::function("shmem_fault")])],
            ..Call::function(crate::trace::parse::PAGE_FAULT)
        }];
        note(&mut calls);
        assert_eq!(calls[0].answered_by.as_deref(), Some("shmem"));
    }
}
