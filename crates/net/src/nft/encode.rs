//! nf_tables netlink messages for rulesets.
//!
//! Pure. Numbers are those of `linux/netfilter/nf_tables.h`. Registers: keys and
//! compared values are built in the first 16-byte register; statements that need
//! a key and a value at once keep the client's address in the second and the
//! chosen index in the third.

use super::diff::Op;
use super::render::Rule;
use super::{Atom, Chain, End, Field, Hook, Maps, Part, Set, Stmt, Value};
use crate::netlink::wire::{Message, NLM_F_CREATE, NLM_F_EXCL};
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
const NFPROTO_IPV4: u32 = 2;

const REG_VERDICT: u32 = 0;
const REG_1: u32 = 1;
const REG_2: u32 = 2;
const REG_3: u32 = 3;
/// The first 4-byte word of `REG_1`; words are numbered on from it.
const WORD_0: u32 = 8;
/// Behind the two words of a balancer's id in `REG_3`.
const BALANCER_INDEX: u32 = WORD_0 + 8 + 2;
/// The port of an endpoint loaded into `REG_1` is its second word.
const ENDPOINT_PORT: u32 = WORD_0 + 1;

const VERDICT_DROP: i32 = 0;
const VERDICT_JUMP: i32 = -3;
const VERDICT_GOTO: i32 = -4;
const VERDICT_RETURN: i32 = -5;

const CMP_EQ: u32 = 0;
const CMP_NEQ: u32 = 1;

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
                m.nest(2, |m| verdict_data(m, VERDICT_GOTO, Some(chain)));
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

fn verdict_data(m: &mut Message, code: i32, chain: Option<&str>) {
    m.nest(2, |m| {
        m.be32(1, code.cast_unsigned());
        if let Some(chain) = chain {
            m.text(2, chain);
        }
    });
}

fn expr(m: &mut Message, name: &str, fill: impl FnOnce(&mut Message)) {
    m.nest(1, |m| {
        m.text(1, name).nest(2, fill);
    });
}

fn verdict(m: &mut Message, code: i32, chain: Option<&str>) {
    expr(m, "immediate", |m| {
        m.be32(1, REG_VERDICT)
            .nest(2, |m| verdict_data(m, code, chain));
    });
}

fn meta(m: &mut Message, key: u32, register: u32) {
    expr(m, "meta", |m| {
        m.be32(1, register).be32(2, key);
    });
}

fn cmp(m: &mut Message, op: u32, data: &[u8]) {
    expr(m, "cmp", |m| {
        m.be32(1, REG_1).be32(2, op).nest(3, |m| {
            m.attr(1, data);
        });
    });
}

/// `REG_1 = (REG_1 & mask) ^ xor`.
fn bitwise(m: &mut Message, mask: [u8; 4], xor: [u8; 4]) {
    expr(m, "bitwise", |m| {
        m.be32(1, REG_1).be32(2, REG_1).be32(3, 4);
        for (kind, bytes) in [(4, mask), (5, xor)] {
            m.nest(kind, |m| {
                m.attr(1, &bytes);
            });
        }
    });
}

fn load(m: &mut Message, field: Field, register: u32) {
    const NETWORK: u32 = 1;
    const TRANSPORT: u32 = 2;
    let (base, offset, len) = match field {
        Field::Protocol => return meta(m, 16, register),
        Field::Source => (NETWORK, 12, 4),
        Field::Destination => (NETWORK, 16, 4),
        Field::DestinationPort => (TRANSPORT, 2, 2),
    };
    expr(m, "payload", |m| {
        m.be32(1, register)
            .be32(2, base)
            .be32(3, offset)
            .be32(4, len);
    });
}

fn load_key(m: &mut Message, fields: &[Field]) {
    for (word, field) in (WORD_0..).zip(fields) {
        load(m, *field, word);
    }
}

fn lookup(m: &mut Message, set: &str, source: u32, destination: Option<u32>) {
    expr(m, "lookup", |m| {
        m.text(1, set).be32(2, source);
        if let Some(register) = destination {
            m.be32(3, register);
        }
    });
}

/// To the endpoint in `REG_1`.
fn dnat(m: &mut Message) {
    expr(m, "nat", |m| {
        m.be32(1, 1)
            .be32(2, NFPROTO_IPV4)
            .be32(3, REG_1)
            .be32(5, ENDPOINT_PORT);
    });
}

/// Loads one of the balancer's endpoints into `REG_1`.
fn draw(m: &mut Message, map: &str, balancer: u64, count: u32) {
    expr(m, "immediate", |m| {
        m.be32(1, REG_3).nest(2, |m| {
            m.attr(1, &balancer.to_be_bytes());
        });
    });
    expr(m, "numgen", |m| {
        m.be32(1, BALANCER_INDEX)
            .be32(2, count)
            .be32(3, 1)
            .be32(4, 0);
    });
    lookup(m, map, REG_3, Some(REG_1));
}

/// Remembers the endpoint in `REG_1` for the client in `REG_2`, or renews the entry.
fn remember(m: &mut Message, map: &str, timeout_secs: u32) {
    expr(m, "dynset", |m| {
        m.text(1, map)
            .be32(3, 1)
            .be32(4, REG_2)
            .be32(5, REG_1)
            .be64(6, u64::from(timeout_secs) * 1000);
    });
}

