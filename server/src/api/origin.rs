//! Where a request came from.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use crate::auth::{Principal, Role};
use crate::ledger::audit::{Action, Draft};

/// Bytes of a request id.
const REQUEST_ID_BYTES: usize = 64;

/// Where a request came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// The address at the other end of the connection.
    pub peer: Option<String>,
    /// The id of the request; none where it is not made of letters, digits, `-` and `_`: whatever a
    /// caller writes there ends up in the audit.
    pub request_id: Option<String>,
}

impl Origin {
    /// Reads it from the head of a request.
    pub fn of(parts: &Parts) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let id = parts.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let plain = |id: &&str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !id.is_empty() && id.len() <= REQUEST_ID_BYTES && id.bytes().all(known)
        };
        Self {
            peer: peer.map(|ConnectInfo(address)| address.ip().to_string()),
            request_id: id.filter(plain).map(str::to_owned),
        }
    }

    /// What is known when somebody's action begins.
    pub fn draft(self, action: Action, resource: &str, principal: &Principal) -> Draft {
        Draft {
            request_id: self.request_id,
            principal: Some(principal.subject.clone()),
            roles: principal.roles.iter().map(|role: &Role| role.name()).collect(),
            peer: self.peer,
            ..Draft::new(action, resource)
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}
