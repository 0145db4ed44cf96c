// SPDX-License-Identifier: GPL-2.0

//! The functions of interest on the path from mmap(2) to the page, and their purposes.
//!
//! Those that the compiler inlines (`mmap_file`, `call_mmap_prepare`, `do_shared_fault`) do not
//! appear.

use super::tree::{Call, Kind};

/// The name of the function of a system call.
#[cfg(target_arch = "x86_64")]
macro_rules! syscall {
    ($name:literal) => {
        concat!("__x64_sys_", $name)
    };
}

/// The name of the function of a system call.
#[cfg(target_arch = "aarch64")]
macro_rules! syscall {
    ($name:literal) => {
        concat!("__arm64_sys_", $name)
    };
}

/// The function at which the path into the kernel begins.
pub const SYSCALL: &str = syscall!("mmap");

/// The function at which a page fault enters memory management.
pub const FAULT: &str = "handle_mm_fault";

/// The functions to record, if the kernel can; the text explains them, if there is one.
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
    (syscall!("mlock"), "the system call that locks a range"),
    (syscall!("mlock2"), "the system call that locks a range"),
    (syscall!("mlockall"), "the system call that locks everything"),
    (syscall!("munmap"), "the system call that ends a mapping"),
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

/// The prefix of the nodes that stand for the module's parts.
pub const MODULE_PREFIX: &str = "rmmap:";

/// Tells whether a call that was made just before an event belongs to it.
pub type Adopts = fn(&Call) -> bool;

/// The module's tracepoints, and which of the calls before them belong to the function that they
/// stand for: the function emits them when it has its answer.
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

/// The functions that the module's tracepoints stand for.
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

/// Returns the function's purpose, in a line; empty if that needs no line.
pub fn explanation(name: &str) -> &'static str {
    let mut known = FUNCTIONS.iter().chain(EVENTS);
    known
        .find_map(|(key, text)| (*key == name).then_some(*text))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(explanation(name).starts_with("seed: "), "{name}");
        }
        assert!(explanation("rmmap:mmap").contains("HOOK"));
        assert!(explanation("rmmap:fault").contains("FAULT HANDLER"));
        assert_eq!(explanation("kfree"), "");
    }

    #[test]
    fn explanations_fit_beside_the_tree() {
        for (name, text) in FUNCTIONS.iter().chain(EVENTS) {
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
