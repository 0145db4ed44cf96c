// SPDX-License-Identifier: GPL-2.0

//! The kernel's numbers in readable form: flags and errors by name, sizes with units.
//!
//! The names are those of the kernel's headers; bits without a name remain as a number.

use rmmap_sys::{process::errno_name, Errno};

/// Bits and their names.
type Names = &'static [(u64, &'static str)];

/// `PROT_*` of `asm-generic/mman-common.h`.
const PROT: Names = &[
    (1, "PROT_READ"),
    (2, "PROT_WRITE"),
    (4, "PROT_EXEC"),
    (8, "PROT_SEM"),
    (0x0100_0000, "PROT_GROWSDOWN"),
    (0x0200_0000, "PROT_GROWSUP"),
];

/// `MAP_*` of `linux/mman.h` and `asm-generic/mman.h`, but for the type.
const MAP: Names = &[
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x40, "MAP_32BIT"),
    (0x100, "MAP_GROWSDOWN"),
    (0x800, "MAP_DENYWRITE"),
    (0x1000, "MAP_EXECUTABLE"),
    (0x2000, "MAP_LOCKED"),
    (0x4000, "MAP_NORESERVE"),
    (0x8000, "MAP_POPULATE"),
    (0x1_0000, "MAP_NONBLOCK"),
    (0x2_0000, "MAP_STACK"),
    (0x4_0000, "MAP_HUGETLB"),
    (0x8_0000, "MAP_SYNC"),
    (0x10_0000, "MAP_FIXED_NOREPLACE"),
];

/// `VM_*` of `linux/mm.h`.
const VM: Names = &[
    (0x1, "VM_READ"),
    (0x2, "VM_WRITE"),
    (0x4, "VM_EXEC"),
    (0x8, "VM_SHARED"),
    (0x10, "VM_MAYREAD"),
    (0x20, "VM_MAYWRITE"),
    (0x40, "VM_MAYEXEC"),
    (0x80, "VM_MAYSHARE"),
    (0x100, "VM_GROWSDOWN"),
    (0x400, "VM_PFNMAP"),
    (0x2000, "VM_LOCKED"),
    (0x4000, "VM_IO"),
    (0x8000, "VM_SEQ_READ"),
    (0x1_0000, "VM_RAND_READ"),
    (0x2_0000, "VM_DONTCOPY"),
    (0x4_0000, "VM_DONTEXPAND"),
    (0x8_0000, "VM_LOCKONFAULT"),
    (0x10_0000, "VM_ACCOUNT"),
    (0x20_0000, "VM_NORESERVE"),
    (0x40_0000, "VM_HUGETLB"),
    (0x80_0000, "VM_SYNC"),
    (0x200_0000, "VM_WIPEONFORK"),
    (0x400_0000, "VM_DONTDUMP"),
    (0x800_0000, "VM_SOFTDIRTY"),
    (0x1000_0000, "VM_MIXEDMAP"),
    (0x2000_0000, "VM_HUGEPAGE"),
    (0x4000_0000, "VM_NOHUGEPAGE"),
    (0x8000_0000, "VM_MERGEABLE"),
];

/// `FAULT_FLAG_*` of `linux/mm_types.h`.
const FAULT: Names = &[
    (0x1, "WRITE"),
    (0x2, "MKWRITE"),
    (0x4, "ALLOW_RETRY"),
    (0x8, "RETRY_NOWAIT"),
    (0x10, "KILLABLE"),
    (0x20, "TRIED"),
    (0x40, "USER"),
    (0x80, "REMOTE"),
    (0x100, "INSTRUCTION"),
    (0x200, "INTERRUPTIBLE"),
    (0x400, "UNSHARE"),
    (0x800, "ORIG_PTE_VALID"),
    (0x1000, "VMA_LOCK"),
];

/// `VM_FAULT_*` of `linux/mm_types.h`.
const ANSWER: Names = &[
    (0x1, "VM_FAULT_OOM"),
    (0x2, "VM_FAULT_SIGBUS"),
    (0x4, "VM_FAULT_MAJOR"),
    (0x10, "VM_FAULT_HWPOISON"),
    (0x20, "VM_FAULT_HWPOISON_LARGE"),
    (0x40, "VM_FAULT_SIGSEGV"),
    (0x100, "VM_FAULT_NOPAGE"),
    (0x200, "VM_FAULT_LOCKED"),
    (0x400, "VM_FAULT_RETRY"),
    (0x800, "VM_FAULT_FALLBACK"),
    (0x1000, "VM_FAULT_DONE_COW"),
    (0x2000, "VM_FAULT_NEEDDSYNC"),
    (0x4000, "VM_FAULT_COMPLETED"),
];

/// Answers that end in a signal or an error.
const FAULT_ERRORS: u64 = 0x1 | 0x2 | 0x10 | 0x20 | 0x40;

/// Bits of the processor's error code, `X86_PF_*`.
const ERROR_CODE: Names = &[
    (0x1, "present"),
    (0x2, "write"),
    (0x4, "user"),
    (0x8, "reserved"),
    (0x10, "fetch"),
    (0x20, "key"),
];

/// The kind of a function's return value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// An address, or an error in its place.
    Address,
    /// 0 or an error, as `int`.
    Errno,
    /// A number that is not negative, or an error.
    Count,
    /// A pointer, which may be null.
    Pointer,
    /// `vm_fault_t`.
    Fault,
}

