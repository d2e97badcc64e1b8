//! Certificate authorities, and what they sign.
//!
//! Invariant: a certificate that is used belongs to the key beside it and to the
//! authority that is in force.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

use super::{
    AUTHORITY_SECONDS, CLOCK_SKEW_SECONDS, LEAF_SECONDS, PkiError, RENEW_BEFORE_SECONDS, files,
};

/// Bytes of a serial number.
const SERIAL_BYTES: usize = 16;

/// What a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usage {
    /// Showing who a client is.
    Client,
    /// Showing who a server is.
    Server,
}

/// Whom a certificate names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// Common name: the user, for a client.
    pub common_name: String,
    /// Organization: the group, for a client.
    pub organization: Option<String>,
    /// What it is for.
    pub usage: Usage,
    /// Host names.
    pub names: Vec<String>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
}

impl Profile {
    /// A client: user and group.
    pub fn client(name: &str, group: Option<&str>) -> Self {
        Self {
            common_name: name.to_owned(),
            organization: group.map(str::to_owned),
            usage: Usage::Client,
            names: Vec::new(),
            ips: Vec::new(),
        }
    }

    fn params(&self, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(organization) = &self.organization {
            params
                .distinguished_name
                .push(DnType::OrganizationName, organization.as_str());
        }
        params
            .distinguished_name
            .push(DnType::CommonName, self.common_name.as_str());
        for name in &self.names {
            params
                .subject_alt_names
                .push(SanType::DnsName(name.as_str().try_into()?));
        }
        for ip in &self.ips {
            params.subject_alt_names.push(SanType::IpAddress(*ip));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match self.usage {
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        date(&mut params, now, LEAF_SECONDS);
        Ok(params)
    }

    /// Whether a certificate says all that this asks for.
    fn is_met_by(&self, cert: &X509Certificate<'_>) -> bool {
        let text = |entry: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
            entry
                .and_then(|entry| entry.as_str().ok())
                .map(str::to_owned)
        };
        let subject = cert.subject();
        if text(subject.iter_common_name().next()).as_deref() != Some(&self.common_name)
            || text(subject.iter_organization().next()) != self.organization
        {
            return false;
        }
        let held = cert.subject_alternative_name().ok().flatten();
        let held = held.map_or(&[][..], |extension| &extension.value.general_names[..]);
        let has_name = |name: &String| {
            held.iter()
                .any(|own| matches!(own, GeneralName::DNSName(own) if own == name))
        };
        let has_ip = |ip: &IpAddr| {
            let wanted = match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            held.iter()
                .any(|own| matches!(own, GeneralName::IPAddress(own) if *own == wanted))
        };
        self.names.iter().all(has_name) && self.ips.iter().all(has_ip)
    }
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Credential {
    /// The certificate in PEM.
    pub cert_pem: String,
    /// Its key: PKCS#8 in PEM. Never to be logged.
    pub key_pem: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

impl Credential {
    /// The credential in `dir` under `stem`, issued anew when it is absent, ends
    /// soon, or is not what is asked for.
    pub(super) fn open(
        dir: &Path,
        stem: &str,
        authority: &Authority,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<Self, PkiError> {
        let cert_path = dir.join(format!("{stem}.crt"));
        let key_path = dir.join(format!("{stem}.key"));
        if let (Some(cert_pem), Some(key_pem)) = (files::read(&cert_path)?, files::read(&key_path)?)
        {
            let key = files::parse_key(&key_path, &key_pem)?;
            let der = parse_pem(&cert_path, &cert_pem)?;
            let cert = parse(&cert_path, &der)?;
            // A key that was just renewed when the machine failed has another
            // certificate beside it: that is no damage, both are made anew.
            let good = belongs(&cert, &key)
                && issued_by(&cert, &authority.key_id)
                && !ends_soon(&cert, now)
                && profile.is_met_by(&cert);
            if good {
                return Ok(Self { cert_pem, key_pem });
            }
        }
        let fresh = authority.issue(profile, now)?;
        files::write(&key_path, &fresh.key_pem)?;
        files::write(&cert_path, &fresh.cert_pem)?;
        Ok(fresh)
    }
}

/// What signs certificates.
pub struct Authority {
    cert_pem: String,
    der: CertificateDer<'static>,
    key_id: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn open(
        dir: &Path,
        stem: &str,
        common_name: &str,
        now: Timestamp,
    ) -> Result<Self, PkiError> {
        let cert_path = dir.join(format!("{stem}.crt"));
        let key_path = dir.join(format!("{stem}.key"));
        let present = files::read(&cert_path)?;
        if present.is_some() && files::read(&key_path)?.is_none() {
            return Err(files::damaged(
                &key_path,
                &format!("it is missing beside {stem}.crt"),
            ));
        }
        let key = files::open_key(&key_path)?;
        if let Some(cert_pem) = present {
            let der = parse_pem(&cert_path, &cert_pem)?;
            let cert = parse(&cert_path, &der)?;
            if !belongs(&cert, &key) {
                return Err(files::damaged(
                    &key_path,
                    &format!("it is not the key of {stem}.crt"),
                ));
            }
            if !cert.is_ca() {
                return Err(files::damaged(&cert_path, "it is not of an authority"));
            }
            if !ends_soon(&cert, now) {
                return Self::load(cert_pem, der, key, common_name);
            }
        }
        let params = authority_params(common_name, now);
        let cert = params
            .self_signed(&key)
            .map_err(|source| issue(common_name, source))?;
        files::write(&cert_path, &cert.pem())?;
        Self::load(cert.pem(), cert.der().clone(), key, common_name)
    }

    fn load(
        cert_pem: String,
        der: CertificateDer<'static>,
        key: KeyPair,
        name: &str,
    ) -> Result<Self, PkiError> {
        let key_id = X509Certificate::from_der(&der)
            .ok()
            .and_then(|(_, cert)| subject_key_id(&cert))
            .unwrap_or_default();
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|source| issue(name, source))?;
        Ok(Self {
            cert_pem,
            der,
            key_id,
            issuer,
        })
    }

    /// The certificate in PEM.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The certificate.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Identifier of its key, as the certificates it signed name it.
    pub fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// Makes a key and signs its certificate.
    pub fn issue(&self, profile: &Profile, now: Timestamp) -> Result<Credential, PkiError> {
        let failed = |source| issue(&profile.common_name, source);
        let key = KeyPair::generate().map_err(failed)?;
        let params = profile.params(now).map_err(failed)?;
        let cert = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Credential {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

fn authority_params(common_name: &str, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    date(&mut params, now, AUTHORITY_SECONDS);
    params
}

fn date(params: &mut CertificateParams, now: Timestamp, seconds: i64) {
    // A clock before 1970 is taken for 1970: no certificate can say more.
    let at = |second: i64| {
        rcgen::date_time_ymd(1970, 1, 1)
            + Duration::from_secs(u64::try_from(second).unwrap_or_default())
    };
    params.not_before = at(now.as_second() - CLOCK_SKEW_SECONDS);
    params.not_after = at(now.as_second() + seconds);
    let mut serial: [u8; SERIAL_BYTES] = rand::random();
    serial[0] = (serial[0] & 0x7f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
}

fn issue(name: &str, source: rcgen::Error) -> PkiError {
    PkiError::Issue {
        name: name.to_owned(),
        source,
    }
}

fn parse_pem(path: &Path, pem: &str) -> Result<CertificateDer<'static>, PkiError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| files::damaged(path, "it holds no certificate in PEM"))
}

fn parse<'a>(path: &Path, der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, PkiError> {
    X509Certificate::from_der(der)
        .map(|(_, cert)| cert)
        .map_err(|error| files::damaged(path, &format!("it holds no certificate ({error})")))
}

fn belongs(cert: &X509Certificate<'_>, key: &KeyPair) -> bool {
    cert.public_key().raw == key.subject_public_key_info()
}

fn ends_soon(cert: &X509Certificate<'_>, now: Timestamp) -> bool {
    cert.validity().not_after.timestamp() - now.as_second() < RENEW_BEFORE_SECONDS
}

fn subject_key_id(cert: &X509Certificate<'_>) -> Option<Vec<u8>> {
    cert.iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
}

fn issued_by(cert: &X509Certificate<'_>, key_id: &[u8]) -> bool {
    cert.iter_extensions()
        .any(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id
                .key_identifier
                .as_ref()
                .is_some_and(|id| id.0 == key_id && !key_id.is_empty()),
            _ => false,
        })
}
