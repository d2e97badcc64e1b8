//! Tables: what is asked for, and the rules that come of it.

use super::*;

fn service() -> ServicePort {
    ServicePort {
        service: "default/web".to_owned(),
        port_name: "http".to_owned(),
        cluster_ips: vec!["10.96.0.10".parse().unwrap()],
        port: 80,
        endpoints: vec![
            "10.42.0.2:8080".parse().unwrap(),
            "10.42.1.3:8080".parse().unwrap(),
        ],
        local_endpoints: vec!["10.42.0.2:8080".parse().unwrap()],
        ..ServicePort::default()
    }
}

fn compile(services: Vec<ServicePort>, host_ports: Vec<HostPort>) -> Ruleset {
    let network = NetworkRanges {
        cluster_cidrs: vec!["10.42.0.0/16".parse().unwrap()],
        service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
        ..NetworkRanges::default()
    };
    ruleset(&ServiceTable {
        network,
        services,
        host_ports,
    })
}

/// The lines of the ruleset that speak of the services given (not of what is always there).
fn lines(services: Vec<ServicePort>) -> Vec<String> {
    let bare = compile(vec![], vec![]).to_string();
    let bare: Vec<&str> = bare.lines().filter(|l| *l != "}").collect();
    let id = |chain: &str| format!("{:016x}", crate::pods::fnv(chain));
    let (cluster, local) = (
        id("svc/default/web/tcp/http"),
        id("local/default/web/tcp/http"),
    );
    let text = compile(services, vec![])
        .to_string()
        .replace(&cluster, "<svc>")
        .replace(&local, "<local>");
    text.lines()
        .filter(|l| !bare.contains(l) && *l != "}")
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_cluster_service_is_one_lookup_and_one_draw() {
    assert_eq!(
        lines(vec![service()]),
        [
            "map endpoints { type balancer . integer : ipv4_addr . inet_service; \
             elements = <svc> . 0 : 10.42.0.2 . 8080, <svc> . 1 : 10.42.1.3 . 8080 }",
            "set hairpin { type ipv4_addr . ipv4_addr; elements = 10.42.0.2 . 10.42.0.2 }",
            "map services { type ipv4_addr . inet_proto . inet_service : verdict; \
             elements = 10.96.0.10 . tcp . 80 : goto svc/default/web/tcp/http }",
            "chain svc/default/web/tcp/http {",
            "  dnat ip to <svc> . numgen random mod 2 map @endpoints",
        ]
    );
}

#[test]
fn the_frame_refuses_masquerades_and_guards() {
    let text = compile(vec![], vec![]).to_string();
    for rule in [
        "  iifname \"kg*\" ip daddr 127.0.0.0/8 drop\n",
        "  ip daddr . meta l4proto . th dport vmap @no-endpoints\n  ip daddr 10.96.0.0/16 goto reject\n",
        "chain reject {\n  meta l4proto tcp reject with tcp reset\n  reject with icmpx port-unreachable\n}\n",
        "  ct status dnat ip saddr . ip daddr @hairpin masquerade fully-random\n",
        "  ip daddr 10.42.0.0/16 return\n  ip saddr 10.42.0.0/16 oifname != \"kg*\" masquerade fully-random\n",
        "  fib daddr type != local return\n",
    ] {
        assert!(text.contains(rule), "{rule} is not in\n{text}");
    }
}

#[test]
fn a_service_without_endpoints_is_refused_at_all_its_fronts() {
    let empty = ServicePort {
        endpoints: vec![],
        local_endpoints: vec![],
        node_port: Some(30080),
        external_ips: vec!["203.0.113.1".parse().unwrap()],
        ..service()
    };
    assert_eq!(
        lines(vec![empty]),
        [
            "map no-endpoint-ports { type inet_proto . inet_service : verdict; elements = tcp . 30080 : goto reject }",
            "map no-endpoints { type ipv4_addr . inet_proto . inet_service : verdict; \
             elements = 10.96.0.10 . tcp . 80 : goto reject, 203.0.113.1 . tcp . 80 : goto reject }",
        ]
    );
}

#[test]
fn external_traffic_is_masqueraded_under_policy_cluster_only() {
    let cluster = ServicePort {
        node_port: Some(30080),
        ..service()
    };
    let ext = |lines: &[String]| -> Vec<String> {
        let start = lines
            .iter()
            .position(|l| l == "chain ext/default/web/tcp/http {")
            .unwrap();
        lines[start + 1..]
            .iter()
            .take_while(|l| l.starts_with("  "))
            .map(|l| l.trim().to_owned())
            .collect()
    };
    assert_eq!(
        ext(&lines(vec![cluster.clone()])),
        ["jump mark-masquerade", "goto svc/default/web/tcp/http"]
    );
    let local = ServicePort {
        external_local: true,
        ..cluster
    };
    let own = [
        "ip saddr 10.42.0.0/16 goto svc/default/web/tcp/http",
        "fib saddr type local jump mark-masquerade",
        "fib saddr type local goto svc/default/web/tcp/http",
    ];
    assert_eq!(
        ext(&lines(vec![local.clone()])),
        [&own[..], &["goto local/default/web/tcp/http"]].concat()
    );
    let elsewhere = ServicePort {
        local_endpoints: vec![],
        ..local
    };
    assert_eq!(ext(&lines(vec![elsewhere])), [&own[..], &["drop"]].concat());
}

#[test]
fn internal_policy_local_refuses_where_the_node_has_no_endpoint() {
    let local = ServicePort {
        internal_local: true,
        ..service()
    };
    let text = lines(vec![local.clone()]).join("\n");
    assert!(
        text.contains("10.96.0.10 . tcp . 80 : goto local/default/web/tcp/http"),
        "{text}"
    );
    assert!(text.contains("<local> . 0 : 10.42.0.2 . 8080"), "{text}");
    let text = lines(vec![ServicePort {
        local_endpoints: vec![],
        ..local
    }])
    .join("\n");
    assert!(
        text.contains("10.96.0.10 . tcp . 80 : goto reject"),
        "{text}"
    );
}

#[test]
fn affinity_checks_that_the_remembered_endpoint_still_exists() {
    let rules = lines(vec![ServicePort {
        affinity_secs: Some(60),
        ..service()
    }])
    .join("\n");
    for part in [
        "map svc/default/web/tcp/http/aff { type ipv4_addr : ipv4_addr . inet_service; flags dynamic,timeout }",
        "ip saddr map @svc/default/web/tcp/http/aff in @svc/default/web/tcp/http/in update",
        "delete @svc/default/web/tcp/http/aff { ip saddr }",
        "timeout 60s",
    ] {
        assert!(rules.contains(part), "{part} is not in\n{rules}");
    }
}

#[test]
fn source_ranges_guard_the_load_balancer_address_only() {
    let guarded = ServicePort {
        load_balancer_ips: vec!["203.0.113.2".parse().unwrap()],
        node_port: Some(30080),
        source_ranges: vec!["192.0.2.0/24".parse().unwrap()],
        ..service()
    };
    let text = lines(vec![guarded]).join("\n");
    assert!(
        text.contains("203.0.113.2 . tcp . 80 : goto fw/default/web/tcp/http"),
        "{text}"
    );
    assert!(
        text.contains("tcp . 30080 : goto ext/default/web/tcp/http"),
        "{text}"
    );
    assert!(text.contains("chain fw/default/web/tcp/http {\n  ip saddr 192.0.2.0/24 goto ext/default/web/tcp/http\n  drop"));
}

#[test]
fn the_first_owner_keeps_a_contested_port_and_the_loser_is_named() {
    let first = ServicePort {
        node_port: Some(30080),
        ..service()
    };
    let second = ServicePort {
        service: "other/web".to_owned(),
        cluster_ips: vec!["10.96.0.11".parse().unwrap(), "fd00::1".parse().unwrap()],
        ..first.clone()
    };
    let third = ServicePort {
        service: "a/empty".to_owned(),
        endpoints: vec![],
        ..first.clone()
    };
    let rules = compile(vec![first, second, third], vec![]);
    assert_eq!(
        rules.conflicts,
        [
            "other/web/tcp/http: fd00::1 is not IPv4",
            "other/web/tcp/http: tcp 30080 is already in use",
            "a/empty/tcp/http: 10.96.0.10 tcp 80 is already in use",
            "a/empty/tcp/http: tcp 30080 is already in use",
        ]
    );
    assert!(
        rules
            .to_string()
            .contains("tcp . 30080 : goto ext/default/web/tcp/http")
    );
}

#[test]
fn host_ports_are_kept_apart_by_address() {
    let port = |host_ip: Option<&str>, pod: &str| HostPort {
        host_ip: host_ip.map(|s| s.parse().unwrap()),
        host_port: 8081,
        protocol: Protocol::Udp,
        pod: pod.parse().unwrap(),
    };
    let all = [
        port(None, "10.42.0.2:53"),
        port(Some("192.0.2.1"), "10.42.0.3:53"),
        port(Some("0.0.0.0"), "10.42.0.4:53"),
    ];
    let rules = compile(vec![], all.to_vec());
    let text = rules.to_string();
    assert!(text.contains("host-ports-any { type inet_proto . inet_service : ipv4_addr . inet_service; elements = udp . 8081 : 10.42.0.2 . 53 }"), "{text}");
    assert!(
        text.contains("elements = 192.0.2.1 . udp . 8081 : 10.42.0.3 . 53 }"),
        "{text}"
    );
    assert_eq!(
        rules.conflicts,
        ["hostPort 8081: udp 8081 is already in use"]
    );
}

#[test]
fn names_stay_within_the_limit_of_the_kernel() {
    let long = ServicePort {
        service: format!("{}/{}", "n".repeat(120), "s".repeat(120)),
        ..service()
    };
    let rules = compile(vec![long], vec![]);
    assert!(
        rules
            .chains
            .keys()
            .chain(rules.sets.keys())
            .all(|name| name.len() < 256)
    );
}

#[test]
fn the_same_table_in_another_order_is_the_same_ruleset() {
    let other = ServicePort {
        service: "default/other".to_owned(),
        cluster_ips: vec!["10.96.0.11".parse().unwrap()],
        ..service()
    };
    let mut turned = service();
    turned.endpoints.reverse();
    assert_eq!(
        compile(vec![service(), other.clone()], vec![]),
        compile(vec![other, turned], vec![])
    );
}
