//! What a Pod's worker says and remembers before and after an operation: events, back-offs, problems.

use jiff::{SignedDuration, Timestamp};

use super::{Op, Outcome, Worker};
use crate::pods::plan::Action;
use crate::pods::spec::{self, Kind};
use crate::pods::state::{ImageState, Problem, Volumes};

/// A failed mount, sandbox or container is tried again after so long.
const RETRY: SignedDuration = SignedDuration::from_secs(2);
/// A failed status write is tried again after so long.
const STATUS_RETRY: SignedDuration = SignedDuration::from_secs(1);
/// A deletion that was taken is asked for again after so long, if the Pod is still there.
const DELETE_AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// A sandbox that cannot be made is tried again after so long.
const SANDBOX_RETRY: SignedDuration = SignedDuration::from_secs(5);

impl Worker {
    fn is_init(&self, name: &str) -> bool {
        spec::slot(&self.pod, name)
            .is_some_and(|slot| matches!(slot.kind, Kind::Init | Kind::Sidecar))
    }

    fn say(
        &self,
        container: &str,
        warning: bool,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let init = self.is_init(container);
        self.node
            .events
            .pod(&self.pod, Some((container, init)), warning, reason, message);
    }

    /// The events of an action that begins.
    pub(super) fn announce(&mut self, action: &Action) {
        let now = self.now();
        match action {
            Action::MakeSandbox {
                replaces: Some(_), ..
            } => {
                self.node.events.pod(
                    &self.pod,
                    None,
                    false,
                    "SandboxChanged",
                    "Pod sandbox changed, it will be killed and re-created.",
                );
                self.carry_over();
            }
            Action::RunContainer {
                container,
                after: Some(ended),
                ..
            } => {
                let memory = self.state.memory.entry(container.clone()).or_default();
                memory.restart_backoff.repeat(*ended, now);
            }
            Action::StopContainer {
                container, message, ..
            } => self.say(container, false, "Killing", message.clone()),
            _ => {}
        }
    }

    /// Restart counts and last ends outlive a sandbox.
    fn carry_over(&mut self) {
        for slot in spec::slots(&self.pod) {
            let Some(run) = self.state.latest(slot.name()).cloned() else {
                continue;
            };
            let ended = super::super::status::terminated(
                &run,
                &self.state.memory_of(slot.name()),
                &self.state,
            );
            let memory = self.state.memory.entry(slot.name().to_owned()).or_default();
            memory.first_attempt = run.attempt + 1;
            memory.earlier_end = Some(ended);
        }
    }

    pub(super) fn settle(&mut self, op: &Op, outcome: Outcome) {
        let now = self.now();
        match outcome {
            Outcome::Mounted { refresh, result } => self.mounted(refresh, result, now),
            Outcome::Sandbox(result) => {
                self.state.sandbox_problem = result.err().map(|message| {
                    self.node.events.pod(
                        &self.pod,
                        None,
                        true,
                        "FailedCreatePodSandBox",
                        format!("Failed to create pod sandbox: {message}"),
                    );
                    problem("CreatePodSandboxError", message, now, SANDBOX_RETRY)
                });
            }
            Outcome::Pulled {
                container,
                attempt,
                result,
            } => self.pulled(container, attempt, result, now),
            Outcome::Ran { container, result } => self.ran(container, result, now),
            Outcome::Probed {
                container,
                id,
                kind,
                result,
            } => self.probed(&container, &id, kind, result, now),
            Outcome::Status { status, result } => match result {
                Ok(()) => {
                    // The world may show it already; then there is nothing to bridge.
                    self.state.written =
                        (self.pod.status.as_ref() != Some(&*status)).then_some(*status);
                    self.state.status_retry_at = None;
                }
                Err(error) => {
                    tracing::debug!(error, pod = %self.object.key(), "a status was not taken");
                    self.state.status_retry_at = Some(now + STATUS_RETRY);
                }
            },
            Outcome::TornDown(Ok(())) => {
                self.state.torn_down = true;
                self.state.volumes = Volumes::Absent;
            }
            Outcome::TornDown(Err(error)) | Outcome::Plain(Err(error)) => {
                tracing::warn!(error, ?op, pod = %self.object.key(), "an operation failed and is tried again");
                self.state.retry.insert(op.clone(), now + RETRY);
            }
            // Finalizers may keep the object; asking again at once would change nothing.
            Outcome::Plain(Ok(())) if *op == Op::Delete => {
                self.state.retry.insert(Op::Delete, now + DELETE_AGAIN);
            }
            Outcome::Plain(Ok(())) => {
                self.state.retry.remove(op);
                if matches!(op, Op::StopSandbox(_)) {
                    // Volumes go with the sandbox of a Pod that ends; updating them would bring them back.
                    self.state.volumes = Volumes::Absent;
                }
            }
        }
    }

