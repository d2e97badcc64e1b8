//! Images, as pods need them: one trait, and its implementation on the image store.
//!
//! Pulls at most [`PULLS`] images at once. Invariant: what blocks runs on blocking threads.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use image::{Image, ImageConfig, ImageError, ImageStore, Keyring, PullRequest, Puller, Reference};
use jiff::Timestamp;
use runtime::RootFs;
use tokio::sync::Semaphore;

/// Images pulled at once; more wait.
pub const PULLS: usize = 4;

/// An image that is here.
#[derive(Debug, Clone)]
pub struct ImageFacts {
    /// Id in the store.
    pub id: String,
    /// What `imageID` shows: a digest name, else the id.
    pub shown: String,
    /// What containers run by default.
    pub config: Arc<ImageConfig>,
    /// Bytes.
    pub size: u64,
    /// All names.
    pub names: Vec<String>,
}

/// Where images come from.
#[async_trait]
pub trait Images: Send + Sync + 'static {
    /// The image of this name, if it is here.
    fn present(&self, name: &str) -> Option<ImageFacts>;
    /// Fetches an image.
    async fn pull(
        &self,
        name: &str,
        keyring: Keyring,
        now: Timestamp,
    ) -> Result<ImageFacts, ImageError>;
    /// The root file system of a container in `dir`.
    async fn prepare(
        &self,
        image_id: &str,
        dir: PathBuf,
        now: Timestamp,
    ) -> Result<RootFs, ImageError>;
    /// Removes what [`Images::prepare`] made.
    async fn remove(&self, dir: PathBuf) -> Result<(), ImageError>;
    /// Resolves a `user` string in an image.
    async fn user(&self, image_id: &str, user: String) -> Result<image::User, ImageError>;
    /// All images.
    fn list(&self) -> Vec<ImageFacts>;
}

/// The image store with a puller.
pub struct StoreImages {
    store: ImageStore,
    puller: Arc<Puller>,
    permits: Semaphore,
}

impl StoreImages {
    /// Serves from `store`, pulls with `puller`.
    pub fn new(store: ImageStore, puller: Arc<Puller>) -> Self {
        Self {
            store,
            puller,
            permits: Semaphore::new(PULLS),
        }
    }
}

fn facts(image: &Image) -> ImageFacts {
    ImageFacts {
        id: image.id.to_string(),
        shown: image
            .digests
            .iter()
            .next()
            .cloned()
            .unwrap_or_else(|| image.id.to_string()),
        config: Arc::clone(&image.config),
        size: image.size,
        names: image.digests.iter().chain(&image.tags).cloned().collect(),
    }
}

async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ImageError::Corrupt {
            what: what.to_owned(),
            problem: format!("the work was cut off: {error}"),
        }),
    }
}

#[async_trait]
impl Images for StoreImages {
    fn present(&self, name: &str) -> Option<ImageFacts> {
        self.store.image(name).ok().map(|image| facts(&image))
    }

    async fn pull(
        &self,
        name: &str,
        keyring: Keyring,
        now: Timestamp,
    ) -> Result<ImageFacts, ImageError> {
        let reference = Reference::parse(name)?;
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        let request = PullRequest {
            keyring,
            ..PullRequest::new(now)
        };
        let puller = Arc::clone(&self.puller);
        let handle = tokio::runtime::Handle::current();
        // Unpacking blocks anyway, so a pull has a thread of its own.
        blocking("pull", move || {
            handle.block_on(puller.pull(&reference, &request))
        })
        .await
        .map(|image| facts(&image))
    }

    async fn prepare(
        &self,
        image_id: &str,
        dir: PathBuf,
        now: Timestamp,
    ) -> Result<RootFs, ImageError> {
        let (store, id) = (self.store.clone(), image_id.to_owned());
        let rootfs = blocking("root file system", move || {
            store.prepare_rootfs(&id, &dir, now)
        })
        .await?;
        Ok(RootFs::Overlay {
            lower: rootfs.lower,
            upper: rootfs.upper,
            work: rootfs.work,
            merged: rootfs.merged,
        })
    }

    async fn remove(&self, dir: PathBuf) -> Result<(), ImageError> {
        let store = self.store.clone();
        blocking("root file system", move || store.remove_rootfs(&dir)).await
    }

    async fn user(&self, image_id: &str, user: String) -> Result<image::User, ImageError> {
        let (store, id) = (self.store.clone(), image_id.to_owned());
        blocking("users of the image", move || {
            let image = store.image(&id)?;
            store.resolve_user(&image, &user)
        })
        .await
    }

    fn list(&self) -> Vec<ImageFacts> {
        self.store
            .images()
            .iter()
            .map(|image| facts(image))
            .collect()
    }
}
