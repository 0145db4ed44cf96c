// SPDX-License-Identifier: GPL-2.0

//! A test's result on its way from the child that ran it to the harness.

use crate::outcome::Stop;

/// Encodes a test's result, never as an empty message.
pub(crate) fn encode(result: Result<(), Stop>) -> Vec<u8> {
    match result {
        Ok(()) => "P".to_owned(),
        Err(Stop::Skip(why)) => format!("S{why}"),
        Err(Stop::Fail(why)) => format!("F{why}"),
    }
    .into_bytes()
}

/// Decodes a result of [`encode`].
pub(crate) fn decode(message: &[u8]) -> Result<(), Stop> {
    let text = String::from_utf8_lossy(message);
    match text.split_at_checked(1) {
        Some(("P", _)) => Ok(()),
        Some(("S", why)) => Err(Stop::Skip(why.to_owned())),
        Some(("F", why)) => Err(Stop::Fail(why.to_owned())),
        _ => Err(Stop::Fail(format!(
            "the test's result is damaged: {text:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_survive_the_channel() {
        let all = [
            Ok(()),
            Err(Stop::Skip("no x".into())),
            Err(Stop::Fail("2\nlines".into())),
        ];
        for result in all {
            assert_eq!(decode(&encode(result.clone())), result);
        }
        assert!(decode(b"").is_err() && decode(b"X").is_err());
    }
}
