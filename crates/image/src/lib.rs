//! Images for kogge's node: pulling, importing, building, verifying, unpacking and collecting them.
//!
//! [`ImageStore`] owns a directory with content, records and unpacked layers; [`Puller`] fills it from registries. A container
//! starts from [`ImageStore::prepare_rootfs`], which returns the directories of an overlay mount; mounting is the runtime's.
//!
//! Architecture invariant: this crate knows nothing of pods. Time and the set of images in use are given by the caller.
//! Everything that touches the disk blocks; only [`Puller`] is async. Input (registries, archives, layers) is hostile until
//! verified, bounded by [`Limits`], and never decides a path outside of the store.

mod archive;
mod builder;
mod compression;
mod config;
mod digest;
mod error;
mod gc;
mod keyring;
mod layer;
mod limits;
mod platform;
mod pull;
mod reference;
mod registry;
mod rootfs;
mod spec;
mod store;
mod tarball;
mod users;

pub use archive::ImportOptions;
pub use builder::{FileContent, ImageFile};
pub use config::{ContainerDefaults, Empty, ImageConfig};
pub use digest::{Digest, InvalidDigest};
pub use error::{ImageError, Result};
pub use gc::{DiskUsage, GcReport, GcRequest};
pub use keyring::{Credential, Keyring};
pub use limits::Limits;
pub use platform::Platform;
pub use pull::{Progress, ProgressFn, PullRequest, Puller};
pub use reference::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference};
pub use registry::{Mirror, RegistryConfig, RegistryOptions};
pub use rootfs::Rootfs;
pub use store::{Image, ImageStore, Layer, StoreOptions};
pub use users::User;
