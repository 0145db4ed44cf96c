// SPDX-License-Identifier: GPL-2.0

//! An episode: fresh files in both worlds, actors, and a sequence of operations on them.

use crate::actor::{self, Answer, Command};
use crate::differences::{self, Verdict, DIFFERENCES};
use crate::files::{Begins, Checked, Files};
use crate::model::{File, Kind, Memory, Model, Slot};
use crate::op::{Call, Fd, Op, Outcome};
use crate::pair;
use crate::predict::Effects;
use crate::process::{first_process, use_processors, waited, Process};
use anyhow::{bail, Context, Result};
use rmmap_sys::rustix::event::PollFlags;
use rmmap_sys::rustix::process::{pidfd_open, Pid, PidfdFlags};
use rmmap_sys::Channel;
use serde::{Deserialize, Serialize};
use std::fs;

/// What an episode begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Pages of an arena, and the most that files usually have.
    pub pages: usize,
    /// The number of actors.
    pub actors: usize,
    /// The files.
    pub files: Vec<Given>,
    /// Whether actors may act at the same time.
    #[serde(default)]
    pub pairs: bool,
}

/// A file to begin with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// Whether it is the device.
    pub device: bool,
    /// Its size in bytes; the device has its own.
    pub size: u64,
    /// Its folio policy.
    pub policy: u32,
}

/// A difference that is not declared.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The number of the step.
    pub step: usize,
    /// Of which kind it is: which check, at which operation.
    pub class: String,
    /// What was found.
    pub text: String,
}

/// What became of a step.
pub enum Step {
    /// All is well.
    Well,
    /// The worlds differ as was declared, from now on.
    Ends,
    /// As [`Step::Ends`], and the bytes of the files differ already.
    EndsApart,
    /// They differ.
    Failed(Failure),
}

/// A running episode.
pub struct Episode {
    files: Files,
    processes: Vec<Option<Process>>,
    /// What should be.
    pub model: Model,
    /// Steps done.
    pub steps: usize,
    /// How often each declared difference was met.
    pub met: Vec<u64>,
}

impl Episode {
    /// Makes the files and the actors.
    pub fn begin(setting: &Setting, with_memfds_only: bool) -> Result<Self> {
        // One processor wakes its processes up in a fraction of the time that two take.
        use_processors(setting.pairs)?;
        let files = Files::new(setting, with_memfds_only)?;
        let mut processes = Vec::new();
        let mut actors = Vec::new();
        for number in 0..setting.actors {
            // The others come by fork(2), but for two that have nothing in common.
            let first = number < 2;
            let process = match first {
                true => Some(first_process(setting, &files)?),
                false => None,
            };
            actors.push(process.as_ref().map(|_| Memory {
                slots: vec![Slot::Free; setting.pages],
                locks: false,
            }));
            processes.push(process);
        }
        let model = |given: &Given| match given.device && !with_memfds_only {
            true => File::new(Kind::Device, files.capacity),
            false => File::new(Kind::Region, given.size),
        };
        Ok(Self {
            model: Model {
                files: setting.files.iter().map(model).collect(),
                actors,
                only_memfds: with_memfds_only,
                position: None,
            },
            files,
            processes,
            steps: 0,
            met: vec![0; DIFFERENCES.len()],
        })
    }

