//! The format that a request asks for (RFC 9110, section 12.5.1).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use super::error::ApiError;
use crate::query::{Codec, Format};

/// Media types and what they stand for; of equally good ones the first.
const TYPES: [(&str, Format); 8] = [
    ("application/json", Format::Json),
    ("application/x-ndjson", Format::Ndjson),
    ("application/ndjson", Format::Ndjson),
    ("application/jsonl", Format::Ndjson),
    ("text/csv", Format::Csv),
    ("application/vnd.apache.arrow.stream", Format::Arrow(Codec::Plain)),
    ("application/vnd.apache.parquet", Format::Parquet),
    ("application/x-parquet", Format::Parquet),
];

/// The format with the highest quality in `Accept`; JSON where it says nothing.
///
/// # Errors
/// [`ApiError::NotAcceptable`] if it names none that a result can have.
pub(super) fn format(headers: &HeaderMap) -> Result<Format, ApiError> {
    let mut best: Option<(u32, u8, Format)> = None;
    let mut any = false;
    for header in headers.get_all(ACCEPT) {
        let text = header.to_str().map_err(|_| ApiError::NotAcceptable)?;
        for range in text.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            any = true;
            let Some((quality, precision, format)) = range_format(range) else { continue };
            let better = best.is_none_or(|(q, p, _)| (quality, precision) > (q, p));
            if quality > 0 && better {
                best = Some((quality, precision, format));
            }
        }
    }
    match best {
        Some((_, _, format)) => Ok(format),
        None if any => Err(ApiError::NotAcceptable),
        None => Ok(Format::Json),
    }
}

/// Quality in thousandths, how exact the range is, and its format.
fn range_format(range: &str) -> Option<(u32, u8, Format)> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let (precision, mut format) = match name.as_str() {
        "*/*" => (0, Format::Json),
        "application/*" => (1, Format::Json),
        "text/*" => (1, Format::Csv),
        name => (2, TYPES.iter().find(|(media, _)| *media == name)?.1),
    };
    let mut quality = 1000;
    for parameter in parts {
        let (key, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match key.trim().to_ascii_lowercase().as_str() {
            "q" => {
                let q: f32 = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?;
                quality = (q * 1000.0).round() as u32;
            }
            "codecs" => format = compressed(format, value),
            _ => {}
        }
    }
    Some((quality, precision, format))
}

/// An Arrow stream with the first codec that is known; `codecs` is the parameter that Arrow's own
/// examples of HTTP use.
fn compressed(format: Format, codecs: &str) -> Format {
    if !matches!(format, Format::Arrow(_)) {
        return format;
    }
    let known = codecs.split(',').find_map(|codec| match codec.trim() {
        "zstd" => Some(Codec::Zstd),
        "lz4" => Some(Codec::Lz4),
        _ => None,
    });
    Format::Arrow(known.unwrap_or(Codec::Plain))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(text: &str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(text).unwrap());
        format(&headers).ok()
    }

    #[test]
    fn the_best_known_range_wins() {
        assert_eq!(format(&HeaderMap::new()).ok(), Some(Format::Json));
        assert_eq!(of("*/*"), Some(Format::Json));
        assert_eq!(of("text/csv"), Some(Format::Csv));
        assert_eq!(of("text/html, text/*;q=0.5"), Some(Format::Csv));
        assert_eq!(of("application/json;q=0.1, text/csv;q=0.2"), Some(Format::Csv));
        assert_eq!(of("*/*, application/vnd.apache.parquet"), Some(Format::Parquet));
        assert_eq!(of("TEXT/CSV; header=present"), Some(Format::Csv));
        assert_eq!(of("application/x-ndjson;q=0, text/csv;q=0.001"), Some(Format::Csv));
        let arrow = "application/vnd.apache.arrow.stream; codecs=\"lz4, zstd\"";
        assert_eq!(of(arrow), Some(Format::Arrow(Codec::Lz4)));
        assert_eq!(of("application/vnd.apache.arrow.stream"), Some(Format::Arrow(Codec::Plain)));
        for none in ["text/html", "image/*", "text/csv;q=0", "application/json;q=2", "x"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
