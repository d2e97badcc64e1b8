//! A ruleset as text, close to the nft language: for logs, dumps and tests.
//!
//! Pure. Affinity statements have no single nft equivalent and are written as the
//! statements that they stand for.

use super::{Atom, Base, End, Field, Hook, Maps, Part, Ruleset, Set, Stmt, Value};
use std::fmt::{self, Display, Formatter};

impl Display for Ruleset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, set) in &self.sets {
            let kind = if set.maps == Maps::Nothing {
                "set"
            } else {
                "map"
            };
            write!(f, "{kind} {name} {{ type {}", SetType(set))?;
            if set.dynamic {
                write!(f, "; flags dynamic,timeout")?;
            }
            let mut separator = "; elements = ";
            for (key, value) in &set.elements {
                write!(f, "{separator}{}", Joined(key))?;
                match value {
                    Value::Member => {}
                    Value::Goto(chain) => write!(f, " : goto {chain}")?,
                    Value::Endpoint(e) => write!(f, " : {} . {}", e.ip(), e.port())?,
                }
                separator = ", ";
            }
            writeln!(f, " }}")?;
        }
        for (name, chain) in &self.chains {
            write!(f, "chain {name} {{")?;
            if let Some(base) = &chain.base {
                write!(f, " {base}")?;
            }
            writeln!(f)?;
            for rule in &chain.rules {
                writeln!(f, "  {}", Rule(rule))?;
            }
            writeln!(f, "}}")?;
        }
        Ok(())
    }
}

/// One rule as text.
pub(crate) struct Rule<'a>(pub(crate) &'a [Stmt]);

impl Display for Rule<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, stmt) in self.0.iter().enumerate() {
            write!(f, "{}{stmt}", if i > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

struct SetType<'a>(&'a Set);

impl Display for SetType<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, part) in self.0.key.iter().enumerate() {
            let name = match part {
                Part::Address => "ipv4_addr",
                Part::Protocol => "inet_proto",
                Part::Port => "inet_service",
                Part::Balancer => "balancer",
                Part::Index => "integer",
            };
            write!(f, "{}{name}", if i > 0 { " . " } else { "" })?;
        }
        match self.0.maps {
            Maps::Nothing => Ok(()),
            Maps::Verdict => write!(f, " : verdict"),
            Maps::Endpoint => write!(f, " : ipv4_addr . inet_service"),
        }
    }
}

struct Joined<'a, T>(&'a [T]);

impl<T: Display> Display for Joined<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if i > 0 { " . " } else { "" })?;
        }
        Ok(())
    }
}

impl Display for Atom {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => write!(f, "{ip}"),
            Self::Protocol(p) => f.write_str(p.name()),
            Self::Port(port) => write!(f, "{port}"),
            Self::Balancer(id) => write!(f, "{id:016x}"),
            Self::Index(i) => write!(f, "{i}"),
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "ip saddr",
            Self::Destination => "ip daddr",
            Self::Protocol => "meta l4proto",
            Self::DestinationPort => "th dport",
        })
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "saddr",
            Self::Destination => "daddr",
        })
    }
}

impl Display for Base {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = if self.nat { "nat" } else { "filter" };
        let hook = match self.hook {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        };
        write!(f, "type {kind} hook {hook} priority {};", self.priority)
    }
}

impl Display for Stmt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = |yes: bool| if yes { "" } else { "!= " };
        match self {
            Self::NotIpv4 => write!(f, "meta nfproto != ipv4"),
            Self::Net { end, net, inside } => write!(f, "ip {end} {}{net}", not(*inside)),
            Self::Local { end, is } => write!(f, "fib {end} type {}local", not(*is)),
            Self::InFrom(prefix) => write!(f, "iifname \"{prefix}*\""),
            Self::OutNotTo(prefix) => write!(f, "oifname != \"{prefix}*\""),
            Self::Protocol(p) => write!(f, "meta l4proto {}", p.name()),
            Self::CtNew => write!(f, "ct state new"),
            Self::CtTranslated => write!(f, "ct status dnat"),
            Self::HasMark(bit) => write!(f, "meta mark & {bit:#x} != 0"),
            Self::SetMark(bit) => write!(f, "meta mark set meta mark | {bit:#x}"),
            Self::ClearMark(bit) => write!(f, "meta mark set meta mark & ~{bit:#x}"),
            Self::InSet { fields, set } => write!(f, "{} @{set}", Joined(fields)),
            Self::Vmap { fields, map } => write!(f, "{} vmap @{map}", Joined(fields)),
            Self::DnatMap { fields, map } => write!(f, "dnat ip to {} map @{map}", Joined(fields)),
            Self::DnatRandom {
                balancer,
                count,
                map,
            } => {
                write!(
                    f,
                    "dnat ip to {balancer:016x} . numgen random mod {count} map @{map}"
                )
            }
            Self::AffinityHit {
                map,
                members,
                timeout_secs,
            } => write!(
                f,
                "ip saddr map @{map} in @{members} update @{map} {{ ip saddr timeout {timeout_secs}s }} dnat ip to it"
            ),
            Self::AffinityForget { map } => write!(f, "delete @{map} {{ ip saddr }}"),
            Self::AffinityChoose {
                balancer,
                count,
                endpoints,
                map,
                timeout_secs,
            } => write!(
                f,
                "{balancer:016x} . numgen random mod {count} map @{endpoints} update @{map} {{ ip saddr timeout {timeout_secs}s }} dnat ip to it"
            ),
            Self::Masquerade => write!(f, "masquerade fully-random"),
            Self::TcpReset => write!(f, "reject with tcp reset"),
            Self::PortUnreachable => write!(f, "reject with icmpx port-unreachable"),
            Self::Drop => write!(f, "drop"),
            Self::Return => write!(f, "return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}
