//! Keys and certificates of one cluster, in a folder of the data directory.
//!
//! Reads and writes that folder when the server starts; nothing else here does
//! I/O. Invariants: private keys lie in files of mode 0600; what is there and
//! good is used; a certificate that ends soon, lacks a name or comes from
//! another authority is issued anew; a file that does not read is an error that
//! names it, and is never overwritten.
//!
//! All keys are ECDSA on P-256: an RSA key would take longer to make than the
//! whole rest of a start. File names are those of kubeadm.

mod authority;
mod files;
mod kubeconfig;
mod tls;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use authority::{Authority, Credential, Profile, Usage};
pub use kubeconfig::{KubeConfig, kubeconfig};
pub use tls::server_config;

/// Seconds before its end that a certificate is renewed.
pub const RENEW_BEFORE_SECONDS: i64 = 30 * 24 * 3600;
/// Seconds that a certificate of a server or client holds.
pub const LEAF_SECONDS: i64 = 365 * 24 * 3600;
/// Seconds that the certificate of an authority holds.
pub const AUTHORITY_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// Seconds that a certificate begins before it is made: clocks differ.
pub const CLOCK_SKEW_SECONDS: i64 = 3600;

/// Why the keys and certificates are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The file system refused.
    #[error("cannot {operation} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is there but does not say what it should.
    #[error(
        "{path} is damaged: {what}; restore it, or delete it to have it made anew",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A certificate cannot be made.
    #[error("cannot issue the certificate of {name:?}: {source}")]
    Issue {
        /// For whom.
        name: String,
        /// Why not.
        source: rcgen::Error,
    },
    /// TLS refuses the server's own certificate.
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What the API server is reached as.
#[derive(Clone, Debug)]
pub struct ServingNames {
    /// Cluster address of the `kubernetes` Service.
    pub service_ip: IpAddr,
    /// Cluster domain, such as `cluster.local`.
    pub domain: String,
    /// Other addresses: those of the node, or given by flag.
    pub ips: Vec<IpAddr>,
    /// Other names: that of the node, or given by flag.
    pub names: Vec<String>,
}

impl ServingNames {
    fn profile(&self) -> Profile {
        let mut names: Vec<String> = ["localhost", "kubernetes", "kubernetes.default"]
            .map(str::to_owned)
            .to_vec();
        names.push("kubernetes.default.svc".into());
        names.push(format!("kubernetes.default.svc.{}", self.domain));
        names.extend(self.names.iter().cloned());
        let mut ips = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), self.service_ip];
        ips.extend(self.ips.iter().copied());
        Profile {
            common_name: "kube-apiserver".into(),
            organization: None,
            usage: Usage::Server,
            names: distinct(names),
            ips: distinct(ips),
        }
    }
}

fn distinct<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

/// All keys and certificates of the control plane.
pub struct Pki {
    dir: PathBuf,
    /// Signs clients and servers of the cluster.
    pub cluster: Authority,
    /// Signs the proxies that may name a user in headers.
    pub front_proxy: Authority,
    /// What the API server shows.
    pub serving: Credential,
    /// The administrator, in `system:masters`.
    pub admin: Credential,
    /// What the API server shows to kubelets.
    pub kubelet_client: Credential,
    /// What the API server shows to extension API servers.
    pub proxy_client: Credential,
    /// Signs the tokens of service accounts: PKCS#8 in PEM.
    pub account_key: String,
}

impl Pki {
    /// Opens the folder, and makes or renews what is missing there.
    pub fn open(dir: &Path, names: &ServingNames, now: Timestamp) -> Result<Self, PkiError> {
        files::make_dir(dir)?;
        let cluster = Authority::open(dir, "ca", "kubernetes", now)?;
        let front_proxy = Authority::open(dir, "front-proxy-ca", "front-proxy-ca", now)?;
        let masters = |name: &str| Profile::client(name, Some(crate::identity::MASTERS));
        let leaf = |stem, authority: &Authority, profile: Profile| {
            Credential::open(dir, stem, authority, &profile, now)
        };
        Ok(Self {
            serving: leaf("apiserver", &cluster, names.profile())?,
            admin: leaf("admin", &cluster, masters("kubernetes-admin"))?,
            kubelet_client: leaf(
                "apiserver-kubelet-client",
                &cluster,
                masters("kube-apiserver-kubelet-client"),
            )?,
            proxy_client: leaf(
                "front-proxy-client",
                &front_proxy,
                Profile::client(PROXY_CLIENT, None),
            )?,
            account_key: files::open_key(&dir.join("sa.key"))?.serialize_pem(),
            dir: dir.to_owned(),
            cluster,
            front_proxy,
        })
    }

