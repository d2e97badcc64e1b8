//! What goes over the wire: media types, YAML, lists, tables, watch frames.
//!
//! Pure: texts and bytes in, texts and bytes out. Objects are never encoded again:
//! lists, tables and frames are made around their stored bytes.
//!
//! Reading order: [`media`] → [`yaml`] → [`list`](mod@list) → [`partial`](mod@partial)
//! → [`table`](mod@table) → [`watch`].

pub mod list;
pub mod media;
pub mod partial;
pub mod table;
mod text;
pub mod watch;
pub mod yaml;

pub use list::{CHUNK_BYTES, ListChunks, ListMeta, list, type_prefix};
pub use media::{Format, MediaType, Negotiated, NotAcceptable, PatchFormat, Transform, negotiate};
pub use partial::partial;
pub use table::{Column, Include, Row, TableStyle, row_table, table};
pub use text::pretty;
pub use watch::{EventType, frame, put_frame};
pub use yaml::{Yaml, YamlError};
