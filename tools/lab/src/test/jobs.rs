// SPDX-License-Identifier: GPL-2.0

//! Runs jobs in parallel, some of which need the results of others.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Error, Result};

/// The work of a job.
type Work<'a> = Box<dyn FnOnce() -> Result<()> + Send + 'a>;

/// A list of jobs.
#[derive(Default)]
pub struct Jobs<'a>(Vec<(Option<usize>, State<'a>)>);

enum State<'a> {
    Waiting(Work<'a>),
    Running,
    Done,
}

impl<'a> Jobs<'a> {
    /// Adds a job that begins when `after` is done; returns its number.
    pub fn add(
        &mut self,
        after: Option<usize>,
        work: impl FnOnce() -> Result<()> + Send + 'a,
    ) -> usize {
        self.0.push((after, State::Waiting(Box::new(work))));
        self.0.len() - 1
    }

    /// Runs all jobs, `at_once` at a time and in the order of the list where possible. After an
    /// error it starts no other job, and returns the error when the running ones have ended.
    pub fn run(self, at_once: usize) -> Result<()> {
        let shared = Shared {
            jobs: Mutex::new((self.0, None)),
            changed: Condvar::new(),
        };
        thread::scope(|scope| {
            for _ in 0..at_once.max(1) {
                scope.spawn(|| shared.work());
            }
        });
        let (_, error) = shared
            .jobs
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        error.map_or(Ok(()), Err)
    }
}

/// The jobs, and the first error.
type List<'a> = (Vec<(Option<usize>, State<'a>)>, Option<Error>);

/// The state that the threads share.
struct Shared<'a> {
    jobs: Mutex<List<'a>>,
    changed: Condvar,
}

impl<'a> Shared<'a> {
    fn work(&self) {
        while let Some((index, work)) = self.next() {
            let result = work();
            let mut jobs = self.lock();
            jobs.0[index].1 = State::Done;
            if let Err(error) = result {
                jobs.1.get_or_insert(error);
            }
            self.changed.notify_all();
        }
    }

    /// Waits for a job that can begin; returns `None` if there will be none.
    fn next(&self) -> Option<(usize, Work<'a>)> {
        let mut jobs = self.lock();
        loop {
            let (list, error) = &mut *jobs;
            let is_waiting = |state: &State<'_>| matches!(state, State::Waiting(_));
            if error.is_some() || !list.iter().any(|(_, state)| is_waiting(state)) {
                return None;
            }
            let can_begin = |(after, state): &(Option<usize>, State<'_>)| {
                let is_ready = after.is_none_or(|other| matches!(list[other].1, State::Done));
                is_waiting(state) && is_ready
            };
            if let Some(index) = list.iter().position(can_begin) {
                let state = std::mem::replace(&mut list[index].1, State::Running);
                if let State::Waiting(work) = state {
                    return Some((index, work));
                }
            }
            jobs = self
                .changed
                .wait(jobs)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Locks the state. A job panics only outside the lock, so the state is intact; the scope
    /// passes its panic on.
    fn lock(&self) -> MutexGuard<'_, List<'a>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use std::sync::mpsc::channel;

    #[test]
    fn a_job_waits_for_what_it_needs_and_others_do_not() {
        let said = Mutex::new(Vec::new());
        let say = |word: &'static str| said.lock().unwrap().push(word);
        let (go, wait) = channel();
        let mut jobs = Jobs::default();
        let made = jobs.add(None, move || {
            // While this job runs, the rest of the list can only run in parallel.
            wait.recv()?;
            say("made");
            Ok(())
        });
        jobs.add(Some(made), || {
            say("used");
            Ok(())
        });
        jobs.add(None, move || {
            say("beside");
            Ok(go.send(())?)
        });
        jobs.run(2).unwrap();
        assert_eq!(*said.lock().unwrap(), ["beside", "made", "used"]);
    }

    #[test]
    fn after_an_error_nothing_begins() {
        let mut jobs = Jobs::default();
        let broken = jobs.add(None, || bail!("broken"));
        jobs.add(Some(broken), || unreachable!("it needs what was not made"));
        jobs.add(None, || unreachable!("it is of no use any more"));
        assert_eq!(jobs.run(1).unwrap_err().to_string(), "broken");
    }
}
