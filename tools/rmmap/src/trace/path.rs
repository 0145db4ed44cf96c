// SPDX-License-Identifier: GPL-2.0

//! The functions of interest on the way from mmap(2) to the page, and what they do.
//!
//! Those that the compiler put into their callers (`mmap_file`, `call_mmap_prepare`,
//! `do_shared_fault`) cannot be seen by name.

use super::tree::{Call, Kind};

/// Where the way into the kernel begins.
pub const SYSCALL: &str = "__x64_sys_mmap";

/// Where a page fault enters the memory management.
pub const FAULT: &str = "handle_mm_fault";

/// The functions to record, where the kernel can; those without a text are shown without one.
#[rustfmt::skip] // A table.
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("entry_SYSCALL_64_after_hwframe", "the processor enters the kernel"),
    ("do_syscall_64", ""),
    (SYSCALL, "the system call; its offset is in bytes"),
    ("ksys_mmap_pgoff", "seed: finds the file behind the descriptor"),
    ("vm_mmap_pgoff", "seed: security, the mmap lock; populates at the end"),
    ("security_mmap_file", "asks the security modules"),
    ("do_mmap", "seed: checks arguments and access, computes VmFlags"),
    ("__get_unmapped_area", "finds free addresses"),
    ("thp_get_unmapped_area", "the file's own choice: aligned for huge pages"),
    ("shmem_get_unmapped_area", "shmem's own choice: aligned for its huge pages"),
    ("shmem_zero_setup", "gives shared anonymous memory a hidden file"),
    ("mmap_region", "seed: last checks before anything changes"),
    ("__mmap_region", "unmaps the old range, limits, merges or makes a VMA"),
    ("vma_merge_new_range", "tries to extend a neighbour instead"),
    ("vm_area_alloc", "allocates a new VMA"),
    ("vma_link_file", "adds the VMA to the file's list of mappings"),
    ("perf_event_mmap", "notifies perf"),
    ("mmap_action_complete", "does the actions that mmap_prepare requested"),
    ("vma_set_page_prot", "computes the page protection from VmFlags"),
    ("__x64_sys_mlock", "the system call that locks a range"),
    ("__x64_sys_mlock2", "the system call that locks a range"),
    ("__x64_sys_mlockall", "the system call that locks everything"),
    ("__x64_sys_munmap", "the system call that ends a mapping"),
    ("__mm_populate", "seed: faults in all pages now"),
    ("populate_vma_page_range", ""),
    ("asm_exc_page_fault", "the processor found no page"),
    ("exc_page_fault", ""),
    ("do_user_addr_fault", "finds the VMA and takes its lock, not the mmap lock"),
    (FAULT, "the fault, independent of the architecture"),
    ("__handle_mm_fault", "walks the page tables to the missing entry"),
    ("do_fault", "a fault on a file: read, copy on write or shared"),
    ("__do_fault", "calls vm_ops->fault"),
    ("shmem_fault", "shmem's fault handler"),
    ("shmem_get_folio_gfp", "finds or allocates shmem's folio"),
    ("filemap_fault", "the fault handler of file systems"),
    ("do_anonymous_page", "anonymous memory: the core supplies the page"),
    ("do_huge_pmd_anonymous_page", "the same, a huge page at once"),
    ("do_wp_page", "a store to a write-protected page"),
    ("wp_page_copy", "copies it"),
    ("do_swap_page", "reads the page from swap"),
    ("hugetlb_fault", "hugetlbfs's faults"),
    ("hugetlb_no_page", "hugetlbfs supplies a page"),
    ("vma_alloc_folio_noprof", "allocates a folio for this address"),
    ("filemap_map_pages", "maps resident neighbours"),
    ("filemap_get_entry", "looks the folio up in the page cache"),
    ("__filemap_get_folio_mpol", ""),
    ("__folio_alloc_noprof", "allocates a folio"),
    ("folio_alloc_noprof", "allocates a folio"),
    ("folio_alloc_mpol_noprof", ""),
    ("__alloc_frozen_pages_noprof", "takes pages from the buddy allocator"),
    ("filemap_add_folio", "adds the folio to the page cache"),
    ("__filemap_add_folio", ""),
    ("__mem_cgroup_charge", "charges the memory cgroup"),
    ("finish_fault", "maps the page"),
    ("set_pte_range", ""),
    ("fault_dirty_shared_page", "marks the folio of a shared store dirty"),
    ("file_update_time", ""),
];

/// How the nodes that stand for the module's parts begin.
pub const MODULE_PREFIX: &str = "rmmap:";

/// Tells whether a call that was made just before an event belongs to it.
pub type Adopts = fn(&Call) -> bool;

/// The module's tracepoints, and which of the calls before them were made by the function that
/// they stand for: they are emitted when it has its answer.
pub const MODULE_EVENTS: &[(&str, Adopts)] = &[
    ("mmap", |_| false),
    // __do_fault() calls nothing but the handler before it.
    ("fault", is_function),
    ("populate", is_function),
    ("map_pages", |call| call.name == "filemap_map_pages"),
    ("truncate", |_| false),
    ("discard", |_| false),
    ("create", |_| false),
];

