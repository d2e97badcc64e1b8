//! OpenAPI: the documents that `kubectl explain`, apply, diff and generated clients
//! read.
//!
//! Pure: derives everything from [`kinds`] and [`schema::types()`]; descriptions come
//! from k8s-openapi at run time. Judged by recordings of Kubernetes 1.37.
//! Invariants: a document is made at its first use and kept as bytes only; nothing
//! that is not served stands in it; equal builds make equal bytes, so that hashes
//! agree between instances.
//!
//! Reading order: [`routes`] → `params` → [`models`] → `docs` → [`v3`](mod@v3) →
//! [`v2`](mod@v2) → [`protobuf`](mod@protobuf) → `json` → [`mod@reply`].

mod docs;
mod json;
pub mod models;
mod params;
pub mod protobuf;
pub mod reply;
pub mod routes;
pub mod v2;
pub mod v3;

pub use reply::reply;

use std::sync::{Arc, LazyLock, OnceLock};

use crate::discovery::{self, Document};

/// Media type of the v2 document as protobuf. Clients write it with `@` before the
/// version, or with `.`; see [`is_v2_protobuf`].
pub const V2_PROTOBUF_MEDIA_TYPE: &str =
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Whether a client's media type asks for the v2 document as protobuf.
pub fn is_v2_protobuf(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or("").trim();
    kind == V2_PROTOBUF_MEDIA_TYPE
        || kind == "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
}

/// A v3 document of the built-in kinds and where it is kept.
struct Slot {
    path: String,
    made: OnceLock<Arc<Document>>,
}

fn slots() -> &'static [Slot] {
    static SLOTS: LazyLock<Vec<Slot>> = LazyLock::new(|| {
        let slot = |path| Slot {
            path,
            made: OnceLock::new(),
        };
        let paths = v3::paths(&discovery::builtin());
        paths.into_iter().map(slot).collect()
    });
    &SLOTS
}

/// The v3 document at `/openapi/v3/{path}`, such as `apis/apps/v1`; `None` where
/// nothing is served.
pub fn v3(path: &str) -> Option<Arc<Document>> {
    let slot = slots().iter().find(|slot| slot.path == path)?;
    if let Some(made) = slot.made.get() {
        return Some(made.clone());
    }
    let document = Arc::new(Document::new(v3::document(&discovery::builtin(), path)?));
    Some(slot.made.get_or_init(|| document).clone())
}

/// The index at `/openapi/v3`. Making it makes every document once, for the hashes;
/// those that nobody asked for are not kept.
pub fn v3_index() -> Arc<Document> {
    static INDEX: OnceLock<Arc<Document>> = OnceLock::new();
    let make = || {
        let catalog = discovery::builtin();
        let hash = |slot: &Slot| match slot.made.get() {
            Some(made) => Some(made.hash.clone()),
            None => {
                let bytes = v3::document(&catalog, &slot.path)?;
                Some(discovery::document::hash(&bytes))
            }
        };
        let hashed = |slot: &'static Slot| Some((slot.path.as_str(), hash(slot)?));
        Arc::new(Document::new(v3::index(slots().iter().filter_map(hashed))))
    };
    INDEX.get_or_init(make).clone()
}

/// The document at `/openapi/v2` as JSON.
pub fn v2() -> Arc<Document> {
    static MADE: OnceLock<Arc<Document>> = OnceLock::new();
    let make = || Arc::new(Document::new(v2::document(&discovery::builtin())));
    MADE.get_or_init(make).clone()
}

/// The document at `/openapi/v2` as protobuf, which `kubectl` asks for.
pub fn v2_protobuf() -> Arc<Document> {
    static MADE: OnceLock<Arc<Document>> = OnceLock::new();
    let make = || Arc::new(Document::new(protobuf::encode(&v2().bytes)));
    MADE.get_or_init(make).clone()
}
