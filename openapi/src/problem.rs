//! The body of every error (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::code::Code;

/// The body of every error, `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: `status` and `code` say what kind of problem it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: String,
    /// The name of the status.
    #[schema(example = "Not Found")]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    pub status: u16,
    /// What is wrong with this request, for people.
    #[schema(example = "there is no table customer_trusted")]
    pub detail: String,
    /// A stable word for programs. A client takes any, since a newer server may have more.
    #[schema(value_type = Code)]
    pub code: String,
    /// The request, as the header `X-Request-Id` and the server's log name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Of a snapshot that was redacted: the id of the one without the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
}

impl Problem {
    /// A problem of this kind with its text for the caller.
    pub fn of(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code: code.name().to_owned(),
            request_id: None,
            superseded_by: None,
        }
    }
}
