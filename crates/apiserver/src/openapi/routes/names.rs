//! Names of operations and tags.
//!
//! Pure. Client generators make methods of them, so they must be upstream's.

/// The group as tags say it: `core`, `apps`, `rbacAuthorization`.
pub(super) fn group_word(group: &str) -> String {
    if group.is_empty() {
        return "core".to_owned();
    }
    let group = group.strip_suffix(".k8s.io").unwrap_or(group);
    let mut word = String::with_capacity(group.len());
    for (at, part) in group.split('.').enumerate() {
        match at {
            0 => word.push_str(part),
            _ => word.push_str(&title(part)),
        }
    }
    word
}

/// The tag of a version: `core_v1`.
pub(super) fn tag(group: &str, version: &str) -> String {
    format!("{}_{version}", group_word(group))
}

/// Group and version within an operation's name: `CoreV1`.
pub(super) fn scope_word(group: &str, version: &str) -> String {
    format!("{}{}", title(&group_word(group)), title(version))
}

/// With a capital first.
pub(super) fn title(word: &str) -> String {
    let mut chars = word.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// The article for a kind, with a space: `a `, `an `, none for a plural.
pub(super) fn article(kind: &str) -> &'static str {
    let plural = kind.ends_with('s') && !kind.ends_with("ss") && !kind.ends_with("us");
    match kind.as_bytes().first() {
        _ if plural => "",
        Some(b'A' | b'E' | b'I' | b'O' | b'U') => "an ",
        _ => "a ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_become_words() {
        let rows = [
            ("", "core", "CoreV1"),
            ("apps", "apps", "AppsV1"),
            (
                "rbac.authorization.k8s.io",
                "rbacAuthorization",
                "RbacAuthorizationV1",
            ),
            (
                "stable.example.com",
                "stableExampleCom",
                "StableExampleComV1",
            ),
        ];
        for (group, word, scope) in rows {
            assert_eq!(group_word(group), word);
            assert_eq!(scope_word(group, "v1"), scope);
        }
    }

    #[test]
    fn kinds_get_their_article() {
        let rows = [
            ("Pod", "a "),
            ("Ingress", "an "),
            ("Endpoints", ""),
            ("IPAddress", "an "),
        ];
        for (kind, want) in rows {
            assert_eq!(article(kind), want, "{kind}");
        }
    }
}
