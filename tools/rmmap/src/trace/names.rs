// SPDX-License-Identifier: GPL-2.0

//! The names of this process's objects in tracefs, and the removal of those of killed ones.
//!
//! The names of tracing instances and dynamic events contain the process's id and its start time,
//! to distinguish it from a later process with the same id.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    thread::sleep,
    time::Duration,
};

/// Where tracefs is mounted.
pub const ROOT: &str = "/sys/kernel/tracing";

/// The prefix of all names. Names of event groups may contain only letters, digits and `_`.
const PREFIX: &str = "rmmap_";

/// Returns the name of this process's group of dynamic events; its instances append a word to it.
pub fn own() -> String {
    let pid = std::process::id();
    format!("{PREFIX}{pid}_{}", birth(pid).unwrap_or_default())
}

/// Returns the start time of a process, in ticks since boot; `None` if it does not exist.
fn birth(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    birth_of(&stat)
}

/// Returns field 22 of `/proc/PID/stat`. Field 2 is the name of the program, which may contain any
/// character.
fn birth_of(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Returns the process in a name: its id and its start time.
fn maker(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.split('_');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Returns whether a name is that of a process that no longer exists.
fn is_left_over(name: &str) -> bool {
    maker(name).is_some_and(|(pid, born)| birth(pid) != Some(born))
}

/// Removes the objects of killed runs.
pub fn clear_left_over() {
    clear(is_left_over);
}

/// Removes the objects of this process.
pub fn clear_own() {
    let own = own();
    clear(|name| maker(name).is_some() && maker(name) == maker(&own));
}

/// Removes instances, then dynamic events, because the kernel does not remove an event that an
/// instance records.
///
/// Ignores errors, which have no remedy here; the next run tries again.
fn clear(is_meant: impl Fn(&str) -> bool) {
    let root = Path::new(ROOT);
    if let Ok(entries) = fs::read_dir(root.join("instances")) {
        for entry in entries.flatten() {
            if entry.file_name().to_str().is_some_and(&is_meant) {
                remove_instance(&entry.path());
            }
        }
    }
    let events = root.join("dynamic_events");
    let Ok(list) = fs::read_to_string(&events) else {
        return;
    };
    // Append: opening it without O_APPEND would remove everybody's events.
    if let Ok(mut file) = OpenOptions::new().append(true).open(&events) {
        for event in list.lines().filter_map(event_name) {
            if event.split('/').next().is_some_and(&is_meant) {
                let _ = file.write_all(format!("-:{event}\n").as_bytes());
            }
        }
    }
}

/// Returns `group/event` of a line of `dynamic_events`, such as
/// `p:group/event function name=$arg1`.
fn event_name(line: &str) -> Option<&str> {
    line.split_whitespace()
        .next()?
        .split_once(':')
        .map(|(_, name)| name)
}

/// Removes an instance and with it all its settings; first stops its tracing.
pub fn remove_instance(path: &Path) {
    for (file, value) in [
        ("tracing_on", "0"),
        ("current_tracer", "nop"),
        ("set_event", ""),
    ] {
        let opened = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(path.join(file));
        let _ = opened.and_then(|mut file| file.write_all(value.as_bytes()));
    }
    for _ in 0..50 {
        if fs::remove_dir(path).is_ok() || !path.exists() {
            return;
        }
        // Busy while somebody reads it.
        sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_who_made_it() {
        assert_eq!(maker("rmmap_12_3456"), Some((12, 3456)));
        assert_eq!(maker("rmmap_12_3456_graph"), Some((12, 3456)));
        for other in ["rmmap", "rmmap_x_1", "rmmap_1", "kprobes", "trace-cmd_1_2"] {
            assert_eq!(maker(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_nobody_owns_any_more_is_left_over() {
        assert!(!is_left_over(&own()));
        let (pid, born) = maker(&own()).unwrap();
        // The same id, another start time: the process that made it has ended.
        assert!(is_left_over(&format!("rmmap_{pid}_{}_graph", born + 1)));
        assert!(is_left_over("rmmap_4194305_1"));
        assert!(!is_left_over("somebody_elses"));
    }

    #[test]
    fn the_birth_is_found_behind_any_name() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 777 8 9";
        assert_eq!(birth_of(stat), Some(777));
        assert!(birth(std::process::id()).is_some());
    }

    #[test]
    fn events_are_named_as_their_removal_wants_it() {
        let line = "r16:rmmap_1_2/exit_do_mmap do_mmap ret=$retval:x64";
        assert_eq!(event_name(line), Some("rmmap_1_2/exit_do_mmap"));
        assert_eq!(event_name(""), None);
    }
}
