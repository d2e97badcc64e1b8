//! Content negotiation: what a client accepts, what it sends.
//!
//! Pure. Two stages answer 406 upstream, with different words: the route knows
//! its media types, the endpoint knows which transforms (`as=Table`) it can do.

use std::fmt;

/// A way to write objects.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

impl Format {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    /// The media type of a watch stream, if it can be one.
    pub fn stream_type(self) -> Option<&'static str> {
        match self {
            Self::Json => Some("application/json;stream=watch"),
            Self::Yaml => None,
            Self::Protobuf => Some("application/vnd.kubernetes.protobuf;stream=watch"),
        }
    }
}

/// At most so many alternatives of an `Accept` header are read.
pub const MAX_CLAUSES: usize = 64;

/// A media type with parameters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MediaType<'h> {
    /// `application`.
    pub kind: &'h str,
    /// `json`.
    pub subtype: &'h str,
    /// Parameters in order, without `q`.
    pub params: Vec<(&'h str, &'h str)>,
    /// Quality in thousandths.
    pub quality: u16,
}

impl<'h> MediaType<'h> {
    /// Reads `type/subtype;name=value;…`.
    pub fn parse(text: &'h str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next()?;
        let (kind, subtype) = match essence.split_once('/') {
            Some((kind, subtype)) => (kind.trim(), subtype.trim()),
            None if essence == "*" => ("*", "*"),
            None => return None,
        };
        if kind.is_empty() || subtype.is_empty() {
            return None;
        }
        let mut media = Self {
            kind,
            subtype,
            params: Vec::new(),
            quality: 1000,
        };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("q") {
                media.quality = quality(value);
            } else {
                media.params.push((name, value));
            }
        }
        Some(media)
    }

    /// A parameter.
    pub fn param(&self, name: &str) -> Option<&'h str> {
        self.params
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    fn is(&self, format: Format) -> bool {
        let (kind, subtype) = format.media_type().split_once('/').unwrap_or(("", ""));
        let fits = |ours: &str, theirs: &str| theirs == "*" || ours.eq_ignore_ascii_case(theirs);
        fits(kind, self.kind) && fits(subtype, self.subtype)
    }
}

fn quality(text: &str) -> u16 {
    match text.parse::<f32>() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 1000"
        )]
        Ok(q) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as u16,
        _ => 1000,
    }
}

/// The form asked for by `as=…;g=…;v=…`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transform {
    /// `Table`, `PartialObjectMetadata`, `APIGroupDiscoveryList`, …
    pub kind: String,
    /// `meta.k8s.io`, …
    pub group: String,
    /// `v1`, …
    pub version: String,
}

impl Transform {
    /// `group/version`.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// Whether it is one of the forms of `meta.k8s.io` that every resource has.
    pub fn is_meta(&self) -> bool {
        self.group == "meta.k8s.io"
            && matches!(self.version.as_str(), "v1" | "v1beta1")
            && matches!(
                self.kind.as_str(),
                "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList"
            )
    }
}

/// What was agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// How to write.
    pub format: Format,
    /// The form asked for; `None`: the object as it is.
    pub transform: Option<Transform>,
    /// `pretty=1` was asked for.
    pub pretty: bool,
    /// `stream=watch` was asked for.
    pub stream: bool,
}

impl Negotiated {
    /// JSON as it is.
    pub const JSON: Self = Self {
        format: Format::Json,
        transform: None,
        pretty: false,
        stream: false,
    };
}

/// Nothing the client accepts can be served. The message is upstream's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAcceptable {
    /// No media type fits. Upstream's `Status` has empty `details` here.
    #[error("406: Not Acceptable\n\nAvailable representations: {}", available(.offers, *.streams))]
    Route {
        /// What is offered.
        offers: Vec<Format>,
        /// The route also streams (lists, watches).
        streams: bool,
    },
    /// A media type fits, its parameters do not.
    #[error("only the following media types are accepted: {}", names(.0))]
    Parameters(Vec<Format>),
}

fn names(offers: &[Format]) -> String {
    let names: Vec<&str> = offers.iter().map(|offer| offer.media_type()).collect();
    names.join(", ")
}

