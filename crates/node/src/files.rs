//! `/etc/hosts` and `/etc/resolv.conf` of pods.
//!
//! Pure. Contents are the kubelet's.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;

use crate::options::Options;
use crate::pods::spec;

/// Search paths that a resolver takes (the kubelet's limit).
const SEARCH_MAX: usize = 32;
/// Name servers that a resolver takes.
const NAME_SERVERS_MAX: usize = 3;
/// Linux takes no longer name.
const HOSTNAME_MAX: usize = 63;

/// The Pod's host name, and its domain if it has one.
pub fn hostname(pod: &Pod, options: &Options) -> (String, Option<String>) {
    let pod_spec = pod.spec.as_ref();
    if let Some(name) = pod_spec.and_then(|spec| spec.hostname_override.clone()) {
        return (name, None);
    }
    if spec::host_network(pod) {
        return (options.node_name.clone(), None);
    }
    let wanted = pod_spec
        .and_then(|spec| spec.hostname.clone())
        .filter(|name| !name.is_empty());
    let mut name = wanted.unwrap_or_else(|| spec::name(pod).to_owned());
    name.truncate(HOSTNAME_MAX);
    let name = name.trim_end_matches(['-', '.']).to_owned();
    let subdomain = pod_spec
        .and_then(|spec| spec.subdomain.as_deref())
        .filter(|name| !name.is_empty());
    let domain = subdomain.map(|subdomain| {
        format!(
            "{subdomain}.{}.svc.{}",
            spec::namespace(pod),
            options.cluster_domain
        )
    });
    (name, domain)
}

/// The content of `/etc/hosts`. `own` is the machine's file, for pods on its network.
pub fn hosts(pod: &Pod, ips: &[IpAddr], options: &Options, own: Option<&str>) -> String {
    let mut text = match own {
        Some(own) => format!("# Kubernetes-managed hosts file (host network).\n{own}"),
        None => "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
                 fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
            .to_owned(),
    };
    if own.is_none() {
        let (name, domain) = hostname(pod, options);
        for ip in ips {
            match &domain {
                Some(domain) => text.push_str(&format!("{ip}\t{name}.{domain}\t{name}\n")),
                None => text.push_str(&format!("{ip}\t{name}\n")),
            }
        }
    }
    let aliases = pod
        .spec
        .iter()
        .flat_map(|spec| spec.host_aliases.iter().flatten());
    let lines: Vec<_> = aliases
        .map(|alias| {
            format!(
                "{}\t{}\n",
                alias.ip,
                alias.hostnames.clone().unwrap_or_default().join("\t")
            )
        })
        .collect();
    if !lines.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
        lines.iter().for_each(|line| text.push_str(line));
    }
    text
}

/// The content of `/etc/resolv.conf`.
pub fn resolv_conf(pod: &Pod, options: &Options) -> String {
    let pod_spec = pod.spec.as_ref();
    let policy = pod_spec
        .and_then(|spec| spec.dns_policy.as_deref())
        .unwrap_or("ClusterFirst");
    let host = net::dns::parse_resolv_conf(&options.resolv_conf, &[]);
    let cluster = match policy {
        "None" | "Default" => false,
        "ClusterFirstWithHostNet" => true,
        _ => !spec::host_network(pod),
    };
    let (mut servers, mut search, mut settings) = if policy == "None" {
        (Vec::new(), Vec::new(), Vec::new())
    } else if cluster && !options.cluster_dns.is_empty() {
        let domain = &options.cluster_domain;
        let mut search = vec![
            format!("{}.svc.{domain}", spec::namespace(pod)),
            format!("svc.{domain}"),
            domain.clone(),
        ];
        search.extend(host.search);
        (
            options
                .cluster_dns
                .iter()
                .map(ToString::to_string)
                .collect(),
            search,
            vec!["ndots:5".to_owned()],
        )
    } else {
        (
            host.name_servers
                .iter()
                .map(|server| server.ip().to_string())
                .collect(),
            host.search,
            host.options,
        )
    };
    if let Some(config) = pod_spec.and_then(|spec| spec.dns_config.as_ref()) {
        servers.extend(config.nameservers.iter().flatten().cloned());
        search.extend(config.searches.iter().flatten().cloned());
        for option in config.options.iter().flatten() {
            let Some(name) = &option.name else {
                continue;
            };
            settings.retain(|known| known.split(':').next() != Some(name.as_str()));
            settings.push(
                option
                    .value
                    .as_ref()
                    .map_or_else(|| name.clone(), |value| format!("{name}:{value}")),
            );
        }
    }
    dedup(&mut servers);
    dedup(&mut search);
    let mut text = String::new();
    if !search.is_empty() {
        search.truncate(SEARCH_MAX);
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    servers
        .iter()
        .take(NAME_SERVERS_MAX)
        .for_each(|server| text.push_str(&format!("nameserver {server}\n")));
    if !settings.is_empty() {
        text.push_str(&format!("options {}\n", settings.join(" ")));
    }
    text
}

fn dedup(list: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|entry| seen.insert(entry.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec}))
            .unwrap()
    }

    fn options() -> Options {
        Options {
            resolv_conf: "nameserver 192.0.2.1\nsearch host.example\noptions rotate\n".to_owned(),
            ..Options::new("node", "/x")
        }
    }

    #[test]
    fn resolv_conf_follows_policy_and_configuration() {
        let cluster = "search n.svc.cluster.local svc.cluster.local cluster.local host.example\nnameserver 10.43.0.10\noptions ndots:5\n";
        let host = "search host.example\nnameserver 192.0.2.1\noptions rotate\n";
        let rows = [
            (json!({"containers": []}), cluster),
            (json!({"containers": [], "dnsPolicy": "Default"}), host),
            (json!({"containers": [], "hostNetwork": true}), host),
            (
                json!({"containers": [], "hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}),
                cluster,
            ),
            (
                json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}}),
                "search a\nnameserver 1.1.1.1\noptions ndots:2 edns0\n",
            ),
        ];
        for (spec, want) in rows {
            assert_eq!(resolv_conf(&pod(spec.clone()), &options()), want, "{spec}");
        }
    }

    #[test]
    fn hosts_name_the_pod_and_its_aliases() {
        let pod = pod(
            json!({"containers": [], "hostname": "h", "subdomain": "s", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["x", "y"]}]}),
        );
        let text = hosts(&pod, &[[10, 42, 0, 2].into()], &options(), None);
        assert!(
            text.contains("\n10.42.0.2\th.s.n.svc.cluster.local\th\n"),
            "{text}"
        );
        assert!(
            text.ends_with("\n# Entries added by HostAliases.\n1.2.3.4\tx\ty\n"),
            "{text}"
        );
    }
}
