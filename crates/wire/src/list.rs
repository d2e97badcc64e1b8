//! Lists, made from the stored bytes of their objects without encoding again.
//!
//! Bodies are copied into chunks of about [`CHUNK_BYTES`]: one frame an object is
//! the slowest way to send many, one buffer for all the most expensive.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::text::push_json_string;

/// The size at which a chunk is sent. The last body may exceed it.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// `metadata` of a list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListMeta {
    /// The revision the list was read at.
    pub resource_version: String,
    /// Where the next page starts; empty on the last.
    pub continue_token: String,
    /// How many objects the pages to come hold.
    pub remaining: Option<i64>,
}

impl ListMeta {
    /// Appends `{"resourceVersion":…}`.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        let mut lead = b'{';
        let mut member = |out: &mut BytesMut, name: &str| {
            out.put_u8(lead);
            lead = b',';
            push_json_string(out, name);
            out.put_u8(b':');
        };
        if !self.resource_version.is_empty() {
            member(out, "resourceVersion");
            push_json_string(out, &self.resource_version);
        }
        if !self.continue_token.is_empty() {
            member(out, "continue");
            push_json_string(out, &self.continue_token);
        }
        if let Some(remaining) = self.remaining {
            member(out, "remainingItemCount");
            out.put_slice(remaining.to_string().as_bytes());
        }
        if lead == b'{' {
            out.put_u8(b'{');
        }
        out.put_u8(b'}');
    }
}

/// The text before the items: kind and version of the list, and its metadata.
fn head(kind: &str, api_version: &str, meta: &ListMeta) -> BytesMut {
    let mut out = BytesMut::with_capacity(CHUNK_BYTES);
    out.put_slice(b"{\"kind\":");
    push_json_string(&mut out, kind);
    out.put_slice(b",\"apiVersion\":");
    push_json_string(&mut out, api_version);
    out.put_slice(b",\"metadata\":");
    meta.write(&mut out);
    out.put_slice(b",\"items\":[");
    out
}

/// What a built-in object begins with; items of its lists are printed without.
pub fn type_prefix(kind: &str, api_version: &str) -> String {
    let mut out = BytesMut::new();
    out.put_slice(b"{\"kind\":");
    push_json_string(&mut out, kind);
    out.put_slice(b",\"apiVersion\":");
    push_json_string(&mut out, api_version);
    out.put_u8(b',');
    String::from_utf8_lossy(&out).into_owned()
}

/// A list as chunks of JSON, ending in a line break. Made lazily: a slow reader
/// holds one chunk.
pub struct ListChunks<I> {
    bodies: I,
    strip: String,
    /// What goes before the next body.
    pending: Option<BytesMut>,
    first: bool,
}

/// Starts a list of `kind` (`PodList`). `strip` is what items begin with and are
/// printed without ([`type_prefix`]); give an empty one for custom resources.
pub fn list<I, B>(
    kind: &str,
    api_version: &str,
    meta: &ListMeta,
    strip: String,
    bodies: I,
) -> ListChunks<I::IntoIter>
where
    I: IntoIterator<Item = B>,
    B: AsRef<[u8]>,
{
    ListChunks {
        bodies: bodies.into_iter(),
        strip,
        pending: Some(head(kind, api_version, meta)),
        first: true,
    }
}

impl<I, B> Iterator for ListChunks<I>
where
    I: Iterator<Item = B>,
    B: AsRef<[u8]>,
{
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut chunk = self.pending.take()?;
        for body in self.bodies.by_ref() {
            if !std::mem::take(&mut self.first) {
                chunk.put_u8(b',');
            }
            put_item(&mut chunk, body.as_ref(), &self.strip);
            if chunk.len() >= CHUNK_BYTES {
                self.pending = Some(BytesMut::with_capacity(CHUNK_BYTES));
                return Some(chunk.freeze());
            }
        }
        chunk.put_slice(b"]}\n");
        Some(chunk.freeze())
    }
}

fn put_item(chunk: &mut BytesMut, body: &[u8], strip: &str) {
    let body = body.trim_ascii_end();
    match body.strip_prefix(strip.as_bytes()) {
        Some(rest) if !strip.is_empty() => {
            chunk.put_u8(b'{');
            chunk.put_slice(rest);
        }
        _ => chunk.put_slice(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(chunks: impl Iterator<Item = Bytes>) -> String {
        chunks
            .map(|chunk| String::from_utf8(chunk.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn items_are_printed_without_their_type() {
        let meta = ListMeta {
            resource_version: "7".to_owned(),
            ..ListMeta::default()
        };
        let bodies = [
            "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}\n",
            "{\"metadata\":{\"name\":\"b\"}}",
        ];
        let chunks = list("PodList", "v1", &meta, type_prefix("Pod", "v1"), bodies);
        assert_eq!(
            joined(chunks),
            "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"name\":\"b\"}}]}\n"
        );
    }

    #[test]
    fn empty_lists_and_paging_are_told() {
        let meta = ListMeta {
            resource_version: "9".to_owned(),
            continue_token: "x\"y".to_owned(),
            remaining: Some(3),
        };
        let none: [&str; 0] = [];
        assert_eq!(
            joined(list("L", "g/v1", &meta, String::new(), none)),
            "{\"kind\":\"L\",\"apiVersion\":\"g/v1\",\"metadata\":{\"resourceVersion\":\"9\",\"continue\":\"x\\\"y\",\"remainingItemCount\":3},\"items\":[]}\n"
        );
        assert_eq!(
            joined(list("L", "v1", &ListMeta::default(), String::new(), none)),
            "{\"kind\":\"L\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[]}\n"
        );
    }

    #[test]
    fn long_lists_come_in_chunks_of_bounded_size() {
        let body = format!("{{\"x\":\"{}\"}}", "y".repeat(1000));
        let chunks: Vec<Bytes> = list(
            "L",
            "v1",
            &ListMeta::default(),
            String::new(),
            vec![body; 500],
        )
        .collect();
        assert!(chunks.len() > 6);
        assert!(chunks.iter().all(|chunk| chunk.len() < CHUNK_BYTES + 1100));
        let text = joined(chunks.into_iter());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["items"].as_array().unwrap().len(), 500);
    }
}
