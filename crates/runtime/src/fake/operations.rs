//! The `Runtime` trait of the fake.
//!
//! Reads and writes the fake's state. Invariant: a call is recorded before anything else happens.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::FutureExt;
use tokio::sync::{broadcast, watch};

use super::{Call, Fake, FakeRuntime, not_found};
use crate::api::*;
use crate::config::{ContainerConfig, Resources, SandboxConfig};
use crate::error::RuntimeError;

#[async_trait]
impl Runtime for FakeRuntime {
    async fn version(&self) -> Result<Version, RuntimeError> {
        Ok(Version {
            runtime_name: "fake".to_owned(),
            runtime_version: "1.0.0".to_owned(),
        })
    }

    async fn status(&self) -> Result<RuntimeStatus, RuntimeError> {
        Ok(RuntimeStatus {
            ready: true,
            message: String::new(),
        })
    }

    async fn run_sandbox(&self, config: SandboxConfig) -> Result<SandboxId, RuntimeError> {
        let call = Call::RunSandbox {
            name: config.name.clone(),
            namespace: config.namespace.clone(),
        };
        let created_at = self.now();
        let mut state = self.begin("run_sandbox", call)?;
        config
            .validate()
            .map_err(|(field, reason)| RuntimeError::Invalid { field, reason })?;
        let id = SandboxId(state.id());
        let status = SandboxStatus {
            id: id.clone(),
            name: config.name.clone(),
            namespace: config.namespace.clone(),
            uid: config.uid.clone(),
            attempt: config.attempt,
            state: SandboxState::Ready,
            created_at,
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            cgroup_parent: config.cgroup_parent.clone(),
            network: config.network.clone(),
        };
        state.sandboxes.insert(id.clone(), (status, config));
        Ok(id)
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        drop(self.begin("stop_sandbox", Call::StopSandbox(id.clone()))?);
        self.end_sandbox(id);
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        drop(self.begin("remove_sandbox", Call::RemoveSandbox(id.clone()))?);
        self.end_sandbox(id);
        let mut state = self.state();
        state.sandboxes.remove(id);
        state.containers.retain(|_, c| c.status.sandbox != *id);
        Ok(())
    }

    async fn sandbox_status(&self, id: &SandboxId) -> Result<SandboxStatus, RuntimeError> {
        self.state()
            .sandboxes
            .get(id)
            .map(|s| s.0.clone())
            .ok_or_else(|| not_found("sandbox", &id.0))
    }

    async fn list_sandboxes(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        Ok(self
            .state()
            .sandboxes
            .values()
            .map(|s| s.0.clone())
            .collect())
    }

    async fn create_container(
        &self,
        sandbox: &SandboxId,
        config: ContainerConfig,
    ) -> Result<ContainerId, RuntimeError> {
        let call = Call::CreateContainer {
            sandbox: sandbox.clone(),
            name: config.name.clone(),
            attempt: config.attempt,
        };
        let created_at = self.now();
        let mut state = self.begin("create_container", call)?;
        config
            .validate()
            .map_err(|(field, reason)| RuntimeError::Invalid { field, reason })?;
        let (status, sandbox_config) = state
            .sandboxes
            .get(sandbox)
            .ok_or_else(|| not_found("sandbox", &sandbox.0))?;
        if status.state != SandboxState::Ready {
            return Err(RuntimeError::State(format!(
                "sandbox {sandbox} is not ready"
            )));
        }
        let parent = sandbox_config.cgroup_parent.clone();
        let id = ContainerId(state.id());
        let behaviour = state
            .behaviours
            .get(&config.name)
            .unwrap_or(&state.default)
            .clone();
        let status = ContainerStatus {
            id: id.clone(),
            sandbox: sandbox.clone(),
            name: config.name.clone(),
            attempt: config.attempt,
            state: ContainerState::Created,
            created_at,
            started_at: 0,
            finished_at: 0,
            exit_code: 0,
            oom_killed: false,
            start_error: None,
            pid: None,
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            log_path: config.log_path.clone(),
            cgroup: format!("{parent}/{id}"),
            revision: 1,
        };
        let (exit, _) = watch::channel(None);
        state.containers.insert(
            id.clone(),
            Fake {
                status,
                config,
                behaviour,
                exit,
            },
        );
        Ok(id)
    }

