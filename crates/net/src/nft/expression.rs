//! The expressions of nf_tables rules.
//!
//! Pure. Registers: keys and compared values are built in the first 16-byte
//! register; statements that need a key and a value at once keep the client's
//! address in the second and the balancer's key in the third.

use super::{End, Field, Stmt};
use crate::netlink::wire::Message;

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

/// The data of a map's element that sends packets to `chain`.
pub(super) fn goto_data(m: &mut Message, chain: &str) {
    verdict_data(m, VERDICT_GOTO, Some(chain));
}

fn address_field(end: End) -> Field {
    match end {
        End::Source => Field::Source,
        End::Destination => Field::Destination,
    }
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

pub(super) fn statement(m: &mut Message, stmt: &Stmt) {
    let op = |equal: bool| if equal { CMP_EQ } else { CMP_NEQ };
    match stmt {
        Stmt::NotIpv4 => {
            meta(m, 15, REG_1);
            cmp(m, CMP_NEQ, &[2]);
        }
        Stmt::Net { end, net, inside } => {
            load(m, address_field(*end), REG_1);
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
