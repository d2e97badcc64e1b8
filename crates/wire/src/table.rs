//! `Table`: rows of cells for people, as clients ask for with `as=Table`.
//!
//! Which columns a kind has and what its cells say comes from the kind.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::Value;

use crate::list::{CHUNK_BYTES, ListMeta};
use crate::partial::{PartialError, write_partial};
use crate::text::{push_json, push_json_string};

/// A column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column<'a> {
    /// Its title.
    pub name: &'a str,
    /// `string`, `integer`, `date`, `boolean`, `number`.
    pub kind: &'a str,
    /// `name` for the column of names, else mostly empty.
    pub format: &'a str,
    /// For people.
    pub description: &'a str,
    /// 0: always shown; above: in wide output.
    pub priority: i32,
}

/// What a row carries of its object (`includeObject`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    #[default]
    Metadata,
    /// All.
    Object,
}

/// An `includeObject` that is none of those known. The message is upstream's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', 'None', or empty", schema::quote::quoted(.0))]
pub struct UnknownInclude(pub String);

impl Include {
    /// Reads the query parameter.
    pub fn parse(text: &str) -> Result<Self, UnknownInclude> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            "None" => Ok(Self::None),
            other => Err(UnknownInclude(other.to_owned())),
        }
    }
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row<B> {
    /// One cell a column.
    pub cells: Vec<Value>,
    /// The stored bytes of its object.
    pub body: B,
}

/// How a table is written.
#[derive(Clone, Copy, Debug)]
pub struct TableStyle<'a> {
    /// `v1` or `v1beta1` of `meta.k8s.io`.
    pub version: &'a str,
    /// The columns; `None` in later events of a watch, which prints `null`.
    pub columns: Option<&'a [Column<'a>]>,
    /// What rows carry.
    pub include: Include,
}

/// A table as chunks of JSON, ending in a line break.
pub fn table<B: AsRef<[u8]>>(
    style: TableStyle<'_>,
    meta: &ListMeta,
    rows: impl IntoIterator<Item = Row<B>>,
) -> Result<Vec<Bytes>, PartialError> {
    let mut chunks = Vec::new();
    let mut out = BytesMut::with_capacity(CHUNK_BYTES);
    write_head(&mut out, style, meta);
    let mut lead = b'[';
    for row in rows {
        out.put_u8(lead);
        lead = b',';
        write_row(&mut out, style, &row)?;
        if out.len() >= CHUNK_BYTES {
            chunks.push(out.split().freeze());
            out.reserve(CHUNK_BYTES);
        }
    }
    // Without rows there is a nil list upstream.
    out.put_slice(if lead == b'[' { b"null}\n" } else { b"]}\n" });
    chunks.push(out.freeze());
    Ok(chunks)
}

/// A table of one row without the line break: the object of a watch event.
pub fn row_table<B: AsRef<[u8]>>(
    style: TableStyle<'_>,
    meta: &ListMeta,
    row: &Row<B>,
) -> Result<Bytes, PartialError> {
    let mut out = BytesMut::new();
    write_head(&mut out, style, meta);
    out.put_u8(b'[');
    write_row(&mut out, style, row)?;
    out.put_slice(b"]}");
    Ok(out.freeze())
}

fn write_head(out: &mut BytesMut, style: TableStyle<'_>, meta: &ListMeta) {
    out.put_slice(b"{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/");
    out.put_slice(style.version.as_bytes());
    out.put_slice(b"\",\"metadata\":");
    meta.write(out);
    out.put_slice(b",\"columnDefinitions\":");
    match style.columns {
        None => out.put_slice(b"null"),
        Some(columns) => write_columns(out, columns),
    }
    out.put_slice(b",\"rows\":");
}

fn write_columns(out: &mut BytesMut, columns: &[Column<'_>]) {
    out.put_u8(b'[');
    for (place, column) in columns.iter().enumerate() {
        if place > 0 {
            out.put_u8(b',');
        }
        let texts = [
            ("{\"name\":", column.name),
            (",\"type\":", column.kind),
            (",\"format\":", column.format),
            (",\"description\":", column.description),
        ];
        for (name, text) in texts {
            out.put_slice(name.as_bytes());
            push_json_string(out, text);
        }
        out.put_slice(b",\"priority\":");
        out.put_slice(column.priority.to_string().as_bytes());
        out.put_u8(b'}');
    }
    out.put_u8(b']');
}

fn write_row<B: AsRef<[u8]>>(
    out: &mut BytesMut,
    style: TableStyle<'_>,
    row: &Row<B>,
) -> Result<(), PartialError> {
    out.put_slice(b"{\"cells\":[");
    for (place, cell) in row.cells.iter().enumerate() {
        if place > 0 {
            out.put_u8(b',');
        }
        push_json(out, cell);
    }
    out.put_slice(b"],\"object\":");
    match style.include {
        Include::None => out.put_slice(b"null"),
        Include::Object => out.put_slice(row.body.as_ref().trim_ascii_end()),
        Include::Metadata => write_partial(out, row.body.as_ref(), style.version)?,
    }
    out.put_u8(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: [Column<'static>; 1] = [Column {
        name: "Name",
        kind: "string",
        format: "name",
        description: "",
        priority: 0,
    }];

    fn style(include: Include) -> TableStyle<'static> {
        TableStyle {
            version: "v1",
            columns: Some(&COLUMNS),
            include,
        }
    }

    fn row() -> Row<&'static str> {
        Row {
            cells: vec![json!("c"), json!(1), json!(null)],
            body: "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"c\"},\"data\":{}}\n",
        }
    }

    #[test]
    fn rows_carry_what_was_asked_for() {
        let head = "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{},\"columnDefinitions\":[{\"name\":\"Name\",\"type\":\"string\",\"format\":\"name\",\"description\":\"\",\"priority\":0}],\"rows\":";
        let cells = "[{\"cells\":[\"c\",1,null],\"object\":";
        let objects = [
            (Include::None, "null"),
            (
                Include::Metadata,
                "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{\"name\":\"c\"}}",
            ),
            (
                Include::Object,
                "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"c\"},\"data\":{}}",
            ),
        ];
        for (include, object) in objects {
            let text = table(style(include), &ListMeta::default(), [row()]).unwrap();
            assert_eq!(text[0], format!("{head}{cells}{object}}}]}}\n"));
        }
        let none: [Row<&str>; 0] = [];
        let empty = table(style(Include::None), &ListMeta::default(), none).unwrap();
        assert_eq!(empty[0], format!("{head}null}}\n"));
    }

    #[test]
    fn later_events_leave_the_columns_out() {
        let style = TableStyle {
            columns: None,
            ..style(Include::None)
        };
        let text = row_table(style, &ListMeta::default(), &row()).unwrap();
        assert_eq!(
            text,
            "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{},\"columnDefinitions\":null,\"rows\":[{\"cells\":[\"c\",1,null],\"object\":null}]}"
        );
    }

    #[test]
    fn other_wishes_are_refused() {
        assert_eq!(
            Include::parse("Else").unwrap_err().to_string(),
            "Unable to convert to Table as requested: includeObject: Invalid value: \"Else\": must be 'Metadata', 'Object', 'None', or empty"
        );
    }
}
