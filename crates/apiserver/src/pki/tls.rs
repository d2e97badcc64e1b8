//! TLS as the API server speaks it.
//!
//! A client may show a certificate. Whether it is good is decided for every
//! request by [`crate::authn`], so that a bad or expired one is answered with a
//! 401 that says so, and not with a broken connection; here only its signature
//! on the handshake is checked: that the client holds the key.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Authority, Credential, PkiError};

/// Protocols offered, best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The configuration of a TLS server that shows `serving` and asks its clients
/// for certificates of `clients`, without insisting.
pub fn server_config(
    serving: &Credential,
    clients: &[&Authority],
) -> Result<ServerConfig, PkiError> {
    let provider = Arc::new(ring::default_provider());
    let unreadable = |_| rustls::Error::General("the serving certificate does not read".into());
    let certs = CertificateDer::pem_slice_iter(serving.cert_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(serving.key_pem.as_bytes()).map_err(unreadable)?;
    let verifier = Arc::new(HoldsKey::new(&provider, clients));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certs, key)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

#[derive(Debug)]
struct HoldsKey {
    algorithms: WebPkiSupportedAlgorithms,
    hints: Vec<DistinguishedName>,
}

impl HoldsKey {
    fn new(provider: &CryptoProvider, clients: &[&Authority]) -> Self {
        let subject = |authority: &&Authority| {
            let (_, cert) = X509Certificate::from_der(authority.der()).ok()?;
            Some(DistinguishedName::from(cert.subject().as_raw().to_vec()))
        };
        Self {
            algorithms: provider.signature_verification_algorithms,
            hints: clients.iter().filter_map(subject).collect(),
        }
    }
}

impl ClientCertVerifier for HoldsKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        // Judged for each request; see the head of this file.
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Pki, ServingNames};
    use jiff::Timestamp;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

    fn pki(dir: &std::path::Path) -> Pki {
        let names = ServingNames {
            service_ip: [10, 96, 0, 1].into(),
            domain: "cluster.local".into(),
            ips: Vec::new(),
            names: Vec::new(),
        };
        // Clients below check against the machine's clock.
        #[expect(clippy::disallowed_methods, reason = "rustls reads the real clock")]
        Pki::open(dir, &names, Timestamp::now()).unwrap()
    }

    fn client(pki: &Pki, own: Option<&Credential>, host: &'static str) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(pki.cluster.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(own.cert_pem.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
        ClientConnection::new(Arc::new(config), ServerName::try_from(host).unwrap()).unwrap()
    }

    /// Carries bytes between both until neither has more to say.
    fn shake(
        client: &mut ClientConnection,
        server: &mut ServerConnection,
    ) -> Result<(), rustls::Error> {
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut bytes.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut bytes = Vec::new();
            server.write_tls(&mut bytes).unwrap();
            client.read_tls(&mut bytes.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn clients_come_with_and_without_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let pki = pki(dir.path());
        let config =
            Arc::new(server_config(&pki.serving, &[&pki.cluster, &pki.front_proxy]).unwrap());
        for host in [
            "localhost",
            "kubernetes.default.svc",
            "127.0.0.1",
            "10.96.0.1",
        ] {
            for own in [None, Some(&pki.admin), Some(&pki.proxy_client)] {
                let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
                shake(&mut client(&pki, own, host), &mut server).unwrap();
                assert_eq!(server.peer_certificates().is_some(), own.is_some());
                assert_eq!(server.alpn_protocol(), Some(b"h2".as_slice()));
            }
        }
        let mut server = ServerConnection::new(config).unwrap();
        assert!(shake(&mut client(&pki, None, "elsewhere"), &mut server).is_err());
    }
}
