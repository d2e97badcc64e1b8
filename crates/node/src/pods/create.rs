//! From a Pod to what the runtime is told: sandbox and container configurations.
//!
//! Pure: everything that had to be looked up comes in. Security contexts are resolved here, the container's over the Pod's.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use image::ImageConfig;
use k8s_openapi::api::core::v1::{
    Container, Pod, PodSecurityContext, SeccompProfile as ApiSeccomp, SecurityContext,
};
use runtime::{ContainerConfig, Mount, Network, RootFs, SandboxConfig, SeccompProfile, User};

use super::spec;
use crate::options::Options;
use crate::{env, files, resources};

/// Annotation of a sandbox: the name of its network.
pub const LINK: &str = "node.kogge.dev/link";
/// Annotation of a sandbox: the Pod's address.
pub const ADDRESS: &str = "node.kogge.dev/address";
/// Annotation of a container: the id its image shows.
pub const IMAGE_ID: &str = "node.kogge.dev/image-id";
/// Annotation of a container: the directory of its root file system.
pub const ROOT: &str = "node.kogge.dev/root";
/// Annotation of a container: where its termination message is on the node.
pub const MESSAGE: &str = "node.kogge.dev/message";
/// Annotation of a container: the signal that asks it to end.
pub const STOP_SIGNAL: &str = "node.kogge.dev/stop-signal";

/// Why a container cannot be created as asked: shown as `CreateContainerConfigError`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The image runs as root, which the Pod forbids.
    #[error(
        "container has runAsNonRoot and image will run as root (pod: {pod:?}, container: {container})"
    )]
    Root {
        /// The Pod, as messages name it.
        pod: String,
        /// The container.
        container: String,
    },
    /// There is nothing to run.
    #[error("no command specified")]
    NoCommand,
}

/// The sandbox of a Pod. `link`: name of its network, where its namespace is pinned, and its address.
pub fn sandbox(
    pod: &Pod,
    attempt: u32,
    link: Option<(&str, Option<PathBuf>, IpAddr)>,
    options: &Options,
) -> SandboxConfig {
    let pod_spec = pod.spec.clone().unwrap_or_default();
    let (hostname, domain) = files::hostname(pod, options);
    let full_name = pod_spec.set_hostname_as_fqdn == Some(true);
    let mut annotations: BTreeMap<String, String> = BTreeMap::new();
    let network = match link {
        None => Network::Host,
        Some((name, netns, ip)) => {
            annotations.insert(LINK.to_owned(), name.to_owned());
            annotations.insert(ADDRESS.to_owned(), ip.to_string());
            netns.map_or(Network::Isolated, Network::Path)
        }
    };
    let sysctls = pod_spec
        .security_context
        .iter()
        .flat_map(|context| context.sysctls.iter().flatten());
    SandboxConfig {
        name: spec::name(pod).to_owned(),
        namespace: spec::namespace(pod).to_owned(),
        uid: spec::uid(pod).to_owned(),
        attempt,
        labels: pod.metadata.labels.clone().unwrap_or_default(),
        annotations,
        hostname: match domain {
            Some(domain) if full_name => format!("{hostname}.{domain}"),
            _ => hostname,
        },
        resolv_conf: Some(files::resolv_conf(pod, options)),
        network,
        sysctls: sysctls
            .map(|sysctl| (sysctl.name.clone(), sysctl.value.clone()))
            .collect(),
        share_process_namespace: pod_spec.share_process_namespace == Some(true),
        host_pid: pod_spec.host_pid == Some(true),
        host_ipc: pod_spec.host_ipc == Some(true),
        cgroup_parent: resources::cgroup_parent(pod, &options.cgroup_root),
        resources: resources::pod(pod),
        ..SandboxConfig::default()
    }
}

/// What was looked up for a container.
#[derive(Debug)]
pub struct Found {
    /// The image's configuration.
    pub image: std::sync::Arc<ImageConfig>,
    /// What `imageID` shows.
    pub image_id: String,
    /// Whom the image or the Pod says it runs as.
    pub user: image::User,
    /// Its environment, without the image's.
    pub env: Vec<(String, String)>,
    /// Its mounts.
    pub mounts: Vec<Mount>,
    /// Its root file system.
    pub rootfs: RootFs,
    /// The directory of that.
    pub root_dir: PathBuf,
    /// Where its termination message is on the node.
    pub message_path: Option<PathBuf>,
    /// Its log.
    pub log_path: PathBuf,
    /// The node's memory in bytes.
    pub node_memory_bytes: u64,
}

