//! A small bounded cache of upstream answers.
//!
//! Time is passed in. Invariants: at most `CAPACITY` entries; nothing lives longer
//! than its shortest TTL or the limits here; failures are not kept.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Entries kept; the oldest go first.
const CAPACITY: usize = 4096;
const TTL_MAX_SECS: u32 = 300;
const NEGATIVE_TTL_MAX_SECS: u32 = 30;

/// What makes two questions the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) name: String,
    pub(super) kind: RecordType,
    /// DNSSEC records wanted; checking disabled.
    pub(super) flags: (bool, bool),
}

struct Entry {
    message: Message,
    stored: Instant,
    ttl_secs: u32,
}

#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<Question, Entry>,
    order: VecDeque<Question>,
}

impl Cache {
    /// The cached answer with its TTLs counted down to `now`.
    pub(super) fn get(&mut self, question: &Question, now: Instant) -> Option<Message> {
        let entry = self.entries.get(question)?;
        let age = u32::try_from(now.duration_since(entry.stored).as_secs()).unwrap_or(u32::MAX);
        if age >= entry.ttl_secs {
            self.entries.remove(question);
            return None;
        }
        let mut message = entry.message.clone();
        let sections = [
            &mut message.answers,
            &mut message.authorities,
            &mut message.additionals,
        ];
        for record in sections.into_iter().flatten() {
            record.ttl = record.ttl.saturating_sub(age);
        }
        Some(message)
    }

    /// Keeps `message` if it may be kept.
    pub(super) fn put(&mut self, question: Question, message: &Message, now: Instant) {
        let Some(ttl_secs) = lifetime(message).filter(|ttl| *ttl > 0) else {
            return;
        };
        let entry = Entry {
            message: message.clone(),
            stored: now,
            ttl_secs,
        };
        if self.entries.insert(question.clone(), entry).is_none() {
            self.order.push_back(question);
        }
        // Expired entries have left the map but not the queue; both stay bounded.
        while self.entries.len() > CAPACITY || self.order.len() > 2 * CAPACITY {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            let expired =
                |e: &Entry| now.duration_since(e.stored) >= Duration::from_secs(e.ttl_secs.into());
            if self.entries.len() > CAPACITY || self.entries.get(&oldest).is_some_and(expired) {
                self.entries.remove(&oldest);
            } else if self.entries.contains_key(&oldest) {
                self.order.push_back(oldest);
            }
        }
    }
}

fn lifetime(message: &Message) -> Option<u32> {
    let code = message.metadata.response_code;
    if message.metadata.truncation
        || !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
    {
        return None;
    }
    if code == ResponseCode::NoError && !message.answers.is_empty() {
        return message
            .answers
            .iter()
            .map(|r| r.ttl)
            .min()
            .map(|ttl| ttl.min(TTL_MAX_SECS));
    }
    // RFC 2308: as long as the SOA says.
    message.authorities.iter().find_map(|r| match &r.data {
        RData::SOA(soa) => Some(r.ttl.min(soa.minimum).min(NEGATIVE_TTL_MAX_SECS)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::OpCode;
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{Name, Record};

    fn question(name: &str) -> Question {
        Question {
            name: name.to_owned(),
            kind: RecordType::A,
            flags: (false, false),
        }
    }

    fn positive(ttl: u32) -> Message {
        let mut m = Message::response(1, OpCode::Query);
        m.add_answer(Record::from_rdata(
            Name::from_ascii("x.").unwrap(),
            ttl,
            RData::A(A::new(1, 2, 3, 4)),
        ));
        m
    }

    #[test]
    fn ttls_count_down_and_end() {
        let mut cache = Cache::default();
        let start = Instant::now();
        cache.put(question("x"), &positive(10), start);
        assert_eq!(
            cache
                .get(&question("x"), start + Duration::from_secs(4))
                .unwrap()
                .answers[0]
                .ttl,
            6
        );
        assert!(
            cache
                .get(&question("x"), start + Duration::from_secs(10))
                .is_none()
        );
    }

    #[test]
    fn failures_truncated_and_zero_ttl_answers_are_not_kept() {
        let mut cache = Cache::default();
        let now = Instant::now();
        let mut failure = positive(10);
        failure.metadata.response_code = ResponseCode::ServFail;
        let mut truncated = positive(10);
        truncated.metadata.truncation = true;
        for m in [failure, truncated, positive(0)] {
            cache.put(question("x"), &m, now);
            assert!(cache.get(&question("x"), now).is_none());
        }
    }

    #[test]
    fn the_cache_stays_within_its_capacity() {
        let mut cache = Cache::default();
        let now = Instant::now();
        for i in 0..CAPACITY + 10 {
            cache.put(question(&i.to_string()), &positive(10), now);
        }
        assert_eq!(cache.entries.len(), CAPACITY);
        assert!(cache.get(&question("0"), now).is_none());
        assert!(
            cache
                .get(&question(&(CAPACITY + 9).to_string()), now)
                .is_some()
        );
    }
}