fn available(offers: &[Format], streams: bool) -> String {
    let mut names: Vec<&str> = offers.iter().map(|offer| offer.media_type()).collect();
    if streams {
        names.extend(offers.iter().filter_map(|offer| offer.stream_type()));
    }
    names.join(", ")
}

/// The alternatives of an `Accept` header, the best first.
fn clauses(accept: &str) -> Vec<MediaType<'_>> {
    let mut clauses: Vec<MediaType<'_>> = accept
        .split(',')
        .filter_map(|clause| MediaType::parse(clause.trim()))
        .take(MAX_CLAUSES)
        .collect();
    clauses.sort_by_key(|clause| std::cmp::Reverse(clause.quality));
    clauses
}

/// Chooses how to answer.
///
/// `accept` is the header (empty counts as `*/*`), `offers` what the route can
/// write, the preferred first; `streams` says whether the route also watches;
/// `can` says whether the endpoint can do a transform.
pub fn negotiate(
    accept: &str,
    offers: &[Format],
    streams: bool,
    can: impl Fn(Format, &Transform) -> bool,
) -> Result<Negotiated, NotAcceptable> {
    let accept = match accept.trim() {
        "" => "*/*",
        accept => accept,
    };
    let clauses = clauses(accept);
    // As upstream's router: a partial wildcard fits nothing.
    let routed = clauses.iter().any(|clause| {
        (clause.kind, clause.subtype) == ("*", "*")
            || (clause.subtype != "*" && offers.iter().any(|offer| clause.is(*offer)))
    });
    if !routed {
        return Err(NotAcceptable::Route {
            offers: offers.to_vec(),
            streams,
        });
    }
    for clause in &clauses {
        for offer in offers.iter().filter(|offer| clause.is(**offer)) {
            if let Some(agreed) = accepted(clause, *offer, &can) {
                return Ok(agreed);
            }
        }
    }
    Err(NotAcceptable::Parameters(offers.to_vec()))
}

fn accepted(
    clause: &MediaType<'_>,
    format: Format,
    can: &impl Fn(Format, &Transform) -> bool,
) -> Option<Negotiated> {
    let mut agreed = Negotiated {
        format,
        ..Negotiated::JSON
    };
    for (name, value) in &clause.params {
        match *name {
            "pretty" => agreed.pretty = *value == "1",
            "stream" if *value == "watch" && format.stream_type().is_some() => {
                agreed.stream = true;
            }
            "stream" => return None,
            _ => {}
        }
    }
    if let Some(kind) = clause.param("as").filter(|kind| !kind.is_empty()) {
        let transform = Transform {
            kind: kind.to_owned(),
            group: clause.param("g").unwrap_or_default().to_owned(),
            version: clause.param("v").unwrap_or_default().to_owned(),
        };
        if !can(format, &transform) {
            return None;
        }
        agreed.transform = Some(transform);
    }
    Some(agreed)
}

/// A body in a media type that is not read. The message is upstream's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the body of the request was in an unknown format - accepted media types include: {}", .0.join(", "))]
pub struct UnsupportedMediaType(pub Vec<&'static str>);

/// How a body is written, by its `Content-Type`; without one it is JSON.
pub fn body_format(
    content_type: Option<&str>,
    reads: &[Format],
) -> Result<Format, UnsupportedMediaType> {
    let text = content_type.unwrap_or("").trim();
    if text.is_empty() {
        return Ok(Format::Json);
    }
    MediaType::parse(text)
        .and_then(|media| {
            let exact = media.kind != "*" && media.subtype != "*";
            reads
                .iter()
                .find(|format| exact && media.is(**format))
                .copied()
        })
        .ok_or_else(|| {
            UnsupportedMediaType(reads.iter().map(|format| format.media_type()).collect())
        })
}

/// The kinds of patch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PatchFormat {
    /// RFC 6902.
    Json,
    /// RFC 7396.
    Merge,
    /// Kubernetes' own.
    Strategic,
    /// Server-side apply, in YAML.
    Apply,
}