/// The `user` string to resolve in the image.
pub fn user_wish(pod: &Pod, container: &Container, image: &ImageConfig) -> String {
    let (pod_context, own) = contexts(pod, container);
    let uid = own.run_as_user.or(pod_context.run_as_user);
    let gid = own.run_as_group.or(pod_context.run_as_group);
    match (uid, gid) {
        (Some(uid), Some(gid)) => format!("{uid}:{gid}"),
        (Some(uid), None) => uid.to_string(),
        (None, Some(gid)) => format!(
            "{}:{gid}",
            image.user().split(':').next().unwrap_or_default()
        ),
        (None, None) => image.user().to_owned(),
    }
}

fn contexts(pod: &Pod, container: &Container) -> (PodSecurityContext, SecurityContext) {
    let of_pod = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.security_context.clone());
    (
        of_pod.unwrap_or_default(),
        container.security_context.clone().unwrap_or_default(),
    )
}

/// The container's configuration for run `attempt`.
pub fn container(
    pod: &Pod,
    container: &Container,
    attempt: u32,
    found: Found,
) -> Result<ContainerConfig, ConfigError> {
    let (pod_context, own) = contexts(pod, container);
    let non_root = own.run_as_non_root.or(pod_context.run_as_non_root) == Some(true);
    if non_root && found.user.uid == 0 {
        return Err(ConfigError::Root {
            pod: super::status::pod_label(pod),
            container: container.name.clone(),
        });
    }
    let mut env: Vec<(String, String)> = found
        .image
        .env()
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in &found.env {
        match env.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => entry.1.clone_from(value),
            None => env.push((name.clone(), value.clone())),
        }
    }
    let argv = argv(container, &found.image, &found.env);
    if argv.is_empty() {
        return Err(ConfigError::NoCommand);
    }
    let groups = pod_context
        .supplemental_groups
        .iter()
        .flatten()
        .chain(&pod_context.fs_group);
    let mut user = User {
        uid: found.user.uid,
        gid: found.user.gid,
        groups: Vec::new(),
    };
    if pod_context.supplemental_groups_policy.as_deref() != Some("Strict") {
        user.groups.extend(&found.user.supplementary);
    }
    user.groups
        .extend(groups.filter_map(|group| u32::try_from(*group).ok()));
    let capabilities = own.capabilities.unwrap_or_default();
    let privileged = own.privileged == Some(true);
    let unmasked = own.proc_mount.as_deref() == Some("Unmasked");
    let mut annotations: BTreeMap<String, String> = BTreeMap::new();
    annotations.insert(IMAGE_ID.to_owned(), found.image_id);
    annotations.insert(ROOT.to_owned(), found.root_dir.display().to_string());
    if let Some(path) = &found.message_path {
        annotations.insert(MESSAGE.to_owned(), path.display().to_string());
    }
    let signal = container
        .lifecycle
        .as_ref()
        .and_then(|lifecycle| lifecycle.stop_signal.clone());
    if let Some(signal) = signal.or_else(|| found.image.stop_signal().map(str::to_owned)) {
        annotations.insert(STOP_SIGNAL.to_owned(), signal);
    }
    Ok(ContainerConfig {
        name: container.name.clone(),
        attempt,
        annotations,
        argv,
        env,
        cwd: PathBuf::from(
            container
                .working_dir
                .as_deref()
                .filter(|dir| !dir.is_empty())
                .unwrap_or(found.image.working_dir()),
        ),
        mounts: found.mounts,
        rootfs: found.rootfs,
        tty: container.tty == Some(true),
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        log_path: Some(found.log_path),
        user,
        capabilities_add: capabilities.add.unwrap_or_default(),
        capabilities_drop: capabilities.drop.unwrap_or_default(),
        privileged,
        read_only_rootfs: own.read_only_root_filesystem == Some(true),
        no_new_privs: own.allow_privilege_escalation == Some(false),
        seccomp: seccomp(
            own.seccomp_profile
                .as_ref()
                .or(pod_context.seccomp_profile.as_ref()),
        ),
        masked_paths: unmasked.then(Vec::new),
        readonly_paths: unmasked.then(Vec::new),
        resources: resources::container(container),
        oom_score_adj: resources::oom_score_adj(pod, container, found.node_memory_bytes),
        ..ContainerConfig::default()
    })
}

