//! The `Runtime` trait of the embedded runtime.
//!
//! Reads the table and control groups; asks shims. Invariant: after a call returns, the table shows its effect.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::sessions::{collect, connect, unexpected};
use super::{CALL, EmbeddedRuntime, blocking, describe, new_id, purge};
use crate::api::*;
use crate::config::{ContainerConfig, Resources, SandboxConfig};
use crate::error::RuntimeError;
use crate::shim::proto::{End, Reply, Request};

/// Added to a container's grace before its shim counts as hung.
const STOP_MARGIN: Duration = Duration::from_secs(60);

fn cgroup_error(error: &crate::cgroup::CgroupError) -> RuntimeError {
    RuntimeError::Failed(describe(error))
}

#[async_trait]
impl Runtime for EmbeddedRuntime {
    async fn version(&self) -> Result<Version, RuntimeError> {
        Ok(Version {
            runtime_name: "kogge".to_owned(),
            runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    async fn status(&self) -> Result<RuntimeStatus, RuntimeError> {
        let ready = nix::unistd::geteuid().is_root();
        let message = if ready {
            String::new()
        } else {
            "containers need root".to_owned()
        };
        Ok(RuntimeStatus { ready, message })
    }

    async fn run_sandbox(&self, config: SandboxConfig) -> Result<SandboxId, RuntimeError> {
        config
            .validate()
            .map_err(|(field, reason)| RuntimeError::Invalid { field, reason })?;
        self.start_shim(config).await
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        match self.sandbox_status(id).await {
            Ok(status) if status.state == SandboxState::Ready => {}
            Ok(_) => return Ok(()),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        }
        self.ask(id, Request::StopSandbox, STOP_MARGIN).await?;
        if let Some(entry) = self.table().sandboxes.get_mut(id) {
            entry.status.state = SandboxState::NotReady;
        }
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        let dir = match self.table().sandboxes.get_mut(id) {
            None => return Ok(()),
            Some(entry) => {
                entry.removing = true;
                entry.dir.clone()
            }
        };
        if let Ok((_, _, mut link)) = self.ask(id, Request::Shutdown, STOP_MARGIN).await {
            // The shim says goodbye by closing; what it does not do by itself is forced below.
            let _ =
                tokio::time::timeout(CALL, async { while link.receive().await.is_ok() {} }).await;
        }
        let removed = blocking(&dir, |dir| purge::remove_sandbox(dir, false)).await;
        let mut table = self.table();
        match removed {
            Ok(()) => {
                table.sandboxes.remove(id);
                table.containers.retain(|_, c| c.sandbox != *id);
                Ok(())
            }
            Err(error) => {
                // Stays in the table, so that removing can be tried again.
                if let Some(entry) = table.sandboxes.get_mut(id) {
                    entry.status.state = SandboxState::NotReady;
                }
                Err(error)
            }
        }
    }

    async fn sandbox_status(&self, id: &SandboxId) -> Result<SandboxStatus, RuntimeError> {
        let found = self.table().sandboxes.get(id).map(|e| e.status.clone());
        found.ok_or_else(|| RuntimeError::NotFound {
            kind: "sandbox",
            id: id.0.clone(),
        })
    }

    async fn list_sandboxes(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        Ok(self
            .table()
            .sandboxes
            .values()
            .map(|e| e.status.clone())
            .collect())
    }

    async fn create_container(
        &self,
        sandbox: &SandboxId,
        config: ContainerConfig,
    ) -> Result<ContainerId, RuntimeError> {
        config
            .validate()
            .map_err(|(field, reason)| RuntimeError::Invalid { field, reason })?;
        if self.sandbox_status(sandbox).await?.state != SandboxState::Ready {
            return Err(RuntimeError::State(format!(
                "sandbox {sandbox} is not ready"
            )));
        }
        let id = new_id()?;
        let request = Request::Create {
            id: id.clone(),
            config: Box::new(config),
        };
        self.ask(sandbox, request, CALL).await?;
        Ok(ContainerId(id))
    }

    async fn start_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let sandbox = self.container(id)?.sandbox;
        self.ask(&sandbox, Request::Start { id: id.0.clone() }, CALL)
            .await
            .map(drop)
    }

    async fn stop_container(
        &self,
        id: &ContainerId,
        grace: Duration,
        signal: Option<&str>,
    ) -> Result<(), RuntimeError> {
        let signal = match signal.filter(|s| !s.is_empty()) {
            None => libc::SIGTERM,
            Some(name) => signal_number(name).ok_or_else(|| RuntimeError::Invalid {
                field: "signal",
                reason: format!("{name:?} is no signal"),
            })?,
        };
        let Ok(status) = self.container(id) else {
            return Ok(());
        };
        if status.state == ContainerState::Exited {
            return Ok(());
        }
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let request = Request::Stop {
            id: id.0.clone(),
            signal,
            grace_ms,
        };
        let patience = grace.saturating_add(STOP_MARGIN);
        match self.ask(&status.sandbox, request, patience).await {
            Ok(_) => Ok(()),
            // Its shim died meanwhile, and it with it.
            Err(RuntimeError::Shim { .. })
                if self
                    .container(id)
                    .is_ok_and(|c| c.state == ContainerState::Exited) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let Ok(status) = self.container(id) else {
            return Ok(());
        };
        match self
            .ask(
                &status.sandbox,
                Request::Remove { id: id.0.clone() },
                STOP_MARGIN,
            )
            .await
        {
            Ok(_) => {}
            // Of a dead shim's container only the memory is left.
            Err(RuntimeError::Shim { .. }) if status.state == ContainerState::Exited => {}
            Err(error) => return Err(error),
        }
        self.table().containers.remove(id);
        Ok(())
    }

    async fn container_status(&self, id: &ContainerId) -> Result<ContainerStatus, RuntimeError> {
        self.container(id)
    }

    async fn list_containers(
        &self,
        sandbox: Option<&SandboxId>,
    ) -> Result<Vec<ContainerStatus>, RuntimeError> {
        let table = self.table();
        Ok(table
            .containers
            .values()
            .filter(|c| sandbox.is_none_or(|s| c.sandbox == *s))
            .cloned()
            .collect())
    }

    async fn update_resources(
        &self,
        id: &ContainerId,
        resources: Resources,
    ) -> Result<(), RuntimeError> {
        let status = self.container(id)?;
        if status.state != ContainerState::Running {
            return Err(RuntimeError::State(format!(
                "container {id} is not running"
            )));
        }
        let cgroups = self.inner.cgroups.clone();
        let dir = self.sandbox_dir(&status.sandbox)?;
        // Lowering a memory limit reclaims, which may take a while.
        blocking(&dir, move |_| {
            cgroups
                .update(&status.cgroup, &resources)
                .map_err(|e| cgroup_error(&e))
        })
        .await
    }

    async fn exec_sync(
        &self,
        id: &ContainerId,
        argv: Vec<String>,
        timeout: Duration,
    ) -> Result<ExecOutput, RuntimeError> {
        let command = argv.first().cloned().unwrap_or_default();
        let request = ExecRequest {
            argv,
            tty: false,
            stdin: false,
            stdout: true,
            stderr: true,
        };
        let sandbox = self.container(id)?.sandbox;
        let (mut streams, exec) = self
            .open_streams(
                id,
                Request::Exec {
                    id: id.0.clone(),
                    request,
                },
            )
            .await?;
        let limit = async {
            if timeout.is_zero() {
                std::future::pending().await
            } else {
                tokio::time::sleep(timeout).await
            }
        };
        match collect(&mut streams, limit).await {
            Some(output) => output,
            None => {
                self.ask(&sandbox, Request::KillExec { exec }, CALL).await?;
                Err(RuntimeError::ExecTimeout {
                    command,
                    after_ms: timeout.as_millis(),
                })
            }
        }
    }

    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<Streams, RuntimeError> {
        let (streams, _) = self
            .open_streams(
                id,
                Request::Exec {
                    id: id.0.clone(),
                    request,
                },
            )
            .await?;
        Ok(streams)
    }

    async fn attach(
        &self,
        id: &ContainerId,
        request: AttachRequest,
    ) -> Result<Streams, RuntimeError> {
        let (mut streams, _) = self
            .open_streams(
                id,
                Request::Attach {
                    id: id.0.clone(),
                    request,
                },
            )
            .await?;
        if !request.stdin {
            streams.stdin = None;
        }
        Ok(streams)
    }

    async fn port_forward(
        &self,
        id: &SandboxId,
        port: u16,
    ) -> Result<Box<dyn Duplex>, RuntimeError> {
        let (reply, fds, _) = self.ask(id, Request::Sockets, CALL).await?;
        let Reply::Streams { ends, .. } = reply else {
            return Err(unexpected(&reply));
        };
        let mut last = io::Error::from(io::ErrorKind::Unsupported);
        // Replied in this order: IPv4, then IPv6.
        for (end, socket) in ends.into_iter().zip(fds) {
            let address = match end {
                End::Inet => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                _ => SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
            };
            match connect(socket, address).await {
                Ok(stream) => return Ok(Box::new(stream)),
                Err(error) => last = error,
            }
        }
        Err(RuntimeError::Io {
            op: "connect to",
            path: format!("port {port} of sandbox {id}").into(),
            source: last,
        })
    }

    async fn reopen_log(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let sandbox = self.container(id)?.sandbox;
        self.ask(&sandbox, Request::ReopenLog { id: id.0.clone() }, CALL)
            .await
            .map(drop)
    }

    async fn container_stats(&self, id: &ContainerId) -> Result<Stats, RuntimeError> {
        let status = self.container(id)?;
        if status.state != ContainerState::Running {
            return Err(RuntimeError::State(format!(
                "container {id} is not running"
            )));
        }
        self.inner
            .cgroups
            .stats(&status.cgroup)
            .map_err(|e| cgroup_error(&e))
    }

    async fn sandbox_stats(&self, id: &SandboxId) -> Result<Stats, RuntimeError> {
        let parent = self.sandbox_status(id).await?.cgroup_parent;
        self.inner
            .cgroups
            .stats(&parent)
            .map_err(|e| cgroup_error(&e))
    }

    fn events(&self) -> broadcast::Receiver<RuntimeEvent> {
        self.inner.events.subscribe()
    }
}
