//! nf_tables netlink messages for rulesets.
//!
//! Pure. Numbers are those of `linux/netfilter/nf_tables.h`; `expression` has
//! those of rules.

use super::diff::Op;
use super::expression::{goto_data, statement};
use super::render::Rule;
use super::{Atom, Chain, Hook, Maps, Part, Set, Value};
use crate::netlink::wire::{Message, NLM_F_CREATE, NLM_F_EXCL, find, string};
use std::net::SocketAddrV4;

const SUBSYSTEM: u16 = 10;
const NEWTABLE: u16 = 0;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const DELCHAIN: u16 = 5;
const NEWRULE: u16 = 6;
const DELRULE: u16 = 8;
const NEWSET: u16 = 9;
const DELSET: u16 = 11;
const NEWSETELEM: u16 = 12;
const DELSETELEM: u16 = 14;
const NLM_F_APPEND: u16 = 0x800;

const NFPROTO_INET: u8 = 1;
/// Clients remembered per service; more are served, only without affinity.
const AFFINITY_CLIENTS_MAX: u32 = 65_536;
/// A list of elements must fit an attribute of 64 KiB; an element has under 120 bytes and a chain name.
const ELEMENTS_PER_MESSAGE: usize = 128;

/// Begin or end of a batch.
pub(crate) fn batch_marker(end: bool) -> Message {
    let mut m = Message::new(if end { 0x11 } else { 0x10 }, 0, "batch");
    m.raw(&[0, 0, 0, 10]);
    m
}

fn message(kind: u16, flags: u16, op: String) -> Message {
    let mut m = Message::new((SUBSYSTEM << 8) | kind, flags, op);
    m.raw(&[NFPROTO_INET, 0, 0, 0]);
    m
}

pub(crate) fn add_table(table: &str) -> Message {
    let mut m = message(NEWTABLE, NLM_F_CREATE, format!("add table {table}"));
    m.text(1, table).be32(2, 0);
    m
}

pub(crate) fn delete_table(table: &str) -> Message {
    let mut m = message(DELTABLE, 0, format!("delete table {table}"));
    m.text(1, table);
    m
}

/// Asks for the table; the kernel answers ENOENT without it.
pub(crate) fn get_table(table: &str) -> Message {
    let mut m = message(1, 0, format!("find table {table}"));
    m.text(1, table);
    m
}

/// Lists the chains of all families.
pub(crate) fn list_chains() -> Message {
    const GETCHAIN: u16 = 4;
    let mut m = Message::new((SUBSYSTEM << 8) | GETCHAIN, 0, "list chains");
    m.raw(&[0; 4]);
    m
}

/// `table/chain` of a chain on the forward hook whose policy is to drop.
pub(crate) fn read_dropping_forward_chain(body: &[u8]) -> Option<String> {
    const FORWARD: [u8; 4] = 2u32.to_be_bytes();
    let attributes = body.get(4..)?;
    let hook = find(find(attributes, 4)?, 1)?;
    let drops = find(attributes, 5)? == [0; 4];
    let (table, chain) = (string(find(attributes, 1)?), string(find(attributes, 3)?));
    (hook == FORWARD && drops).then(|| format!("{table}/{chain}"))
}

/// The messages of one step.
pub(crate) fn encode(table: &str, op: &Op<'_>, out: &mut Vec<Message>) {
    match op {
        Op::AddSet(name, set) => out.push(add_set(table, name, set, out.len())),
        Op::AddChain(name, chain) => out.push(add_chain(table, name, chain)),
        Op::FlushChain(name) => {
            let mut m = message(DELRULE, 0, format!("flush chain {name}"));
            m.text(1, table).text(2, name);
            out.push(m);
        }
        Op::AddRule(chain, rule) => {
            let op = format!("add to chain {chain}: {}", Rule(rule));
            let mut m = message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, op);
            m.text(1, table)
                .text(2, chain)
                .nest(4, |m| rule.iter().for_each(|s| statement(m, s)));
            out.push(m);
        }
        Op::DeleteElements(set, keys) => {
            for keys in keys.chunks(ELEMENTS_PER_MESSAGE) {
                let mut m = message(DELSETELEM, 0, format!("delete elements of {set}"));
                m.text(1, table)
                    .text(2, set)
                    .nest(3, |m| keys.iter().for_each(|k| element(m, k, None)));
                out.push(m);
            }
        }
        Op::AddElements(set, _, elements) => {
            for elements in elements.chunks(ELEMENTS_PER_MESSAGE) {
                let mut m = message(
                    NEWSETELEM,
                    NLM_F_CREATE | NLM_F_EXCL,
                    format!("add elements to {set}"),
                );
                m.text(1, table).text(2, set);
                m.nest(3, |m| {
                    elements.iter().for_each(|(k, v)| element(m, k, Some(v)))
                });
                out.push(m);
            }
        }
        Op::DeleteChain(name) => {
            let mut m = message(DELCHAIN, 0, format!("delete chain {name}"));
            m.text(1, table).text(3, name);
            out.push(m);
        }
        Op::DeleteSet(name) => {
            let mut m = message(DELSET, 0, format!("delete set {name}"));
            m.text(1, table).text(2, name);
            out.push(m);
        }
    }
}

