//! Real packets through the datapath, in network namespaces made for each test.
//!
//! The "host" of a test is a fresh network namespace without any uplink, so the
//! machine's own firewall and routes are never touched. Needs root.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod datapath {
    pub(crate) mod world;
}

use datapath::world::{World, connect, refused, sends, tcp_service};
use net::nft::Protocol;
use net::pods::{NodeRoutes, PodLinkSpec};
use net::services::{HostPort, ServicePort};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const VIP: &str = "10.96.0.10:80";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_cluster_address_is_answered_for_pods_and_for_the_host() {
    World::run("clusterip", |w| {
        let server = w.serving_pod("server");
        let client = w.pod("client");
        w.apply(vec![tcp_service("default/web", VIP, &[server.at(8080)])]);
        let seen = client.netns.run(|| connect(addr(VIP))).unwrap().unwrap();
        assert_eq!(
            seen,
            format!("server saw {}", client.ip),
            "a pod's address must not be hidden"
        );
        let seen = connect(addr(VIP)).unwrap();
        assert_eq!(seen, format!("server saw {}", w.node_ip));
    });
}

#[test]
fn connections_are_spread_over_all_endpoints() {
    World::run("spread", |w| {
        let endpoints: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|n| w.serving_pod(n).at(8080))
            .collect();
        w.apply(vec![tcp_service("default/web", VIP, &endpoints)]);
        let mut seen = BTreeMap::new();
        for _ in 0..60 {
            *seen.entry(connect(addr(VIP)).unwrap()).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 3, "{seen:?}");
    });
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    World::run("hairpin", |w| {
        let pod = w.serving_pod("self");
        w.apply(vec![tcp_service("default/web", VIP, &[pod.at(8080)])]);
        let seen = pod.netns.run(|| connect(addr(VIP))).unwrap().unwrap();
        assert_eq!(seen, format!("self saw {}", w.node_ip));
    });
}

#[test]
fn node_ports_answer_at_every_address_and_hide_the_client_only_where_needed() {
    World::run("nodeport", |w| {
        let pod = w.serving_pod("server");
        let outside = w.outside("192.0.2.50");
        let mut service = ServicePort {
            node_port: Some(30080),
            ..tcp_service("default/web", VIP, &[pod.at(8080)])
        };
        w.apply(vec![service.clone()]);
        let node_port = SocketAddr::new(w.node_ip, 30080);
        let from_outside = || outside.netns.run(|| connect(node_port)).unwrap();
        assert_eq!(from_outside().unwrap(), format!("server saw {}", w.node_ip));
        assert_eq!(
            connect(node_port).unwrap(),
            format!("server saw {}", w.node_ip)
        );
        assert_eq!(
            connect(addr("127.0.0.1:30080")).unwrap(),
            format!("server saw {}", w.node_ip)
        );
        assert!(
            pod.netns.run(|| connect(node_port)).unwrap().is_ok(),
            "from a pod"
        );
        service.external_local = true;
        w.apply(vec![service.clone()]);
        assert_eq!(from_outside().unwrap(), "server saw 192.0.2.50");
        assert!(
            connect(node_port).is_ok(),
            "the node itself is served under policy Local"
        );
        // Endpoints elsewhere only: the packet is dropped, so that a load balancer looks elsewhere.
        service.local_endpoints.clear();
        w.apply(vec![service.clone()]);
        assert_eq!(from_outside().unwrap_err().kind(), ErrorKind::TimedOut);
        service.internal_local = true;
        w.apply(vec![service]);
        refused(connect(addr(VIP)));
    });
}

#[test]
fn external_and_load_balancer_addresses_admit_their_source_ranges() {
    World::run("external", |w| {
        let pod = w.serving_pod("server");
        let (good, bad) = (w.outside("192.0.2.50"), w.outside("192.0.3.50"));
        let mut service = tcp_service("default/web", VIP, &[pod.at(8080)]);
        service.external_ips = vec!["203.0.113.1".parse().unwrap()];
        service.load_balancer_ips = vec!["203.0.113.2".parse().unwrap()];
        service.source_ranges = vec!["192.0.2.0/24".parse().unwrap()];
        w.apply(vec![service]);
        let get =
            |from: &datapath::world::Pod, to: &str| from.netns.run(|| connect(addr(to))).unwrap();
        assert!(get(&good, "203.0.113.1:80").is_ok());
        assert!(get(&bad, "203.0.113.1:80").is_ok());
        assert!(get(&good, "203.0.113.2:80").is_ok());
        assert_eq!(
            get(&bad, "203.0.113.2:80").unwrap_err().kind(),
            ErrorKind::TimedOut
        );
    });
}

