// SPDX-License-Identifier: GPL-2.0
//! The guest's side of the lab: does what the host's [`Request`] says and reports by files.

use crate::protocol::{
    Request, DMESG, GUEST_DIR, MODULE_FAILED, NOT_STARTED, REQUEST, STARTED, STATUS, STDERR, STDOUT,
};
use anyhow::{Context, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// The longest record that `/dev/kmsg` returns (`PRINTK_MESSAGE_MAX` of the kernel is 2048).
const KMSG_RECORD_MAX: usize = 8192;

/// Serves the request in [`GUEST_DIR`]. Returns the exit status that was reported.
pub fn serve() -> Result<i32> {
    let dir = Path::new(GUEST_DIR);
    let text = fs::read(dir.join(REQUEST)).context("the host left no request")?;
    let request: Request = serde_json::from_slice(&text).context("unreadable request")?;
    fs::write(dir.join(STARTED), b"")?;

    let mut messages = append(&dir.join(STDERR))?;
    mount_tmp(&mut messages);
    let status = run(dir, &request, &mut messages);
    let mut log = File::create(dir.join(DMESG))?;
    if let Err(error) = copy_kernel_log(&mut log) {
        writeln!(messages, "lab: cannot read the kernel log: {error}")?;
    }
    report(dir, status)?;
    Ok(status)
}

/// Makes `/tmp` writable: the root file system is the host's and read-only. A checkout below `/tmp`
/// must stay visible, and with it this program.
fn mount_tmp(messages: &mut File) {
    let is_in_use = std::env::current_exe().is_ok_and(|agent| agent.starts_with("/tmp"));
    if !is_in_use {
        let mut mount = Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            "mode=1777,nosuid,nodev",
            "tmpfs",
            "/tmp",
        ]);
        succeeds(&mut mount, false, messages);
    }
}

/// Loads the modules, runs the command, unloads the modules.
fn run(dir: &Path, request: &Request, messages: &mut File) -> i32 {
    let mut status = 0;
    let mut loaded = Vec::new();
    for arguments in &request.insmod {
        if !succeeds(
            Command::new("insmod").args(arguments),
            request.interactive,
            messages,
        ) {
            status = MODULE_FAILED;
            break;
        }
        loaded.push(module_name(&arguments[0]));
    }
    if status == 0 {
        status = run_command(dir, request, messages);
    }
    for name in loaded.iter().rev() {
        // The command may have unloaded the module itself.
        let present = Path::new("/sys/module").join(name).exists();
        let removed = !present
            || succeeds(
                Command::new("rmmod").arg(name),
                request.interactive,
                messages,
            );
        if !removed && status == 0 {
            status = MODULE_FAILED;
        }
    }
    status
}

/// Runs the request's command; its output goes to files, or to the console for a person.
fn run_command(dir: &Path, request: &Request, messages: &mut File) -> i32 {
    let shell = vec!["bash".to_owned(), "-i".to_owned()];
    let argv = if request.command.is_empty() {
        &shell
    } else {
        &request.command
    };
    let mut command = Command::new(&argv[0]);
    command
        .args(&argv[1..])
        .env("HOME", "/root")
        .envs(request.env.iter().map(|(name, value)| (name, value)));
    if !request.interactive {
        let files = append(&dir.join(STDOUT)).and_then(|out| Ok((out, append(&dir.join(STDERR))?)));
        let (out, err) = match files {
            Ok(files) => files,
            Err(_) => return NOT_STARTED,
        };
        command.stdin(Stdio::null()).stdout(out).stderr(err);
    }
    match command.status() {
        // What a person's last command came to is no verdict on anything.
        Ok(_) if request.interactive => 0,
        Ok(status) => exit_status(status),
        Err(error) => {
            // Nobody is left to tell if this fails too; the status says it.
            let _ = writeln!(
                messages,
                "lab: cannot run `{}` in the guest: {error}",
                argv[0]
            );
            NOT_STARTED
        }
    }
}

/// Runs a helper program; what it says goes to the person or into `messages`.
fn succeeds(command: &mut Command, interactive: bool, messages: &mut File) -> bool {
    if !interactive {
        if let Ok(file) = messages.try_clone() {
            command.stdout(Stdio::null()).stderr(file);
        }
    }
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            let _ = writeln!(messages, "lab: cannot run {command:?}: {error}");
            false
        }
    }
}

