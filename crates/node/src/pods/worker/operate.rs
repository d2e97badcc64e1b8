//! Carrying out the actions of a plan.
//!
//! Reads nothing that the worker may change meanwhile: a job has its own copy of what was known when it began. Every
//! action can be repeated.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use image::Keyring;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Pod, Secret};
use runtime::{ContainerId, Mount, Propagation, RuntimeError, SandboxId};

use super::{Node, Outcome, Token, Tokens};
use crate::env::{self, SECRETS, Source};
use crate::handler::{self, Subject};
use crate::images::ImageFacts;
use crate::links::describe;
use crate::pods::plan::Action;
use crate::pods::probes::ProbeKind;
use crate::pods::state::PodState;
use crate::pods::{create, spec};
use crate::volumes::{VolumeError, atomic, mount, payload};
use crate::{files, logs};

/// A stopped container that gets a preStop hook has at least so much time left after it.
const AFTER_HOOK: Duration = Duration::from_secs(2);

pub(super) struct Job {
    pub(super) node: Arc<Node>,
    pub(super) pod: Arc<Pod>,
    pub(super) state: PodState,
    pub(super) tokens: Tokens,
    pub(super) images: BTreeMap<String, ImageFacts>,
}

/// A waiting container's reason and message.
type Refusal = (String, String);

fn refuse(reason: &str, error: &dyn std::error::Error) -> Refusal {
    (reason.to_owned(), describe(error))
}

fn text<T, E: std::error::Error>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| describe(&error))
}

impl Job {
    pub(super) async fn perform(self, action: Action) -> Outcome {
        match action {
            Action::MountVolumes => self.mount(false).await,
            Action::MakeSandbox { attempt, replaces } => {
                Outcome::Sandbox(self.sandbox(attempt, replaces).await)
            }
            Action::StopSandbox(id) => Outcome::Plain(self.stop_sandbox(&id).await),
            Action::RemoveSandbox(id) => Outcome::Plain(self.remove_sandbox(&id).await),
            Action::PullImage { container, attempt } => {
                let result = self.pull(&container).await;
                Outcome::Pulled {
                    container,
                    attempt,
                    result,
                }
            }
            Action::RunContainer {
                container, attempt, ..
            } => {
                let result = self.run(&container, attempt).await;
                Outcome::Ran { container, result }
            }
            Action::StopContainer {
                container,
                id,
                grace_secs,
                ..
            } => Outcome::Plain(self.stop(&container, &id, grace_secs).await),
            Action::KillContainer(id) => Outcome::Plain(text(
                self.node
                    .runtime
                    .stop_container(&id, Duration::ZERO, None)
                    .await,
            )),
            Action::RemoveContainer(id) => Outcome::Plain(self.remove_container(&id).await),
            Action::Probe {
                container,
                id,
                kind,
            } => {
                let result = self.probe(&container, &id, kind).await;
                Outcome::Probed {
                    container,
                    id,
                    kind,
                    result,
                }
            }
            Action::WriteStatus(status) => {
                let result = text(self.node.api.write_status(&self.pod, &status).await);
                Outcome::Status { status, result }
            }
            Action::Teardown => Outcome::TornDown(self.teardown().await),
            Action::DeletePod => Outcome::Plain(text(self.node.api.delete_pod(&self.pod).await)),
            // Not operations: the worker handles them itself.
            Action::Fail { .. } | Action::WakeAt(_) => Outcome::Plain(Ok(())),
        }
    }

    fn pod_dir(&self) -> PathBuf {
        self.node.options.pod_dir(spec::uid(&self.pod))
    }

    pub(super) async fn mount(self, refresh: bool) -> Outcome {
        let result = self.mount_all(refresh).await.map_err(|(volume, error)| {
            format!(
                "MountVolume.SetUp failed for volume \"{volume}\" : {}",
                describe(&error)
            )
        });
        Outcome::Mounted { refresh, result }
    }

