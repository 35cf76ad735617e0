//! Where a request came from.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use crate::auth::{Principal, Role};
use crate::edge::RequestId;
use crate::lake::Author;
use crate::ledger::audit::{Action, Draft};

/// Where a request came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// The address at the other end of the connection.
    pub peer: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
}

impl Origin {
    /// Reads it from the head of a request.
    pub fn of(parts: &Parts) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Self {
            peer: peer.map(|ConnectInfo(address)| address.ip().to_string()),
            request_id: parts.extensions.get::<RequestId>().map(|id| id.as_str().to_owned()),
        }
    }

    /// On whose behalf a request changes something.
    pub fn author(&self, principal: &Principal) -> Author {
        let request_id = self.request_id.clone();
        Author { request_id, ..Author::new(&principal.subject) }
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