    async fn start_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let behaviour = {
            let state = self.begin("start_container", Call::StartContainer(id.clone()))?;
            let fake = state
                .containers
                .get(id)
                .ok_or_else(|| not_found("container", &id.0))?;
            if fake.status.state != ContainerState::Created {
                return Err(RuntimeError::State(format!(
                    "container {id} has been started already"
                )));
            }
            fake.behaviour.clone()
        };
        if !behaviour.start_delay.is_zero() {
            tokio::time::sleep(behaviour.start_delay).await;
        }
        if let Some(message) = behaviour.start_error {
            if let Some(fake) = self.state().containers.get_mut(id) {
                fake.status.start_error = Some(message.clone());
            }
            self.end(id, 128, false);
            return Err(RuntimeError::Start(message));
        }
        let started_at = self.now();
        let status = {
            let mut state = self.state();
            let fake = state
                .containers
                .get_mut(id)
                .ok_or_else(|| not_found("container", &id.0))?;
            if fake.status.state != ContainerState::Created {
                return Err(RuntimeError::Start(
                    "container was stopped before it started".to_owned(),
                ));
            }
            fake.status.state = ContainerState::Running;
            fake.status.started_at = started_at;
            fake.status.pid = Some(1);
            fake.status.revision += 1;
            fake.status.clone()
        };
        let _ = self.inner.events.send(RuntimeEvent::Started(status));
        if let Some((after, code)) = behaviour.exit_after {
            self.end_later(id.clone(), after, code, behaviour.oom);
        }
        Ok(())
    }

    async fn stop_container(
        &self,
        id: &ContainerId,
        grace: Duration,
        signal: Option<&str>,
    ) -> Result<(), RuntimeError> {
        let polite = signal.and_then(signal_number) != Some(9);
        let (behaviour, mut exit) = {
            let state = self.begin(
                "stop_container",
                Call::StopContainer {
                    id: id.clone(),
                    grace,
                },
            )?;
            match state.containers.get(id) {
                Some(fake) if fake.status.state != ContainerState::Exited => {
                    (fake.behaviour.clone(), fake.exit.subscribe())
                }
                _ => return Ok(()),
            }
        };
        let obeys = polite && !behaviour.ignores_signals && behaviour.stop_delay < grace;
        let (after, code) = match (polite, obeys) {
            (_, true) => (
                behaviour.stop_delay,
                behaviour.stop_exit_code.unwrap_or(143),
            ),
            (true, false) => (grace, 137),
            (false, false) => (Duration::ZERO, 137),
        };
        if after.is_zero() {
            self.end(id, code, false);
            return Ok(());
        }
        self.end_later(id.clone(), after, code, false);
        // A closed channel means that the container was removed.
        let _ = exit.wait_for(Option::is_some).await;
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        drop(self.begin("remove_container", Call::RemoveContainer(id.clone()))?);
        self.end(id, 137, false);
        self.state().containers.remove(id);
        Ok(())
    }

    async fn container_status(&self, id: &ContainerId) -> Result<ContainerStatus, RuntimeError> {
        self.state()
            .containers
            .get(id)
            .map(|c| c.status.clone())
            .ok_or_else(|| not_found("container", &id.0))
    }

    async fn list_containers(
        &self,
        sandbox: Option<&SandboxId>,
    ) -> Result<Vec<ContainerStatus>, RuntimeError> {
        let state = self.state();
        let statuses = state.containers.values().map(|c| &c.status);
        Ok(statuses
            .filter(|c| sandbox.is_none_or(|s| c.sandbox == *s))
            .cloned()
            .collect())
    }

    async fn update_resources(
        &self,
        id: &ContainerId,
        resources: Resources,
    ) -> Result<(), RuntimeError> {
        drop(self.begin(
            "update_resources",
            Call::UpdateResources {
                id: id.clone(),
                resources: resources.clone(),
            },
        )?);
        self.running(id)?;
        if let Some(fake) = self.state().containers.get_mut(id) {
            fake.config.resources = resources;
        }
        Ok(())
    }

    async fn exec_sync(
        &self,
        id: &ContainerId,
        argv: Vec<String>,
        _timeout: Duration,
    ) -> Result<ExecOutput, RuntimeError> {
        drop(self.begin(
            "exec_sync",
            Call::Exec {
                id: id.clone(),
                argv: argv.clone(),
            },
        )?);
        let (status, behaviour, _) = self.running(id)?;
        Ok(behaviour
            .exec
            .map(|answer| answer(&status, &argv))
            .unwrap_or_default())
    }

    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<Streams, RuntimeError> {
        drop(self.begin(
            "exec",
            Call::Exec {
                id: id.clone(),
                argv: request.argv.clone(),
            },
        )?);
        let (status, behaviour, _) = self.running(id)?;
        let output = behaviour
            .exec
            .map(|answer| answer(&status, &request.argv))
            .unwrap_or_default();
        let reader =
            |wanted: bool, bytes: Vec<u8>| wanted.then(|| Box::new(Cursor::new(bytes)) as Reader);
        let exit_code = output.exit_code;
        Ok(Streams {
            stdin: request.stdin.then(|| Box::new(tokio::io::sink()) as Writer),
            stdout: reader(request.stdout, output.stdout),
            stderr: reader(request.stderr && !request.tty, output.stderr),
            resize: request.tty.then(|| Arc::new(|_, _| Ok(())) as Resize),
            exit: async move { Ok(exit_code) }.boxed(),
        })
    }

    async fn attach(
        &self,
        id: &ContainerId,
        request: AttachRequest,
    ) -> Result<Streams, RuntimeError> {
        drop(self.begin("attach", Call::Attach(id.clone()))?);
        let (_, _, mut exit) = self.running(id)?;
        let empty = |wanted: bool| wanted.then(|| Box::new(tokio::io::empty()) as Reader);
        Ok(Streams {
            stdin: request.stdin.then(|| Box::new(tokio::io::sink()) as Writer),
            stdout: empty(request.stdout),
            stderr: empty(request.stderr),
            resize: None,
            exit: async move {
                Ok(exit
                    .wait_for(Option::is_some)
                    .await
                    .ok()
                    .and_then(|code| *code)
                    .unwrap_or(137))
            }
            .boxed(),
        })
    }

    /// Echoes what it is sent.
    async fn port_forward(
        &self,
        id: &SandboxId,
        port: u16,
    ) -> Result<Box<dyn Duplex>, RuntimeError> {
        drop(self.begin(
            "port_forward",
            Call::PortForward {
                sandbox: id.clone(),
                port,
            },
        )?);
        self.sandbox_status(id).await?;
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(theirs);
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        Ok(Box::new(ours))
    }

    async fn reopen_log(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        drop(self.begin("reopen_log", Call::ReopenLog(id.clone()))?);
        self.container_status(id).await.map(drop)
    }

    async fn container_stats(&self, id: &ContainerId) -> Result<Stats, RuntimeError> {
        self.running(id)?;
        let stats = self.state().stats.get(id).copied().unwrap_or_default();
        Ok(Stats {
            timestamp: self.now(),
            ..stats
        })
    }

    async fn sandbox_stats(&self, id: &SandboxId) -> Result<Stats, RuntimeError> {
        self.sandbox_status(id).await?;
        let state = self.state();
        let members = state
            .containers
            .values()
            .filter(|c| c.status.sandbox == *id);
        let each = members.filter_map(|c| state.stats.get(&c.status.id));
        let sum = each.fold(Stats::default(), |a, b| Stats {
            timestamp: 0,
            cpu_usage_ns: a.cpu_usage_ns + b.cpu_usage_ns,
            memory_usage_bytes: a.memory_usage_bytes + b.memory_usage_bytes,
            memory_working_set_bytes: a.memory_working_set_bytes + b.memory_working_set_bytes,
            memory_rss_bytes: a.memory_rss_bytes + b.memory_rss_bytes,
            page_faults: a.page_faults + b.page_faults,
            major_page_faults: a.major_page_faults + b.major_page_faults,
            pids: a.pids + b.pids,
        });
        Ok(Stats {
            timestamp: self.now(),
            ..sum
        })
    }

    fn events(&self) -> broadcast::Receiver<RuntimeEvent> {
        self.inner.events.subscribe()
    }
}