#[test]
fn pods_leave_the_cluster_under_the_address_of_the_node_but_meet_each_other_openly() {
    World::run("egress", |w| {
        w.apply(vec![]);
        let (client, server) = (w.pod("client"), w.serving_pod("server"));
        let outside = w.outside("192.0.2.50");
        World::serve(&outside);
        let seen = |to: SocketAddr| client.netns.run(|| connect(to)).unwrap().unwrap();
        assert_eq!(
            seen(outside.at(8080)),
            format!("out-192.0.2.50 saw {}", w.node_ip)
        );
        assert_eq!(seen(server.at(8080)), format!("server saw {}", client.ip));
    });
}

#[test]
fn what_nobody_serves_is_refused_at_once() {
    World::run("refuse", |w| {
        let client = w.pod("client");
        let outside = w.outside("192.0.2.50");
        let empty = ServicePort {
            node_port: Some(30080),
            ..tcp_service("default/empty", VIP, &[])
        };
        let udp = ServicePort {
            protocol: Protocol::Udp,
            ..tcp_service("default/udp", "10.96.0.10:53", &[])
        };
        w.apply(vec![empty, udp]);
        for to in [VIP, "10.96.77.77:80"] {
            refused(connect(addr(to)));
            refused(client.netns.run(|| connect(addr(to))).unwrap());
        }
        let node_port = SocketAddr::new(w.node_ip, 30080);
        refused(connect(node_port));
        refused(outside.netns.run(|| connect(node_port)).unwrap());
        let ask = || sends(addr("10.96.0.10:53"), b"x").unwrap_err().kind();
        // The kernel tells a local UDP sender of a refused packet by EPERM.
        assert_eq!(ask(), ErrorKind::PermissionDenied);
        assert_eq!(client.netns.run(ask).unwrap(), ErrorKind::ConnectionRefused);
        let unassigned = || connect(addr("10.42.0.99:80")).unwrap_err().kind();
        assert_eq!(unassigned(), ErrorKind::HostUnreachable);
        assert_eq!(
            client.netns.run(unassigned).unwrap(),
            ErrorKind::HostUnreachable
        );
    });
}

#[test]
fn a_client_stays_with_its_endpoint_until_that_goes() {
    World::run("affinity", |w| {
        let pods: Vec<_> = ["a", "b", "c"].iter().map(|n| w.serving_pod(n)).collect();
        let at = |names: &[usize]| names.iter().map(|i| pods[*i].at(8080)).collect::<Vec<_>>();
        let service = |endpoints: &[SocketAddr]| ServicePort {
            affinity_secs: Some(600),
            ..tcp_service("default/web", VIP, endpoints)
        };
        w.apply(vec![service(&at(&[0, 1, 2]))]);
        let client = w.pod("client");
        let ask = || client.netns.run(|| connect(addr(VIP))).unwrap().unwrap();
        let first = ask();
        (0..20).for_each(|_| assert_eq!(ask(), first));
        // Another service comes and the order changes: affinity survives.
        let other = tcp_service("default/other", "10.96.0.11:80", &at(&[0]));
        w.apply(vec![other, service(&at(&[2, 1, 0]))]);
        (0..20).for_each(|_| assert_eq!(ask(), first));
        let mine = pods
            .iter()
            .position(|p| first.starts_with(&p.name))
            .unwrap();
        let rest: Vec<_> = (0..3).filter(|i| *i != mine).collect();
        w.apply(vec![service(&at(&rest))]);
        let second = ask();
        assert_ne!(second, first);
        w.apply(vec![service(&at(&[0, 1, 2]))]);
        (0..20).for_each(|_| assert_eq!(ask(), second));
    });
}

#[test]
fn affinity_ends_with_its_timeout() {
    World::run("affinity-timeout", |w| {
        let endpoints: Vec<_> = ["a", "b", "c", "d"]
            .iter()
            .map(|n| w.serving_pod(n).at(8080))
            .collect();
        let service = ServicePort {
            affinity_secs: Some(1),
            ..tcp_service("default/web", VIP, &endpoints)
        };
        w.apply(vec![service]);
        let mut seen = BTreeSet::new();
        for _ in 0..8 {
            seen.insert(connect(addr(VIP)).unwrap());
            World::pause(Duration::from_millis(1200));
        }
        assert!(
            seen.len() > 1,
            "eight draws of four endpoints all fell on {seen:?}"
        );
    });
}

