// SPDX-License-Identifier: GPL-2.0

//! How a test ends.

use rmmap_sys::{Errno, Fault};
use std::fmt::{Debug, Display};
use std::panic::Location;

/// The result of a test.
pub type Result<T = ()> = std::result::Result<T, Stop>;

/// Why a test ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A failure: the difference, and its place in the source.
    Fail(String),
    /// The reason why the test cannot run here.
    Skip(String),
}

impl Stop {
    /// Returns a failure at the caller's position.
    #[track_caller]
    pub fn fail(text: impl Display) -> Self {
        Self::Fail(format!("{text} ({})", place(Location::caller())))
    }

    /// Returns a reason to skip the test.
    pub fn skip(reason: impl Display) -> Self {
        Self::Skip(reason.to_string())
    }
}

/// Returns the reason to skip a test if the user may not do `what`; any other error is a failure.
#[track_caller]
pub fn cannot(what: impl Display, e: impl Into<std::io::Error>) -> Stop {
    let e = e.into();
    match Errno::from_io_error(&e) {
        Some(Errno::PERM | Errno::ACCESS) => {
            Stop::skip(format_args!("cannot {what}: {e}; run it as root"))
        }
        _ => Stop::fail(format_args!("cannot {what}: {e}")),
    }
}

/// Returns the same as [`cannot`], except that these errors skip the test: the kernel lacks a
/// feature.
#[track_caller]
pub fn lacks(what: impl Display, e: impl Into<std::io::Error>, missing: &[Errno]) -> Stop {
    let e = e.into();
    match Errno::from_io_error(&e) {
        Some(errno) if missing.contains(&errno) => {
            Stop::skip(format_args!("this kernel cannot {what}: {e}"))
        }
        _ => cannot(what, e),
    }
}

/// Returns the result of a test whose clean-up ended with `after`. A failed clean-up is a failure,
/// also of a skipped test; two failures are both reported.
pub fn both(test: Result, after: Result) -> Result {
    match (test, after) {
        (test, Ok(())) => test,
        (Ok(()), after) => after,
        (Err(Stop::Fail(why)), Err(Stop::Fail(then))) => Err(Stop::Fail(format!("{why}\n{then}"))),
        (Err(Stop::Fail(why)), _) => Err(Stop::Fail(why)),
        (Err(Stop::Skip(why)), Err(Stop::Fail(then))) => {
            Err(Stop::Fail(format!("{then}\nthe test was skipped: {why}")))
        }
        (skip, _) => skip,
    }
}

/// Returns a source position without the common folders.
fn place(at: &Location<'_>) -> String {
    let file = at
        .file()
        .rsplit_once("src/")
        .map_or(at.file(), |(_, file)| file);
    format!("{file}:{}", at.line())
}

/// Returns the name of an error number with its text.
pub fn errno(e: Errno) -> String {
    let text = std::io::Error::from(e).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("{} ({text})", rmmap_sys::process::errno_name(e))
}

// `?` is for calls that must succeed: the error names the position.

impl From<Errno> for Stop {
    #[track_caller]
    fn from(e: Errno) -> Self {
        Self::fail(format_args!("unexpected error: {}", errno(e)))
    }
}

impl From<Fault> for Stop {
    #[track_caller]
    fn from(fault: Fault) -> Self {
        Self::fail(format_args!("unexpected {fault}"))
    }
}

impl From<std::io::Error> for Stop {
    #[track_caller]
    fn from(e: std::io::Error) -> Self {
        Self::fail(format_args!("unexpected error: {e}"))
    }
}

impl From<rmmap_procfs::Error> for Stop {
    #[track_caller]
    fn from(e: rmmap_procfs::Error) -> Self {
        Self::fail(e)
    }
}

/// Fails unless `got == want`; `what` names the value.
#[track_caller]
pub fn equal<T, U>(what: &str, got: &T, want: &U) -> Result
where
    T: PartialEq<U> + Debug + ?Sized,
    U: Debug + ?Sized,
{
    match got == want {
        true => Ok(()),
        false => Err(Stop::fail(format_args!(
            "{what} is {got:?}, expected {want:?}"
        ))),
    }
}

/// Checks that the call failed with this error number.
#[track_caller]
pub fn fails_with<T>(what: &str, got: rmmap_sys::Result<T>, want: Errno) -> Result {
    match got {
        Err(e) if e == want => Ok(()),
        Err(e) => Err(Stop::fail(format_args!(
            "{what} fails with {}; expected {}",
            errno(e),
            errno(want)
        ))),
        Ok(_) => Err(Stop::fail(format_args!(
            "{what} succeeds; expected {}",
            errno(want)
        ))),
    }
}

