//! Pulling: an image reference becomes blobs, a record and, if wanted, unpacked layers.
//!
//! Asks mirrors first, then the registry; layers come concurrently (over all pulls at most `concurrent_downloads`), each
//! retried on its own and resumed where it broke off. Invariants: a blob is downloaded once even if several pulls want it;
//! nothing is recorded before everything is verified; a failed pull leaves nothing that the store keeps.

mod download;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::keyring::{Credential, Keyring};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::registry::{Endpoint, RegistryOptions, Session, Transport, read_bounded};
use crate::spec::{ACCEPT_MANIFESTS, Descriptor, Document, Manifest};
use crate::store::{Image, ImageStore};

/// An index may point at an index, but not further.
const INDEX_DEPTH: usize = 2;
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
const DIGEST_HEADER: &str = "docker-content-digest";

/// How far a pull is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the image that are here.
    pub done_bytes: u64,
    /// Bytes of the image.
    pub total_bytes: u64,
    /// Layers that are here.
    pub done_layers: usize,
    /// Layers of the image.
    pub total_layers: usize,
}

/// What is called as bytes arrive. Must not block.
pub type ProgressFn = dyn Fn(Progress) + Send + Sync;

/// How to pull.
#[derive(Clone)]
pub struct PullRequest {
    /// Becomes the image's last use.
    pub now: Timestamp,
    /// Credentials from pull secrets.
    pub keyring: Keyring,
    /// Which image of a multi-platform one.
    pub platform: Platform,
    /// Unpack the layers too, so that containers start at once.
    pub unpack: bool,
    /// Told about every piece that arrives.
    pub progress: Option<Arc<ProgressFn>>,
}

impl PullRequest {
    /// Anonymous, for this machine, unpacking.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            keyring: Keyring::default(),
            platform: Platform::host(),
            unpack: true,
            progress: None,
        }
    }
}

impl fmt::Debug for PullRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = (&self.now, &self.platform, self.unpack);
        f.debug_tuple("PullRequest").field(&shown).finish()
    }
}

/// Pulls images into one store.
pub struct Puller {
    store: ImageStore,
    options: RegistryOptions,
    transport: Transport,
    permits: Semaphore,
    /// One gate per blob that is being downloaded.
    gates: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

/// Counts bytes for the progress callback.
struct Meter {
    state: Mutex<Progress>,
    report: Option<Arc<ProgressFn>>,
}

impl Meter {
    fn change(&self, change: impl FnOnce(&mut Progress)) {
        let progress = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut state);
            *state
        };
        if let Some(report) = &self.report {
            report(progress);
        }
    }

    fn add(&self, bytes: u64) {
        self.change(|progress| progress.done_bytes += bytes);
    }

    fn take_back(&self, bytes: u64) {
        self.change(|progress| progress.done_bytes = progress.done_bytes.saturating_sub(bytes));
    }
}

impl Puller {
    /// A puller for `store`; fails on certificates and mirrors that cannot be read.
    pub fn new(store: ImageStore, options: RegistryOptions) -> Result<Self> {
        options.check()?;
        let transport = Transport::new(&options)?;
        let permits = Semaphore::new(store.limits().concurrent_downloads.max(1));
        Ok(Self {
            store,
            options,
            transport,
            permits,
            gates: Mutex::new(HashMap::new()),
        })
    }

    /// Pulls `reference`. Layers that are here already are not fetched again; the manifest always is.
    pub async fn pull(&self, reference: &Reference, request: &PullRequest) -> Result<Arc<Image>> {
        let mut outcome = Err(ImageError::NotFound {
            what: reference.to_string(),
            host: reference.registry().to_owned(),
        });
        for endpoint in self.options.endpoints(reference)? {
            outcome = self.pull_with_any(&endpoint, reference, request).await;
            match &outcome {
                Err(
                    error @ (ImageError::NotFound { .. }
                    | ImageError::Unauthorized { .. }
                    | ImageError::Network { .. }
                    | ImageError::Registry { .. }
                    | ImageError::Corrupt { .. }),
                ) if endpoint.mirror_of.is_some() => {
                    tracing::debug!(image = %reference, mirror = endpoint.host, %error, "mirror failed, trying the next");
                }
                _ => break,
            }
        }
        if outcome.is_err() {
            let store = self.store.clone();
            blocking(move || store.sweep()).await?;
        }
        outcome
    }

    /// Tries every credential that fits the endpoint, or none when there is none.
    async fn pull_with_any(
        &self,
        endpoint: &Endpoint,
        reference: &Reference,
        request: &PullRequest,
    ) -> Result<Arc<Image>> {
        // Pull secrets are for the registry; a mirror only gets what is configured for it.
        let mut credentials = match endpoint.mirror_of {
            None => request.keyring.lookup(reference),
            Some(_) => Vec::new(),
        };
        if credentials.is_empty() {
            credentials.extend(self.options.credential(endpoint, reference.registry()));
        }
        let mut credentials: Vec<Option<Credential>> = credentials.into_iter().map(Some).collect();
        if credentials.is_empty() {
            credentials.push(None);
        }
        let mut outcome = Err(ImageError::NotFound {
            what: reference.to_string(),
            host: endpoint.host.clone(),
        });
        for credential in credentials {
            let session = Session::new(&self.transport, endpoint, reference, credential);
            outcome = Box::pin(self.pull_in(&session, reference, request)).await;
            if !matches!(outcome, Err(ImageError::Unauthorized { .. })) {
                break;
            }
        }
        outcome
    }

