//! Tables: a question, and the answer of a small cluster.

use super::super::{DnsEndpoint, DnsPort, DnsService, ServiceKind, ZoneSource};
use super::*;
use crate::nft::Protocol;

fn port(name: &str, port: u16) -> DnsPort {
    DnsPort {
        name: name.to_owned(),
        protocol: Protocol::Tcp,
        port,
    }
}

fn service(namespace: &str, name: &str, kind: ServiceKind) -> DnsService {
    DnsService {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        kind,
    }
}

fn external(name: &str, target: &str) -> DnsService {
    service(
        "default",
        name,
        ServiceKind::External {
            target: target.to_owned(),
        },
    )
}

fn zone() -> Zone {
    let endpoint = |ip: &str, hostname: Option<&str>| DnsEndpoint {
        ip: ip.parse().unwrap(),
        hostname: hostname.map(str::to_owned),
        ports: vec![port("peer", 2380)],
    };
    let web = ServiceKind::Cluster {
        ips: vec!["10.96.0.10".parse().unwrap()],
        ports: vec![port("http", 80), port("", 81)],
    };
    let db = vec![
        endpoint("10.42.0.2", Some("db-0")),
        endpoint("10.42.0.3", None),
        endpoint("10.42.0.4", None),
    ];
    ZoneSource {
        name_servers: vec!["10.96.0.53".parse().unwrap()],
        namespaces: vec!["default".to_owned(), "empty".to_owned()],
        services: vec![
            service("default", "web", web),
            service("default", "db", ServiceKind::Headless { endpoints: db }),
            service(
                "default",
                "none",
                ServiceKind::Headless { endpoints: vec![] },
            ),
            external("out", "www.example.com"),
            external("in", "web.default.svc.cluster.local"),
            external("loop", "loop.default.svc.cluster.local"),
        ],
        reverse: vec![
            "10.96.0.0/16".parse().unwrap(),
            "10.42.0.0/24".parse().unwrap(),
        ],
        ..ZoneSource::default()
    }
    .build()
    .unwrap()
}

fn ask(name: &str, kind: RecordType) -> Option<Answer> {
    zone().answer(&Name::from_ascii(name).unwrap(), kind, 1)
}

/// The answer as text: code, then the data of the answers, sorted; `soa` when it is there.
fn answer(name: &str, kind: RecordType) -> String {
    let Some(answer) = ask(name, kind) else {
        return "not ours".to_owned();
    };
    let mut data: Vec<String> = answer.answers.iter().map(|r| r.data.to_string()).collect();
    data.sort();
    let soa = answer.authorities.iter().map(|_| "soa".to_owned());
    let next = answer.continue_at.map(|n| format!("then {n}"));
    let code = match answer.code {
        ResponseCode::NoError => "ok".to_owned(),
        ResponseCode::NXDomain => "nxdomain".to_owned(),
        other => other.to_string(),
    };
    std::iter::once(code)
        .chain(data)
        .chain(soa)
        .chain(next)
        .collect::<Vec<_>>()
        .join(" | ")
}