impl PatchFormat {
    /// All, in upstream's order.
    pub const ALL: [Self; 4] = [Self::Json, Self::Merge, Self::Strategic, Self::Apply];

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }

    /// The kind of patch a `Content-Type` names; `None`: upstream's router
    /// answers `415: Unsupported Media Type`.
    pub fn parse(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next()?.trim();
        Self::ALL
            .into_iter()
            .find(|format| essence.eq_ignore_ascii_case(format.media_type()))
    }
}

impl fmt::Display for PatchFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.media_type())
    }
}

/// Whether to indent JSON: the query parameter `pretty` decides, else browsers
/// and command-line fetchers get it.
pub fn wants_pretty(query: Option<&str>, user_agent: &str) -> bool {
    match query {
        Some(text) => !matches!(text, "0" | "f" | "F" | "false" | "FALSE" | "False"),
        None => ["curl", "Wget", "Mozilla/5.0"]
            .iter()
            .any(|agent| user_agent.starts_with(agent)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Format; 3] = [Format::Json, Format::Yaml, Format::Protobuf];

    fn meta(format: Format, transform: &Transform) -> bool {
        transform.is_meta() && !(format == Format::Protobuf && transform.kind == "Table")
    }

    fn agree(accept: &str) -> Result<Negotiated, NotAcceptable> {
        negotiate(accept, &ALL, true, meta)
    }

    #[test]
    fn the_best_served_alternative_is_chosen() {
        let rows = [
            ("", Format::Json, None),
            ("*/*", Format::Json, None),
            ("application/yaml", Format::Yaml, None),
            ("text/html, application/json;q=0.5", Format::Json, None),
            (
                "application/json;q=0.5, application/yaml",
                Format::Yaml,
                None,
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Format::Protobuf,
                None,
            ),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                Format::Json,
                Some(("Table", "v1")),
            ),
            (
                "application/json;as=Table;v=v9;g=meta.k8s.io,application/json",
                Format::Json,
                None,
            ),
            (
                "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json;as=Table;g=meta.k8s.io;v=v1beta1",
                Format::Json,
                Some(("Table", "v1beta1")),
            ),
        ];
        for (accept, format, transform) in rows {
            let agreed = agree(accept).unwrap();
            assert_eq!(agreed.format, format, "{accept}");
            let got = agreed
                .transform
                .as_ref()
                .map(|t| (t.kind.as_str(), t.version.as_str()));
            assert_eq!(got, transform, "{accept}");
        }
        assert!(agree("application/json;pretty=1").unwrap().pretty);
        assert!(agree("application/json;stream=watch").unwrap().stream);
    }

    #[test]
    fn refusals_have_upstreams_words() {
        let route = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
        let parameters = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf";
        let rows = [
            ("text/html", route),
            ("application/*", route),
            ("application/cbor", route),
            ("application/json;as=Nothing;g=meta.k8s.io;v=v1", parameters),
            ("application/json;as=Table;g=meta.k8s.io;v=v9", parameters),
            (
                "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1",
                parameters,
            ),
            ("application/yaml;stream=watch", parameters),
        ];
        for (accept, want) in rows {
            assert_eq!(agree(accept).unwrap_err().to_string(), want, "{accept}");
        }
    }

    #[test]
    fn bodies_are_json_unless_they_say_otherwise() {
        let reads = [Format::Json, Format::Yaml];
        assert_eq!(body_format(None, &reads), Ok(Format::Json));
        assert_eq!(
            body_format(Some("application/json; charset=utf-8"), &reads),
            Ok(Format::Json)
        );
        assert_eq!(
            body_format(Some("application/yaml"), &reads),
            Ok(Format::Yaml)
        );
        assert_eq!(
            body_format(Some("text/plain"), &reads)
                .unwrap_err()
                .to_string(),
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml"
        );
        assert!(body_format(Some("*/*"), &reads).is_err());
        assert_eq!(
            PatchFormat::parse("application/merge-patch+json; x=y"),
            Some(PatchFormat::Merge)
        );
        assert_eq!(PatchFormat::parse("application/json"), None);
    }

    #[test]
    fn people_get_indented_json() {
        assert!(wants_pretty(None, "curl/8.5"));
        assert!(!wants_pretty(None, "kubectl/v1.37"));
        assert!(!wants_pretty(Some("false"), "curl/8.5"));
        assert!(wants_pretty(Some("true"), ""));
    }
}