/// The exit status of a shell: 128 and the signal's number when one ended the command.
fn exit_status(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The name under which the kernel lists the module in the file `path`.
fn module_name(path: &str) -> String {
    let file = Path::new(path)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    file.split('.').next().unwrap_or_default().replace('-', "_")
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Copies every record of the kernel log as `<priority>[seconds] text`.
fn copy_kernel_log(out: &mut impl Write) -> std::io::Result<()> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut kmsg = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open("/dev/kmsg")?;
    let mut record = [0; KMSG_RECORD_MAX];
    loop {
        match kmsg.read(&mut record) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]);
                if let Some(line) = kmsg_line(&text) {
                    writeln!(out, "{line}")?;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // EPIPE: the record was overwritten while we read; the next one is fine.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error),
        }
    }
}

/// One record of `/dev/kmsg` (`priority,sequence,microseconds,flags;text\n KEY=value...`) as a
/// line.
fn kmsg_line(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    let micros: u64 = fields.nth(1)?.parse().ok()?;
    let text = text.lines().next().unwrap_or_default();
    Some(format!(
        "<{priority}>[{:5}.{:06}] {text}",
        micros / 1_000_000,
        micros % 1_000_000
    ))
}

/// Writes the status in one piece: the host takes the file's existence for its completeness.
fn report(dir: &Path, status: i32) -> Result<()> {
    let part = dir.join("status.part");
    let mut file = File::create(&part)?;
    write!(file, "{status}")?;
    file.sync_all()?;
    fs::rename(part, dir.join(STATUS)).context("cannot report the status")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kmsg_record_becomes_one_line() {
        let record = "6,339,5140900,-;NET: Registered protocol\n SUBSYSTEM=net\n";
        assert_eq!(
            kmsg_line(record).unwrap(),
            "<6>[    5.140900] NET: Registered protocol"
        );
        assert_eq!(kmsg_line("no record"), None);
    }

    #[test]
    fn module_names_follow_the_kernel() {
        assert_eq!(module_name("/a/b/rmmap.ko"), "rmmap");
        assert_eq!(module_name("ctl-dax.ko.xz"), "ctl_dax");
    }

    #[test]
    fn signals_are_reported_as_a_shell_does() {
        let killed = Command::new("sh")
            .args(["-c", "kill -9 $$"])
            .status()
            .unwrap();
        assert_eq!(exit_status(killed), 137);
    }

    #[test]
    fn missing_command_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut messages = append(&dir.path().join(STDERR)).unwrap();
        let request = Request {
            command: vec!["/no/such".into()],
            ..Request::default()
        };
        assert_eq!(run(dir.path(), &request, &mut messages), NOT_STARTED);
        let text = fs::read_to_string(dir.path().join(STDERR)).unwrap();
        assert!(text.contains("/no/such"), "{text}");
    }

    #[test]
    fn shell_of_a_person_never_fails() {
        let dir = tempfile::tempdir().unwrap();
        let mut messages = append(&dir.path().join(STDERR)).unwrap();
        let command = ["sh", "-c", "exit 3"].map(String::from).to_vec();
        let request = Request {
            command,
            interactive: true,
            ..Request::default()
        };
        assert_eq!(run(dir.path(), &request, &mut messages), 0);
    }

    #[test]
    fn output_and_status_of_the_command_arrive() {
        let dir = tempfile::tempdir().unwrap();
        let mut messages = append(&dir.path().join(STDERR)).unwrap();
        let command = ["sh", "-c", "echo out; echo err >&2; exit 3"]
            .map(String::from)
            .to_vec();
        let request = Request {
            command,
            ..Request::default()
        };
        assert_eq!(run(dir.path(), &request, &mut messages), 3);
        assert_eq!(
            fs::read_to_string(dir.path().join(STDOUT)).unwrap(),
            "out\n"
        );
        assert_eq!(
            fs::read_to_string(dir.path().join(STDERR)).unwrap(),
            "err\n"
        );
    }
}
