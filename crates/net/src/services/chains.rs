//! The chains that every ruleset has: hooks, refusals and masquerading.
//!
//! Pure. Invariant: the order of hooks is: guard (raw), translate (dstnat), refuse what
//! was not translated (filter), masquerade (srcnat).

use super::{
    Build, HAIRPIN, HOST_PORTS, HOST_PORTS_ANY, NO_ENDPOINT_PORTS, NO_ENDPOINTS, NODE_PORTS,
    SERVICES, v4_nets,
};
use crate::nft::{Base, Chain, End, Field, Hook, Protocol, Stmt};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Marks a packet to be masqueraded and returns.
pub(super) const MARK: &str = "mark-masquerade";
/// Refuses a packet.
pub(super) const REJECT: &str = "reject";
/// For NetworkPolicy: forwarded traffic of pods passes here, after services.
const POD_POLICY: &str = "pod-policy";
const TRANSLATE: &str = "translate";
const MARK_FOREIGN: &str = "mark-foreign-client";
const REFUSE: &str = "refuse-unserved";

const PRIORITY_RAW: i32 = -300;
const PRIORITY_DSTNAT: i32 = -100;
/// Before the host's own filters, which must not hide a refusal.
const PRIORITY_REFUSE: i32 = -110;
/// For the output hook, where translation comes first.
const PRIORITY_REFUSE_OUTPUT: i32 = -90;
const PRIORITY_SRCNAT: i32 = 100;

const FULL_KEY: [Field; 3] = [Field::Destination, Field::Protocol, Field::DestinationPort];
const PORT_KEY: [Field; 2] = [Field::Protocol, Field::DestinationPort];

const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

