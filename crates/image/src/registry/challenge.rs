//! `WWW-Authenticate` headers: how a registry says what it wants (RFC 9110, section 11.6.1).
//!
//! Pure. Invariant: what cannot be read is left out, never guessed.

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// The challenges of one header value that can be answered.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut scheme = String::new();
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let (word, after) = token(rest);
        if word.is_empty() {
            // A separator, or something that has no business here.
            rest = skip_one(rest);
            continue;
        }
        let value = after
            .trim_start()
            .strip_prefix('=')
            .map(str::trim_start)
            .filter(|_| !scheme.is_empty());
        match value {
            Some(value) => {
                let (value, after) = value_of(value);
                parameters.push((word.to_ascii_lowercase(), value));
                rest = after;
            }
            None => {
                challenges.extend(build(&scheme, &mut parameters));
                scheme = word.to_ascii_lowercase();
                rest = after;
            }
        }
        rest = rest.trim_start();
    }
    challenges.extend(build(&scheme, &mut parameters));
    challenges
}

fn build(scheme: &str, parameters: &mut Vec<(String, String)>) -> Option<Challenge> {
    let mut parameters: Vec<_> = std::mem::take(parameters);
    let mut take = |name: &str| {
        let at = parameters.iter().position(|(key, _)| key == name)?;
        Some(parameters.swap_remove(at).1)
    };
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: take("realm")?,
            service: take("service"),
            scope: take("scope"),
        }),
        _ => None,
    }
}

fn token(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)));
    text.split_at(end.unwrap_or(text.len()))
}

fn skip_one(text: &str) -> &str {
    let mut characters = text.chars();
    characters.next();
    characters.as_str().trim_start()
}

fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = token(text);
        return (word.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            character => value.push(character),
        }
    }
    (value, characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        };
        let table = [
            (r#"Basic realm="Registry, Realm""#, vec![Challenge::Basic]),
            (
                r#"Bearer realm="https://auth.example/token",service="reg.example",scope="repository:a/b:pull,push""#,
                vec![bearer(
                    "https://auth.example/token",
                    Some("reg.example"),
                    Some("repository:a/b:pull,push"),
                )],
            ),
            (r#"bearer realm="x\"y""#, vec![bearer("x\"y", None, None)]),
            (
                r#"Negotiate, Bearer service=s, realm=r, Basic realm="b""#,
                vec![bearer("r", Some("s"), None), Challenge::Basic],
            ),
            (r#"Bearer service="no realm""#, vec![]),
            (
                r#"Bearer realm="unclosed"#,
                vec![bearer("unclosed", None, None)],
            ),
            (",,= ;\u{e9}", vec![]),
        ];
        for (header, expected) in table {
            assert_eq!(parse(header), expected, "{header}");
        }
    }
}
