//! Which pod gets which address of the node's pod range.
//!
//! Pure. Nothing is stored: after a restart the caller names the addresses its
//! pods have, so a crash can neither leak nor double an address. A freed
//! address is handed out again only when no address is left that was not freed
//! before it, so that late packets and stale caches do not meet a new pod.

use ipnet::Ipv4Net;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

/// Why no address was given.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IpamError {
    /// Every address of the range belongs to a pod.
    #[error("pod range {range} has no free address (all {size} are in use)")]
    Exhausted {
        /// The node's pod range.
        range: Ipv4Net,
        /// How many addresses it can give.
        size: u32,
    },
    /// The range is too small to hold a pod.
    #[error("pod range {range} is too small: it needs at least 4 addresses (a /30)")]
    TooSmall {
        /// The range.
        range: Ipv4Net,
    },
    /// Another pod has the address.
    #[error("address {ip} is already in use or outside pod range {range}")]
    Taken {
        /// The address asked for.
        ip: IpAddr,
        /// The range.
        range: Ipv4Net,
    },
}

/// The addresses of one node. The first and last address of the range (network
/// and broadcast) and the second one (the node's own) are never given to pods.
#[derive(Debug, Clone)]
pub struct Ipam {
    range: Ipv4Net,
    /// The next never-given address to look at.
    cursor: u32,
    used: BTreeSet<u32>,
    /// Freed since the start, oldest first; all of these are not in `used`.
    freed: VecDeque<u32>,
}

impl Ipam {
    /// All of `range` but what `used` names (the addresses of existing pods;
    /// those outside the range are ignored). Allocation starts behind the
    /// highest used address: what was freed before a crash is likely below it.
    ///
    /// # Errors
    /// When the range is smaller than a /30.
    pub fn new(range: Ipv4Net, used: impl IntoIterator<Item = IpAddr>) -> Result<Self, IpamError> {
        let range = range.trunc();
        if range.prefix_len() > 30 {
            return Err(IpamError::TooSmall { range });
        }
        let mut ipam = Self {
            range,
            cursor: 0,
            used: BTreeSet::new(),
            freed: VecDeque::new(),
        };
        ipam.used = used.into_iter().filter_map(|ip| ipam.index(ip)).collect();
        ipam.cursor = ipam
            .used
            .last()
            .map_or(ipam.first(), |highest| ipam.after(*highest));
        Ok(ipam)
    }

    fn first(&self) -> u32 {
        u32::from(self.range.network()) + 2
    }

    fn last(&self) -> u32 {
        u32::from(self.range.broadcast()) - 1
    }

    fn after(&self, ip: u32) -> u32 {
        if ip >= self.last() {
            self.first()
        } else {
            ip + 1
        }
    }

    fn index(&self, ip: IpAddr) -> Option<u32> {
        let IpAddr::V4(ip) = ip else { return None };
        Some(u32::from(ip)).filter(|ip| (self.first()..=self.last()).contains(ip))
    }

