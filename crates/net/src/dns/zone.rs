//! The cluster's zone and the answers it gives.
//!
//! Pure: an answer depends on the zone, the question and a seed for the order of
//! addresses. Invariants: a name that exists only as part of longer names
//! answers "no data", not "no such name" (RFC 8020); keys are lower case.

use super::CLUSTER_TTL_SECS;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use ipnet::IpNet;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

/// An alias inside the zone is followed this often.
const ALIASES_MAX: usize = 8;

/// What stands at one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) addresses: Vec<IpAddr>,
    /// Port and target; the name `_port._protocol.service…` has these.
    pub(super) services: Vec<(u16, Name)>,
    pub(super) alias: Option<Name>,
    pub(super) pointers: Vec<Name>,
    pub(super) text: Option<String>,
}

/// An immutable zone; build one with [`super::ZoneSource::build`].
#[derive(Debug, Clone)]
pub struct Zone {
    pub(super) domain: Name,
    pub(super) domain_key: String,
    pub(super) name_server: Name,
    pub(super) serial: u32,
    pub(super) nodes: HashMap<String, Node>,
    pub(super) namespaces: BTreeSet<String>,
    /// Ranges whose reverse names are answered here even when unassigned.
    pub(super) reverse: Vec<IpNet>,
}

/// What the zone says to a question.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// The response code: no error (with or without answers) or no such name.
    pub code: ResponseCode,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section: the SOA of a negative answer.
    pub authorities: Vec<Record>,
    /// The additional section: addresses of SRV targets.
    pub additionals: Vec<Record>,
    /// An alias that leads out of the zone; its target is to be asked upstream.
    pub continue_at: Option<Name>,
}

