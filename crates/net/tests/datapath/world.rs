//! One test's machine: a "host" namespace, its pods, and clients outside.

use ipnet::IpNet;
use net::address::find_node_address;
use net::netns::Netns;
use net::nft::{Applied, Applier, Ruleset};
use net::pods::{Names, NodeRoutes, PodLinkSpec, PodNetwork};
use net::services::{HostPort, NetworkRanges, ServicePort, ServiceTable, ruleset};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// Longer than any answer here takes, and than which a refusal must be quicker.
const PATIENCE: Duration = Duration::from_millis(1500);

pub(crate) struct World {
    pub(crate) node_ip: IpAddr,
    pub(crate) names: Names,
    pub(crate) pods: PodNetwork,
    pub(crate) applier: Applier,
    pub(crate) host_ports: Vec<HostPort>,
    outside: PodNetwork,
    next: u8,
    // Dropped last: the pins lie below it.
    _dir: tempfile::TempDir,
}

pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) ip: IpAddr,
    pub(crate) netns: Netns,
}

impl Pod {
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, port)
    }
}

impl World {
    /// Runs `test` on a thread whose network (and mount) namespace is its own.
    pub(crate) fn run(name: &str, test: impl FnOnce(&mut World) + Send + 'static) {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let name = name.to_owned();
        let thread = std::thread::spawn(move || {
            use nix::mount::{MsFlags, mount};
            use nix::sched::{CloneFlags, unshare};
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
            // Pins stay in this thread's mounts and end with it.
            mount(
                None::<&str>,
                "/",
                None::<&str>,
                MsFlags::MS_REC | MsFlags::MS_PRIVATE,
                None::<&str>,
            )
            .unwrap();
            let mut world = World::new(&name);
            test(&mut world);
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    fn new(name: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix(&format!("kogge-net-{name}"))
            .tempdir()
            .unwrap();
        let names = Names::new(dir.path().join("netns"));
        let outside = Names {
            link_prefix: "xt".to_owned(),
            route_protocol: 76,
            netns_dir: dir.path().join("outside"),
            table: "outside".to_owned(),
        };
        // No uplink and no address at all: the air-gapped case.
        let node = find_node_address(None, "kogge").unwrap();
        let mut pods = PodNetwork::open(names.clone()).unwrap();
        pods.sync_node(&NodeRoutes {
            pod_cidrs: vec![net("10.42.0.0/24")],
            service_cidrs: vec![net("10.96.0.0/16")],
            node_ip: Some(node.ip),
            peers: vec![],
        })
        .unwrap();
        World {
            node_ip: node.ip,
            names,
            pods,
            applier: Applier::open("kogge", vec![net("10.96.0.0/16")]).unwrap(),
            host_ports: vec![],
            outside: PodNetwork::open(outside).unwrap(),
            next: 2,
            _dir: dir,
        }
    }

    pub(crate) fn ruleset(&self, services: Vec<ServicePort>) -> Ruleset {
        ruleset(&ServiceTable {
            network: NetworkRanges {
                cluster_cidrs: vec![net("10.42.0.0/16")],
                service_cidrs: vec![net("10.96.0.0/16")],
                ..NetworkRanges::default()
            },
            services,
            host_ports: self.host_ports.clone(),
        })
    }

    pub(crate) fn apply(&mut self, services: Vec<ServicePort>) -> Applied {
        let wanted = self.ruleset(services);
        assert_eq!(wanted.conflicts, Vec::<String>::new());
        match self.applier.apply(&wanted) {
            Ok(applied) => applied,
            Err(e) => panic!(
                "{e}: {:?}\n{wanted}",
                std::error::Error::source(&e).map(ToString::to_string)
            ),
        }
    }

    pub(crate) fn pod(&mut self, name: &str) -> Pod {
        let ip = Ipv4Addr::new(10, 42, 0, self.next).into();
        self.next += 1;
        let spec = PodLinkSpec {
            pod_id: name.to_owned(),
            ip,
            mtu: 1400,
            node_ip: Some(self.node_ip),
        };
        let link = self.pods.setup_pod(&spec).unwrap();
        Pod {
            name: name.to_owned(),
            ip,
            netns: Netns::open(link.netns).unwrap(),
        }
    }

    /// A client outside the cluster that has the node as its router.
    pub(crate) fn outside(&mut self, ip: &str) -> Pod {
        let ip = ip.parse().unwrap();
        let spec = PodLinkSpec {
            pod_id: format!("out-{ip}"),
            ip,
            mtu: 1500,
            node_ip: None,
        };
        let link = self.outside.setup_pod(&spec).unwrap();
        Pod {
            name: spec.pod_id,
            ip,
            netns: Netns::open(link.netns).unwrap(),
        }
    }

    /// A pod that answers on TCP 8080 whom it saw, and on UDP 5353 who it is.
    pub(crate) fn serving_pod(&mut self, name: &str) -> Pod {
        let pod = self.pod(name);
        Self::serve(&pod);
        pod
    }

    /// Lets `pod` (or a machine outside) answer.
    pub(crate) fn serve(pod: &Pod) {
        let (tcp, udp) = pod
            .netns
            .run(|| {
                (
                    TcpListener::bind("0.0.0.0:8080").unwrap(),
                    UdpSocket::bind("0.0.0.0:5353").unwrap(),
                )
            })
            .unwrap();
        let me = pod.name.clone();
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                let Ok(mut stream) = stream else { return };
                let from = stream.peer_addr().unwrap().ip();
                let _ = write!(stream, "{me} saw {from}");
            }
        });
        let me = pod.name.clone();
        std::thread::spawn(move || {
            let mut buf = [0; 64];
            while let Ok((_, from)) = udp.recv_from(&mut buf) {
                let _ = udp.send_to(me.as_bytes(), from);
            }
        });
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the kernel's own clock has to pass"
    )]
    pub(crate) fn pause(time: Duration) {
        std::thread::sleep(time);
    }
}

impl Drop for World {
    /// Also after a failed test nothing stays pinned, or its directory would stay too.
    fn drop(&mut self) {
        let done = [self.pods.purge(), self.outside.purge()];
        if !std::thread::panicking() {
            done.into_iter().for_each(Result::unwrap);
        }
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// A TCP service at `vip` whose endpoints are all on this node.
pub(crate) fn tcp_service(name: &str, vip: &str, endpoints: &[SocketAddr]) -> ServicePort {
    let vip: SocketAddr = vip.parse().unwrap();
    ServicePort {
        service: name.to_owned(),
        cluster_ips: vec![vip.ip()],
        port: vip.port(),
        endpoints: endpoints.to_vec(),
        local_endpoints: endpoints.to_vec(),
        ..ServicePort::default()
    }
}

/// What the server at `to` says.
pub(crate) fn connect(to: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// What comes back for a datagram.
pub(crate) fn sends(to: SocketAddr, what: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(what)?;
    let mut buf = vec![0; 2048];
    let len = socket.recv(&mut buf)?;
    buf.truncate(len);
    Ok(buf)
}

#[track_caller]
pub(crate) fn refused(result: io::Result<String>) {
    match result {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
        other => panic!("expected a refused connection, got {other:?}"),
    }
}