/// `command` replaces the image's entrypoint and with it its arguments; `args` replaces the arguments.
fn argv(container: &Container, image: &ImageConfig, variables: &[(String, String)]) -> Vec<String> {
    let lookup = |name: &str| {
        variables
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    let expand = |words: &Vec<String>| {
        words
            .iter()
            .map(|word| env::expand(word, lookup))
            .collect::<Vec<_>>()
    };
    let command = container
        .command
        .as_ref()
        .filter(|command| !command.is_empty())
        .map(expand);
    let args = container
        .args
        .as_ref()
        .filter(|args| !args.is_empty())
        .map(expand);
    match (command, args) {
        (Some(command), args) => [command, args.unwrap_or_default()].concat(),
        (None, Some(args)) => [image.entrypoint().to_vec(), args].concat(),
        (None, None) => [image.entrypoint(), image.cmd()].concat(),
    }
}

fn seccomp(profile: Option<&ApiSeccomp>) -> SeccompProfile {
    match profile.map(|profile| (profile.type_.as_str(), &profile.localhost_profile)) {
        Some(("RuntimeDefault", _)) => SeccompProfile::RuntimeDefault,
        Some(("Localhost", Some(path))) => {
            SeccompProfile::Localhost(PathBuf::from("/var/lib/kubelet/seccomp").join(path))
        }
        _ => SeccompProfile::Unconfined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ContainerDefaults, Platform};
    use serde_json::json;
    use std::sync::Arc;

    fn make(
        pod_context: serde_json::Value,
        container: serde_json::Value,
    ) -> Result<ContainerConfig, ConfigError> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"securityContext": pod_context, "containers": [container]}})).unwrap();
        let defaults = ContainerDefaults {
            entrypoint: vec!["/e".into()],
            cmd: vec!["c".into()],
            env: vec!["A=image".into(), "B=image".into()],
            ..Default::default()
        };
        let image = Arc::new(ImageConfig::new(&Platform::host(), None, defaults));
        let own = &pod.spec.as_ref().unwrap().containers[0];
        let wish = user_wish(&pod, own, &image);
        let found = Found {
            image,
            image_id: "i".into(),
            user: image::User {
                uid: wish.split(':').next().unwrap().parse().unwrap_or(0),
                supplementary: vec![5],
                ..Default::default()
            },
            env: vec![("B".into(), "pod".into())],
            mounts: vec![],
            rootfs: RootFs::Directory("/".into()),
            root_dir: "/r".into(),
            message_path: None,
            log_path: "/l".into(),
            node_memory_bytes: 1 << 30,
        };
        super::container(&pod, own, 0, found)
    }

    #[test]
    fn command_and_arguments_replace_those_of_the_image() {
        for (container, want) in [
            (json!({"name": "a"}), vec!["/e", "c"]),
            (json!({"name": "a", "args": ["x"]}), vec!["/e", "x"]),
            (
                json!({"name": "a", "command": ["y", "$(B)"]}),
                vec!["y", "pod"],
            ),
            (
                json!({"name": "a", "command": ["y"], "args": ["x"]}),
                vec!["y", "x"],
            ),
        ] {
            assert_eq!(make(json!({}), container).unwrap().argv, want);
        }
    }

    #[test]
    fn the_containers_security_context_goes_before_the_pods() {
        let made = make(
            json!({"runAsUser": 10, "fsGroup": 20, "seccompProfile": {"type": "RuntimeDefault"}}),
            json!({"name": "a", "securityContext": {"runAsUser": 11, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}),
        )
        .unwrap();
        assert_eq!(
            (made.user.uid, made.user.groups, made.no_new_privs),
            (11, vec![5, 20], true)
        );
        assert_eq!(
            (made.seccomp, made.capabilities_drop),
            (SeccompProfile::RuntimeDefault, vec!["ALL".to_owned()])
        );
        assert_eq!(
            made.env,
            [
                ("A".to_owned(), "image".to_owned()),
                ("B".to_owned(), "pod".to_owned())
            ]
        );
        let refused = make(json!({"runAsNonRoot": true}), json!({"name": "a"})).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("container has runAsNonRoot and image will run as root")
        );
    }
}
