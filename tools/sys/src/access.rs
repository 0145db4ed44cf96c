// SPDX-License-Identifier: GPL-2.0

//! One load or store of memory that may fault, with the fault as an error.
//!
//! The kernel does the same for its accesses to userspace memory: the instruction that may fault is
//! at a known place, and the handler continues after it (`arch/x86/mm/extable.c`). Here the place
//! is a few functions in assembly, and the handler is one for `SIGBUS` and `SIGSEGV`, which checks
//! the instruction pointer that the kernel saved. Any other fault goes to the previous handler, as
//! if this one did not exist.
//!
//! The instruction is a plain load or store: the kernel sees a user's access (`FAULT_FLAG_USER`),
//! exactly one per call.

use core::arch::global_asm;
use core::fmt;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

/// The signal that a fault raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The object has no page for this address, or cannot supply it.
    Bus,
    /// Nothing is mapped at this address, or the protection forbids the access.
    Segv,
}

/// An access that the kernel answered with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The signal.
    pub signal: Signal,
    /// Its `si_code`.
    pub code: i32,
    /// Its `si_addr`.
    pub address: usize,
}

impl Fault {
    /// `si_code` of an address past the object's end.
    pub const BUS_ADRERR: i32 = 2;
    /// `si_code` of an address where nothing is mapped.
    pub const SEGV_MAPERR: i32 = 1;
    /// `si_code` of an access that the protection forbids.
    pub const SEGV_ACCERR: i32 = 2;

    /// Returns whether this is `SIGBUS` with `BUS_ADRERR`, the answer for "no such page".
    pub fn is_beyond_end(&self) -> bool {
        self.signal == Signal::Bus && self.code == Self::BUS_ADRERR
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match (self.signal, self.code) {
            (Signal::Bus, Self::BUS_ADRERR) => "SIGBUS (BUS_ADRERR)",
            (Signal::Bus, _) => "SIGBUS",
            (Signal::Segv, Self::SEGV_MAPERR) => "SIGSEGV (SEGV_MAPERR)",
            (Signal::Segv, Self::SEGV_ACCERR) => "SIGSEGV (SEGV_ACCERR)",
            (Signal::Segv, _) => "SIGSEGV",
        };
        write!(f, "{name} at {:#x}, si_code {}", self.address, self.code)
    }
}

impl std::error::Error for Fault {}

// Each function is a leaf without a stack frame, so that at every instruction between
// `rmmap_sys_access_begin` and `..._end` the return address is on top of the stack and a `ret` is
// all that is left to do. A pair of 64-bit integers is returned in rax and rdx.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .text.rmmap_sys_access,\"ax\",@progbits",
    "rmmap_sys_access_begin:",
    "rmmap_sys_load8:",
    "    movzx eax, byte ptr [rdi]",
    "    xor edx, edx",
    "    ret",
    "rmmap_sys_load64:",
    "    mov rax, qword ptr [rdi]",
    "    xor edx, edx",
    "    ret",
    "rmmap_sys_store8:",
    "    mov byte ptr [rdi], sil",
    "    xor edx, edx",
    "    ret",
    "rmmap_sys_store64:",
    "    mov qword ptr [rdi], rsi",
    "    xor edx, edx",
    "    ret",
    "rmmap_sys_access_end:",
    "rmmap_sys_access_faulted:",
    "    ret",
    ".popsection",
);

// As above; the return address is in x30, and a pair of integers is returned in x0 and x1.
#[cfg(target_arch = "aarch64")]
global_asm!(
    ".pushsection .text.rmmap_sys_access,\"ax\",@progbits",
    "rmmap_sys_access_begin:",
    "rmmap_sys_load8:",
    "    ldrb w0, [x0]",
    "    mov x1, xzr",
    "    ret",
    "rmmap_sys_load64:",
    "    ldr x0, [x0]",
    "    mov x1, xzr",
    "    ret",
    "rmmap_sys_store8:",
    "    strb w1, [x0]",
    "    mov x1, xzr",
    "    ret",
    "rmmap_sys_store64:",
    "    str x1, [x0]",
    "    mov x1, xzr",
    "    ret",
    "rmmap_sys_access_end:",
    "rmmap_sys_access_faulted:",
    "    ret",
    ".popsection",
);

/// The result of an access function: the value or the faulting address, and the outcome.
#[repr(C)]
struct Answer {
    value: u64,
    /// 0, or the signal in the low byte and its `si_code` above it.
    fault: u64,
}

// The C convention of the two architectures is what the assembly above implements.
extern "C" {
    fn rmmap_sys_load8(address: usize) -> Answer;
    fn rmmap_sys_load64(address: usize) -> Answer;
    fn rmmap_sys_store8(address: usize, value: u64) -> Answer;
    fn rmmap_sys_store64(address: usize, value: u64) -> Answer;
    static rmmap_sys_access_begin: u8;
    static rmmap_sys_access_end: u8;
    static rmmap_sys_access_faulted: u8;
}