    /// The kubelet of a node: what it shows to the API server, and what it shows
    /// to those who ask its own API.
    pub fn kubelet(
        &self,
        node: &str,
        ips: &[IpAddr],
        now: Timestamp,
    ) -> Result<(Credential, Credential), PkiError> {
        let name = format!("system:node:{node}");
        let client = Profile::client(&name, Some("system:nodes"));
        let serving = Profile {
            usage: Usage::Server,
            names: distinct(vec![node.to_owned(), "localhost".to_owned()]),
            ips: distinct(
                [IpAddr::V4(Ipv4Addr::LOCALHOST)]
                    .into_iter()
                    .chain(ips.iter().copied())
                    .collect(),
            ),
            ..client.clone()
        };
        let open = |stem, profile| Credential::open(&self.dir, stem, &self.cluster, profile, now);
        Ok((open("kubelet-client", &client)?, open("kubelet", &serving)?))
    }
}

/// Common name of the API server as a front proxy; the only one that is allowed.
pub const PROXY_CLIENT: &str = "front-proxy-client";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names() -> ServingNames {
        ServingNames {
            service_ip: [10, 96, 0, 1].into(),
            domain: "cluster.local".into(),
            ips: vec![[192, 0, 2, 7].into()],
            names: vec!["node-1".into()],
        }
    }

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + day * 86400).unwrap()
    }

    #[test]
    fn what_was_made_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pki::open(dir.path(), &names(), at(0)).unwrap();
        let second = Pki::open(dir.path(), &names(), at(300)).unwrap();
        assert_eq!(first.serving.cert_pem, second.serving.cert_pem);
        assert_eq!(first.admin.key_pem, second.admin.key_pem);
        assert_eq!(first.cluster.cert_pem(), second.cluster.cert_pem());
        assert_eq!(first.account_key, second.account_key);
        let (client, serving) = first.kubelet("n", &[], at(0)).unwrap();
        let (again, _) = second.kubelet("n", &[], at(1)).unwrap();
        assert_eq!(client.cert_pem, again.cert_pem);
        assert_ne!(client.cert_pem, serving.cert_pem);
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
    }

    #[test]
    fn certificates_are_renewed_before_their_end_by_the_same_authority() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pki::open(dir.path(), &names(), at(0)).unwrap();
        let later = Pki::open(dir.path(), &names(), at(340)).unwrap();
        assert_ne!(first.serving.cert_pem, later.serving.cert_pem);
        assert_eq!(first.cluster.cert_pem(), later.cluster.cert_pem());
        // The authority itself is renewed with the key it has, so that what it
        // signed stays good.
        let much_later = Pki::open(dir.path(), &names(), at(3640)).unwrap();
        assert_ne!(first.cluster.cert_pem(), much_later.cluster.cert_pem());
        assert_eq!(first.cluster.key_id(), much_later.cluster.key_id());
    }

    #[test]
    fn a_name_that_is_missing_makes_a_new_serving_certificate_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pki::open(dir.path(), &names(), at(0)).unwrap();
        let mut more = names();
        more.ips.push([198, 51, 100, 3].into());
        let second = Pki::open(dir.path(), &more, at(0)).unwrap();
        assert_ne!(first.serving.cert_pem, second.serving.cert_pem);
        assert_eq!(first.admin.cert_pem, second.admin.cert_pem);
        // Fewer names are no reason.
        let third = Pki::open(dir.path(), &names(), at(0)).unwrap();
        assert_eq!(second.serving.cert_pem, third.serving.cert_pem);
    }

    #[test]
    fn a_new_authority_makes_its_certificates_anew() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pki::open(dir.path(), &names(), at(0)).unwrap();
        for name in ["ca.crt", "ca.key"] {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        let second = Pki::open(dir.path(), &names(), at(0)).unwrap();
        assert_ne!(first.admin.cert_pem, second.admin.cert_pem);
        assert_eq!(first.proxy_client.cert_pem, second.proxy_client.cert_pem);
    }

    #[test]
    fn damaged_files_are_named_and_kept() {
        for name in ["ca.crt", "ca.key", "apiserver.crt", "admin.key", "sa.key"] {
            let dir = tempfile::tempdir().unwrap();
            Pki::open(dir.path(), &names(), at(0)).unwrap();
            let path = dir.path().join(name);
            std::fs::write(&path, "garbage").unwrap();
            let Err(error) = Pki::open(dir.path(), &names(), at(0)) else {
                panic!("{name} was taken");
            };
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), b"garbage");
        }
    }

    #[test]
    fn a_key_that_is_not_the_certificates_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Pki::open(dir.path(), &names(), at(0)).unwrap();
        std::fs::copy(dir.path().join("admin.key"), dir.path().join("ca.key")).unwrap();
        let Err(error) = Pki::open(dir.path(), &names(), at(0)) else {
            panic!("the wrong key was taken");
        };
        assert!(error.to_string().contains("ca.key"), "{error}");
    }

    #[test]
    fn a_first_start_does_not_wait_for_keys() {
        let dir = tempfile::tempdir().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test measures real time")]
        let start = std::time::Instant::now();
        Pki::open(dir.path(), &names(), at(0)).unwrap();
        // About 3 ms on an idle machine; the limit only catches an RSA key.
        assert!(start.elapsed().as_millis() < 150, "{:?}", start.elapsed());
    }
}