    async fn mount_all(&self, refresh: bool) -> Result<Tokens, (String, VolumeError)> {
        let now = self.node.clock.now();
        let volumes: Vec<_> = self
            .pod
            .spec
            .iter()
            .flat_map(|spec| spec.volumes.iter().flatten())
            .collect();
        let mut tokens = Tokens::new();
        for volume in &volumes {
            for wish in payload::token_wishes(volume) {
                if let Some(token) = self.tokens.get(&wish).filter(|token| token.renew_at > now) {
                    tokens.insert(wish, token.clone());
                    continue;
                }
                let fetched = self
                    .node
                    .api
                    .token(&self.pod, Some(&wish.audience), wish.expiration_secs)
                    .await;
                let (token, expires) = fetched
                    .map_err(|error| (volume.name.clone(), VolumeError::Token(describe(&error))))?;
                // Fetched anew after four fifths of its life, as the kubelet does.
                let life = expires.duration_since(now);
                let renew_at = now + SignedDuration::from_secs((life.as_secs() * 4 / 5).max(1));
                tokens.insert(
                    wish,
                    Token {
                        text: token,
                        renew_at,
                    },
                );
            }
        }
        let texts = tokens
            .iter()
            .map(|(wish, token)| (wish.clone(), token.text.clone()))
            .collect();
        let world = self.node.feed.world();
        let facts = self.node.field_facts(&self.pod, &self.state);
        let (dir, group) = (self.pod_dir(), mount::fs_group(&self.pod));
        mount::make_pod_dir(&dir).map_err(|error| ("pod".to_owned(), error))?;
        for volume in volumes {
            let fail = |error| (volume.name.clone(), error);
            let source = Source {
                world: &world,
                facts: &facts,
            };
            match payload::payload(&self.pod, volume, &source, &texts).map_err(fail)? {
                Some(files) => {
                    let path = mount::host_path(&dir, volume).map_err(fail)?;
                    atomic::write(&path, &files, now.as_nanosecond(), group).map_err(fail)?;
                }
                None if refresh => {}
                None => mount::set_up(&self.pod, &dir, volume).map_err(fail)?,
            }
        }
        Ok(tokens)
    }

    async fn sandbox(&self, attempt: u32, replaces: Option<SandboxId>) -> Result<(), String> {
        if let Some(old) = replaces {
            self.remove_sandbox(&old).await?;
        }
        let options = &self.node.options;
        if spec::host_network(&self.pod) {
            return text(
                self.node
                    .runtime
                    .run_sandbox(create::sandbox(&self.pod, attempt, None, options))
                    .await,
            );
        }
        let name = format!("{}-{attempt}", spec::uid(&self.pod));
        let link = self
            .node
            .links
            .set_up(name.clone())
            .await
            .map_err(|error| describe(&error))?;
        let config = create::sandbox(
            &self.pod,
            attempt,
            Some((&name, link.netns.clone(), link.ip)),
            options,
        );
        let made = text(self.node.runtime.run_sandbox(config).await);
        if made.is_err()
            && let Err(error) = self.node.links.tear_down(name, Some(link.ip)).await
        {
            tracing::warn!(%error, "the network of a sandbox that was not made stays behind");
        }
        made
    }

    async fn unlink(&self, id: &SandboxId) -> Result<(), String> {
        let status = match self.node.runtime.sandbox_status(id).await {
            Ok(status) => status,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(describe(&error)),
        };
        let Some(name) = status.annotations.get(create::LINK) else {
            return Ok(());
        };
        let ip = status
            .annotations
            .get(create::ADDRESS)
            .and_then(|ip| ip.parse().ok());
        text(self.node.links.tear_down(name.clone(), ip).await)
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), String> {
        text(self.node.runtime.stop_sandbox(id).await)?;
        self.unlink(id).await?;
        mount::tear_down(&self.pod_dir(), false).map_err(|error| describe(&error))
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), String> {
        text(self.node.runtime.stop_sandbox(id).await)?;
        self.unlink(id).await?;
        let runs = match self.node.runtime.list_containers(Some(id)).await {
            Ok(runs) => runs,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(describe(&error)),
        };
        text(self.node.runtime.remove_sandbox(id).await)?;
        for run in runs {
            self.remove_root(&run).await?;
        }
        Ok(())
    }