#[test]
fn udp_clients_leave_an_endpoint_that_is_gone_without_a_new_socket() {
    World::run("udp", |w| {
        let (a, b) = (w.serving_pod("a"), w.serving_pod("b"));
        let service = |at: SocketAddr| ServicePort {
            protocol: Protocol::Udp,
            node_port: Some(30053),
            ..tcp_service("default/dns", "10.96.0.10:53", &[at])
        };
        w.apply(vec![service(a.at(5353))]);
        let client = w.pod("client");
        let (socket, other) = client
            .netns
            .run(|| {
                let open = |to: SocketAddr| {
                    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
                    socket.connect(to).unwrap();
                    socket
                        .set_read_timeout(Some(Duration::from_secs(2)))
                        .unwrap();
                    socket
                };
                (
                    open(addr("10.96.0.10:53")),
                    open(SocketAddr::new(w.node_ip, 30053)),
                )
            })
            .unwrap();
        let ask = |socket: &std::net::UdpSocket| {
            let mut buf = [0; 64];
            socket.send(b"?").unwrap();
            let len = socket.recv(&mut buf).unwrap();
            String::from_utf8(buf[..len].to_vec()).unwrap()
        };
        assert_eq!(
            (ask(&socket), ask(&other)),
            ("a".to_owned(), "a".to_owned())
        );
        let applied = w.apply(vec![service(b.at(5353))]);
        assert_eq!(applied.flows_deleted, 2);
        assert_eq!(
            (ask(&socket), ask(&other)),
            ("b".to_owned(), "b".to_owned())
        );
    });
}

#[test]
fn pods_ask_cluster_dns_through_its_service_address() {
    use hickory_proto::op::{Message, MessageType, OpCode, Query};
    use hickory_proto::rr::{Name, RecordType};
    use net::dns::{DnsServer, DnsService, Listeners, ServiceKind, ZoneSource};
    World::run("dns", |w| {
        let client = w.pod("client");
        let kind = ServiceKind::Cluster {
            ips: vec![addr(VIP).ip()],
            ports: vec![],
        };
        let web = DnsService {
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            kind,
        };
        let zone = ZoneSource {
            services: vec![web],
            ..ZoneSource::default()
        }
        .build()
        .unwrap();
        // The node itself is the endpoint.
        let at = SocketAddr::new(w.node_ip, 5354);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listeners = runtime.block_on(Listeners::bind(at)).unwrap();
        runtime.spawn(DnsServer::new(zone, vec![]).run(listeners));
        let service = tcp_service("kube-system/kube-dns", "10.96.0.53:53", &[at]);
        w.apply(vec![
            ServicePort {
                protocol: Protocol::Udp,
                ..service.clone()
            },
            service,
        ]);
        let mut query = Message::new(1, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(
            Name::from_ascii("web.default.svc.cluster.local.").unwrap(),
            RecordType::A,
        ));
        let bytes = query.to_vec().unwrap();
        let ask = || sends(addr("10.96.0.53:53"), &bytes).unwrap();
        for reply in [client.netns.run(ask).unwrap(), ask()] {
            let reply = Message::from_vec(&reply).unwrap();
            assert_eq!(reply.answers[0].data.to_string(), "10.96.0.10");
        }
    });
}

#[test]
fn a_port_that_a_pod_serves_on_its_own_loopback_is_reached_from_inside() {
    World::run("inside", |w| {
        let pod = w.pod("shy");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = pod.netns.listen(addr("127.0.0.1:9000")).unwrap();
            let limit = Duration::from_secs(2);
            let (dialled, accepted) = tokio::join!(
                pod.netns.connect(addr("127.0.0.1:9000"), limit),
                listener.accept()
            );
            assert_eq!(dialled.unwrap().local_addr().unwrap(), accepted.unwrap().1);
            let error = pod
                .netns
                .connect(addr("127.0.0.1:9001"), limit)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        });
        refused(connect(addr("127.0.0.1:9000")));
    });
}