    /// Does an operation and compares.
    pub fn step(&mut self, op: &Op) -> Result<Step> {
        self.steps += 1;
        let exists = |actor: usize| self.processes.get(actor).is_some_and(Option::is_some);
        let other = match op.call {
            Call::Peek { of, .. } | Call::Poke { of, .. } => of,
            Call::Pass { to, .. } => to,
            _ => op.actor,
        };
        // Sequences that were shortened may lack the fork.
        if !exists(op.actor) || !exists(other) {
            return Ok(Step::Well);
        }
        if let Some(with) = &op.with {
            // Sequences that were shortened may have made them depend on each other.
            return match exists(with.actor) && pair::independent(&self.model, op, with) {
                true => self.pair(op, with),
                false => Ok(Step::Well),
            };
        }
        self.model.position = self.position(op)?;
        let (number, verdict) = differences::of(&self.model, op).unzip();
        if verdict == Some(Verdict::Skip) {
            return Ok(Step::Well);
        }
        let (outcome, other) = match &op.call {
            Call::Fork { to } => (self.fork(op.actor, *to)?, None),
            Call::Pass { fd, to } => (self.pass(op.actor, *fd, *to)?, None),
            Call::Sysctl { name } => {
                let _ = fs::write(format!("/proc/sys/vm/{name}"), "1\n");
                (Outcome::default(), None)
            }
            Call::Seek { whence: 3.., .. } if !self.model.only_memfds => {
                self.meet(number);
                if let Some(failure) = self.seek_is_right(op)? {
                    return Ok(failure);
                }
                return Ok(Step::Well);
            }
            _ => match self.act(op, verdict.as_ref())? {
                Some(outcomes) => outcomes,
                None => return self.failed(op, "hang", "the operation does not end".to_owned()),
            },
        };
        let differs = other.as_ref().is_some_and(|other| *other != outcome);
        match verdict {
            Some(Verdict::Refused(errno)) if outcome.is_ok() => {
                let text = format!("rmmap {outcome:?}, declared is -{errno}");
                return self.failed(op, "declared errno", text);
            }
            Some(Verdict::Only(expected)) => {
                self.meet(number);
                if outcome.ret != expected {
                    let text = format!("rmmap {outcome:?}, declared is {expected}");
                    return self.failed(op, "declared errno", text);
                }
            }
            Some(Verdict::MayEnd) if differs => {
                self.meet(number);
                return Ok(Step::Ends);
            }
            Some(Verdict::Unless(_) | Verdict::Refused(_)) if other.is_none() => self.meet(number),
            Some(Verdict::Free) => self.meet(number),
            _ if differs => {
                let text = format!("rmmap {outcome:?}\nmemfd {:?}", other.unwrap_or_default());
                return self.failed(op, "outcome", text);
            }
            _ => {}
        }
        let sizes: Vec<u64> = self.model.files.iter().map(|file| file.size).collect();
        let effects = match verdict {
            // Nothing was changed, not even a part of what was asked for.
            Some(Verdict::Only(..0)) => Effects::default(),
            _ => self.model.apply(op, &outcome),
        };
        if effects.apart {
            return Ok(Step::EndsApart);
        }
        for (file, before) in sizes.into_iter().enumerate() {
            let begins = match op.may_append(&self.model) {
                true => Begins::BeforeEnd(outcome.ret.max(0) as u64),
                false => Begins::At(op.written_from(file, before, &outcome)),
            };
            if !self.files.mend(&self.model, file, before, begins)? {
                return Ok(Step::EndsApart);
            }
        }
        if let Some(file) = effects.emptied {
            self.files.empty_tail(file)?;
        }
        if let Some(text) = effects.wrong {
            return self.failed(op, "model", text);
        }
        let checked = self.files.check(&mut self.model, &effects, self.steps)?;
        match checked {
            Checked::Well if effects.ends => Ok(Step::Ends),
            Checked::Well => Ok(Step::Well),
            Checked::Wrong(class, text) => self.failed(op, class, text),
        }
    }

    /// Compares everything.
    pub fn compare_all(&mut self) -> Result<Step> {
        match self.files.check_all(&mut self.model)? {
            Checked::Well => Ok(Step::Well),
            Checked::Wrong(class, text) => Ok(Step::Failed(Failure {
                step: self.steps,
                class: class.to_owned(),
                text,
            })),
        }
    }

    /// Ends the actors and frees the files. Returns what is left of them, which is a failure.
    pub fn end(mut self) -> Result<Option<Failure>> {
        for actor in 0..self.processes.len() {
            self.kill(actor)?;
        }
        let step = self.steps;
        Ok(self.files.end()?.map(|text| Failure {
            step,
            class: "left over".to_owned(),
            text,
        }))
    }

    fn meet(&mut self, number: Option<usize>) {
        if let Some(number) = number {
            self.met[number] += 1;
        }
    }