/// The key of a name: lower case, no final dot.
pub(super) fn key(name: &Name) -> String {
    let mut text = name.to_ascii().to_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

impl Zone {
    /// The cluster domain.
    #[must_use]
    pub fn domain(&self) -> &Name {
        &self.domain
    }

    /// The answer for `name` and `kind`, or none when the name is not of this
    /// zone. `seed` decides the order of several addresses.
    #[must_use]
    pub fn answer(&self, name: &Name, kind: RecordType, seed: u64) -> Option<Answer> {
        let key = key(name);
        if !self.in_domain(&key) {
            return self.reverse_answer(name, &key, kind);
        }
        let mut answer = Answer::default();
        self.forward_answer(name, key, kind, seed, &mut answer);
        Some(answer)
    }

    fn in_domain(&self, key: &str) -> bool {
        key.strip_suffix(self.domain_key.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    fn forward_answer(
        &self,
        name: &Name,
        mut key: String,
        kind: RecordType,
        seed: u64,
        answer: &mut Answer,
    ) {
        let mut owner = name.clone();
        for _ in 0..ALIASES_MAX {
            let pod = self.pod_node(&key);
            let Some(node) = pod.as_ref().or_else(|| self.nodes.get(&key)) else {
                answer.code = ResponseCode::NXDomain;
                answer.authorities.push(self.soa(&self.domain));
                return;
            };
            let Some(target) = node.alias.as_ref().filter(|_| kind != RecordType::CNAME) else {
                self.records(&owner, &key, node, kind, seed, answer);
                if answer.answers.is_empty()
                    || answer
                        .answers
                        .iter()
                        .all(|r| is_alias(r) && kind != RecordType::CNAME)
                {
                    answer.authorities.push(self.soa(&self.domain));
                }
                return;
            };
            answer
                .answers
                .push(record(&owner, RData::CNAME(CNAME(target.clone()))));
            let next = self::key(target);
            if !self.in_domain(&next) {
                answer.continue_at = Some(target.clone());
                return;
            }
            (owner, key) = (target.clone(), next);
        }
        // Aliases in a circle.
        answer.code = ResponseCode::ServFail;
    }

    fn records(
        &self,
        owner: &Name,
        key: &str,
        node: &Node,
        kind: RecordType,
        seed: u64,
        answer: &mut Answer,
    ) {
        let any = kind == RecordType::ANY;
        for ip in rotated(&node.addresses, seed) {
            let data = address(ip);
            if any || data.record_type() == kind {
                answer.answers.push(record(owner, data));
            }
        }
        if any || kind == RecordType::SRV {
            self.service_records(owner, node, seed, answer);
        }
        if let Some(alias) = node
            .alias
            .as_ref()
            .filter(|_| any || kind == RecordType::CNAME)
        {
            answer
                .answers
                .push(record(owner, RData::CNAME(CNAME(alias.clone()))));
        }
        if let Some(text) = node
            .text
            .as_ref()
            .filter(|_| any || kind == RecordType::TXT)
        {
            answer
                .answers
                .push(record(owner, RData::TXT(TXT::new(vec![text.clone()]))));
        }
        if key == self.domain_key {
            if any || kind == RecordType::SOA {
                answer.answers.push(self.soa(owner));
            }
            if any || kind == RecordType::NS {
                answer
                    .answers
                    .push(record(owner, RData::NS(NS(self.name_server.clone()))));
                let server = self.nodes.get(&self::key(&self.name_server));
                let addresses = server.map_or(&[][..], |n| &n.addresses);
                answer.additionals.extend(
                    addresses
                        .iter()
                        .map(|ip| record(&self.name_server, address(*ip))),
                );
            }
        }
    }

    fn service_records(&self, owner: &Name, node: &Node, seed: u64, answer: &mut Answer) {
        // The targets share the traffic evenly; weights add up to about 100 as CoreDNS' do.
        let count = u16::try_from(node.services.len())
            .unwrap_or(u16::MAX)
            .max(1);
        let weight = (100 / count).max(1);
        let mut seen = BTreeSet::new();
        for (port, target) in rotated(&node.services, seed) {
            let data = SRV::new(0, weight, port, target.clone());
            answer.answers.push(record(owner, RData::SRV(data)));
            let target_key = key(&target);
            if !seen.insert(target_key.clone()) {
                continue;
            }
            let addresses = self
                .nodes
                .get(&target_key)
                .map_or(&[][..], |n| &n.addresses);
            answer
                .additionals
                .extend(addresses.iter().map(|ip| record(&target, address(*ip))));
        }
    }

    /// `1-2-3-4.namespace.pod.domain` is the address it spells, in any namespace
    /// that exists ("pods insecure" of CoreDNS, which conformance expects).
    fn pod_node(&self, key: &str) -> Option<Node> {
        let rest = key
            .strip_suffix(self.domain_key.as_str())?
            .strip_suffix(".pod.")?;
        let (dashed, namespace) = rest.split_once('.')?;
        let ip = if dashed.bytes().filter(|b| *b == b'-').count() == 3 {
            IpAddr::V4(dashed.replace('-', ".").parse::<Ipv4Addr>().ok()?)
        } else {
            IpAddr::V6(dashed.replace('-', ":").parse().ok()?)
        };
        self.namespaces.contains(namespace).then(|| Node {
            addresses: vec![ip],
            ..Node::default()
        })
    }

    fn reverse_answer(&self, name: &Name, key: &str, kind: RecordType) -> Option<Answer> {
        if !key.ends_with(".arpa") {
            return None;
        }
        let mut answer = Answer::default();
        let apex = if key.ends_with(".ip6.arpa") {
            "ip6.arpa."
        } else {
            "in-addr.arpa."
        };
        let apex = Name::from_ascii(apex).unwrap_or_default();
        match self.nodes.get(key) {
            Some(node) if !node.pointers.is_empty() => {
                if matches!(kind, RecordType::PTR | RecordType::ANY) {
                    let pointer = |target: &Name| record(name, RData::PTR(PTR(target.clone())));
                    answer.answers.extend(node.pointers.iter().map(pointer));
                } else {
                    answer.authorities.push(self.soa(&apex));
                }
                Some(answer)
            }
            // An unassigned address of the cluster is nobody else's to answer for.
            _ => {
                let net = name.parse_arpa_name().ok()?;
                let full = net.prefix_len() == net.max_prefix_len();
                if !full || !self.reverse.iter().any(|range| range.contains(&net.addr())) {
                    return None;
                }
                answer.code = ResponseCode::NXDomain;
                answer.authorities.push(self.soa(&apex));
                Some(answer)
            }
        }
    }

    fn soa(&self, owner: &Name) -> Record {
        let mail = self
            .domain
            .prepend_label("hostmaster")
            .unwrap_or_else(|_| self.domain.clone());
        let ttl = CLUSTER_TTL_SECS;
        let soa = SOA::new(
            self.name_server.clone(),
            mail,
            self.serial,
            7200,
            1800,
            86_400,
            ttl,
        );
        record(owner, RData::SOA(soa))
    }
}

fn is_alias(record: &Record) -> bool {
    record.record_type() == RecordType::CNAME
}

fn record(owner: &Name, data: RData) -> Record {
    Record::from_rdata(owner.clone(), CLUSTER_TTL_SECS, data)
}

fn address(ip: IpAddr) -> RData {
    match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    }
}

/// A shuffle by `seed` (xorshift and Fisher–Yates): fair enough to spread load.
fn rotated<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut items = items.to_vec();
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    for i in (1..items.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bound = u64::try_from(i + 1).unwrap_or(u64::MAX);
        // Less than `i + 1`, which is a usize.
        items.swap(i, usize::try_from(state % bound).unwrap_or(0));
    }
    items
}

#[cfg(test)]
mod tests;
