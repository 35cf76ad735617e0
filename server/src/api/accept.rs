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

/// What a range with a wildcard stands for: the first that no other range names.
const ANY: [Format; 5] =
    [Format::Json, Format::Ndjson, Format::Csv, Format::Arrow(Codec::Plain), Format::Parquet];

/// A part of `Accept`.
struct Range {
    /// In thousandths.
    quality: u32,
    /// How exact it is: 2 for a media type, 1 for `text/*`, 0 for `*/*`.
    precision: u8,
    formats: Vec<Format>,
}

/// The format with the highest quality in `Accept`; JSON where it says nothing.
///
/// # Errors
/// [`ApiError::NotAcceptable`] if it names none that a result can have.
pub(super) fn format(headers: &HeaderMap) -> Result<Format, ApiError> {
    let mut ranges = Vec::new();
    let mut any = false;
    for header in headers.get_all(ACCEPT) {
        let text = header.to_str().map_err(|_| ApiError::NotAcceptable)?;
        for text in text.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            any = true;
            ranges.extend(range(text));
        }
    }
    if !any {
        return Ok(Format::Json);
    }
    // The most exact range that names a format says how good it is (RFC 9110, section 12.5.1).
    ranges.sort_by_key(|range| std::cmp::Reverse(range.precision));
    let mut named: Vec<&'static str> = Vec::new();
    let mut best: Option<(u32, u8, Format)> = None;
    for precision in [2, 1, 0] {
        let ranges = ranges.iter().filter(|range| range.precision == precision);
        let mut now = Vec::new();
        for Range { quality, formats, .. } in ranges {
            let free = formats.iter().find(|format| !named.contains(&format.name()));
            now.extend(formats.iter().map(|format| format.name()));
            let better = best.is_none_or(|(q, p, _)| (*quality, precision) > (q, p));
            if let Some(format) = free.filter(|_| *quality > 0 && better) {
                best = Some((*quality, precision, *format));
            }
        }
        named.extend(now);
    }
    best.map(|(_, _, format)| format).ok_or(ApiError::NotAcceptable)
}

fn range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let (precision, mut formats) = match name.as_str() {
        "*/*" => (0, ANY.to_vec()),
        "application/*" => (1, ANY.into_iter().filter(|format| *format != Format::Csv).collect()),
        "text/*" => (1, vec![Format::Csv]),
        name => (2, vec![TYPES.iter().find(|(media, _)| *media == name)?.1]),
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
            "codecs" => formats = formats.iter().map(|it| compressed(*it, value)).collect(),
            _ => {}
        }
    }
    Some(Range { quality, precision, formats })
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
        assert_eq!(of("application/json;q=0, */*"), Some(Format::Ndjson));
        assert_eq!(of("*/*, application/json;q=0.2, text/csv"), Some(Format::Csv));
        assert_eq!(of("text/*, text/csv;q=0"), None);
        assert_eq!(of("text/csv;q=0.5, text/*, application/json;q=0.7"), Some(Format::Json));
        assert_eq!(of("text/csv, application/json"), Some(Format::Csv));
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