/// Checks that the access raised SIGBUS, BUS_ADRERR at this address.
#[track_caller]
pub fn is_sigbus<T: Debug>(
    what: &str,
    got: std::result::Result<T, Fault>,
    address: usize,
) -> Result {
    match got {
        Err(f) if f.is_beyond_end() && f.address == address => Ok(()),
        got => Err(Stop::fail(format_args!(
            "{what} gives {got:?}, expected SIGBUS with BUS_ADRERR at {address:#x}"
        ))),
    }
}

/// Fails the test unless a condition holds: `check!(a < b, "a is {a}")`.
#[macro_export]
macro_rules! check {
    ($condition:expr $(,)?) => {
        if !$condition {
            return Err($crate::outcome::Stop::fail(concat!("failed: ", stringify!($condition))));
        }
    };
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::outcome::Stop::fail(format_args!($($why)+)));
        }
    };
}

/// Fails the test unless two values are equal: `check_eq!(resident(&m)?, 4)`.
#[macro_export]
macro_rules! check_eq {
    ($got:expr, $want:expr $(,)?) => {
        $crate::outcome::equal(stringify!($got), &$got, &$want)?
    };
    ($got:expr, $want:expr, $($what:tt)+) => {
        $crate::outcome::equal(&format!($($what)+), &$got, &$want)?
    };
}

/// Fails the test unless a call fails with an error number: `check_err!(f(), Errno::INVAL)`.
#[macro_export]
macro_rules! check_err {
    ($call:expr, $want:expr $(,)?) => {
        $crate::outcome::fails_with(stringify!($call), $call, $want)?
    };
    ($call:expr, $want:expr, $($what:tt)+) => {
        $crate::outcome::fails_with(&format!($($what)+), $call, $want)?
    };
}

/// Fails the test unless an access to the page of a mapping raises SIGBUS, BUS_ADRERR:
/// `check_sigbus!(m.touch_read(4), m.address_of(4 * P))`.
#[macro_export]
macro_rules! check_sigbus {
    ($access:expr, $address:expr $(,)?) => {
        $crate::outcome::is_sigbus(stringify!($access), $access, $address)?
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(r: Result) -> String {
        match r {
            Err(Stop::Fail(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn failures_tell_value_error_and_place() {
        let f = || -> Result {
            check_eq!(1 + 1, 3);
            Ok(())
        };
        let line = line!() - 3;
        assert_eq!(
            text(f()),
            format!("1 + 1 is 2, expected 3 (outcome.rs:{line})")
        );

        let f = || -> Result {
            let call: rmmap_sys::Result<()> = Err(Errno::INVAL);
            check_err!(call, Errno::NXIO);
            Ok(())
        };
        let f = text(f());
        assert!(
            f.starts_with("call fails with EINVAL (Invalid argument)"),
            "{f}"
        );
        assert!(
            f.contains("; expected ENXIO (No such device or address)"),
            "{f}"
        );
    }

    #[test]
    fn a_failed_clean_up_is_a_failure_also_of_a_skipped_test() {
        let (skip, fail) = (Err(Stop::skip("no x")), Err(Stop::Fail("left".into())));
        assert_eq!(both(Ok(()), Ok(())), Ok(()));
        assert_eq!(both(skip.clone(), Ok(())), skip);
        assert_eq!(both(Ok(()), fail.clone()), fail);
        assert_eq!(
            text(both(skip.clone(), fail.clone())),
            "left\nthe test was skipped: no x"
        );
        assert_eq!(both(fail.clone(), skip.clone()), fail);
        assert_eq!(text(both(fail.clone(), fail)), "left\nleft");
        assert_eq!(both(skip.clone(), skip.clone()), skip);
    }

    #[test]
    fn only_a_lack_of_permission_is_a_reason_to_be_root() {
        for e in [Errno::PERM, Errno::ACCESS] {
            match cannot("set it", e) {
                Stop::Skip(why) => assert!(why.ends_with("; run it as root"), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        for e in [Errno::INVAL, Errno::NOMEM, Errno::BUSY, Errno::NOENT] {
            assert!(matches!(cannot("set it", e), Stop::Fail(_)), "{e}");
        }
        let missing = [Errno::NOENT];
        assert!(matches!(lacks("", Errno::NOENT, &missing), Stop::Skip(_)));
        assert!(matches!(lacks("", Errno::INVAL, &missing), Stop::Fail(_)));
        assert!(matches!(lacks("", Errno::PERM, &missing), Stop::Skip(_)));
        let no_number = std::io::Error::other("no number");
        assert!(matches!(cannot("", no_number), Stop::Fail(_)));
    }

    #[test]
    fn question_mark_tells_its_own_place() {
        let f = || -> Result {
            Err(Errno::NOMEM)?;
            Ok(())
        };
        let line = line!() - 3;
        assert!(
            text(f()).ends_with(&format!("(outcome.rs:{line})")),
            "{}",
            text(f())
        );
    }
}
