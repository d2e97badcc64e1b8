//! Committing rulesets to the kernel.
//!
//! Reads and writes one nf_tables table of family inet and, for UDP, connection
//! tracking. Invariants: the kernel holds either the ruleset of the last
//! successful `apply` or, if someone else removed the table, none; in between
//! there is never a state that was not asked for.

use super::diff::diff;
use super::{Ruleset, encode};
use crate::error::{NetError, gone_is_fine};
use crate::netlink::conntrack::{self, UdpFlow};
use crate::netlink::socket::{Protocol, Socket};
use crate::netns::Netns;
use ipnet::IpNet;

/// What one `apply` did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Netlink messages in the transaction; 0 when nothing had to change.
    pub messages: usize,
    /// Whether the whole table was built anew.
    pub rebuilt: bool,
    /// Tracked UDP flows that were cut off from endpoints that are gone.
    pub flows_deleted: usize,
}

/// Keeps one table equal to the last ruleset given, in the network namespace of
/// the thread that opened it.
#[derive(Debug)]
pub struct Applier {
    table: String,
    host: Netns,
    socket: Socket,
    /// At the start, UDP flows to these ranges are checked though nothing is known of their making.
    service_cidrs: Vec<IpNet>,
    installed: Option<Ruleset>,
}

impl Applier {
    /// An applier for `table`; what an earlier process left there is replaced by the first `apply`.
    ///
    /// # Errors
    /// When netlink is not available.
    pub fn open(table: impl Into<String>, service_cidrs: Vec<IpNet>) -> Result<Self, NetError> {
        let (host, socket) = (Netns::current()?, Socket::open(Protocol::Netfilter)?);
        Ok(Self {
            table: table.into(),
            host,
            socket,
            service_cidrs,
            installed: None,
        })
    }

    /// Makes the table equal to `wanted` in one transaction.
    ///
    /// # Errors
    /// When the kernel refuses; then it still holds what it held before.
    pub fn apply(&mut self, wanted: &Ruleset) -> Result<Applied, NetError> {
        let mut applied = Applied::default();
        match self.installed.take() {
            Some(old) => {
                let mut messages = Vec::new();
                diff(&old, wanted)
                    .iter()
                    .for_each(|op| encode::encode(&self.table, op, &mut messages));
                applied.messages = messages.len();
                match self.commit(messages) {
                    Ok(()) => {}
                    // Someone flushed the table under us.
                    Err(e) if e.is_not_found() && !self.is_installed()? => {
                        applied = self.rebuild(wanted)?
                    }
                    Err(e) => {
                        self.installed = Some(old);
                        return Err(e);
                    }
                }
                let gone: Vec<_> = old
                    .udp_flows
                    .difference(&wanted.udp_flows)
                    .copied()
                    .collect();
                if !gone.is_empty() {
                    let is_gone = |flow: &UdpFlow| gone.binary_search(flow).is_ok();
                    applied.flows_deleted =
                        self.delete_flows(|flow| is_gone(flow) || is_gone(&flow.at_any_address()));
                }
            }
            None => {
                applied = self.rebuild(wanted)?;
                applied.flows_deleted = self.delete_flows(|flow| {
                    let ours = self
                        .service_cidrs
                        .iter()
                        .any(|net| net.contains(&flow.original.ip()));
                    ours && !wanted.udp_flows.contains(flow)
                });
            }
        }
        self.installed = Some(wanted.clone());
        Ok(applied)
    }

    /// Whether the table is in the kernel now.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn is_installed(&mut self) -> Result<bool, NetError> {
        match self.socket.request(encode::get_table(&self.table)) {
            Ok(()) => Ok(true),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The ruleset stands by now, so a kernel that cannot list connections (no
    /// NF_CT_NETLINK) only makes UDP clients of a gone endpoint wait longer.
    fn delete_flows(&self, stale: impl Fn(&UdpFlow) -> bool + Send) -> usize {
        match self.host.run(|| conntrack::delete_udp(stale)).flatten() {
            Ok(count) => count,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "UDP flows to endpoints that are gone were not cut off");
                0
            }
        }
    }

    fn rebuild(&mut self, wanted: &Ruleset) -> Result<Applied, NetError> {
        let table = &self.table;
        // Adding first makes the deletion succeed whether it was there or not.
        let mut messages = vec![
            encode::add_table(table),
            encode::delete_table(table),
            encode::add_table(table),
        ];
        diff(&Ruleset::default(), wanted)
            .iter()
            .for_each(|op| encode::encode(table, op, &mut messages));
        let count = messages.len();
        self.commit(messages).map_err(missing_feature)?;
        Ok(Applied {
            messages: count,
            rebuilt: true,
            flows_deleted: 0,
        })
    }

    fn commit(&mut self, messages: Vec<crate::netlink::wire::Message>) -> Result<(), NetError> {
        self.socket.batch(
            encode::batch_marker(false),
            messages,
            encode::batch_marker(true),
        )
    }
}

/// Removes `table` from the calling thread's network namespace; without one this does nothing.
///
/// # Errors
/// When the kernel refuses.
pub fn delete_table(table: &str) -> Result<(), NetError> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let messages = vec![encode::delete_table(table)];
    gone_is_fine(socket.batch(
        encode::batch_marker(false),
        messages,
        encode::batch_marker(true),
    ))
}

/// The chains (`table/chain`) of others that drop forwarded packets by policy, as
/// Docker's does: pods then reach neither each other nor the outside until that
/// firewall lets the pod range pass. For a warning; chains of legacy iptables
/// are not visible here.
///
/// # Errors
/// When the kernel does not list them.
pub fn foreign_forward_drops() -> Result<Vec<String>, NetError> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    socket.dump(&encode::list_chains(), |_, body| {
        encode::read_dropping_forward_chain(body)
    })
}

/// A kernel without an expression answers ENOENT (or EOPNOTSUPP) to the rule
/// that has it; in a table just made nothing else can be missing.
fn missing_feature(error: NetError) -> NetError {
    match error {
        NetError::Netlink { op, source, .. }
            if matches!(
                source.raw_os_error(),
                Some(libc::ENOENT | libc::EOPNOTSUPP | libc::EAFNOSUPPORT)
            ) =>
        {
            NetError::MissingFeature {
                feature: op,
                source,
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::wire::{Message, NLM_F_CREATE};

    #[test]
    fn a_firewall_that_drops_forwarded_packets_is_found() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let thread = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            assert!(foreign_forward_drops().unwrap().is_empty());
            let mut chain = Message::new((10 << 8) | 3, NLM_F_CREATE, "add chain");
            chain
                .raw(&[1, 0, 0, 0])
                .text(1, "filter")
                .text(3, "FORWARD")
                .nest(4, |m| {
                    m.be32(1, 2).be32(2, 0);
                });
            chain.be32(5, 0).text(7, "filter");
            let messages = vec![encode::add_table("filter"), chain];
            let mut socket = Socket::open(Protocol::Netfilter).unwrap();
            socket
                .batch(
                    encode::batch_marker(false),
                    messages,
                    encode::batch_marker(true),
                )
                .unwrap();
            assert_eq!(foreign_forward_drops().unwrap(), ["filter/FORWARD"]);
        });
        thread.join().unwrap();
    }
}
