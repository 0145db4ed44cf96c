// SPDX-License-Identifier: GPL-2.0

//! The trees: calls with their arguments, return values and callees.

use serde::Serialize;

use super::decode::{self, Returns};

/// The kind of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A function of the kernel.
    #[default]
    Function,
    /// A part of the module, recorded by its tracepoint.
    Module,
    /// An event, recorded by a tracepoint of the kernel.
    Event,
}

/// A value: the number, if it is one, and its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Value {
    /// The number as the kernel printed it.
    pub raw: String,
    /// Its meaning, for people.
    pub text: String,
    /// Whether it is an error.
    #[serde(skip_serializing_if = "is_false")]
    pub error: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arg {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(flatten)]
    pub value: Value,
}

impl Arg {
    /// Makes one from an event's output, and decodes a number.
    pub fn new(name: &str, raw: &str) -> Self {
        let text = match number(raw) {
            Some(value) => decode::argument(name, value),
            None => raw.to_owned(),
        };
        Self {
            name: name.to_owned(),
            value: Value {
                raw: raw.to_owned(),
                text,
                error: false,
            },
        }
    }
}

/// A call, or an event in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Call {
    /// Name of the function or of the tracepoint.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// The thread that made it.
    pub thread: u32,
    /// Its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
    /// Its return value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ret: Option<Value>,
    /// Its duration including its callees, µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub us: Option<f64>,
    /// The code that answered the page fault, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// Its callees, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
}

impl Call {
    /// Makes a call of a function.
    pub fn function(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Returns the call or one below it that satisfies `test`, in the order of the recording.
    pub fn find(&self, test: &dyn Fn(&Call) -> bool) -> Option<&Call> {
        match test(self) {
            true => Some(self),
            false => self.calls.iter().find_map(|call| call.find(test)),
        }
    }

    /// Returns the call of that name, or one below it.
    pub fn named(&self, name: &str) -> Option<&Call> {
        self.find(&|call| call.name == name)
    }

    /// Returns the argument of that name.
    pub fn arg(&self, name: &str) -> Option<&Value> {
        let arg = self.args.iter().find(|arg| arg.name == name);
        arg.map(|arg| &arg.value)
    }

    /// Returns the argument of that name, if it is a number.
    pub fn arg_number(&self, name: &str) -> Option<u64> {
        number(&self.arg(name)?.raw)
    }

    /// Notes its return value.
    pub fn returned(&mut self, kind: Returns, raw: &str) {
        let (text, error) = match number(raw) {
            Some(value) => decode::returned(kind, value),
            None => (raw.to_owned(), false),
        };
        self.ret = Some(Value {
            raw: raw.to_owned(),
            text,
            error,
        });
    }

    /// Returns the time that it spent itself, µs.
    pub fn own_us(&self) -> Option<f64> {
        let below: f64 = self.calls.iter().filter_map(|call| call.us).sum();
        self.us.map(|us| (us - below).max(0.0))
    }
}

/// Reads a number as the kernel prints it: decimal, possibly negative, or hexadecimal with `0x`.
pub fn number(raw: &str) -> Option<u64> {
    match raw.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => raw
            .parse()
            .ok()
            .or_else(|| raw.parse::<i64>().ok().map(|n| n as u64)),
    }
}

/// A call, and the number of consecutive ones like it.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// The first of them.
    pub first: &'a Call,
    /// Their number.
    pub count: usize,
    /// Their total duration, µs.
    pub us: f64,
}

/// Groups consecutive calls with the same path.
pub fn groups(calls: &[Call]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for call in calls {
        let us = call.us.unwrap_or(0.0);
        match groups.last_mut() {
            Some(last) if is_alike(last.first, call) => {
                last.count += 1;
                last.us += us;
            }
            _ => groups.push(Group {
                first: call,
                count: 1,
                us,
            }),
        }
    }
    groups
}

/// Returns whether two calls have the same path and outcome; addresses may differ.
fn is_alike(a: &Call, b: &Call) -> bool {
    let outcome = |call: &Call| {
        call.ret
            .as_ref()
            .map(|ret| (ret.error, ret.error.then(|| ret.text.clone())))
    };
    a.name == b.name
        && a.thread == b.thread
        && a.answered_by == b.answered_by
        && outcome(a) == outcome(b)
        && a.calls.len() == b.calls.len()
        && a.calls.iter().zip(&b.calls).all(|(a, b)| is_alike(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(address: &str, below: &str) -> Call {
        Call {
            args: vec![Arg::new("address", address)],
            us: Some(2.0),
            calls: vec![Call::function(below)],
            ..Call::function("handle_mm_fault")
        }
    }

    #[test]
    fn numbers_are_read_as_the_kernel_prints_them() {
        assert_eq!(number("0x10"), Some(16));
        assert_eq!(number("16"), Some(16));
        assert_eq!(number("-6"), Some(-6i64 as u64));
        assert_eq!(number("read|write"), None);
    }

    #[test]
    fn calls_that_went_the_same_way_are_put_together() {
        let calls = [
            fault("0x1000", "__do_fault"),
            fault("0x2000", "__do_fault"),
            fault("0x3000", "do_anonymous_page"),
            fault("0x4000", "__do_fault"),
        ];
        let groups = groups(&calls);
        let counts: Vec<_> = groups.iter().map(|group| group.count).collect();
        assert_eq!(counts, [2, 1, 1]);
        assert_eq!(groups[0].us, 4.0);
        assert_eq!(groups[0].first.arg_number("address"), Some(0x1000));
    }

    #[test]
    fn an_error_is_not_like_a_success() {
        let mut failed = fault("0x1000", "__do_fault");
        failed.returned(Returns::Fault, "0x2");
        assert_eq!(groups(&[fault("0x1000", "__do_fault"), failed]).len(), 2);
    }

    #[test]
    fn own_time_is_what_the_calls_below_leave() {
        let mut call = fault("0x1000", "__do_fault");
        call.calls[0].us = Some(1.5);
        assert_eq!(call.own_us(), Some(0.5));
        assert!(call.named("__do_fault").is_some() && call.named("x").is_none());
    }
}
