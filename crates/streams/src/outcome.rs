//! How a remote command ended, as the error stream says it.
//!
//! Pure. From protocol v4 on it is a `Status` in JSON that carries the exit
//! code; before, it is a text, and nothing on success.

use object::{Cause, Reason, Status};
use serde_json::{Value, json};

/// Bytes of a message on an error stream that a client reads.
pub const MAX_STATUS: usize = 64 * 1024;

const NON_ZERO: &str = "NonZeroExitCode";
const EXIT_CODE: &str = "ExitCode";

/// How a remote command ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// It ran, and its exit code was 0.
    Success,
    /// It ran, and its exit code was another.
    Exit(i32),
    /// It did not run, or was lost.
    Failed(Box<Status>),
}

impl Outcome {
    /// From an exit code.
    pub fn of_exit_code(code: i32) -> Self {
        match code {
            0 => Self::Success,
            code => Self::Exit(code),
        }
    }

    /// An internal error, as upstream reports a runtime that fails.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let text = format!("error executing command in container: {message}");
        Self::Failed(Box::new(Status::internal(text)))
    }

    fn message(&self) -> String {
        match self {
            Self::Success => String::new(),
            Self::Exit(code) => format!("command terminated with exit code {code}"),
            Self::Failed(status) => status.message.clone(),
        }
    }

    /// What goes on the error stream; nothing for a success before v4.
    pub(crate) fn to_wire(&self, structured: bool) -> Option<String> {
        if !structured {
            return Some(self.message()).filter(|text| !text.is_empty());
        }
        let body = match self {
            Self::Success => json!({"metadata": {}, "status": "Success"}),
            Self::Exit(code) => json!({
                "metadata": {},
                "status": "Failure",
                "message": self.message(),
                "reason": NON_ZERO,
                "details": {"causes": [{"reason": EXIT_CODE, "message": code.to_string()}]},
            }),
            Self::Failed(status) => status.to_json(),
        };
        Some(body.to_string())
    }

    /// Reads what a server put on the error stream. `None` when that says nothing.
    pub(crate) fn from_wire(text: &[u8], structured: bool) -> Option<Self> {
        if !structured {
            if text.is_empty() {
                return Some(Self::Success);
            }
            let message = String::from_utf8_lossy(text).into_owned();
            return Some(Self::Failed(Box::new(Status::new(
                Reason::Unknown,
                message,
            ))));
        }
        let body: Value = serde_json::from_slice(text).ok()?;
        match body.get("status")?.as_str()? {
            "Success" => return Some(Self::Success),
            "Failure" => {}
            _ => return None,
        }
        let status = Status::from_json(&body);
        let reason = body.get("reason").and_then(Value::as_str);
        if reason == Some(NON_ZERO)
            && let Some(code) = status.details.as_ref().and_then(|d| exit_code(&d.causes))
        {
            return Some(Self::of_exit_code(code));
        }
        Some(Self::Failed(Box::new(status)))
    }
}

fn exit_code(causes: &[Cause]) -> Option<i32> {
    let cause = causes.iter().find(|cause| cause.reason == EXIT_CODE)?;
    cause.message.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_spelled_as_clients_expect_it() {
        assert_eq!(
            Outcome::Exit(3).to_wire(true).unwrap(),
            r#"{"metadata":{},"status":"Failure","message":"command terminated with exit code 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#
        );
        assert_eq!(
            Outcome::Success.to_wire(true).unwrap(),
            r#"{"metadata":{},"status":"Success"}"#
        );
    }

    #[test]
    fn outcomes_are_read_as_they_were_written() {
        let failed = Outcome::internal("no such file");
        for outcome in [Outcome::Success, Outcome::Exit(137), failed] {
            let text = outcome.to_wire(true).unwrap();
            assert_eq!(Outcome::from_wire(text.as_bytes(), true), Some(outcome));
        }
    }

    #[test]
    fn before_v4_an_outcome_is_a_text_or_nothing() {
        assert_eq!(Outcome::Success.to_wire(false), None);
        assert_eq!(Outcome::from_wire(b"", false), Some(Outcome::Success));
        let text = Outcome::Exit(2).to_wire(false).unwrap();
        assert_eq!(text, "command terminated with exit code 2");
        let Some(Outcome::Failed(status)) = Outcome::from_wire(text.as_bytes(), false) else {
            panic!("not failed");
        };
        assert_eq!(status.message, text);
    }

    #[test]
    fn what_is_no_status_says_nothing() {
        for text in ["", "{", "[]", "{}", r#"{"status":"Maybe"}"#] {
            assert_eq!(Outcome::from_wire(text.as_bytes(), true), None, "{text}");
        }
    }
}
