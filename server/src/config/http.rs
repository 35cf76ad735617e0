//! Section `[http]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// Headers of a request that the parser has room for.
const HEADERS: usize = 100;

/// How HTTP is served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Connections that are open at one time; more wait in the system's queue.
    pub connections: usize,
    /// Requests that one HTTP/2 connection may have under way.
    pub streams: u32,
    /// Seconds in which the head of a request must have come, and a connection must have sent its
    /// first. HTTP/1.1 counts from the end of the request before.
    pub header_seconds: u64,
    /// Bytes of the head of a request: names and values of all headers.
    pub header_bytes: u32,
    /// Headers of a request, at most 100.
    pub headers: usize,
    /// Seconds for which a connection may be open without a request.
    pub idle_seconds: u64,
    /// Seconds in which a client must take some of an answer that waits for it.
    pub write_seconds: u64,
    /// Seconds in which a client must send some more of a body that has begun.
    pub body_seconds: u64,
    /// Bytes of a body, where a path has no limit of its own.
    pub body_bytes: usize,
    /// Seconds until an answer must have begun, where a path has no limit of its own.
    pub request_seconds: u64,
    /// Bytes from which on an answer is compressed for who accepts it.
    pub compress_bytes: u16,
    /// Origins whose pages may ask (CORS): `https://host`, or `*` for all. None by default.
    pub cors_origins: Vec<String>,
    /// With it HTTP is served over TLS only.
    pub tls: Option<TlsConfig>,
}

/// Section `[http.tls]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the server's certificate and those between it and a known authority.
    #[schema(value_type = String)]
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key.
    #[schema(value_type = String)]
    pub key: PathBuf,
    /// Seconds in which the handshake must be done.
    #[serde(default = "handshake")]
    pub handshake_seconds: u64,
    /// Seconds after which it is looked whether the files have changed.
    #[serde(default = "reload")]
    pub reload_seconds: u64,
}

const fn handshake() -> u64 {
    10
}

const fn reload() -> u64 {
    60
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connections: 1024,
            streams: 100,
            header_seconds: 20,
            header_bytes: 32 * 1024,
            headers: HEADERS,
            idle_seconds: 60,
            write_seconds: 25,
            body_seconds: 30,
            body_bytes: 1024 * 1024,
            request_seconds: 60,
            compress_bytes: 1024,
            cors_origins: Vec::new(),
            tls: None,
        }
    }
}

impl TlsConfig {
    /// With these files, and what is usual.
    pub fn of(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, handshake_seconds: handshake(), reload_seconds: reload() }
    }
}

impl HttpConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let mut seconds = vec![
            ("http.header_seconds", self.header_seconds),
            ("http.idle_seconds", self.idle_seconds),
            ("http.write_seconds", self.write_seconds),
            ("http.body_seconds", self.body_seconds),
            ("http.request_seconds", self.request_seconds),
        ];
        if let Some(tls) = &self.tls {
            seconds.push(("http.tls.handshake_seconds", tls.handshake_seconds));
            seconds.push(("http.tls.reload_seconds", tls.reload_seconds));
        }
        for (key, given) in seconds {
            // Above a day nothing is bounded any more, and sums of times stay far from overflow.
            within(key, given, 1, 86_400)?;
        }
        within("http.connections", self.connections, 1, 1 << 20)?;
        within("http.streams", self.streams, 1, 10_000)?;
        within("http.headers", self.headers, 1, HEADERS)?;
        within("http.header_bytes", self.header_bytes, 1024, 1 << 20)?;
        within("http.body_bytes", self.body_bytes, 1, 1 << 40)?;
        for origin in &self.cors_origins {
            if origin != "*" && !is_origin(origin) {
                return Err(ConfigError::value(
                    "http.cors_origins",
                    format!("{origin:?} is not an origin: expected https://host[:port], or *"),
                ));
            }
        }
        Ok(())
    }
}

/// As a browser writes it (RFC 6454, section 6.2): nothing behind host and port.
fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_make_no_sense_are_named() {
        let check = |text: &str| {
            let config: HttpConfig = toml::from_str(text).unwrap();
            config.check().map_err(|error| error.to_string())
        };
        assert_eq!(check(""), Ok(()));
        assert_eq!(check("cors_origins = ['https://a.example:8443', '*']"), Ok(()));
        for (text, reason) in [
            ("header_seconds = 0", "http.header_seconds: 0 is not within 1 to 86400"),
            ("headers = 101", "http.headers: 101"),
            ("header_bytes = 100", "http.header_bytes: 100"),
            ("body_bytes = 0", "http.body_bytes"),
            ("cors_origins = ['https://a.example/']", "http.cors_origins: \"https://a.example/\""),
            ("cors_origins = ['a.example']", "is not an origin"),
            ("[tls]\ncertificate = 'c'\nkey = 'k'\nhandshake_seconds = 0", "handshake_seconds"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
