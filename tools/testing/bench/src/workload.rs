// SPDX-License-Identifier: GPL-2.0

//! What is done with an object: the names.

use clap::ValueEnum;

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Workload {
    /// Make the object, map it, write to each page in order
    SeqWrite,
    /// Make the object, map it, read each page in order
    SeqRead,
    /// Make the object, map it, write to a quarter of its pages in random order
    RandomWrite,
    /// Make the object, map it, write to each 16th page in order
    StrideWrite,
    /// Make the object, map it with MAP_POPULATE
    Populate,
    /// Make the object, map it with MAP_LOCKED
    Locked,
    /// Make the object, map it, populate it with MADV_POPULATE_WRITE
    AdvisePopulate,
    /// Map an object that has data once more, read each page in order
    SecondMap,
    /// Make the object, map it privately, write to each page in order
    PrivateHole,
    /// Map an object that has data privately, write to each page in order
    PrivateData,
    /// Make the object, write to all of it with write(2)
    WriteCall,
    /// Read all of an object that has data with read(2)
    ReadCall,
    /// Fork with the object mapped and populated; the child exits at once
    Fork,
    /// Write to each page of a populated private mapping in a forked child
    CopyOnWrite,
    /// Move a populated mapping with mremap(2)
    Mremap,
    /// Unmap a populated mapping
    Munmap,
    /// Close the last descriptor of an object that has data
    Free,
}

impl Workload {
    /// Its name: on the command line, in results.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What it does, in a line.
    pub fn text(self) -> String {
        let help = self
            .to_possible_value()
            .and_then(|value| value.get_help().cloned());
        help.map_or_else(String::new, |help| help.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_have_a_name_and_a_text() {
        assert_eq!(Workload::SeqWrite.name(), "seq-write");
        assert!(Workload::value_variants()
            .iter()
            .all(|workload| !workload.text().is_empty()));
    }
}