    async fn pull_in(
        &self,
        session: &Session<'_>,
        reference: &Reference,
        request: &PullRequest,
    ) -> Result<Arc<Image>> {
        let what = reference.to_string();
        let (top, digest, text, manifest) =
            self.manifest(session, reference, &request.platform).await?;
        let limits = self.store.limits();
        manifest.check(&what, limits.layers)?;
        if manifest.config.size > limits.config_bytes {
            return Err(ImageError::limit(
                "config_bytes",
                limits.config_bytes,
                format!("configuration of {what}"),
            ));
        }
        let mut blobs: Vec<&Descriptor> =
            manifest.layers.iter().chain([&manifest.config]).collect();
        blobs.sort_by_key(|blob| blob.digest);
        blobs.dedup_by_key(|blob| blob.digest);
        let mut lease = self.store.lease(blobs.iter().map(|blob| blob.digest));
        self.check_space(&blobs, &what)?;
        let total = Progress {
            total_bytes: blobs.iter().map(|blob| blob.size).sum(),
            total_layers: blobs.len().saturating_sub(1),
            ..Progress::default()
        };
        let meter = Meter {
            state: Mutex::new(total),
            report: request.progress.clone(),
        };
        let downloads = blobs.iter().map(|blob| {
            let is_layer = blob.digest != manifest.config.digest;
            let (meter, what) = (&meter, &what);
            async move {
                self.download(session, blob, what, meter).await?;
                meter.change(|progress| progress.done_layers += usize::from(is_layer));
                Ok(())
            }
        });
        let width = limits.concurrent_downloads.max(1);
        stream::iter(downloads)
            .buffer_unordered(width)
            .try_collect::<()>()
            .await?;

        let (store, names, now, unpack) = (
            self.store.clone(),
            names(reference, top),
            request.now,
            request.unpack,
        );
        blocking(move || {
            lease.add(digest);
            store.put_blob(&what, &text, &mut lease)?;
            let candidate = store.assemble(digest, &manifest, &what, &mut lease)?;
            if unpack {
                store.unpack_candidate(&candidate)?;
            }
            store.admit(candidate, &names, now)
        })
        .await
    }

    /// The digest that the reference stands for, and the manifest for `platform` with its digest and text.
    async fn manifest(
        &self,
        session: &Session<'_>,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<(Digest, Digest, Vec<u8>, Manifest)> {
        let what = reference.to_string();
        let mut top = None;
        let mut version = reference.version();
        for _ in 0..=INDEX_DEPTH {
            let (digest, text) = self
                .retried(|| self.fetch_manifest(session, &version, &what))
                .await?;
            let top = *top.get_or_insert(digest);
            match Document::parse(&text, &what)? {
                Document::Manifest(manifest) => return Ok((top, digest, text, manifest)),
                Document::Index(index) => {
                    version = index.select(platform, &what)?.digest.to_string()
                }
            }
        }
        Err(ImageError::corrupt(
            format!("manifest of {what}"),
            "its indexes are nested too deeply",
        ))
    }

    /// One manifest, verified: against the digest it was asked by, else against the one the registry names.
    async fn fetch_manifest(
        &self,
        session: &Session<'_>,
        version: &str,
        what: &str,
    ) -> Result<(Digest, Vec<u8>)> {
        let response = session
            .get("manifests", version, ACCEPT_MANIFESTS, what, 0)
            .await?;
        let named = response
            .headers()
            .get(DIGEST_HEADER)
            .and_then(|value| value.to_str().ok()?.parse::<Digest>().ok());
        let limit = ("manifest_bytes", self.store.limits().manifest_bytes);
        let subject = format!("manifest of {what}");
        let text = read_bounded(
            response.into_body(),
            &session.endpoint.host,
            &subject,
            limit,
        )
        .await?;
        let digest = Digest::of(&text);
        match version.parse::<Digest>().ok().or(named) {
            Some(expected) if expected != digest => Err(ImageError::corrupt(
                subject,
                format!("its content has digest {digest} instead of {expected}"),
            )),
            _ => Ok((digest, text)),
        }
    }

    async fn retried<T, F: Future<Output = Result<T>>>(&self, call: impl Fn() -> F) -> Result<T> {
        let mut attempt = 1;
        loop {
            match call().await {
                Err(error)
                    if error.is_transient() && attempt < self.store.limits().download_attempts =>
                {
                    wait_before_retry(attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Refuses early what cannot fit. Unpacking needs more, but how much is known only then.
    fn check_space(&self, blobs: &[&Descriptor], what: &str) -> Result<()> {
        let missing = blobs
            .iter()
            .filter(|blob| self.store.blob_size(&blob.digest).is_none());
        let needed = missing.map(|blob| blob.size).fold(0, u64::saturating_add);
        let available = self.store.disk_usage()?.available_bytes;
        if needed > available {
            return Err(ImageError::NoSpace {
                what: what.to_owned(),
                path: self.store.dir().to_owned(),
                detail: format!("{needed} bytes to download, {available} free"),
            });
        }
        Ok(())
    }
}

/// The names a pull gives an image: the reference and the digest it stands for.
fn names(reference: &Reference, top: Digest) -> Vec<Reference> {
    match reference.digest() {
        Some(_) => vec![reference.clone()],
        None => vec![reference.clone(), reference.with_digest(top)],
    }
}

async fn wait_before_retry(attempt: u32) {
    let pause = FIRST_RETRY.saturating_mul(2u32.saturating_pow(attempt - 1));
    tokio::time::sleep(pause.min(LONGEST_RETRY)).await;
}

/// Runs disk work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(ImageError::corrupt(
            "image work",
            format!("it panicked: {error}"),
        ))
    })
}