fn add_chain(table: &str, name: &str, chain: &Chain) -> Message {
    let mut m = message(
        NEWCHAIN,
        NLM_F_CREATE | NLM_F_EXCL,
        format!("add chain {name}"),
    );
    m.text(1, table).text(3, name);
    if let Some(base) = &chain.base {
        let hook = match base.hook {
            Hook::Prerouting => 0,
            Hook::Input => 1,
            Hook::Forward => 2,
            Hook::Output => 3,
            Hook::Postrouting => 4,
        };
        m.nest(4, |m| {
            m.be32(1, hook).be32(2, base.priority.cast_unsigned());
        });
        m.text(7, if base.nat { "nat" } else { "filter" });
    }
    m
}

fn add_set(table: &str, name: &str, set: &Set, id: usize) -> Message {
    const FLAG_MAP: u32 = 8;
    const FLAG_TIMEOUT: u32 = 0x10;
    const FLAG_EVAL: u32 = 0x20;
    let mut m = message(NEWSET, NLM_F_CREATE | NLM_F_EXCL, format!("add set {name}"));
    let mut flags = if set.maps == Maps::Nothing {
        0
    } else {
        FLAG_MAP
    };
    if set.dynamic {
        flags |= FLAG_TIMEOUT | FLAG_EVAL;
    }
    // The type ids only tell `nft list` how to print; six bits for each word.
    let words = set
        .key
        .iter()
        .flat_map(|part| std::iter::repeat_n(part_type(*part), part_words(*part)));
    let type_id = words.clone().fold(0, |id, word| (id << 6) | word);
    let words = u32::try_from(words.count()).unwrap_or(u32::MAX);
    m.text(1, table)
        .text(2, name)
        .be32(3, flags)
        .be32(4, type_id)
        .be32(5, key_len(&set.key, words));
    match set.maps {
        Maps::Nothing => {}
        Maps::Verdict => {
            m.be32(6, 0xffff_ff00).be32(7, 0);
        }
        Maps::Endpoint => {
            m.be32(6, (part_type(Part::Address) << 6) | part_type(Part::Port))
                .be32(7, 8);
        }
    }
    if set.dynamic {
        m.nest(9, |m| {
            m.be32(1, AFFINITY_CLIENTS_MAX);
        });
    }
    // The kernel wants an id, unique within the batch, though we refer by name.
    m.be32(10, u32::try_from(id).unwrap_or(u32::MAX).saturating_add(1));
    m
}

fn part_type(part: Part) -> u32 {
    match part {
        Part::Balancer | Part::Index => 4,
        Part::Address => 7,
        Part::Protocol => 12,
        Part::Port => 13,
    }
}

fn part_words(part: Part) -> usize {
    if part == Part::Balancer { 2 } else { 1 }
}

/// A single part has its own size; in a concatenation each takes a 4-byte word.
fn key_len(key: &[Part], words: u32) -> u32 {
    match key {
        [Part::Protocol] => 1,
        [Part::Port] => 2,
        _ => words * 4,
    }
}

fn element(m: &mut Message, key: &[Atom], value: Option<&Value>) {
    m.nest(1, |m| {
        m.nest(1, |m| {
            m.attr(1, &key_bytes(key));
        });
        match value {
            None | Some(Value::Member) => {}
            Some(Value::Goto(chain)) => {
                m.nest(2, |m| goto_data(m, chain));
            }
            Some(Value::Endpoint(endpoint)) => {
                m.nest(2, |m| {
                    m.attr(1, &endpoint_bytes(endpoint));
                });
            }
        }
    });
}

fn key_bytes(key: &[Atom]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() * 4);
    for atom in key {
        match atom {
            Atom::Address(ip) => bytes.extend(ip.octets()),
            Atom::Protocol(p) => bytes.push(p.number()),
            Atom::Port(port) => bytes.extend(port.to_be_bytes()),
            Atom::Balancer(id) => bytes.extend(id.to_be_bytes()),
            Atom::Index(index) => bytes.extend(index.to_ne_bytes()),
        }
        if key.len() > 1 {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

fn endpoint_bytes(endpoint: &SocketAddrV4) -> Vec<u8> {
    key_bytes(&[Atom::Address(*endpoint.ip()), Atom::Port(endpoint.port())])
}
