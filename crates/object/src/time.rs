//! Time as a value: the clock is passed in, never read from the machine here.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// Tells the wall-clock time. One is made at the top and handed down; tests use
/// [`TestClock`].
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// A clock shared by everything in a process.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that tests turn by hand.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// Starts at a second since the epoch.
    pub fn at(second: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(second * 1000)))
    }

    /// Moves the clock on.
    pub fn advance_ms(&self, by: i64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// RFC 3339 in whole seconds, as `metav1.Time` prints.
pub fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// RFC 3339 with six digits of fraction, as `metav1.MicroTime` prints.
pub fn rfc3339_micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_the_api_prints_them() {
        let time = Timestamp::from_millisecond(1_767_322_984_567).unwrap();
        assert_eq!(rfc3339(time), "2026-01-02T03:03:04Z");
        assert_eq!(rfc3339_micro(time), "2026-01-02T03:03:04.567000Z");
    }
}
