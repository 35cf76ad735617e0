//! What nobody is shown.

use url::Url;

/// What keys begin with whose values are secret.
const KEYS: [&str; 1] = ["traces.headers."];
/// What stands in the place of a secret.
pub const HIDDEN: &str = "(hidden)";

/// Whether a key's value is secret as a whole.
pub fn is_secret(key: &str) -> bool {
    KEYS.iter().any(|secret| key.starts_with(secret))
}

/// A text without what is secret in it: of a URL the password, the name before it, and what stands
/// behind `?`.
pub fn shown(key: &str, text: &str) -> String {
    if is_secret(key) {
        return HIDDEN.to_owned();
    }
    let Ok(mut url) = Url::parse(text) else { return text.to_owned() };
    let has_secret =
        url.password().is_some() || !url.username().is_empty() || url.query().is_some();
    if !url.has_host() || !has_secret {
        return text.to_owned();
    }
    // Both fail only for URLs without a host.
    let _ = url.set_password(None);
    let _ = url.set_username(if url.username().is_empty() { "" } else { "hidden" });
    if url.query().is_some() {
        url.set_query(Some("hidden"));
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_what_is_secret() {
        assert_eq!(shown("traces.headers.authorization", "Bearer canary"), HIDDEN);
        for (text, expected) in [
            ("https://a:canary@b.example/c?sig=canary", "https://hidden@b.example/c?hidden"),
            ("https://canary@b.example/", "https://hidden@b.example/"),
            ("https://b.example/jwks.json", "https://b.example/jwks.json"),
            ("./.stedi/lake", "./.stedi/lake"),
            ("s3://bucket/prefix", "s3://bucket/prefix"),
        ] {
            assert_eq!(shown("storage", text), expected);
        }
    }
}
