//! Counting probe results.
//!
//! Pure: when a probe is due and what its results amount to. Running one is [`crate::probe`]'s.
//! Invariant: a result counts once its threshold is reached, as in the kubelet.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Probe};

/// The three probes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Holds the others back until it has passed once.
    Startup,
    /// Decides whether the container gets traffic.
    Readiness,
    /// Decides whether the container is restarted.
    Liveness,
}

impl ProbeKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];

    /// As events write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }

    /// The container's probe of this kind.
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
        }
    }
}

/// What a probe has said so far about one run of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    last: Option<Timestamp>,
    run: i32,
    run_passed: bool,
    /// The verdict; `None` before the first threshold was reached.
    pub verdict: Option<bool>,
}

impl Tally {
    /// A verdict that is known already.
    pub fn decided(verdict: bool) -> Self {
        Self {
            verdict: Some(verdict),
            ..Self::default()
        }
    }

    /// When it is due next, for a container that started at `started`.
    pub fn due(&self, probe: &Probe, started: Timestamp) -> Timestamp {
        let secs = |value: Option<i32>, default| {
            SignedDuration::from_secs(i64::from(value.unwrap_or(default)))
        };
        let first = started + secs(probe.initial_delay_seconds, 0);
        match self.last {
            None => first,
            Some(last) => first.max(last + secs(probe.period_seconds.filter(|s| *s > 0), 10)),
        }
    }

    /// Counts a result that came at `now`.
    pub fn record(&mut self, probe: &Probe, passed: bool, now: Timestamp) {
        self.last = Some(now);
        self.run = if self.run > 0 && self.run_passed == passed {
            self.run.saturating_add(1)
        } else {
            1
        };
        self.run_passed = passed;
        let needed = if passed {
            probe.success_threshold.unwrap_or(1)
        } else {
            probe.failure_threshold.unwrap_or(3)
        };
        if self.run >= needed {
            self.verdict = Some(passed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_changes_only_at_its_threshold() {
        let probe = Probe {
            success_threshold: Some(2),
            failure_threshold: Some(3),
            period_seconds: Some(5),
            initial_delay_seconds: Some(7),
            ..Probe::default()
        };
        let start = Timestamp::from_second(100).unwrap();
        let mut tally = Tally::default();
        assert_eq!(tally.due(&probe, start).as_second(), 107);
        let mut verdicts = Vec::new();
        for passed in [true, true, false, false, true, false, false, false] {
            tally.record(&probe, passed, tally.due(&probe, start));
            verdicts.push(tally.verdict);
        }
        let (none, up, down) = (None, Some(true), Some(false));
        assert_eq!(verdicts, [none, up, up, up, up, up, up, down]);
        assert_eq!(tally.due(&probe, start).as_second(), 107 + 8 * 5);
    }
}
