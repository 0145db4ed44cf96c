// SPDX-License-Identifier: GPL-2.0
//! The guest's side of the lab: carries out the host's [`Request`] and reports through files.

use crate::protocol::{
    Request, DMESG, GUEST_DIR, MODULE_FAILED, NOT_STARTED, REQUEST, STARTED, STATUS, STDERR, STDOUT,
};
use crate::{command, insmod, kmsg};
use anyhow::{Context, Result};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Serves the request in [`GUEST_DIR`]. Returns the exit status that was reported.
pub fn serve() -> Result<i32> {
    let dir = Path::new(GUEST_DIR);
    let text = fs::read(dir.join(REQUEST)).context("the host left no request")?;
    let request: Request = serde_json::from_slice(&text).context("unreadable request")?;
    fs::write(dir.join(STARTED), b"")?;

    let mut messages = append(&dir.join(STDERR))?;
    if let Err(error) = mount_tmp() {
        writeln!(messages, "lab: {error:#}")?;
    }
    let status = run(dir, &request, &mut messages)?;
    if let Err(error) = kmsg::copy(File::create(dir.join(DMESG))?) {
        writeln!(messages, "lab: cannot copy the kernel log: {error}")?;
    }
    report(dir, status)?;
    Ok(status)
}

/// Makes `/tmp` writable: the root file system is the host's and read-only. A checkout below `/tmp`
/// must stay visible, and with it this program.
fn mount_tmp() -> Result<()> {
    if !std::env::current_exe()?.starts_with("/tmp") {
        let mut mount = command("mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /tmp");
        let status = mount.status().context("cannot run mount")?;
        anyhow::ensure!(status.success(), "cannot mount a tmpfs on /tmp: {status}");
    }
    Ok(())
}

/// Loads the modules, runs the command, unloads the modules.
fn run(dir: &Path, request: &Request, messages: &mut File) -> Result<i32> {
    let mut status = 0;
    let mut loaded = Vec::new();
    for words in &request.insmod {
        let (file, parameters) = words.split_first().context("a module has no file")?;
        let file = Path::new(file);
        let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
        if let Err(why) = insmod::load(file, &parameters) {
            writeln!(messages, "lab: {why}")?;
            status = MODULE_FAILED;
            break;
        }
        loaded.push(file);
    }
    if status == 0 {
        status = run_command(dir, request, messages);
    }
    for file in loaded.iter().rev() {
        // The command may have unloaded the module already.
        let is_present = Path::new("/sys/module").join(insmod::name(file)).exists();
        if let (true, Err(why)) = (is_present, insmod::unload(file)) {
            writeln!(messages, "lab: {why}")?;
            status = if status == 0 { MODULE_FAILED } else { status };
        }
    }
    Ok(status)
}

/// Runs the request's command, with its output in files, or on the console for a person.
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
        // The status of a person's last command is no test result.
        Ok(_) if request.interactive => 0,
        Ok(status) => exit_status(status),
        Err(error) => {
            // If this fails too, nobody is left to report to; the status shows it.
            let _ = writeln!(
                messages,
                "lab: cannot run `{}` in the guest: {error}",
                argv[0]
            );
            NOT_STARTED
        }
    }
}

/// Returns the exit status as a shell does: 128 plus the signal's number if a signal killed the
/// command.
fn exit_status(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Writes the status atomically: for the host a file that exists is complete.
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

    /// Runs a command without modules. Returns its status, standard output and standard error.
    fn outcome(command: &[&str], interactive: bool) -> (i32, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let mut messages = append(&dir.path().join(STDERR)).unwrap();
        let request = Request {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            interactive,
            ..Request::default()
        };
        let status = run(dir.path(), &request, &mut messages).unwrap();
        let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        (status, text(STDOUT), text(STDERR))
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
        let (status, _, said) = outcome(&["/no/such"], false);
        assert_eq!(status, NOT_STARTED);
        assert!(said.contains("/no/such"), "{said}");
    }

    #[test]
    fn shell_of_a_person_never_fails() {
        assert_eq!(outcome(&["sh", "-c", "exit 3"], true).0, 0);
    }

    #[test]
    fn output_and_status_of_the_command_arrive() {
        let found = outcome(&["sh", "-c", "echo out; echo err >&2; exit 3"], false);
        assert_eq!(found, (3, "out\n".into(), "err\n".into()));
    }
}
