// SPDX-License-Identifier: GPL-2.0

//! The kernel log: read record by record as it grows, and parsed from copies in files and consoles.
//!
//! `/dev/kmsg` numbers its records, so that new records can be distinguished from old ones: KUnit
//! prints its report again at each load of the module, and the reader must not mistake an old
//! report for a new one.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

/// The largest size of a record: `PRINTK_MESSAGE_MAX` is 2048, and escaping turns a byte into at
/// most four.
const RECORD_MAX: usize = 8192;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Microseconds since boot.
    pub micros: u64,
    /// Its text, without priority and time.
    pub text: String,
}

/// The log, at the position of the last read.
#[derive(Debug)]
pub struct KernelLog {
    device: File,
    /// Records that were overwritten before they could be read.
    lost: u64,
}

impl KernelLog {
    /// Opens the log at its beginning.
    pub fn open() -> io::Result<Self> {
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let device = OpenOptions::new()
            .read(true)
            .custom_flags(nonblock)
            .open("/dev/kmsg")?;
        Ok(Self { device, lost: 0 })
    }

    /// Returns the kernel's own lines since the last call, without those of programs.
    pub fn read_new(&mut self) -> io::Result<Vec<Line>> {
        let lines = self.read_all()?.into_iter();
        // The facility, from bit 3 on, is 0 for the kernel alone.
        let own = lines.filter(|(priority, _)| *priority < 8);
        Ok(own.map(|(_, line)| line).collect())
    }

    /// Returns all lines since the last call, each with its priority.
    pub fn read_all(&mut self) -> io::Result<Vec<(u32, Line)>> {
        let mut lines = Vec::new();
        let mut record = [0; RECORD_MAX];
        loop {
            match self.device.read(&mut record) {
                Ok(0) => return Ok(lines),
                Ok(length) => lines.extend(parse(&String::from_utf8_lossy(&record[..length]))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(lines),
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.lost += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns how often records were overwritten before they were read: 0 for a complete log.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// Parses `priority,sequence,microseconds,flags;text`; one record may hold several lines.
fn parse(record: &str) -> Vec<(u32, Line)> {
    let Some((head, text)) = record.split_once(';') else {
        return Vec::new();
    };
    let mut fields = head.split(',');
    let priority = fields.next().and_then(|field| field.parse().ok());
    let micros = fields.nth(1).and_then(|field| field.parse().ok());
    let (Some(priority), Some(micros)) = (priority, micros) else {
        return Vec::new();
    };
    // Lines after the first are the record's properties (` SUBSYSTEM=…`).
    let text = unescape(text.lines().next().unwrap_or_default());
    let lines = text.lines().map(str::to_owned);
    lines
        .map(|text| (priority, Line { micros, text }))
        .collect()
}

/// Copies the whole log as `<priority>[seconds] text`. Each write of a guest to a file of the host
/// takes milliseconds on a debug kernel, so the writes are large.
pub fn copy(out: impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    for (priority, line) in KernelLog::open()?.read_all()? {
        let (seconds, micros) = (line.micros / 1_000_000, line.micros % 1_000_000);
        writeln!(out, "<{priority}>[{seconds:5}.{micros:06}] {}", line.text)?;
    }
    out.flush()
}

/// Parses a line of such a copy, or of a console, which has no priorities. Returns `None` for lines
/// that a program wrote to /dev/kmsg. A line without a time gets 0.
pub fn line(text: &str) -> Option<Line> {
    let mut text = text.trim_end();
    if let Some(rest) = text.strip_prefix('<') {
        let (priority, rest) = rest.split_once('>')?;
        if priority.parse::<u32>().ok()? >= 8 {
            return None;
        }
        text = rest;
    }
    let stamped = text.strip_prefix('[').and_then(|rest| {
        let (stamp, text) = rest.split_once(']')?;
        let seconds: f64 = stamp.trim().parse().ok()?;
        Some((
            (seconds * 1e6).round() as u64,
            text.strip_prefix(' ').unwrap_or(text),
        ))
    });
    let (micros, text) = stamped.unwrap_or((0, text));
    let text = text.to_owned();
    Some(Line { micros, text })
}

/// Undoes `\xNN`, which stands for control characters, non-ASCII bytes and the backslash.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail
            .strip_prefix(b"x")
            .and_then(|tail| std::str::from_utf8(tail.get(..2)?).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) if byte == b'\\' => {
                bytes.push(code);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (u32, Line) {
        let (micros, text) = (5_140_900, text.to_owned());
        (6, Line { micros, text })
    }

    #[test]
    fn a_record_gives_time_and_text() {
        let record = "6,339,5140900,-;    ok 1 quota\n SUBSYSTEM=net\n";
        assert_eq!(parse(record), [parsed("    ok 1 quota")]);
        assert_eq!(parse("no record"), []);
    }

    #[test]
    fn escaped_line_ends_make_lines() {
        let record = "6,339,5140900,-;# a: EXPECTATION FAILED\\x0a    at \\xc3\\xa9.rs, C:\\x5cx\n";
        let lines = ["# a: EXPECTATION FAILED", "    at é.rs, C:\\x"];
        assert_eq!(parse(record), lines.map(parsed));
    }

    #[test]
    fn copied_lines_are_read_again_without_the_words_of_programs() {
        assert_eq!(line("<14>[    1.0] init: WARNING: no udev"), None);
        let read = line("<6>[    5.140900]     ok 1 quota\r").unwrap();
        assert_eq!(read, parsed("    ok 1 quota").1);
        assert_eq!(line("[ 1.0] [x] y").unwrap().text, "[x] y");
        assert_eq!(line("[x] y").unwrap().micros, 0);
    }
}
