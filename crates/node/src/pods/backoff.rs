//! The back-off of restarts and of image pulls.
//!
//! Pure. Follows the kubelet: the first repetition comes at once, the next after 10 s, each later one after twice the
//! pause before, at most 5 minutes; ten quiet minutes forget it all.

use jiff::{SignedDuration, Timestamp};

/// The first pause.
pub const FIRST: SignedDuration = SignedDuration::from_secs(10);
/// The longest pause.
pub const LONGEST: SignedDuration = SignedDuration::from_secs(300);
/// After so long without a repetition the next one counts as the first.
pub const FORGET: SignedDuration = SignedDuration::from_secs(600);

/// How often something was repeated lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    entry: Option<(SignedDuration, Timestamp)>,
}

impl Backoff {
    /// Until when to wait after a failure at `failed`; `None` when it may be repeated at once.
    pub fn until(&self, failed: Timestamp) -> Option<Timestamp> {
        let (delay, updated) = self.entry?;
        if failed.duration_since(updated) > FORGET {
            return None;
        }
        failed.checked_add(delay).ok()
    }

    /// The pause that is in force.
    pub fn delay(&self) -> SignedDuration {
        self.entry.map_or(FIRST, |entry| entry.0)
    }

    /// Notes that what failed at `failed` is repeated at `now`.
    pub fn repeat(&mut self, failed: Timestamp, now: Timestamp) {
        let delay = match self.entry {
            Some((delay, updated)) if failed.duration_since(updated) <= FORGET => {
                LONGEST.min(delay + delay)
            }
            _ => FIRST,
        };
        self.entry = Some((delay, now));
    }

    /// Forgets everything: it worked.
    pub fn clear(&mut self) {
        self.entry = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn pauses_double_up_to_five_minutes_and_are_forgotten_after_ten() {
        let mut backoff = Backoff::default();
        let mut now = at(1_000);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let failed = now;
            let start = backoff.until(failed).unwrap_or(failed);
            pauses.push(start.duration_since(failed).as_secs());
            backoff.repeat(failed, start);
            now = start + SignedDuration::from_secs(1);
        }
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 300, 300]);
        let late = now + SignedDuration::from_secs(700);
        assert_eq!(backoff.until(late), None, "a long run starts anew");
        backoff.repeat(late, late);
        assert_eq!(backoff.delay(), FIRST);
    }
}