    /// The node's own address in the range (the first after the network address).
    #[must_use]
    pub fn node_address(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.range.network()) + 1)
    }

    /// How many addresses pods can have at once.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.last() - self.first() + 1
    }

    /// Addresses in use.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.used.len()
    }

    /// An address for a new pod.
    ///
    /// # Errors
    /// When all are in use.
    pub fn allocate(&mut self) -> Result<IpAddr, IpamError> {
        let size = self.capacity();
        if usize::try_from(size).is_ok_and(|size| self.used.len() + self.freed.len() < size) {
            // Some address is in neither list, so the walk ends within one round.
            let waiting: BTreeSet<u32> = self.freed.iter().copied().collect();
            for _ in 0..size {
                let ip = self.cursor;
                self.cursor = self.after(ip);
                if !waiting.contains(&ip) && self.used.insert(ip) {
                    return Ok(Ipv4Addr::from(ip).into());
                }
            }
        }
        let Some(ip) = self.freed.pop_front() else {
            return Err(IpamError::Exhausted {
                range: self.range,
                size,
            });
        };
        self.used.insert(ip);
        Ok(Ipv4Addr::from(ip).into())
    }

    /// Takes a certain address (a pod found running).
    ///
    /// # Errors
    /// When it is taken or outside the range.
    pub fn reserve(&mut self, ip: IpAddr) -> Result<(), IpamError> {
        match self.index(ip) {
            Some(index) if self.used.insert(index) => {
                self.freed.retain(|freed| *freed != index);
                Ok(())
            }
            _ => Err(IpamError::Taken {
                ip,
                range: self.range,
            }),
        }
    }

    /// Gives an address back; one that is not in use is ignored.
    pub fn release(&mut self, ip: IpAddr) {
        if let Some(index) = self.index(ip).filter(|index| self.used.remove(index)) {
            self.freed.push_back(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipam(range: &str, used: &[&str]) -> Ipam {
        Ipam::new(
            range.parse().unwrap(),
            used.iter().map(|s| s.parse().unwrap()),
        )
        .unwrap()
    }

    fn take(ipam: &mut Ipam, n: usize) -> Vec<String> {
        (0..n)
            .map(|_| ipam.allocate().unwrap().to_string())
            .collect()
    }

    #[test]
    fn network_node_and_broadcast_addresses_are_never_given() {
        let mut i = ipam("10.0.0.0/29", &[]);
        assert_eq!(i.node_address(), Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(
            take(&mut i, 5),
            ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
        );
        assert_eq!(
            i.allocate().unwrap_err().to_string(),
            "pod range 10.0.0.0/29 has no free address (all 5 are in use)"
        );
    }

    #[test]
    fn a_freed_address_is_the_last_to_be_given_again() {
        let mut i = ipam("10.0.0.0/29", &[]);
        take(&mut i, 3);
        i.release("10.0.0.3".parse().unwrap());
        i.release("10.0.0.2".parse().unwrap());
        assert_eq!(
            take(&mut i, 4),
            ["10.0.0.5", "10.0.0.6", "10.0.0.3", "10.0.0.2"]
        );
    }

    #[test]
    fn a_freed_address_ahead_of_the_cursor_waits_too() {
        let mut i = ipam("10.0.0.0/29", &["10.0.0.2"]);
        i.reserve("10.0.0.4".parse().unwrap()).unwrap();
        i.release("10.0.0.4".parse().unwrap());
        assert_eq!(
            take(&mut i, 4),
            ["10.0.0.3", "10.0.0.5", "10.0.0.6", "10.0.0.4"]
        );
    }

    #[test]
    fn after_a_restart_existing_pods_keep_theirs_and_allocation_goes_on_behind_them() {
        let mut i = ipam("10.0.0.0/29", &["10.0.0.3", "10.0.0.5", "192.168.1.1"]);
        assert_eq!(i.in_use(), 2);
        assert_eq!(take(&mut i, 3), ["10.0.0.6", "10.0.0.2", "10.0.0.4"]);
        assert!(i.allocate().is_err());
    }

    #[test]
    fn releasing_twice_frees_once() {
        let mut i = ipam("10.0.0.0/30", &["10.0.0.2"]);
        i.release("10.0.0.2".parse().unwrap());
        i.release("10.0.0.2".parse().unwrap());
        assert_eq!(take(&mut i, 1), ["10.0.0.2"]);
        assert!(i.allocate().is_err());
    }

    #[test]
    fn taken_foreign_and_tiny_are_refused() {
        let mut i = ipam("10.0.0.0/29", &["10.0.0.3"]);
        for ip in ["10.0.0.3", "10.0.1.3", "10.0.0.1", "fd00::1"] {
            assert!(
                matches!(i.reserve(ip.parse().unwrap()), Err(IpamError::Taken { .. })),
                "{ip}"
            );
        }
        assert!(matches!(
            Ipam::new("10.0.0.0/31".parse().unwrap(), []),
            Err(IpamError::TooSmall { .. })
        ));
    }
}
