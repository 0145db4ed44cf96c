// SPDX-License-Identifier: GPL-2.0

//! The results of an interrupted run: the next run with the same module and program continues it.
//!
//! Each guest has a file of records, a line of JSON each. The file grows while the guest measures,
//! and is renamed when it is complete.

use crate::Record;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder `build/bench/unfinished`.
pub struct Unfinished {
    folder: PathBuf,
    seed: u64,
}

impl Unfinished {
    /// Opens the folder. Keeps its results if they were measured with the same `key` in the order
    /// of the same seed.
    pub fn open(folder: PathBuf, key: &str, seed: Option<u64>) -> Result<Self> {
        let path = folder.join("key");
        let earlier = fs::read_to_string(&path).unwrap_or_default();
        let earlier = earlier
            .split_once(' ')
            .filter(|(earlier, _)| *earlier == key)
            .and_then(|(_, seed)| seed.parse::<u64>().ok())
            .filter(|earlier| seed.is_none_or(|seed| seed == *earlier));
        if let Some(seed) = earlier {
            eprintln!("lab: continuing an interrupted run, in the order of --seed {seed}");
            return Ok(Self { folder, seed });
        }
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let seed = seed.unwrap_or(now.as_secs());
        fs::write(path, format!("{key} {seed}"))?;
        Ok(Self { folder, seed })
    }

    /// Returns the seed of the order.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the path of the file of a guest that is not done.
    pub fn path(&self, guest: &str) -> PathBuf {
        self.folder.join(format!("{guest}.part"))
    }

    /// Returns the records of a guest that is done.
    pub fn done(&self, guest: &str) -> Result<Option<Vec<Record>>> {
        let path = self.folder.join(guest);
        path.exists().then(|| read(&path)).transpose()
    }

    /// Returns the records of a guest so far.
    pub fn records(&self, guest: &str) -> Result<Vec<Record>> {
        read(&self.path(guest))
    }

    /// Opens the file for a guest's output, with the records of an earlier run first if it
    /// `goes_on`.
    pub fn log(&self, guest: &str, goes_on: bool) -> Result<File> {
        let path = self.path(guest);
        let earlier = if goes_on && path.exists() {
            // The last line may be incomplete.
            let text = fs::read_to_string(&path)?;
            text.rsplit_once('\n')
                .map_or(String::new(), |(whole, _)| format!("{whole}\n"))
        } else {
            String::new()
        };
        fs::write(&path, earlier)?;
        Ok(File::options().append(true).open(path)?)
    }

    /// Keeps the records of a guest that is done.
    pub fn finish(&self, guest: &str, records: &[Record]) -> Result<()> {
        let lines = records.iter().map(serde_json::to_string);
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        let path = self.path(guest);
        fs::write(&path, lines.join("\n"))?;
        Ok(fs::rename(path, self.folder.join(guest))?)
    }

    /// Removes the folder when all guests are done: the next run starts from scratch.
    pub fn close(self) -> Result<()> {
        Ok(fs::remove_dir_all(self.folder)?)
    }
}

fn read(path: &Path) -> Result<Vec<Record>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let records = text.lines().map(serde_json::from_str);
    let records = records.collect::<Result<_, _>>();
    records.context("`rmmap bench` printed a line that is not a result")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn an_interrupted_run_goes_on() {
        let folder = std::env::temp_dir().join(format!("rmmap-unfinished-{}", std::process::id()));
        let open = |key, seed| Unfinished::open(folder.clone(), key, seed).unwrap();
        let first = open("key", Some(7));
        let line = r#"{"object":"memfd","workload":"populate","size":4096,"threads":1,"#.to_owned()
            + r#""unit":"instructions","pages":1,"per_page":1,"zeroing":0,"samples":[1]}"#;
        let mut log = first.log("a", true).unwrap();
        write!(log, "{line}\n{line}\n{}", &line[..9]).unwrap();
        assert!(first.records("a").is_err() && first.done("a").unwrap().is_none());
        let second = open("key", None);
        assert_eq!(second.seed(), 7);
        second.log("a", true).unwrap();
        let records = second.records("a").unwrap();
        assert_eq!(records.len(), 2);
        second.finish("a", &records).unwrap();
        assert_eq!(open("key", None).done("a").unwrap(), Some(records));
        // Another order or another module starts from scratch, and so does a run after a complete
        // one.
        assert!(open("key", Some(8)).done("a").unwrap().is_none());
        open("key", None).finish("a", &[]).unwrap();
        assert!(open("other", Some(8)).done("a").unwrap().is_none());
        open("other", None).close().unwrap();
        let anew = open("other", None);
        assert_ne!(anew.seed(), 8);
        anew.close().unwrap();
    }
}
