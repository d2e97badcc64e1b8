//! From parser events to one tree a document; aliases stay references.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{YamlError, problem};

/// A node's place in its document.
pub(super) type Id = usize;

/// One document.
pub(super) struct Document<'t> {
    pub(super) nodes: Vec<Node<'t>>,
    pub(super) root: Id,
}

pub(super) struct Node<'t> {
    pub(super) kind: Kind<'t>,
    /// Line in the text, from 1.
    pub(super) line: usize,
    pub(super) tag: Option<Cow<'t, Tag>>,
    /// The bytes of the text it takes; of lists and maps, of their opening sign.
    source: Range<usize>,
}

pub(super) enum Kind<'t> {
    Scalar {
        text: Cow<'t, str>,
        /// Without quotes and no block.
        plain: bool,
    },
    List(Vec<Id>),
    /// Keys and values in turn.
    Map(Vec<Id>),
    Alias(Id),
}

/// The documents of a text, read one by one.
pub(super) struct Documents<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
}

impl<'t> Documents<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let mut options = Options::default();
        options.emit_unresolved_aliases = true;
        options.set_emit_comments(false);
        Self {
            text,
            parser: Parser::new_from_str_with_options(text, options),
        }
    }

    fn event(&mut self) -> Result<Option<(Event<'t>, Span)>, YamlError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => Err(YamlError::Syntax(problem::words(&error, self.text))),
            None => Ok(None),
        }
    }

    pub(super) fn next_document(&mut self) -> Result<Option<Document<'t>>, YamlError> {
        loop {
            match self.event()? {
                Some((Event::DocumentStart(..), _)) => break,
                Some(_) => {}
                None => return Ok(None),
            }
        }
        let mut composer = Composer {
            text: self.text,
            nodes: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
        };
        while let Some((event, span)) = self.event()? {
            if matches!(event, Event::DocumentEnd) {
                break;
            }
            composer.take(event, span)?;
        }
        Ok(Some(composer.finish()))
    }
}

struct Composer<'t> {
    text: &'t str,
    nodes: Vec<Node<'t>>,
    /// Lists and maps not yet closed.
    open: Vec<Id>,
    /// Anchors of this document by the parser's number.
    anchors: HashMap<usize, Id>,
}

impl<'t> Composer<'t> {
    fn take(&mut self, event: Event<'t>, span: Span) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                // A value that is not there comes as `~`.
                let absent = plain && span.byte_range().is_some_and(|range| range.is_empty());
                let text = if absent { "".into() } else { text };
                self.add(Kind::Scalar { text, plain }, &span, anchor, tag);
            }
            Event::SequenceStart(_, anchor, tag) => {
                let id = self.add(Kind::List(Vec::new()), &span, anchor, tag);
                self.open.push(id);
            }
            Event::MappingStart(_, anchor, tag) => {
                let id = self.add(Kind::Map(Vec::new()), &span, anchor, tag);
                self.open.push(id);
            }
            Event::SequenceEnd => {
                self.open.pop();
            }
            Event::MappingEnd => {
                if let Some(map) = self.open.pop() {
                    self.join_colons(map);
                }
            }
            Event::Alias(number) => {
                let name = span.slice(self.text).unwrap_or("*").trim_start_matches('*');
                let Some(target) = self.anchors.get(&number).copied() else {
                    return Err(unknown_anchor(name));
                };
                if self.open.contains(&target) {
                    return Err(YamlError::Syntax(format!(
                        "anchor '{name}' value contains itself"
                    )));
                }
                self.add(Kind::Alias(target), &span, 0, None);
            }
            Event::UnresolvedAlias(name) => return Err(unknown_anchor(&name)),
            // Presentation, or the stream's frame.
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, kind: Kind<'t>, span: &Span, anchor: usize, tag: Option<Cow<'t, Tag>>) -> Id {
        let id = self.nodes.len();
        self.nodes.push(Node {
            kind,
            line: span.start.line(),
            tag,
            source: span.byte_range().unwrap_or_default(),
        });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        if let Some(parent) = self.open.last()
            && let Some(Node {
                kind: Kind::List(children) | Kind::Map(children),
                ..
            }) = self.nodes.get_mut(*parent)
        {
            children.push(id);
        }
        id
    }

    /// In flow collections, Go takes the colon of `a:]` and `a:,` for a part of the
    /// plain text before it; our parser has made it a key without a value.
    fn join_colons(&mut self, map: Id) {
        let Some(Node {
            kind: Kind::Map(pairs),
            source,
            ..
        }) = self.nodes.get(map)
        else {
            return;
        };
        let explicit = self.text[source.start..].starts_with('{');
        let joined: Vec<(Id, String)> = pairs
            .chunks_exact(2)
            .filter_map(|pair| Some((pair[0], self.with_colon(pair[0], pair[1])?)))
            .collect();
        let implicit = !explicit && pairs.len() == 2;
        for (key, text) in joined {
            let text = Kind::Scalar {
                text: text.into(),
                plain: true,
            };
            let place = if implicit { map } else { key };
            self.nodes[place].kind = text;
        }
    }

    /// The key with its colon, if a flow indicator follows that.
    fn with_colon(&self, key: Id, value: Id) -> Option<String> {
        let empty = matches!(&self.nodes[value], Node { kind: Kind::Scalar { text, .. }, source, .. }
            if text.is_empty() && source.is_empty());
        let node = &self.nodes[key];
        let Kind::Scalar { text, plain: true } = &node.kind else {
            return None;
        };
        let after = self.text.get(node.source.end..)?;
        // The span of a key that ends in a colon may leave that out.
        let rest = after.trim_start_matches(':');
        let follows = rest.len() < after.len() && rest.starts_with([',', ']', '}']);
        (empty && follows && node.tag.is_none()).then(|| format!("{text}:"))
    }

    fn finish(mut self) -> Document<'t> {
        if self.nodes.is_empty() {
            let empty = Kind::Scalar {
                text: "".into(),
                plain: true,
            };
            self.nodes.push(Node {
                kind: empty,
                line: 1,
                tag: None,
                source: 0..0,
            });
        }
        Document {
            nodes: self.nodes,
            root: 0,
        }
    }
}

fn unknown_anchor(name: &str) -> YamlError {
    YamlError::Syntax(format!("unknown anchor '{name}' referenced"))
}