/// Names the bits that are set.
fn flags(names: Names, value: u64, none: &str) -> String {
    let mut left = value;
    let mut parts = Vec::new();
    for (bit, name) in names {
        if value & bit != 0 {
            parts.push((*name).to_owned());
            left &= !bit;
        }
    }
    if left != 0 {
        parts.push(format!("{left:#x}"));
    }
    match parts.is_empty() {
        true => none.to_owned(),
        false => parts.join("|"),
    }
}

/// Flags of mmap(2): the type first.
fn map_flags(value: u64) -> String {
    let kind = match value & 0xf {
        1 => "MAP_SHARED".to_owned(),
        2 => "MAP_PRIVATE".to_owned(),
        3 => "MAP_SHARED_VALIDATE".to_owned(),
        8 => "MAP_DROPPABLE".to_owned(),
        other => format!("{other:#x}"),
    };
    match value & !0xf {
        0 => kind,
        rest => format!("{kind}|{}", flags(MAP, rest, "")),
    }
}

/// Decodes an argument by its name in the table of probes or in the tracepoints.
pub fn argument(name: &str, value: u64) -> String {
    match name {
        "prot" => flags(PROT, value, "PROT_NONE"),
        "flags" => map_flags(value),
        "vm_flags" => flags(VM, value, "0"),
        "fault_flags" => flags(FAULT, value, "0"),
        "error_code" => flags(ERROR_CODE, value, "read"),
        "len" => size(value),
        "fd" => (value as i32).to_string(),
        "addr" | "address" | "start" | "end" | "offset" | "ip" if value != 0 => {
            format!("{value:#x}")
        }
        _ => value.to_string(),
    }
}

/// Returns a number of bytes with the largest unit of which it is a whole number.
pub fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |(shift, _): &&(u32, &str)| bytes != 0 && bytes % (1 << shift) == 0;
    match UNITS.iter().find(whole) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} B"),
    }
}

/// Decodes a function's return value, and returns whether it is an error.
pub fn returned(kind: Returns, value: u64) -> (String, bool) {
    let error = |value: i64| {
        let number = i32::try_from(-value)
            .ok()
            .filter(|number| (1..4096).contains(number));
        number.map(|number| (errno_name(Errno::from_raw_os_error(number)), true))
    };
    match kind {
        Returns::Address => error(value as i64).unwrap_or((format!("{value:#x}"), false)),
        Returns::Errno => {
            let value = i64::from(value as i32);
            error(value).unwrap_or((value.to_string(), false))
        }
        Returns::Count => error(value as i64).unwrap_or((value.to_string(), false)),
        Returns::Pointer if value == 0 => ("NULL".to_owned(), false),
        Returns::Pointer => error(value as i64).unwrap_or(("found".to_owned(), false)),
        Returns::Fault => {
            let value = value & 0xffff_ffff;
            (flags(ANSWER, value, "0"), value & FAULT_ERRORS != 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_mmap_are_named() {
        assert_eq!(argument("prot", 3), "PROT_READ|PROT_WRITE");
        assert_eq!(argument("prot", 0), "PROT_NONE");
        assert_eq!(argument("flags", 0x8001), "MAP_SHARED|MAP_POPULATE");
        assert_eq!(argument("flags", 0x22), "MAP_PRIVATE|MAP_ANONYMOUS");
        assert_eq!(argument("flags", 3), "MAP_SHARED_VALIDATE");
        assert_eq!(argument("flags", 0x40_0000_0001), "MAP_SHARED|0x4000000000");
    }

    #[test]
    fn flags_of_the_kernel_are_named() {
        assert_eq!(
            argument("vm_flags", 0x2b),
            "VM_READ|VM_WRITE|VM_SHARED|VM_MAYWRITE"
        );
        assert_eq!(
            argument("fault_flags", 0x1255),
            "WRITE|ALLOW_RETRY|KILLABLE|USER|INTERRUPTIBLE|VMA_LOCK"
        );
        assert_eq!(argument("error_code", 6), "write|user");
    }

    #[test]
    fn errors_are_named_and_addresses_are_not_errors() {
        let enxio = (-6i64) as u64;
        assert_eq!(returned(Returns::Address, enxio), ("ENXIO".into(), true));
        let address = returned(Returns::Address, 0x7f00_0000_1000);
        assert_eq!(address, ("0x7f0000001000".into(), false));
        // An `int` may have anything in the upper half of the register.
        assert_eq!(
            returned(Returns::Errno, 0xffff_fff4),
            ("ENOMEM".into(), true)
        );
        assert_eq!(
            returned(Returns::Errno, 0xdead_0000_0000),
            ("0".into(), false)
        );
        assert_eq!(returned(Returns::Count, 16), ("16".into(), false));
        assert_eq!(returned(Returns::Pointer, 0), ("NULL".into(), false));
    }

    #[test]
    fn answers_to_faults_are_named() {
        assert_eq!(
            returned(Returns::Fault, 0x200),
            ("VM_FAULT_LOCKED".into(), false)
        );
        assert_eq!(
            returned(Returns::Fault, 0x2),
            ("VM_FAULT_SIGBUS".into(), true)
        );
        assert_eq!(returned(Returns::Fault, 0), ("0".into(), false));
    }

    #[test]
    fn sizes_have_the_largest_whole_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (4095, "4095 B"),
            (65536, "64 KiB"),
            (3 << 20, "3 MiB"),
            (1 << 40, "1 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(argument("len", 65536), "64 KiB");
        assert_eq!(argument("fd", 0xffff_ffff), "-1");
        assert_eq!(argument("addr", 0), "0");
    }
}