fn set_mark(m: &mut Message, mask: u32, xor: u32) {
    const MARK: u32 = 3;
    meta(m, MARK, REG_1);
    bitwise(m, mask.to_ne_bytes(), xor.to_ne_bytes());
    expr(m, "meta", |m| {
        m.be32(2, MARK).be32(3, REG_1);
    });
}

/// `key` of ct & bit is not zero.
fn ct_bit(m: &mut Message, key: u32, bit: u32) {
    expr(m, "ct", |m| {
        m.be32(1, REG_1).be32(2, key);
    });
    bitwise(m, bit.to_ne_bytes(), [0; 4]);
    cmp(m, CMP_NEQ, &[0; 4]);
}

fn reject(m: &mut Message, kind: u32, code: u8) {
    expr(m, "reject", |m| {
        m.be32(1, kind).u8(2, code);
    });
}

fn statement(m: &mut Message, stmt: &Stmt) {
    let op = |equal: bool| if equal { CMP_EQ } else { CMP_NEQ };
    match stmt {
        Stmt::NotIpv4 => {
            meta(m, 15, REG_1);
            cmp(m, CMP_NEQ, &[2]);
        }
        Stmt::Net { end, net, inside } => {
            load(
                m,
                if *end == End::Source {
                    Field::Source
                } else {
                    Field::Destination
                },
                REG_1,
            );
            bitwise(m, net.netmask().octets(), [0; 4]);
            cmp(m, op(*inside), &net.network().octets());
        }
        Stmt::Local { end, is } => {
            // Result 3 is the address's type, and type 2 is "local".
            let flags = if *end == End::Source { 1 } else { 2 };
            expr(m, "fib", |m| {
                m.be32(1, REG_1).be32(2, 3).be32(3, flags);
            });
            cmp(m, op(*is), &2u32.to_ne_bytes());
        }
        Stmt::InFrom(prefix) => {
            meta(m, 6, REG_1);
            cmp(m, CMP_EQ, prefix.as_bytes());
        }
        Stmt::OutNotTo(prefix) => {
            meta(m, 7, REG_1);
            cmp(m, CMP_NEQ, prefix.as_bytes());
        }
        Stmt::Protocol(p) => {
            load(m, Field::Protocol, REG_1);
            cmp(m, CMP_EQ, &[p.number()]);
        }
        Stmt::CtNew => ct_bit(m, 0, 8),
        Stmt::CtTranslated => ct_bit(m, 2, 0x20),
        Stmt::HasMark(bit) => {
            meta(m, 3, REG_1);
            bitwise(m, bit.to_ne_bytes(), [0; 4]);
            cmp(m, CMP_NEQ, &[0; 4]);
        }
        Stmt::SetMark(bit) => set_mark(m, !bit, *bit),
        Stmt::ClearMark(bit) => set_mark(m, !bit, 0),
        Stmt::InSet { fields, set } => {
            load_key(m, fields);
            lookup(m, set, REG_1, None);
        }
        Stmt::Vmap { fields, map } => {
            load_key(m, fields);
            lookup(m, map, REG_1, Some(REG_VERDICT));
        }
        Stmt::DnatMap { .. } | Stmt::DnatRandom { .. } => translation(m, stmt),
        Stmt::AffinityHit { .. } | Stmt::AffinityForget { .. } | Stmt::AffinityChoose { .. } => {
            translation(m, stmt)
        }
        // Flag 16: choose source ports at random, so that they do not collide.
        Stmt::Masquerade => expr(m, "masq", |m| {
            m.be32(1, 16);
        }),
        Stmt::TcpReset => reject(m, 1, 0),
        Stmt::PortUnreachable => reject(m, 2, 1),
        Stmt::Drop => verdict(m, VERDICT_DROP, None),
        Stmt::Return => verdict(m, VERDICT_RETURN, None),
        Stmt::Jump(chain) => verdict(m, VERDICT_JUMP, Some(chain)),
        Stmt::Goto(chain) => verdict(m, VERDICT_GOTO, Some(chain)),
    }
}

fn translation(m: &mut Message, stmt: &Stmt) {
    match stmt {
        Stmt::DnatMap { fields, map } => {
            load_key(m, fields);
            lookup(m, map, REG_1, Some(REG_1));
            dnat(m);
        }
        Stmt::DnatRandom {
            balancer,
            count,
            map,
        } => {
            draw(m, map, *balancer, *count);
            dnat(m);
        }
        Stmt::AffinityHit {
            map,
            members,
            timeout_secs,
        } => {
            load(m, Field::Source, REG_2);
            lookup(m, map, REG_2, Some(REG_1));
            lookup(m, members, REG_1, None);
            remember(m, map, *timeout_secs);
            dnat(m);
        }
        Stmt::AffinityForget { map } => {
            load(m, Field::Source, REG_2);
            // The kernel wants a loaded value register for a map, though deleting ignores it.
            load(m, Field::Source, WORD_0);
            load(m, Field::Source, ENDPOINT_PORT);
            expr(m, "dynset", |m| {
                m.text(1, map).be32(3, 2).be32(4, REG_2).be32(5, REG_1);
            });
        }
        Stmt::AffinityChoose {
            balancer,
            count,
            endpoints,
            map,
            timeout_secs,
        } => {
            draw(m, endpoints, *balancer, *count);
            load(m, Field::Source, REG_2);
            remember(m, map, *timeout_secs);
            dnat(m);
        }
        _ => {}
    }
}
