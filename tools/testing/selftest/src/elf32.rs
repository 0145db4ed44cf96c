// SPDX-License-Identifier: GPL-2.0

//! The smallest 32-bit program that maps memory: the lab has no compiler for i386, and needs none.

use crate::mounts::Mounts;
use crate::outcome::{Result, Stop};
use rmmap_sys::Device;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

/// The load address, as linkers for i386 choose it.
const BASE: u32 = 0x0804_8000;

/// Code that maps a page of memory and a page of descriptor 0, read-only, writes their addresses to
/// descriptor 1, and sleeps until it is killed.
#[rustfmt::skip]
const CODE: &[u8] = &[
    // mmap2(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    0xb8, 192, 0, 0, 0,             // mov eax, 192
    0x31, 0xdb,                     // xor ebx, ebx
    0xb9, 0, 0x10, 0, 0,            // mov ecx, 4096
    0xba, 1, 0, 0, 0,               // mov edx, 1
    0xbe, 0x22, 0, 0, 0,            // mov esi, 0x22
    0xbf, 0xff, 0xff, 0xff, 0xff,   // mov edi, -1
    0x31, 0xed,                     // xor ebp, ebp
    0xcd, 0x80,                     // int 0x80
    0x50,                           // push eax
    // mmap2(0, 4096, PROT_READ, MAP_SHARED, 0, 0)
    0xb8, 192, 0, 0, 0,             // mov eax, 192
    0xbe, 1, 0, 0, 0,               // mov esi, 1
    0x31, 0xff,                     // xor edi, edi
    0xcd, 0x80,                     // int 0x80
    0x50,                           // push eax
    // write(1, esp, 8)
    0xb8, 4, 0, 0, 0,               // mov eax, 4
    0xbb, 1, 0, 0, 0,               // mov ebx, 1
    0x89, 0xe1,                     // mov ecx, esp
    0xba, 8, 0, 0, 0,               // mov edx, 8
    0xcd, 0x80,                     // int 0x80
    // pause(), in a loop
    0xb8, 29, 0, 0, 0,              // mov eax, 29
    0xcd, 0x80,                     // int 0x80
    0xeb, 0xf7,                     // jmp to the mov
];

/// Returns the program's file; `stack` has the flags of PT_GNU_STACK, if any: readable 4, writable
/// 2, executable 1.
fn image(stack: Option<u32>) -> Vec<u8> {
    const HEADER: u16 = 52;
    const SEGMENT: u16 = 32;
    const PT_LOAD: u32 = 1;
    const PT_GNU_STACK: u32 = 0x6474_e551;
    let segments = 1 + u16::from(stack.is_some());
    let start = u32::from(HEADER + SEGMENT * segments);
    let size = start + CODE.len() as u32;
    // 32 bits, little-endian, version 1, for System V.
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC for EM_386.
    file.extend(halves(&[2, 3]));
    // Version, entry, offsets of segments and of no sections, no flags.
    file.extend(words(&[1, BASE + start, HEADER.into(), 0, 0]));
    file.extend(halves(&[HEADER, SEGMENT, segments, 0, 0, 0]));
    // Readable and executable.
    file.extend(words(&[PT_LOAD, 0, BASE, BASE, size, size, 5, 0x1000]));
    if let Some(flags) = stack {
        file.extend(words(&[PT_GNU_STACK, 0, 0, 0, 0, 0, flags, 16]));
    }
    file.extend(CODE);
    file
}

fn halves(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The running program, killed on drop.
#[derive(Debug)]
pub struct Mapper {
    child: Child,
    /// The addresses of its memory and of the descriptor's object.
    pub addresses: [usize; 2],
}

impl Mapper {
    /// Starts the program and waits until it has mapped, or returns the reason to skip the test.
    pub fn start(mounts: &Mounts, stack: Option<u32>, device: Device) -> Result<Self> {
        let path = mounts.folder().join("mapper");
        fs::write(&path, image(stack))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        let mut command = Command::new(&path);
        command.stdin(OwnedFd::from(device)).stdout(Stdio::piped());
        let child = command.spawn().map_err(|e| match e.raw_os_error() {
            Some(8) => Stop::skip("this kernel runs no 32-bit programs (IA32_EMULATION)"),
            _ => e.into(),
        })?;
        let mut mapper = Self {
            child,
            addresses: [0; 2],
        };
        let mut bytes = [0; 8];
        let output = mapper.child.stdout.take();
        let mut output = output.ok_or_else(|| Stop::fail("it has no output"))?;
        output.read_exact(&mut bytes)?;
        // The stack grows down: the value that was pushed last comes first.
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i])) as usize;
        mapper.addresses = [word(4), word(0)];
        Ok(mapper)
    }

    /// Returns its process ID.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }
}

impl Drop for Mapper {
    fn drop(&mut self) {
        // If this fails, it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