#[test]
fn every_kind_of_name_has_its_answer() {
    use RecordType::{A, AAAA, CNAME, MX, NS, PTR, SRV, TXT};
    let table = [
        ("web.default.svc.cluster.local.", A, "ok | 10.96.0.10"),
        ("WeB.Default.SVC.Cluster.LOCAL.", A, "ok | 10.96.0.10"),
        ("web.default.svc.cluster.local.", AAAA, "ok | soa"),
        ("web.default.svc.cluster.local.", MX, "ok | soa"),
        ("web.other.svc.cluster.local.", A, "nxdomain | soa"),
        ("nothing.default.svc.cluster.local.", A, "nxdomain | soa"),
        // Names that exist only as part of longer ones.
        ("default.svc.cluster.local.", A, "ok | soa"),
        ("empty.svc.cluster.local.", A, "ok | soa"),
        ("svc.cluster.local.", A, "ok | soa"),
        ("cluster.local.", A, "ok | soa"),
        ("_tcp.web.default.svc.cluster.local.", SRV, "ok | soa"),
        ("missing.svc.cluster.local.", A, "nxdomain | soa"),
        (
            "db.default.svc.cluster.local.",
            A,
            "ok | 10.42.0.2 | 10.42.0.3 | 10.42.0.4",
        ),
        ("db-0.db.default.svc.cluster.local.", A, "ok | 10.42.0.2"),
        (
            "10-42-0-3.db.default.svc.cluster.local.",
            A,
            "ok | 10.42.0.3",
        ),
        (
            "10-42-0-2.db.default.svc.cluster.local.",
            A,
            "nxdomain | soa",
        ),
        ("none.default.svc.cluster.local.", A, "ok | soa"),
        (
            "_http._tcp.web.default.svc.cluster.local.",
            SRV,
            "ok | 0 100 80 web.default.svc.cluster.local.",
        ),
        (
            "_http._udp.web.default.svc.cluster.local.",
            SRV,
            "nxdomain | soa",
        ),
        (
            "out.default.svc.cluster.local.",
            A,
            "ok | www.example.com. | then www.example.com.",
        ),
        (
            "out.default.svc.cluster.local.",
            CNAME,
            "ok | www.example.com.",
        ),
        (
            "in.default.svc.cluster.local.",
            A,
            "ok | 10.96.0.10 | web.default.svc.cluster.local.",
        ),
        (
            "in.default.svc.cluster.local.",
            AAAA,
            "ok | web.default.svc.cluster.local. | soa",
        ),
        ("1-2-3-4.default.pod.cluster.local.", A, "ok | 1.2.3.4"),
        ("1-2-3-4.nowhere.pod.cluster.local.", A, "nxdomain | soa"),
        ("1-2-3-400.default.pod.cluster.local.", A, "nxdomain | soa"),
        ("empty.pod.cluster.local.", A, "ok | soa"),
        ("nowhere.pod.cluster.local.", A, "nxdomain | soa"),
        ("dns-version.cluster.local.", TXT, "ok | 1.1.0"),
        ("cluster.local.", NS, "ok | ns.dns.cluster.local."),
        ("ns.dns.cluster.local.", A, "ok | 10.96.0.53"),
        (
            "10.0.96.10.in-addr.arpa.",
            PTR,
            "ok | web.default.svc.cluster.local.",
        ),
        (
            "2.0.42.10.in-addr.arpa.",
            PTR,
            "ok | db-0.db.default.svc.cluster.local.",
        ),
        (
            "3.0.42.10.in-addr.arpa.",
            PTR,
            "ok | 10-42-0-3.db.default.svc.cluster.local.",
        ),
        ("99.0.96.10.in-addr.arpa.", PTR, "nxdomain | soa"),
        ("1.1.1.1.in-addr.arpa.", PTR, "not ours"),
        ("www.example.com.", A, "not ours"),
        ("notcluster.local.", A, "not ours"),
        ("web.default.svc.cluster.local.lan.", A, "not ours"),
        (".", NS, "not ours"),
    ];
    for (name, kind, expected) in table {
        assert_eq!(answer(name, kind), expected, "{name} {kind}");
    }
}

#[test]
fn aliases_in_a_circle_end() {
    assert_eq!(
        ask("loop.default.svc.cluster.local.", RecordType::A)
            .unwrap()
            .code,
        ResponseCode::ServFail
    );
}

#[test]
fn service_records_bring_the_addresses_of_their_targets() {
    let answer = ask("_peer._tcp.db.default.svc.cluster.local.", RecordType::SRV).unwrap();
    assert_eq!(answer.answers.len(), 3);
    let mut found: Vec<_> = answer
        .additionals
        .iter()
        .map(|r| format!("{} {}", r.name, r.data))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "10-42-0-3.db.default.svc.cluster.local. 10.42.0.3",
            "10-42-0-4.db.default.svc.cluster.local. 10.42.0.4",
            "db-0.db.default.svc.cluster.local. 10.42.0.2",
        ]
    );
}

#[test]
fn records_live_five_seconds_and_negative_answers_too() {
    let positive = ask("web.default.svc.cluster.local.", RecordType::A).unwrap();
    assert_eq!(positive.answers[0].ttl, 5);
    let negative = ask("x.default.svc.cluster.local.", RecordType::A).unwrap();
    let RData::SOA(soa) = &negative.authorities[0].data else {
        panic!("no SOA")
    };
    assert_eq!((negative.authorities[0].ttl, soa.minimum), (5, 5));
    assert_eq!(negative.authorities[0].name.to_string(), "cluster.local.");
}

#[test]
fn several_addresses_come_in_every_order() {
    let zone = zone();
    let name = Name::from_ascii("db.default.svc.cluster.local.").unwrap();
    let first = |seed| {
        zone.answer(&name, RecordType::A, seed).unwrap().answers[0]
            .data
            .to_string()
    };
    let firsts: BTreeSet<_> = (0..50).map(|i| first(i * 0x9e37_79b9)).collect();
    assert_eq!(firsts.len(), 3);
}

#[test]
fn a_domain_that_is_no_name_is_an_error() {
    assert!(
        ZoneSource {
            domain: "a..b".to_owned(),
            ..ZoneSource::default()
        }
        .build()
        .is_err()
    );
}