    async fn remove_root(&self, run: &runtime::ContainerStatus) -> Result<(), String> {
        let Some(dir) = run.annotations.get(create::ROOT).map(PathBuf::from) else {
            return Ok(());
        };
        text(self.node.images.remove(dir.clone()).await)?;
        match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("remove {}: {error}", dir.display()))
            }
            _ => Ok(()),
        }
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), String> {
        let run = self.state.containers.iter().find(|run| run.id == *id);
        text(self.node.runtime.remove_container(id).await)?;
        match run {
            Some(run) => {
                if let Some(path) = &run.log_path {
                    logs::remove(path);
                }
                self.remove_root(run).await
            }
            None => Ok(()),
        }
    }

    async fn teardown(&self) -> Result<(), String> {
        for id in self
            .state
            .sandbox
            .iter()
            .map(|sandbox| &sandbox.id)
            .chain(&self.state.obsolete)
        {
            self.remove_sandbox(id).await?;
        }
        mount::tear_down(&self.pod_dir(), true).map_err(|error| describe(&error))?;
        let logs = self.node.options.pod_log_dir(
            spec::namespace(&self.pod),
            spec::name(&self.pod),
            spec::uid(&self.pod),
        );
        match std::fs::remove_dir_all(&logs) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("remove {}: {error}", logs.display()))
            }
            _ => Ok(()),
        }
    }

    fn keyring(&self) -> Keyring {
        let mut keyring = Keyring::default();
        let world = self.node.feed.world();
        for reference in self
            .pod
            .spec
            .iter()
            .flat_map(|spec| spec.image_pull_secrets.iter().flatten())
        {
            let name = &reference.name;
            let secret = world
                .view::<Secret>(SECRETS, spec::namespace(&self.pod), name)
                .ok()
                .flatten();
            let data = secret.as_ref().and_then(|secret| secret.data.as_ref());
            let content = data.and_then(|data| {
                data.get(".dockerconfigjson")
                    .or_else(|| data.get(".dockercfg"))
            });
            let source = format!("secret {}/{name}", spec::namespace(&self.pod));
            match content.map(|content| keyring.add_docker_config(&source, &content.0)) {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::warn!(%error, "a pull secret is not used"),
                None => tracing::debug!(source, "a pull secret is missing or has no credentials"),
            }
        }
        keyring
    }

    async fn pull(&self, container: &str) -> Result<ImageFacts, Refusal> {
        let slot = spec::slot(&self.pod, container).ok_or_else(|| {
            (
                "ErrImagePull".to_owned(),
                "the container is gone from the Pod".to_owned(),
            )
        })?;
        let name = slot.container.image.clone().unwrap_or_default();
        let init = matches!(slot.kind, spec::Kind::Init | spec::Kind::Sidecar);
        let say = |reason, message: String| {
            self.node
                .events
                .pod(&self.pod, Some((container, init)), false, reason, message)
        };
        let present = self.node.images.present(&name);
        let policy = slot
            .container
            .image_pull_policy
            .as_deref()
            .unwrap_or("IfNotPresent");
        match (policy, present) {
            ("IfNotPresent" | "Never", Some(facts)) => {
                say(
                    "Pulled",
                    format!("Container image \"{name}\" already present on machine"),
                );
                Ok(facts)
            }
            ("Never", None) => Err((
                "ErrImageNeverPull".to_owned(),
                format!("Container image \"{name}\" is not present with pull policy of Never"),
            )),
            _ => {
                say("Pulling", format!("Pulling image \"{name}\""));
                let begun = self.node.clock.now();
                let facts = self
                    .node
                    .images
                    .pull(&name, self.keyring(), begun)
                    .await
                    .map_err(|error| refuse(error.reason(), &error))?;
                let took = self.node.clock.now().duration_since(begun).as_millis();
                let took = if took < 1000 {
                    format!("{took}ms")
                } else {
                    format!("{}.{:03}s", took / 1000, took % 1000)
                };
                say(
                    "Pulled",
                    format!(
                        "Successfully pulled image \"{name}\" in {took} ({took} including waiting). Image size: {} bytes.",
                        facts.size
                    ),
                );
                Ok(facts)
            }
        }
    }

    fn own_files(
        &self,
        container: &k8s_openapi::api::core::v1::Container,
        run_dir: &std::path::Path,
    ) -> std::io::Result<(Vec<Mount>, Option<PathBuf>)> {
        let mut mounts = Vec::new();
        let taken = |path: &str| {
            container
                .volume_mounts
                .iter()
                .flatten()
                .any(|mount| mount.mount_path == path)
        };
        let bind = |host_path: PathBuf, container_path: &str| Mount {
            host_path,
            container_path: PathBuf::from(container_path),
            read_only: false,
            propagation: Propagation::None,
        };
        if !taken("/etc/hosts") {
            let own = spec::host_network(&self.pod)
                .then(|| std::fs::read_to_string("/etc/hosts").unwrap_or_default());
            let ips = self.node.field_facts(&self.pod, &self.state).pod_ips;
            let path = self.pod_dir().join("etc-hosts");
            std::fs::write(
                &path,
                files::hosts(&self.pod, &ips, &self.node.options, own.as_deref()),
            )?;
            mounts.push(bind(path, "/etc/hosts"));
        }
        let message = container
            .termination_message_path
            .as_deref()
            .unwrap_or("/dev/termination-log");
        let path = run_dir.join("termination-log");
        std::fs::create_dir_all(run_dir)?;
        std::fs::write(&path, "")?;
        // Written by whoever the container runs as.
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
        mounts.push(bind(path.clone(), message));
        Ok((mounts, Some(path)))
    }

    async fn run(&self, name: &str, attempt: u32) -> Result<Option<String>, Refusal> {
        let slot = spec::slot(&self.pod, name).ok_or_else(|| {
            (
                "CreateContainerConfigError".to_owned(),
                "the container is gone from the Pod".to_owned(),
            )
        })?;
        let container = &*slot.container;
        let image = self.images.get(name).ok_or_else(|| {
            (
                "ImageInspectError".to_owned(),
                "the image was not looked up".to_owned(),
            )
        })?;
        let sandbox = self.state.sandbox.as_ref().ok_or_else(|| {
            (
                "CreateContainerError".to_owned(),
                "the sandbox is gone".to_owned(),
            )
        })?;
        let config_error = "CreateContainerConfigError";
        let world = self.node.feed.world();
        let facts = self.node.field_facts(&self.pod, &self.state);
        let variables = env::environment(
            &self.pod,
            container,
            &Source {
                world: &world,
                facts: &facts,
            },
        )
        .map_err(|error| refuse(config_error, &error))?;
        let user = self
            .node
            .images
            .user(
                &image.id,
                create::user_wish(&self.pod, container, &image.config),
            )
            .await
            .map_err(|error| refuse("CreateContainerError", &error))?;
        let run_dir = self
            .pod_dir()
            .join("containers")
            .join(name)
            .join(attempt.to_string());
        let (mut mounts, message_path) = self
            .own_files(container, &run_dir)
            .map_err(|error| refuse("CreateContainerError", &error))?;
        mounts.extend(
            mount::mounts(&self.pod, &self.pod_dir(), container, &variables)
                .map_err(|error| refuse(config_error, &error))?,
        );
        let root_dir = self
            .node
            .options
            .root_dir
            .join("roots")
            .join(spec::uid(&self.pod))
            .join(format!("{name}-{attempt}-{}", sandbox.attempt));
        let rootfs = self
            .node
            .images
            .prepare(&image.id, root_dir.clone(), self.node.clock.now())
            .await
            .map_err(|error| refuse("CreateContainerError", &error))?;
        let log_dir = self
            .node
            .options
            .pod_log_dir(
                spec::namespace(&self.pod),
                spec::name(&self.pod),
                spec::uid(&self.pod),
            )
            .join(name);
        std::fs::create_dir_all(&log_dir)
            .map_err(|error| refuse("CreateContainerError", &error))?;
        let found = create::Found {
            image: Arc::clone(&image.config),
            image_id: image.shown.clone(),
            user,
            env: variables,
            mounts,
            rootfs,
            root_dir,
            message_path,
            log_path: log_dir.join(format!("{attempt}.log")),
            node_memory_bytes: self.node.memory_bytes,
        };
        let config = create::container(&self.pod, container, attempt, found)
            .map_err(|error| refuse(config_error, &error))?;
        let runtime = &self.node.runtime;
        let id = runtime
            .create_container(&sandbox.id, config)
            .await
            .map_err(|error| refuse("CreateContainerError", &error))?;
        let init = matches!(slot.kind, spec::Kind::Init | spec::Kind::Sidecar);
        let say = |warning, reason, message: String| {
            self.node
                .events
                .pod(&self.pod, Some((name, init)), warning, reason, message)
        };
        say(false, "Created", format!("Container created: {name}"));
        match runtime.start_container(&id).await {
            Ok(()) => {}
            Err(error @ RuntimeError::Start(_)) => return Err(refuse("StartError", &error)),
            Err(error) => return Err(refuse("RunContainerError", &error)),
        }
        say(false, "Started", format!("Container started: {name}"));
        let Some(hook) = container
            .lifecycle
            .as_ref()
            .and_then(|lifecycle| lifecycle.post_start.as_ref())
        else {
            return Ok(None);
        };
        let subject = Subject {
            runtime: &**runtime,
            id: &id,
            container,
            ip: facts.pod_ips.first().copied(),
        };
        match handler::hook(&subject, hook).await {
            Ok(()) => Ok(None),
            Err(error) => {
                say(
                    true,
                    "FailedPostStartHook",
                    format!("PostStartHook failed: {error}"),
                );
                Ok(Some("FailedPostStartHook".to_owned()))
            }
        }
    }

    async fn stop(&self, name: &str, id: &ContainerId, grace_secs: i64) -> Result<(), String> {
        let grace = Duration::from_secs(u64::try_from(grace_secs).unwrap_or(0));
        let begun = tokio::time::Instant::now();
        let runtime = &self.node.runtime;
        let slot = spec::slot(&self.pod, name);
        let hook = slot
            .as_ref()
            .and_then(|slot| slot.container.lifecycle.as_ref()?.pre_stop.as_ref());
        if let (Some(slot), Some(hook), false) = (&slot, hook, grace.is_zero()) {
            let ip = self
                .node
                .field_facts(&self.pod, &self.state)
                .pod_ips
                .first()
                .copied();
            let subject = Subject {
                runtime: &**runtime,
                id,
                container: &slot.container,
                ip,
            };
            match tokio::time::timeout(grace, handler::hook(&subject, hook)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.node.events.pod(
                    &self.pod,
                    Some((name, false)),
                    true,
                    "FailedPreStopHook",
                    format!("PreStopHook failed: {error}"),
                ),
                Err(_) => self.node.events.pod(
                    &self.pod,
                    Some((name, false)),
                    true,
                    "FailedPreStopHook",
                    "PreStopHook failed: it did not end within the grace period",
                ),
            }
        }
        let left = grace.saturating_sub(begun.elapsed());
        let left = if hook.is_some() {
            left.max(AFTER_HOOK)
        } else {
            left
        };
        let run = self.state.containers.iter().find(|run| run.id == *id);
        let signal = run
            .and_then(|run| run.annotations.get(create::STOP_SIGNAL))
            .map(String::as_str);
        text(runtime.stop_container(id, left, signal).await)
    }

    async fn probe(&self, name: &str, id: &ContainerId, kind: ProbeKind) -> Result<(), String> {
        let slot = spec::slot(&self.pod, name).ok_or("the container is gone from the Pod")?;
        let probe = kind
            .of(&slot.container)
            .ok_or("the container has no such probe")?;
        let ip = self
            .node
            .field_facts(&self.pod, &self.state)
            .pod_ips
            .first()
            .copied();
        let subject = Subject {
            runtime: &*self.node.runtime,
            id,
            container: &slot.container,
            ip,
        };
        handler::probe(&subject, probe).await
    }
}
