// SPDX-License-Identifier: GPL-2.0

//! What the guest tells the host while it tests: lines of JSON on the standard output, which the
//! lab carries in a file on the shared folder.
//!
//! What is in that file survives the guest, and its last complete line says how far the guest came.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::plan::Part;
use super::record::Record;

/// One line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A part begins; the ids of the tests that it will report, as far as they are known.
    Begin(Part, Vec<String>),
    /// A test ended.
    Record(Record),
    /// The part that had begun has reported all of its tests.
    End(Part),
    /// The guest has nothing more to say.
    Done,
}

/// The guest's end.
pub struct Sender<W>(W);

impl<W: Write> Sender<W> {
    /// Makes a sender that writes to `to`.
    pub fn new(to: W) -> Self {
        Self(to)
    }

    /// Sends one event, at once: a guest may die at any moment.
    pub fn send(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_string(event)?;
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        self.0.flush()
    }
}

/// The host's end: makes events of the bytes as they come.
#[derive(Debug, Default)]
pub struct Reader {
    partial: Vec<u8>,
}

impl Reader {
    /// Makes a reader at the beginning of the stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes some bytes and returns the events whose lines they complete; a line that is no event
    /// is returned as it is.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Result<Event, String>> {
        self.partial.extend_from_slice(bytes);
        let Some(end) = self.partial.iter().rposition(|&byte| byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.partial.split_off(end + 1);
        let complete = std::mem::replace(&mut self.partial, rest);
        String::from_utf8_lossy(&complete)
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str(line).map_err(|_| line.to_owned()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::plan::Stage;

    #[test]
    fn events_arrive_whole_however_the_bytes_are_cut() {
        let part = Part {
            stage: Stage::Final,
            setting: None,
        };
        let sent = [
            Event::Begin(part, vec!["check/é".into()]),
            Event::End(part),
            Event::Done,
        ];
        let mut bytes = Vec::new();
        let mut sender = Sender::new(&mut bytes);
        for event in &sent {
            sender.send(event).unwrap();
        }
        for size in [1, 7, 1000] {
            let mut reader = Reader::new();
            let got: Vec<_> = bytes
                .chunks(size)
                .flat_map(|chunk| reader.push(chunk))
                .collect();
            assert_eq!(got, sent.clone().map(Ok));
        }
    }

    #[test]
    fn a_line_that_is_no_event_is_handed_on() {
        let mut reader = Reader::new();
        assert_eq!(reader.push(b"hello\n"), [Err("hello".to_owned())]);
        assert_eq!(reader.push(b"\"done\""), []);
        assert_eq!(reader.push(b"\n"), [Ok(Event::Done)]);
    }
}