    fn failed(&self, op: &Op, class: &str, text: String) -> Result<Step> {
        let call = format!("{:?}", op.call);
        let mut name = call.split([' ', '{']).next().unwrap_or_default().to_owned();
        if let Some(with) = &op.with {
            let call = format!("{:?}", with.call);
            name = format!(
                "{name} with {}",
                call.split([' ', '{']).next().unwrap_or_default()
            );
        }
        Ok(Step::Failed(Failure {
            step: self.steps,
            class: format!("{class} of {name}"),
            text,
        }))
    }

    /// Has an actor do an operation in both worlds; `None` if it does not answer.
    fn act(
        &mut self,
        op: &Op,
        verdict: Option<&Verdict>,
    ) -> Result<Option<(Outcome, Option<Outcome>)>> {
        let counterpart = match verdict {
            Some(Verdict::Only(_)) => None,
            Some(Verdict::Instead(call)) => Some((Op::new(op.actor, call.clone()), None)),
            Some(Verdict::Unless(errno) | Verdict::Refused(errno)) => {
                Some((op.clone(), Some(*errno)))
            }
            _ => Some((op.clone(), None)),
        };
        self.begin_to_act(op, counterpart, None)?;
        self.outcomes(op.actor)
    }

    fn begin_to_act(
        &self,
        op: &Op,
        counterpart: Option<(Op, Option<i32>)>,
        at: Option<u64>,
    ) -> Result<()> {
        let pid = |process: &Option<Process>| process.as_ref().map_or(0, |process| process.pid);
        let command = Command::Do {
            op: op.clone(),
            counterpart,
            pids: self.processes.iter().map(pid).collect(),
            at,
        };
        Ok(actor::send(self.channel(op.actor)?, &command)?)
    }

    /// How an operation ended in each world; `None` if it takes too long.
    fn outcomes(&self, actor: usize) -> Result<Option<(Outcome, Option<Outcome>)>> {
        match self.answer(actor)? {
            Some(Answer::Done(outcome, other)) => Ok(Some((outcome, other))),
            Some(answer) => bail!("an actor answered {answer:?}"),
            None => Ok(None),
        }
    }

    /// Has two actors do operations at the same time that do not depend on each other.
    fn pair(&mut self, one: &Op, other: &Op) -> Result<Step> {
        /// How long it takes until both actors have their commands, microseconds.
        const NOTICE: u64 = 3_000;

        let mut all = Effects::default();
        let at = Some(actor::now() + NOTICE);
        for op in [one, other] {
            self.begin_to_act(op, Some((op.clone(), None)), at)?;
        }
        for op in [one, other] {
            let Some((own, memfd)) = self.outcomes(op.actor)? else {
                return self.failed(one, "hang", format!("{:?} does not end", op.call));
            };
            if memfd.as_ref() != Some(&own) {
                let text = format!("{:?}\nrmmap {own:?}\nmemfd {memfd:?}", op.call);
                return self.failed(one, "outcome", text);
            }
            let effects = self.model.apply(op, &own);
            if let Some(text) = effects.wrong {
                return self.failed(one, "model", format!("{:?}\n{text}", op.call));
            }
            all.check.extend(effects.check);
            all.learn.extend(effects.learn);
            // A page that one makes a hole of, the other may add with its own, in one folio.
            all.check
                .extend(effects.absent.iter().map(|(file, _)| (*file, 0, 0)));
        }
        match self.files.check(&mut self.model, &all, self.steps)? {
            Checked::Well => Ok(Step::Well),
            Checked::Wrong(class, text) => self.failed(one, class, text),
        }
    }

    fn channel(&self, actor: usize) -> Result<&Channel> {
        let process = self.processes.get(actor).and_then(Option::as_ref);
        Ok(&process.context("there is no such actor")?.channel)
    }

    /// Sends a command and waits for the answer; `None` if it takes too long.
    fn ask(&self, actor: usize, command: &Command) -> Result<Option<Answer>> {
        actor::send(self.channel(actor)?, command)?;
        self.answer(actor)
    }

