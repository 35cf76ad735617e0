//! `Prefer: wait=N` (RFC 7240, section 4.3).

use std::time::Duration;

use axum::http::HeaderMap;

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);

/// How long the caller would rather wait than get an answer at once.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let seconds = values.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let named = name.trim().eq_ignore_ascii_case("wait");
        named.then(|| value.trim().trim_matches('"').parse::<u64>().ok())?
    })?;
    Some(Duration::from_secs(seconds).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_wait_is_found_and_bounded() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", HeaderValue::from_static(text));
            wait(&headers).map(|time| time.as_secs())
        };
        assert_eq!(of("wait=5"), Some(5));
        assert_eq!(of("respond-async, Wait = \"7\""), Some(7));
        assert_eq!(of("wait=99999"), Some(60));
        assert_eq!(of("wait=x"), None);
        assert_eq!(of("respond-async"), None);
        assert_eq!(wait(&HeaderMap::new()), None);
    }
}