/// Loads a byte.
pub(crate) fn load8(address: usize) -> Result<u8, Fault> {
    install();
    // SAFETY: The function reads one byte in a way that the compiler does not see, and a fault is
    // caught by the handler. Reading memory has no effect on Rust's objects.
    let answer = unsafe { rmmap_sys_load8(address) };
    result(answer).map(|v| v as u8)
}

/// Loads eight bytes.
pub(crate) fn load64(address: usize) -> Result<u64, Fault> {
    install();
    // SAFETY: As in `load8`.
    result(unsafe { rmmap_sys_load64(address) })
}

/// Stores a byte.
///
/// # Safety
///
/// The byte belongs to a mapping that no Rust reference points into.
pub(crate) unsafe fn store8(address: usize, value: u8) -> Result<(), Fault> {
    install();
    // SAFETY: By this function's contract no Rust object changes; a fault is caught.
    result(unsafe { rmmap_sys_store8(address, value.into()) }).map(drop)
}

/// Stores eight bytes.
///
/// # Safety
///
/// As for [`store8`], for all eight.
pub(crate) unsafe fn store64(address: usize, value: u64) -> Result<(), Fault> {
    install();
    // SAFETY: By this function's contract no Rust object changes; a fault is caught.
    result(unsafe { rmmap_sys_store64(address, value) }).map(drop)
}

/// Turns the return value of an access function into a result.
fn result(answer: Answer) -> Result<u64, Fault> {
    let signal = match (answer.fault & 0xff) as i32 {
        0 => return Ok(answer.value),
        libc::SIGBUS => Signal::Bus,
        _ => Signal::Segv,
    };
    Err(Fault {
        signal,
        code: (answer.fault >> 8) as i32,
        address: answer.value as usize,
    })
}

/// The previous handlers: for `SIGBUS` and for `SIGSEGV`.
static PREVIOUS: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

/// Installs the handler, once in a process; a forked child inherits it.
fn install() {
    PREVIOUS.get_or_init(|| [libc::SIGBUS, libc::SIGSEGV].map(install_one));
}

/// Installs the handler of one signal and returns the previous one.
fn install_one(signal: i32) -> libc::sigaction {
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = handle;
    let mut previous = MaybeUninit::zeroed();
    // SAFETY: `sigaction` is a plain C struct; all zeroes is a valid one.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as usize;
    // ONSTACK, because the previous handler may be Rust's own for stack overflows.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: Both pointers are valid, and `handle` calls only what is allowed in a handler.
    let ret = unsafe { libc::sigaction(signal, &action, previous.as_mut_ptr()) };
    assert_eq!(ret, 0, "sigaction of a valid signal cannot fail");
    // SAFETY: The call succeeded, so it was written (and all zeroes were valid before).
    unsafe { previous.assume_init() }
}

/// Returns the address of the instruction that faulted.
#[cfg(target_arch = "x86_64")]
fn instruction(registers: &libc::mcontext_t) -> usize {
    registers.gregs[libc::REG_RIP as usize] as usize
}

/// Sets the two registers of an [`Answer`], and where the thread goes on.
#[cfg(target_arch = "x86_64")]
fn set_result(registers: &mut libc::mcontext_t, value: u64, fault: u64, next: usize) {
    registers.gregs[libc::REG_RAX as usize] = value as i64;
    registers.gregs[libc::REG_RDX as usize] = fault as i64;
    registers.gregs[libc::REG_RIP as usize] = next as i64;
}

#[cfg(target_arch = "aarch64")]
fn instruction(registers: &libc::mcontext_t) -> usize {
    registers.pc as usize
}

#[cfg(target_arch = "aarch64")]
fn set_result(registers: &mut libc::mcontext_t, value: u64, fault: u64, next: usize) {
    registers.regs[..2].copy_from_slice(&[value, fault]);
    registers.pc = next as u64;
}

/// Continues after an access function that faulted; passes every other fault to the previous
/// handler.
extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let begin = &raw const rmmap_sys_access_begin as usize;
    let end = &raw const rmmap_sys_access_end as usize;
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: With SA_SIGINFO the kernel passes a ucontext that is valid and unshared until return.
    let registers = unsafe { &mut (*context).uc_mcontext };
    if (begin..end).contains(&instruction(registers)) {
        // SAFETY: With SA_SIGINFO the kernel passes a siginfo, and for these signals si_addr is
        // set.
        let (code, address) = unsafe { ((*info).si_code, (*info).si_addr()) };
        let fault = signal as u64 | ((code as u64) << 8);
        let faulted = &raw const rmmap_sys_access_faulted as usize;
        set_result(registers, address as u64, fault, faulted);
        return;
    }
    let Some(previous) = PREVIOUS.get() else {
        return;
    };
    let previous = &previous[usize::from(signal == libc::SIGSEGV)];
    // The instruction faults again when this returns, and then the previous handler runs.
    // SAFETY: sigaction returned `previous`, and a handler may call sigaction.
    unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
}