#[test]
fn host_ports_lead_to_their_pod() {
    World::run("hostport", |w| {
        let pod = w.serving_pod("server");
        let outside = w.outside("192.0.2.50");
        let port = |host_ip: Option<IpAddr>, host_port| HostPort {
            host_ip,
            host_port,
            protocol: Protocol::Tcp,
            pod: pod.at(8080),
        };
        w.host_ports = vec![
            port(None, 8081),
            port(Some(w.node_ip), 8082),
            port(Some(addr("127.0.0.1:0").ip()), 8083),
        ];
        w.apply(vec![]);
        for p in [8081, 8082] {
            let to = SocketAddr::new(w.node_ip, p);
            assert_eq!(
                outside.netns.run(|| connect(to)).unwrap().unwrap(),
                "server saw 192.0.2.50"
            );
            assert!(connect(to).is_ok());
            assert!(
                pod.netns.run(|| connect(to)).unwrap().is_ok(),
                "the pod itself"
            );
        }
        assert!(connect(addr("127.0.0.1:8083")).is_ok());
        refused(connect(SocketAddr::new(w.node_ip, 8083)));
    });
}

#[test]
fn pods_cannot_reach_the_loopback_of_the_host_nor_use_another_address() {
    use nix::sys::socket::{setsockopt, sockopt};
    World::run("guard", |w| {
        w.apply(vec![]);
        let pod = w.pod("evil");
        let listen = |at: SocketAddr| {
            let socket = std::net::UdpSocket::bind(at).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(300)))
                .unwrap();
            socket
        };
        let (loopback, node) = (
            listen(addr("127.0.0.1:7777")),
            listen(SocketAddr::new(w.node_ip, 7778)),
        );
        let arrives = |at: &std::net::UdpSocket| at.recv(&mut [0; 8]).is_ok();
        let node_ip = w.node_ip;
        let attack = || {
            pod.netns
                .run(|| {
                    // Bound to the link, 127.0.0.1 goes out through the gateway.
                    let socket = std::net::UdpSocket::bind((pod.ip, 0)).unwrap();
                    setsockopt(&socket, sockopt::BindToDevice, &"eth0".into()).unwrap();
                    socket.send_to(b"x", "127.0.0.1:7777").unwrap();
                    let fd = nix::sys::socket::socket(
                        nix::sys::socket::AddressFamily::Inet,
                        nix::sys::socket::SockType::Datagram,
                        nix::sys::socket::SockFlag::empty(),
                        None,
                    )
                    .unwrap();
                    setsockopt(&fd, sockopt::IpTransparent, &true).unwrap();
                    let forged = nix::sys::socket::SockaddrIn::new(10, 42, 0, 77, 0);
                    nix::sys::socket::bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &forged).unwrap();
                    std::net::UdpSocket::from(fd)
                        .send_to(b"x", (node_ip, 7778))
                        .unwrap();
                })
                .unwrap();
        };
        attack();
        assert!(!arrives(&loopback), "the host's loopback was reached");
        assert!(!arrives(&node), "a forged source address passed");
        // Without the guards both arrive, so the test means something.
        net::nft::delete_table("kogge").unwrap();
        let link = w.names.pod_link("evil");
        std::fs::write(format!("/proc/sys/net/ipv4/conf/{link}/rp_filter"), "0").unwrap();
        std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0").unwrap();
        attack();
        assert!(arrives(&loopback));
        assert!(arrives(&node));
    });
}

#[test]
fn unchanged_rulesets_cost_nothing_and_a_flushed_table_comes_back() {
    World::run("apply", |w| {
        let pod = w.serving_pod("server");
        let services = vec![tcp_service("default/web", VIP, &[pod.at(8080)])];
        w.apply(services.clone());
        assert_eq!(w.apply(services.clone()).messages, 0);
        net::nft::delete_table("kogge").unwrap();
        assert!(!w.applier.is_installed().unwrap());
        let more = tcp_service("default/two", "10.96.0.11:80", &[pod.at(8080)]);
        let applied = w.apply(services.into_iter().chain([more]).collect());
        assert!(applied.rebuilt);
        assert!(connect(addr(VIP)).is_ok());
        // A second applier (a restarted agent) replaces what it finds.
        let mut second = net::nft::Applier::open("kogge", vec![]).unwrap();
        assert!(second.apply(&w.ruleset(vec![])).unwrap().rebuilt);
        refused(connect(addr(VIP)));
    });
}

#[test]
fn the_probe_finds_this_kernel_able_and_leaves_nothing() {
    World::run("probe", |_| {
        net::services::probe("kogge").unwrap();
        let mut scratch = net::nft::Applier::open("kogge-probe", vec![]).unwrap();
        assert!(!scratch.is_installed().unwrap());
    });
}

