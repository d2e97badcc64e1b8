//! `PartialObjectMetadata`: the metadata of objects, cut out of their bytes.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A stored body that is no JSON object with `metadata`.
#[derive(Debug, thiserror::Error)]
#[error("read metadata of a stored object")]
pub struct PartialError(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

/// The text of `metadata`.
pub fn metadata(body: &[u8]) -> Result<&str, PartialError> {
    let head: Head<'_> = serde_json::from_slice(body)?;
    Ok(head.metadata.map_or("{}", RawValue::get))
}

/// The object as `PartialObjectMetadata` of `meta.k8s.io/<version>`. In a list
/// (`PartialObjectMetadataList`, see [`crate::list`]) items look the same.
pub fn partial(body: &[u8], version: &str) -> Result<Bytes, PartialError> {
    let mut out = BytesMut::new();
    write_partial(&mut out, body, version)?;
    Ok(out.freeze())
}

pub(crate) fn write_partial(
    out: &mut BytesMut,
    body: &[u8],
    version: &str,
) -> Result<(), PartialError> {
    let metadata = metadata(body)?;
    out.reserve(metadata.len() + 96);
    out.put_slice(b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/");
    out.put_slice(version.as_bytes());
    out.put_slice(b"\",\"metadata\":");
    out.put_slice(metadata.as_bytes());
    out.put_u8(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_metadata_is_kept() {
        let body = br#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","labels":{"a":"b"}},"spec":{"metadata":{}}}"#;
        assert_eq!(
            partial(body, "v1").unwrap(),
            r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"p","labels":{"a":"b"}}}"#
        );
        assert!(partial(b"[]x", "v1").is_err());
    }
}
