//! Discovery: what groups, versions and resources are served, in every form that
//! clients ask for.
//!
//! Pure: reads [`kinds`], writes JSON. Source of the shapes: the types of
//! `apidiscovery.k8s.io/v2` and `meta/v1`, and recordings of Kubernetes 1.37.
//! Invariants: a subresource without machinery is never shown; the order of groups
//! and versions is upstream's, since clients prefer what comes first.
//!
//! Reading order: [`catalog`] → [`legacy`](mod@legacy) → [`aggregated`](mod@aggregated)
//! → [`document`] → [`mod@reply`].

pub mod aggregated;
pub mod catalog;
pub mod document;
pub mod legacy;
pub mod reply;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use aggregated::AGGREGATED_MEDIA_TYPE;
pub use catalog::{Catalog, Group, GroupVersion};
pub use document::Document;
pub use legacy::ServerAddress;
pub use reply::reply;

/// The two roots below which resources live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Root {
    /// `/api`: the core group.
    Api,
    /// `/apis`: all named groups.
    Apis,
}

/// The built-in kinds, as discovery orders them.
pub fn builtin() -> Catalog<'static> {
    Catalog::new(kinds::all())
}

/// Aggregated discovery of the built-in kinds, made once. To be sent as
/// [`AGGREGATED_MEDIA_TYPE`].
pub fn aggregated(root: Root) -> Arc<Document> {
    static API: OnceLock<Arc<Document>> = OnceLock::new();
    static APIS: OnceLock<Arc<Document>> = OnceLock::new();
    let made = match root {
        Root::Api => &API,
        Root::Apis => &APIS,
    };
    let make = || Arc::new(Document::new(aggregated::aggregated(&builtin(), root)));
    made.get_or_init(make).clone()
}

/// The unaggregated document at this path (`["apis", "apps", "v1"]`) of the
/// built-in kinds; `None` where nothing is served. `addresses` stand in `/api` only.
pub fn legacy(path: &[&str], addresses: &[ServerAddress]) -> Option<Bytes> {
    legacy::legacy(&builtin(), path, addresses).map(Bytes::from)
}

/// The list at `/`: every path of discovery and OpenAPI, and `others` (health
/// checks, metrics and so on), sorted.
pub fn root_paths(others: &[&str]) -> Bytes {
    Bytes::from(legacy::root_paths(&builtin(), others))
}
