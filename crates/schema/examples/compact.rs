//! Makes `src/types/table.txt` from the full table of facts about API types.
//!
//! Reads the TSV named on the command line, writes the compact table (or the
//! path given second). Run from the checkout:
//! `cargo run -p kogge-schema --example compact -- ../shared/facts/types.tsv`.
//!
//! One line a row, tab separated, empty cells at the end cut off; the layout is
//! described in `src/types/rows.rs`, which reads it.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use std::{env, fs};

/// Columns of a field's line, in order; `pb`, `go`, `inline` are shortened.
const FIELD: [&str; 19] = [
    "json",
    "expr",
    "omit",
    "inline",
    "pb",
    "named",
    "go",
    "patchStrategy",
    "patchMergeKey",
    "listType",
    "listMapKeys",
    "mapType",
    "required",
    "default",
    "format",
    "enum",
    "itemFormat",
    "itemEnum",
    "note",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let source = arguments.next().ok_or("usage: compact TYPES.TSV [OUT]")?;
    let target = arguments
        .next()
        .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/src/types/table.txt").to_owned());
    let text = fs::read_to_string(&source)?;
    let compact = compact(&text)?;
    fs::write(&target, &compact)?;
    println!("{target}: {} bytes", compact.len());
    Ok(())
}

fn compact(text: &str) -> Result<String, Box<dyn Error>> {
    let mut lines = text.lines();
    let names: HashMap<&str, usize> = lines
        .next()
        .ok_or("empty table")?
        .split('\t')
        .enumerate()
        .map(|(index, name)| (name, index))
        .collect();
    let mut out = String::new();
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |name: &str| -> Result<&str, Box<dyn Error>> {
            let index = names.get(name).ok_or_else(|| format!("no column {name}"))?;
            Ok(cells.get(*index).copied().unwrap_or(""))
        };
        let row = if cell("pos")? == "0" {
            format!(
                "={}\t{}\t{}\t{}",
                cell("type")?,
                cell("expr")?
                    .trim_start_matches("struct")
                    .trim_start_matches("slice:"),
                cell("mapType")?,
                cell("note")?,
            )
        } else {
            let mut row = String::new();
            for (index, name) in FIELD.iter().enumerate() {
                if index > 0 {
                    row.push('\t');
                }
                match *name {
                    "pb" => row.push_str(&proto(cell("pb")?, cell("wire")?, cell("card")?)),
                    "go" if cell("go")? == capitalised(cell("json")?) => {}
                    "inline" => row.push_str(&cell("inline")?[..cell("inline")?.len().min(1)]),
                    name => row.push_str(cell(name)?),
                }
            }
            row
        };
        writeln!(out, "{}", row.trim_end_matches('\t'))?;
    }
    Ok(out)
}

/// `7vo`: number, wire kind (varint, fixed64, len), cardinality (opt, rep, map).
fn proto(number: &str, wire: &str, card: &str) -> String {
    if number.is_empty() {
        return String::new();
    }
    format!("{number}{}{}", &wire[..1], &card[..1])
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
