//! Reading the host's resolv.conf, given as text.
//!
//! Pure. Unknown lines are ignored, as resolvers do.

use std::net::{IpAddr, SocketAddr};

/// The resolver of glibc uses no more (resolv.conf(5), MAXNS).
const NAME_SERVERS_MAX: usize = 3;
const DNS_PORT: u16 = 53;

/// What resolv.conf says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Where to forward to, at most three.
    pub name_servers: Vec<SocketAddr>,
    /// The search list.
    pub search: Vec<String>,
    /// Options, for instance `ndots:1`.
    pub options: Vec<String>,
}

/// Reads resolv.conf; addresses in `own` (where cluster DNS itself answers) are
/// left out, since forwarding to oneself is a loop.
#[must_use]
pub fn parse_resolv_conf(text: &str, own: &[IpAddr]) -> ResolvConf {
    let mut conf = ResolvConf::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                // A scope (`fe80::1%eth0`) means nothing here.
                let ip = words
                    .next()
                    .and_then(|w| w.split('%').next())
                    .and_then(|w| w.parse::<IpAddr>().ok());
                if let Some(ip) = ip.filter(|ip| !own.contains(ip))
                    && conf.name_servers.len() < NAME_SERVERS_MAX
                {
                    conf.name_servers.push(SocketAddr::new(ip, DNS_PORT));
                }
            }
            // The last one counts.
            Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
            Some("options") => conf.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    conf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_comments_and_nonsense_are_left_out() {
        let text = "# made by hand\nnameserver 10.96.0.10\nnameserver 192.0.2.1 ; main\nnameserver x\n\
                    search a.example b.example\noptions ndots:1 edns0\nsortlist 1.2.3.4\n";
        let conf = parse_resolv_conf(text, &["10.96.0.10".parse().unwrap()]);
        assert_eq!(conf.name_servers, ["192.0.2.1:53".parse().unwrap()]);
        assert_eq!(conf.search, ["a.example", "b.example"]);
        assert_eq!(conf.options, ["ndots:1", "edns0"]);
    }
}
