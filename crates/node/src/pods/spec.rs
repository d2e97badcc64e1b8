//! Reading a Pod: its containers in the order in which they start, and what the rest of the agent asks of it.
//!
//! Pure. Invariant: every container of the Pod is in exactly one [`Slot`].

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};

/// Grace of a Pod that names none, in seconds.
pub const DEFAULT_GRACE_SECS: i64 = 30;

/// What a container is to its Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container that goes on running (`restartPolicy: Always`).
    Sidecar,
    /// One of `spec.containers`.
    Main,
    /// Added later for looking at the others.
    Ephemeral,
}

/// Whether an ended container runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// In any case.
    Always,
    /// When it failed.
    OnFailure,
    /// Not again.
    Never,
}

/// A container and its role.
#[derive(Debug, Clone)]
pub struct Slot<'a> {
    /// Its specification.
    pub container: Cow<'a, Container>,
    /// Its role.
    pub kind: Kind,
    /// Whether it runs again after its end.
    pub restart: Restart,
}

impl Slot<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.container.name
    }

    /// Whether it runs again after ending with `exit_code`.
    pub fn restarts_after(&self, exit_code: i32) -> bool {
        match self.restart {
            Restart::Always => true,
            Restart::OnFailure => exit_code != 0,
            Restart::Never => false,
        }
    }
}

/// All containers: init containers and sidecars in their order, then the main ones, then ephemeral ones.
pub fn slots(pod: &Pod) -> Vec<Slot<'_>> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let policy = restart_policy(spec);
    let init = spec.init_containers.iter().flatten().map(|container| {
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        Slot {
            container: Cow::Borrowed(container),
            kind: if sidecar { Kind::Sidecar } else { Kind::Init },
            restart: match (sidecar, policy) {
                (true, _) => Restart::Always,
                (false, Restart::Never) => Restart::Never,
                // Even under Always an init container that succeeded has done its work.
                (false, _) => Restart::OnFailure,
            },
        }
    });
    let main = spec.containers.iter().map(|container| Slot {
        container: Cow::Borrowed(container),
        kind: Kind::Main,
        restart: match container.restart_policy.as_deref() {
            Some("Always") => Restart::Always,
            Some("OnFailure") => Restart::OnFailure,
            Some("Never") => Restart::Never,
            _ => policy,
        },
    });
    let ephemeral = spec
        .ephemeral_containers
        .iter()
        .flatten()
        .map(|container| Slot {
            container: Cow::Owned(as_container(container)),
            kind: Kind::Ephemeral,
            restart: Restart::Never,
        });
    init.chain(main).chain(ephemeral).collect()
}

/// One container of a Pod.
pub fn slot<'a>(pod: &'a Pod, name: &str) -> Option<Slot<'a>> {
    slots(pod).into_iter().find(|slot| slot.name() == name)
}

fn restart_policy(spec: &PodSpec) -> Restart {
    match spec.restart_policy.as_deref() {
        Some("OnFailure") => Restart::OnFailure,
        Some("Never") => Restart::Never,
        _ => Restart::Always,
    }
}

/// An ephemeral container is a container with fewer fields allowed.
fn as_container(from: &EphemeralContainer) -> Container {
    let from = from.clone();
    Container {
        name: from.name,
        image: from.image,
        image_pull_policy: from.image_pull_policy,
        command: from.command,
        args: from.args,
        env: from.env,
        env_from: from.env_from,
        resources: from.resources,
        security_context: from.security_context,
        stdin: from.stdin,
        stdin_once: from.stdin_once,
        tty: from.tty,
        termination_message_path: from.termination_message_path,
        termination_message_policy: from.termination_message_policy,
        volume_mounts: from.volume_mounts,
        working_dir: from.working_dir,
        ..Container::default()
    }
}

/// Namespace of a Pod, never absent for a stored one.
pub fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

/// Name of a Pod.
pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// Uid of a Pod.
pub fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// Whether the Pod uses the node's network.
pub fn host_network(pod: &Pod) -> bool {
    pod.spec
        .as_ref()
        .is_some_and(|spec| spec.host_network == Some(true))
}

/// The grace of the Pod's deletion, or the one its specification asks for, in seconds.
pub fn grace_secs(pod: &Pod) -> i64 {
    let spec = pod.spec.as_ref();
    pod.metadata
        .deletion_grace_period_seconds
        .or_else(|| spec.and_then(|spec| spec.termination_grace_period_seconds))
        .unwrap_or(DEFAULT_GRACE_SECS)
}

/// Whether the Pod has run to its end, by its recorded phase.
pub fn is_terminal(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