#[test]
fn thousands_of_services_come_and_go_in_one_transaction_each() {
    World::run("many", |w| {
        let pod = w.serving_pod("server");
        let services: Vec<_> = (0..3000u32)
            .map(|i| {
                let vip = format!("10.96.{}.{}:80", 1 + i / 250, 1 + i % 250);
                tcp_service(&format!("default/s{i}"), &vip, &[pod.at(8080)])
            })
            .collect();
        let started = tokio::time::Instant::now();
        w.apply(services.clone());
        eprintln!("3000 services installed in {:?}", started.elapsed());
        assert!(connect(addr("10.96.12.250:80")).is_ok());
        let one = tcp_service("default/one", "10.96.200.1:80", &[pod.at(8080)]);
        let mut more = services;
        more.push(one);
        let started = tokio::time::Instant::now();
        assert!(w.apply(more).messages < 10, "the difference is small");
        eprintln!("one more compiled and installed in {:?}", started.elapsed());
        assert!(connect(addr("10.96.200.1:80")).is_ok());
        w.apply(vec![]);
        refused(connect(addr("10.96.12.250:80")));
    });
}

#[test]
fn links_are_repaired_listed_and_removed() {
    World::run("links", |w| {
        let pod = w.serving_pod("one");
        w.pod("two");
        let spec = PodLinkSpec {
            pod_id: "one".to_owned(),
            ip: pod.ip,
            mtu: 1400,
            node_ip: None,
        };
        let again = w.pods.setup_pod(&spec).unwrap();
        assert_eq!(again.ip, Some(pod.ip));
        assert!(
            connect(pod.at(8080)).is_ok(),
            "set up again, it still works"
        );
        let ids: Vec<_> = w
            .pods
            .list()
            .unwrap()
            .into_iter()
            .map(|p| (p.pod_id, p.ip.is_some()))
            .collect();
        assert_eq!(ids, [("one".to_owned(), true), ("two".to_owned(), true)]);
        // The link lost, the namespace there: as after a crash in between.
        let other = net::pods::Names::new(w.names.netns_dir.join("none"));
        net::pods::PodNetwork::open(other)
            .unwrap()
            .teardown_pod("one")
            .unwrap();
        assert!(connect(pod.at(8080)).is_err());
        let started = tokio::time::Instant::now();
        w.pods.setup_pod(&spec).unwrap();
        eprintln!("link made in {:?}", started.elapsed());
        assert!(connect(pod.at(8080)).is_ok(), "repaired");
        assert_eq!(
            w.pods
                .remove_leftovers(&BTreeSet::from(["one".to_owned()]))
                .unwrap(),
            ["two"]
        );
        w.pods.teardown_pod("one").unwrap();
        w.pods.teardown_pod("one").unwrap();
        assert!(w.pods.list().unwrap().is_empty());
        assert!(connect(pod.at(8080)).is_err());
        assert!(
            w.pods
                .setup_pod(&PodLinkSpec {
                    pod_id: "../x".to_owned(),
                    ..spec
                })
                .is_err()
        );
    });
}

#[test]
fn purge_leaves_nothing() {
    World::run("purge", |w| {
        let pod = w.serving_pod("server");
        w.apply(vec![tcp_service("default/web", VIP, &[pod.at(8080)])]);
        let peers = vec![(
            "10.42.7.0/24".parse().unwrap(),
            "198.18.0.9".parse().unwrap(),
        )];
        // A peer that no link leads to is an error that names the route.
        let failed = w
            .pods
            .sync_node(&NodeRoutes {
                peers,
                ..NodeRoutes::default()
            })
            .unwrap_err();
        assert!(
            failed.to_string().contains("add route to 10.42.7.0/24"),
            "{failed}"
        );
        net::pods::purge(&w.names).unwrap();
        net::pods::purge(&w.names).unwrap();
        let links = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let names: Vec<_> = links
            .lines()
            .skip(2)
            .filter_map(|l| l.split(':').next())
            .map(str::trim)
            .collect();
        let names: Vec<_> = names
            .into_iter()
            .filter(|n| !["sit0", "tunl0", "ip6tnl0"].contains(n))
            .collect();
        assert_eq!(names, ["lo"]);
        let routes = std::fs::read_to_string("/proc/thread-self/net/route").unwrap();
        assert_eq!(routes.lines().count(), 1, "{routes}");
        assert!(!w.applier.is_installed().unwrap());
        assert!(!w.names.netns_dir.exists());
        refused(connect(addr("127.0.0.1:30080")));
    });
}