impl Build<'_> {
    pub(super) fn chain(&mut self, name: &str, base: Option<Base>, rules: Vec<Vec<Stmt>>) {
        self.out
            .chains
            .insert(name.to_owned(), Chain { base, rules });
    }

    fn hook(&mut self, name: &str, nat: bool, hook: Hook, priority: i32, rules: Vec<Vec<Stmt>>) {
        let mut all = vec![vec![Stmt::NotIpv4, Stmt::Return]];
        all.extend(rules);
        self.chain(
            name,
            Some(Base {
                nat,
                hook,
                priority,
            }),
            all,
        );
    }

    pub(super) fn base_chains(&mut self) {
        let network = &self.table.network;
        let mark = network.masquerade_mark;
        let jump = |chain: &str| vec![Stmt::Jump(chain.to_owned())];
        // Pods must not reach the host's loopback through route_localnet.
        let guard = vec![
            Stmt::InFrom(network.link_prefix.clone()),
            Stmt::Net {
                end: End::Destination,
                net: LOOPBACK,
                inside: true,
            },
            Stmt::Drop,
        ];
        self.hook(
            "hook-guard",
            false,
            Hook::Prerouting,
            PRIORITY_RAW,
            vec![guard],
        );
        self.hook(
            "hook-prerouting",
            true,
            Hook::Prerouting,
            PRIORITY_DSTNAT,
            vec![jump(TRANSLATE)],
        );
        self.hook(
            "hook-output",
            true,
            Hook::Output,
            PRIORITY_DSTNAT,
            vec![jump(TRANSLATE)],
        );
        let refuse = || vec![jump(REFUSE)];
        self.hook("hook-input", false, Hook::Input, PRIORITY_REFUSE, refuse());
        let forward = vec![jump(REFUSE).remove(0), Stmt::Jump(POD_POLICY.to_owned())];
        let forward = forward.into_iter().map(|s| vec![s]).collect();
        self.hook(
            "hook-forward",
            false,
            Hook::Forward,
            PRIORITY_REFUSE,
            forward,
        );
        self.hook(
            "hook-output-refuse",
            false,
            Hook::Output,
            PRIORITY_REFUSE_OUTPUT,
            refuse(),
        );
        self.chain(POD_POLICY, None, Vec::new());
        self.chain(MARK, None, vec![vec![Stmt::SetMark(mark)]]);
        self.chain(
            REJECT,
            None,
            vec![
                vec![Stmt::Protocol(Protocol::Tcp), Stmt::TcpReset],
                vec![Stmt::PortUnreachable],
            ],
        );
        self.translate();
        self.refuse();
        self.masquerade();
    }

    fn translate(&mut self) {
        let network = &self.table.network;
        let mut rules = Vec::new();
        // A client outside the cluster that routes service addresses here must get
        // its answer from here.
        for net in v4_nets(&network.service_cidrs) {
            let to = Stmt::Net {
                end: End::Destination,
                net,
                inside: true,
            };
            rules.push(vec![to, Stmt::Jump(MARK_FOREIGN.to_owned())]);
        }
        rules.push(vec![Stmt::Vmap {
            fields: FULL_KEY.to_vec(),
            map: SERVICES.to_owned(),
        }]);
        rules.push(vec![
            Stmt::Local {
                end: End::Destination,
                is: false,
            },
            Stmt::Return,
        ]);
        rules.push(vec![Stmt::DnatMap {
            fields: FULL_KEY.to_vec(),
            map: HOST_PORTS.to_owned(),
        }]);
        rules.push(vec![Stmt::DnatMap {
            fields: PORT_KEY.to_vec(),
            map: HOST_PORTS_ANY.to_owned(),
        }]);
        rules.push(vec![Stmt::Vmap {
            fields: PORT_KEY.to_vec(),
            map: NODE_PORTS.to_owned(),
        }]);
        let mut foreign: Vec<Vec<Stmt>> = v4_nets(&network.cluster_cidrs)
            .map(|net| {
                vec![
                    Stmt::Net {
                        end: End::Source,
                        net,
                        inside: true,
                    },
                    Stmt::Return,
                ]
            })
            .collect();
        foreign.push(vec![
            Stmt::Local {
                end: End::Source,
                is: true,
            },
            Stmt::Return,
        ]);
        foreign.push(vec![Stmt::SetMark(network.masquerade_mark)]);
        self.chain(TRANSLATE, None, rules);
        self.chain(MARK_FOREIGN, None, foreign);
    }

    fn refuse(&mut self) {
        let mut rules = vec![vec![Stmt::Vmap {
            fields: FULL_KEY.to_vec(),
            map: NO_ENDPOINTS.to_owned(),
        }]];
        for net in v4_nets(&self.table.network.service_cidrs) {
            let to = Stmt::Net {
                end: End::Destination,
                net,
                inside: true,
            };
            rules.push(vec![to, Stmt::Goto(REJECT.to_owned())]);
        }
        let ports = Stmt::Vmap {
            fields: PORT_KEY.to_vec(),
            map: NO_ENDPOINT_PORTS.to_owned(),
        };
        rules.push(vec![
            Stmt::CtNew,
            Stmt::Local {
                end: End::Destination,
                is: true,
            },
            ports,
        ]);
        self.chain(REFUSE, None, rules);
    }

    fn masquerade(&mut self) {
        let network = &self.table.network;
        let from = |net, inside| Stmt::Net {
            end: End::Source,
            net,
            inside,
        };
        let to = |net, inside| Stmt::Net {
            end: End::Destination,
            net,
            inside,
        };
        let fields = vec![Field::Source, Field::Destination];
        let mut rules = vec![
            vec![
                Stmt::HasMark(network.masquerade_mark),
                Stmt::ClearMark(network.masquerade_mark),
                Stmt::Masquerade,
            ],
            vec![
                Stmt::CtTranslated,
                Stmt::InSet {
                    fields,
                    set: HAIRPIN.to_owned(),
                },
                Stmt::Masquerade,
            ],
            vec![
                Stmt::CtTranslated,
                from(LOOPBACK, true),
                to(LOOPBACK, false),
                Stmt::Masquerade,
            ],
        ];
        for stay in [&network.cluster_cidrs, &network.non_masquerade_cidrs] {
            rules.extend(v4_nets(stay).map(|net| vec![to(net, true), Stmt::Return]));
        }
        for net in v4_nets(&network.cluster_cidrs) {
            rules.push(vec![
                from(net, true),
                Stmt::OutNotTo(network.link_prefix.clone()),
                Stmt::Masquerade,
            ]);
        }
        self.hook(
            "hook-postrouting",
            true,
            Hook::Postrouting,
            PRIORITY_SRCNAT,
            rules,
        );
    }
}
