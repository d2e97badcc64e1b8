//! The kubeconfig file of a user, as text. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a kubeconfig says.
#[derive(Clone, Copy)]
pub struct KubeConfig<'a> {
    /// Address, such as `https://127.0.0.1:6443`.
    pub server: &'a str,
    /// Certificate of the authority, in PEM.
    pub ca_pem: &'a str,
    /// The user's certificate, in PEM.
    pub cert_pem: &'a str,
    /// The user's key, in PEM.
    pub key_pem: &'a str,
    /// Name of context, cluster and user.
    pub name: &'a str,
}

/// Renders a kubeconfig with everything in it. It holds a private key.
pub fn kubeconfig(config: &KubeConfig<'_>) -> String {
    // A JSON string is a YAML string, whatever it holds.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let name = quoted(config.name);
    let server = quoted(config.server);
    let ca = STANDARD.encode(config.ca_pem);
    let cert = STANDARD.encode(config.cert_pem);
    let key = STANDARD.encode(config.key_pem);
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: {name}\n  \
           cluster:\n    \
             server: {server}\n    \
             certificate-authority-data: {ca}\n\
         contexts:\n\
         - name: {name}\n  \
           context:\n    \
             cluster: {name}\n    \
             user: {name}\n\
         current-context: {name}\n\
         users:\n\
         - name: {name}\n  \
           user:\n    \
             client-certificate-data: {cert}\n    \
             client-key-data: {key}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_reads_back_whatever_its_name() {
        let text = kubeconfig(&KubeConfig {
            server: "https://127.0.0.1:6443",
            ca_pem: "CA",
            cert_pem: "CERT",
            key_pem: "KEY",
            name: "odd: \"name\"",
        });
        assert!(text.contains("\n- name: \"odd: \\\"name\\\"\"\n  cluster:\n    server: "));
        assert!(text.contains("\n    client-key-data: S0VZ\n"), "{text}");
        assert!(text.contains("\n    certificate-authority-data: Q0E=\n"));
        assert!(text.contains("\n    user: \"odd: \\\"name\\\"\"\ncurrent-context: \"odd"));
    }
}
