// SPDX-License-Identifier: GPL-2.0

//! System calls through `int $0x80`: the entry of 32-bit programs, which 64-bit ones may also use.
//!
//! The kernel uses its i386 table for such a call and places mappings below 4 GiB, as for a 32-bit
//! program (`arch/x86/entry/syscall_32.c`, `in_32bit_syscall()`). All arguments are 32 bits wide,
//! so they can only point below 4 GiB as well.
//!
//! Other architectures have no such entry for 64-bit programs: the calls fail with `ENOSYS`.

use crate::child::End;
use crate::map::MAP_32BIT;
use crate::{fork, Errno, MapOptions, Mapping, Result, PAGE_SIZE};
#[cfg(target_arch = "x86_64")]
use core::arch::global_asm;
use rustix::mm::MapFlags;
use std::io;

// Six arguments take every register that the compiler may use, `rbx` and `rbp` among them; kernels
// before 4.15 zeroed r8 to r15.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .text.rmmap_sys_int80,\"ax\",@progbits",
    "rmmap_sys_int80:",
    "    push rbx",
    "    push rbp",
    "    push r12",
    "    push r13",
    "    push r14",
    "    push r15",
    "    mov eax, dword ptr [rdi]",
    "    mov ebx, dword ptr [rdi + 4]",
    "    mov ecx, dword ptr [rdi + 8]",
    "    mov edx, dword ptr [rdi + 12]",
    "    mov esi, dword ptr [rdi + 16]",
    "    mov ebp, dword ptr [rdi + 24]",
    "    mov edi, dword ptr [rdi + 20]",
    "    int 0x80",
    "    pop r15",
    "    pop r14",
    "    pop r13",
    "    pop r12",
    "    pop rbp",
    "    pop rbx",
    "    ret",
    ".popsection",
);

// "sysv64" is what the assembly above implements.
#[cfg(target_arch = "x86_64")]
extern "sysv64" {
    /// Makes the call `call[0]` with the arguments after it.
    fn rmmap_sys_int80(call: *const [u32; 7]) -> i64;
}

/// Numbers of `arch/x86/entry/syscalls/syscall_32.tbl`.
const GETPID: u32 = 20;
const OLD_MMAP: u32 = 90;
const MMAP2: u32 = 192;

/// Runs a system call of the i386 table.
///
/// # Safety
///
/// As for the call itself.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: u32, arguments: [u32; 6]) -> Result<u32> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: The function restores what the C convention asks for; the call is the caller's part.
    let got = unsafe { rmmap_sys_int80(&[number, a, b, c, d, e, f]) };
    // The kernel returns a `long`: an address is positive, even if its highest of 32 bits is set.
    u32::try_from(got).map_err(|_| Errno::from_raw_os_error(-got as i32))
}

/// Fails.
///
/// # Safety
///
/// Always met.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn call(_number: u32, _arguments: [u32; 6]) -> Result<u32> {
    Err(Errno::NOSYS)
}

/// Returns whether this kernel accepts such calls. Tries one in a child, because a kernel that does
/// not kills the caller with a signal.
///
/// # Errors
///
/// Those of [`fork`].
pub fn is_available() -> io::Result<bool> {
    // SAFETY: The call only returns a number.
    let mut child = fork(|_| i32::from(unsafe { call(GETPID, [0; 6]) }.is_err()))?;
    Ok(child.wait()? == End::Exited(0))
}

/// Calls the 32-bit `mmap2(2)`, number 192, whose offset is a number of pages. `fd` is any number.
///
/// # Errors
///
/// Those of the call, and `ENOTSUP` for `MAP_FIXED`, for an offset that is not a number of pages,
/// and for arguments that do not fit into 32 bits.
pub fn mmap2(options: &MapOptions, fd: i32) -> Result<Mapping> {
    let page = PAGE_SIZE as u64;
    if options.offset % page != 0 {
        return Err(Errno::NOTSUP);
    }
    let arguments = arguments(options, fd, options.offset / page)?;
    // SAFETY: Without MAP_FIXED the kernel picks addresses where nothing is mapped.
    let start = unsafe { call(MMAP2, arguments) }?;
    // SAFETY: The kernel has just mapped this range for us and nobody else knows it.
    Ok(unsafe { Mapping::own(start as usize, options.mapped_len()) })
}

/// Calls the first `mmap` of i386, number 90: one pointer to all arguments, the offset in bytes.
///
/// # Errors
///
/// As for [`mmap2`], and those of `mmap(2)`, since the arguments need a page below 4 GiB.
pub fn old_mmap(options: &MapOptions, fd: i32) -> Result<Mapping> {
    let arguments = arguments(options, fd, options.offset)?;
    let low = MapOptions::new(PAGE_SIZE)
        .private()
        .flags(MAP_32BIT)
        .map_anonymous()?;
    let bytes: Vec<u8> = arguments
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    low.write(0, &bytes).map_err(|_| Errno::FAULT)?;
    let pointer = u32::try_from(low.address()).map_err(|_| Errno::NOTSUP)?;
    // SAFETY: As in `mmap2`; the kernel reads the arguments that were just written.
    let start = unsafe { call(OLD_MMAP, [pointer, 0, 0, 0, 0, 0]) }?;
    // SAFETY: As in `mmap2`.
    Ok(unsafe { Mapping::own(start as usize, options.mapped_len()) })
}

/// Calls [`old_mmap`] with a pointer to addresses where no program has memory.
///
/// # Errors
///
/// Those of the call: a success would be a bug of the kernel.
pub fn old_mmap_bad_pointer() -> Result<()> {
    // SAFETY: Nothing is mapped at 0, so the kernel can read no arguments and maps nothing.
    unsafe { call(OLD_MMAP, [0; 6]) }.map(drop)
}

/// Returns the six arguments of `mmap` in their order.
fn arguments(options: &MapOptions, fd: i32, offset: u64) -> Result<[u32; 6]> {
    if options.flags.contains(MapFlags::FIXED) {
        return Err(Errno::NOTSUP);
    }
    let fits = |value: u64| u32::try_from(value).map_err(|_| Errno::NOTSUP);
    Ok([
        fits(options.hint as u64)?,
        fits(options.len as u64)?,
        options.prot.bits(),
        options.flags.bits(),
        fd as u32,
        fits(offset)?,
    ])
}