    fn answer(&self, actor: usize) -> Result<Option<Answer>> {
        let channel = self.channel(actor)?;
        if !waited(channel, PollFlags::IN)? {
            return Ok(None);
        }
        let answer = channel.receive().context("an actor is gone")?;
        Ok(Some(serde_json::from_slice(&answer)?))
    }

    fn fork(&mut self, actor: usize, to: usize) -> Result<Outcome> {
        if to == actor {
            return Ok(Outcome::error(libc_einval()));
        }
        self.kill(to)?;
        self.model.actors[to] = None;
        match self.ask(actor, &Command::Fork)? {
            Some(Answer::Forked(Ok(pid))) => {
                let channel = Channel::from(self.channel(actor)?.receive_fd()?);
                self.processes[to] = Some(Process {
                    channel,
                    pid,
                    child: None,
                });
                Ok(Outcome::default())
            }
            Some(Answer::Forked(Err(errno))) => bail!("fork failed: errno {errno}"),
            answer => bail!("an actor answered {answer:?}"),
        }
    }

    fn pass(&mut self, from: usize, fd: Fd, to: usize) -> Result<Outcome> {
        actor::send(self.channel(from)?, &Command::Send(fd))?;
        let fds = [
            self.channel(from)?.receive_fd()?,
            self.channel(from)?.receive_fd()?,
        ];
        actor::send(self.channel(to)?, &Command::Receive(fd))?;
        for fd in &fds {
            self.channel(to)?.send_fd(fd)?;
        }
        let answer: Answer = serde_json::from_slice(&self.channel(to)?.receive()?)?;
        match answer {
            Answer::Received => Ok(Outcome::default()),
            answer => bail!("an actor answered {answer:?}"),
        }
    }

    /// Ends an actor, and waits until all that it held is free.
    fn kill(&mut self, actor: usize) -> Result<()> {
        let Some(mut process) = self.processes[actor].take() else {
            return Ok(());
        };
        let pid = Pid::from_raw(process.pid).context("a process has no number")?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        let _ = actor::send(&process.channel, &Command::Exit);
        if !waited(&handle, PollFlags::IN)? {
            bail!("actor {actor} does not end");
        }
        if let Some(child) = &mut process.child {
            child.wait()?;
        }
        Ok(())
    }

    /// The position at which an operation writes, where what it may do depends on it.
    fn position(&mut self, op: &Op) -> Result<Option<u64>> {
        let is_device = |fd: Fd| self.model.files[fd.file].kind == Kind::Device;
        let fd = match &op.call {
            Call::Write { fd, off: None, .. } if is_device(*fd) => *fd,
            Call::SendFile { from, to, .. } if is_device(*to) || from.file == to.file => *to,
            _ => return Ok(None),
        };
        let (whence, off) = (1, 0);
        let call = Call::Seek { fd, whence, off };
        Ok(match self.act(&Op::new(op.actor, call), None)? {
            Some((own, Some(memfd))) if own == memfd => u64::try_from(own.ret).ok(),
            _ => None,
        })
    }

    /// Compares what `SEEK_DATA` and `SEEK_HOLE` say with what is resident.
    fn seek_is_right(&mut self, op: &Op) -> Result<Option<Step>> {
        let Call::Seek { fd, whence, off } = op.call else {
            return Ok(None);
        };
        let expected = self.files.seek(&self.model, fd.file, whence, off)?;
        let Some((outcome, _)) = self.act(op, None)? else {
            return self
                .failed(op, "hang", "lseek does not end".to_owned())
                .map(Some);
        };
        if outcome.ret != expected {
            let text = format!("rmmap {outcome:?}, {expected} from what is resident");
            return self.failed(op, "seek", text).map(Some);
        }
        // The position of both is the same again.
        let call = Call::Seek {
            fd,
            whence: 0,
            off: 0,
        };
        self.act(&Op::new(op.actor, call), None)?;
        Ok(None)
    }
}

fn libc_einval() -> i32 {
    rmmap_sys::Errno::INVAL.raw_os_error()
}