    fn mounted(&mut self, refresh: bool, result: Result<super::Tokens, String>, now: Timestamp) {
        match result {
            Ok(tokens) => {
                self.tokens = tokens;
                if !refresh {
                    self.state.volumes = Volumes::Mounted;
                }
            }
            Err(message) => {
                self.node
                    .events
                    .pod(&self.pod, None, true, "FailedMount", message.clone());
                if !refresh {
                    self.state.volumes =
                        Volumes::Failed(problem("ContainerCreating", message, now, RETRY));
                }
                // An update that failed is tried with the next change; a token a little later.
                self.tokens
                    .values_mut()
                    .filter(|token| token.renew_at <= now)
                    .for_each(|token| token.renew_at = now + STATUS_RETRY * 30);
            }
        }
    }

    fn pulled(
        &mut self,
        container: String,
        attempt: u32,
        result: Result<crate::images::ImageFacts, (String, String)>,
        now: Timestamp,
    ) {
        let image = spec::slot(&self.pod, &container)
            .and_then(|slot| slot.container.image.clone())
            .unwrap_or_default();
        let memory = self.state.memory.entry(container.clone()).or_default();
        match result {
            Ok(facts) => {
                memory.image = ImageState::Ready {
                    attempt,
                    id: facts.shown.clone(),
                };
                memory.pull_backoff.clear();
                self.images.insert(container, facts);
            }
            Err((reason, message)) => {
                memory.pull_backoff.repeat(now, now);
                let pause = memory.pull_backoff.delay();
                memory.image = ImageState::Failed(problem(&reason, message.clone(), now, pause));
                if reason == "ErrImagePull" || reason == "RegistryUnavailable" {
                    self.say(
                        &container,
                        true,
                        "Failed",
                        format!("Failed to pull image \"{image}\": {message}"),
                    );
                }
                self.say(&container, true, "Failed", format!("Error: {reason}"));
                self.say(
                    &container,
                    false,
                    "BackOff",
                    format!("Back-off pulling image \"{image}\""),
                );
            }
        }
    }

    fn ran(
        &mut self,
        container: String,
        result: Result<Option<String>, (String, String)>,
        now: Timestamp,
    ) {
        let memory = self.state.memory.entry(container.clone()).or_default();
        match result {
            Ok(doomed) => {
                memory.problem = None;
                memory.doomed = doomed;
            }
            // The runtime has a record of the run; its end speaks for itself.
            Err((reason, message)) if reason == "StartError" => {
                memory.problem = None;
                self.say(
                    &container,
                    true,
                    "Failed",
                    format!("Error: failed to start containerd task \"{container}\": {message}"),
                );
            }
            Err((reason, message)) => {
                memory.problem = Some(problem(&reason, message.clone(), now, RETRY * 5));
                self.say(&container, true, "Failed", format!("Error: {message}"));
            }
        }
    }

    fn probed(
        &mut self,
        container: &str,
        id: &runtime::ContainerId,
        kind: super::super::probes::ProbeKind,
        result: Result<(), String>,
        now: Timestamp,
    ) {
        let pod = std::sync::Arc::clone(&self.pod);
        let Some(slot) = spec::slot(&pod, container) else {
            return;
        };
        let Some(probe) = kind.of(&slot.container) else {
            return;
        };
        let memory = self.state.memory.entry(container.to_owned()).or_default();
        if memory.run.as_ref() != Some(id) {
            return;
        }
        memory
            .tallies
            .entry(kind)
            .or_default()
            .record(probe, result.is_ok(), now);
        if let Err(message) = result {
            self.say(
                container,
                true,
                "Unhealthy",
                format!("{} probe failed: {message}", kind.name()),
            );
        }
    }
}

fn problem(reason: &str, message: String, at: Timestamp, pause: SignedDuration) -> Problem {
    Problem {
        reason: reason.to_owned(),
        message,
        at,
        retry_at: at + pause,
    }
}