fn is_function(call: &Call) -> bool {
    call.kind == Kind::Function
}

/// What the module's tracepoints stand for.
#[rustfmt::skip] // A table.
const EVENTS: &[(&str, &str)] = &[
    ("rmmap:mmap", "seed: THE HOOK, the file's own mmap"),
    ("rmmap:fault", "THE FAULT HANDLER: supplies the page"),
    ("rmmap:populate", "THE FAULT HANDLER, before the first touch"),
    ("rmmap:map_pages", "looks for resident neighbours"),
    ("rmmap:truncate", "the region's size changed"),
    ("rmmap:discard", "a range was discarded"),
    ("rmmap:create", "a new region"),
    ("vm_unmapped_area", "found free addresses"),
    ("page fault", "the processor found no page"),
];

/// The module's functions that the kernel calls, by the last part of their name.
#[rustfmt::skip] // A table.
const OWN: &[(&str, &str)] = &[
    ("mmap", "seed: THE HOOK, the file's own mmap"),
    ("mmap_prepare", "THE HOOK, in its newer form"),
    ("mapped", "runs when the VMA exists"),
    ("fault", "THE FAULT HANDLER: supplies the page"),
    ("map_pages", "looks for resident neighbours"),
    ("get_unmapped_area", "chooses the address"),
];

/// The crates that the module is made of.
const CRATES: [&str; 2] = ["rmmap_main::", "kernel_mm::"];

/// How the C functions begin that the module has for the kernel's inline functions.
pub const HELPER: &str = "rust_helper_";

/// Tells whether a demangled function is the module's own.
pub fn is_own(demangled: &str) -> bool {
    CRATES.iter().any(|name| demangled.contains(name))
}

/// What the function does, in a line; nothing if that is not worth a line.
pub fn explanation(name: &str, own: bool) -> &'static str {
    let (list, name) = match own {
        true => (OWN, last_part(name)),
        false => (FUNCTIONS, name),
    };
    list.iter()
        .chain(EVENTS)
        .find_map(|(key, text)| (*key == name).then_some(*text))
        .unwrap_or_default()
}

/// `fault` of `<rmmap::Region as kernel_mm::VmOperations>::fault`.
fn last_part(demangled: &str) -> &str {
    demangled.rsplit("::").next().unwrap_or(demangled)
}

/// A demangled name as people would say it: type and function, no generics, no paths.
///
/// `<kernel_mm::vm_ops::Table<rmmap::Region>>::fault` becomes `Table::fault`.
pub fn short(demangled: &str) -> String {
    let mut depth = 0usize;
    let mut plain = String::new();
    // `<A as B>::c` is a `c` of A: what follows ` as ` is left out as generics are.
    let opened = demangled.strip_prefix('<');
    let mut skipping_trait = false;
    for c in opened.unwrap_or(demangled).chars() {
        match c {
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            '>' => skipping_trait = false,
            ' ' if depth == 0 => skipping_trait = true,
            _ if depth == 0 && !skipping_trait => plain.push(c),
            _ => {}
        }
    }
    let parts: Vec<&str> = plain.split("::").filter(|part| !part.is_empty()).collect();
    parts[parts.len().saturating_sub(2)..].join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shortened_to_type_and_function() {
        for (long, expected) in [
            ("rmmap::fault::fault", "fault::fault"),
            (
                "<kernel_mm::vm_ops::Table<rmmap::Region>>::fault",
                "Table::fault",
            ),
            (
                "<rmmap::region::Region as kernel_mm::file_ops::FileOps>::mmap",
                "Region::mmap",
            ),
            (
                "<kernel_mm::vm_ops::Table<<rmmap::A as b::C>::D>>::map_pages",
                "Table::map_pages",
            ),
            ("fault", "fault"),
        ] {
            assert_eq!(short(long), expected);
        }
    }

    #[test]
    fn the_seeds_functions_are_explained() {
        let seed = [
            "ksys_mmap_pgoff",
            "vm_mmap_pgoff",
            "do_mmap",
            "mmap_region",
            "__mm_populate",
        ];
        for name in seed {
            assert!(explanation(name, false).starts_with("seed: "), "{name}");
        }
        assert!(is_own(
            "<rmmap_main::vm::RegionVm as kernel_mm::VmOperations>::fault"
        ));
        assert!(!is_own("<kernel::page::Page>::fault") && !is_own("do_fault"));
        assert!(explanation("<rmmap::Region as X>::mmap", true).contains("HOOK"));
        assert!(explanation("rmmap::fault", true).contains("FAULT HANDLER"));
        assert_eq!(explanation("rmmap::open", true), "");
    }

    #[test]
    fn explanations_fit_beside_the_tree() {
        for (name, text) in FUNCTIONS.iter().chain(OWN).chain(EVENTS) {
            assert!(text.len() <= 52, "{name}: {text}");
        }
    }

    #[test]
    fn no_function_is_listed_twice() {
        let mut names: Vec<_> = FUNCTIONS.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
