//! Checks tokens (RFC 8725).

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};

use super::error::{AuthError, KeyError};
use super::jwks::{Freshness, Jwks, JwksSource};
use super::key::VerifyingKey;
use super::local::{LOCAL_KID, LocalKey};
use super::principal::{Principal, Role};
use super::token::{Claims, TokenRules};

/// Bytes of a token.
const TOKEN_BYTES: usize = 8 * 1024;
/// Bytes of a `sub`, which ends up in logs and the audit.
const SUBJECT_BYTES: usize = 256;

/// The keys that tokens are checked with: either the local one or those of a JWKS, never both.
#[derive(Debug)]
pub struct Keys(Kind);

#[derive(Debug)]
enum Kind {
    Local(VerifyingKey),
    Jwks(Box<Jwks>),
}

impl Keys {
    /// The local key alone.
    pub fn local(key: &LocalKey) -> Self {
        Self(Kind::Local(key.verifying()))
    }

    /// The keys of a JWKS, which is read now.
    ///
    /// # Errors
    /// If it cannot be read or holds no usable key.
    pub async fn jwks(source: JwksSource, freshness: Freshness) -> Result<Self, KeyError> {
        let jwks = Jwks::new(source, freshness)?;
        jwks.refresh().await?;
        Ok(Self(Kind::Jwks(Box::new(jwks))))
    }

    async fn find(&self, kid: &str) -> Result<VerifyingKey, AuthError> {
        match &self.0 {
            Kind::Local(key) if kid == LOCAL_KID => Ok(key.clone()),
            Kind::Local(_) => Err(AuthError::Signature),
            Kind::Jwks(jwks) => jwks.find(kid).await,
        }
    }
}

/// Checks tokens against keys and rules.
#[derive(Debug)]
pub struct Verifier {
    keys: Keys,
    rules: TokenRules,
}

impl Verifier {
    /// A verifier.
    pub fn new(keys: Keys, rules: TokenRules) -> Self {
        Self { keys, rules }
    }

    /// Who the owner of a token is.
    ///
    /// The algorithm is the key's, not the token's; the key is looked up by `kid`; what a header
    /// says about where to find keys (`jku`, `x5u`, `jwk`, `x5c`) is not read.
    ///
    /// # Errors
    /// [`AuthError`] says why the token is not accepted.
    pub async fn verify(&self, token: &str) -> Result<Principal, AuthError> {
        if token.len() > TOKEN_BYTES {
            return Err(AuthError::Malformed);
        }
        let header = decode_header(token).map_err(|_| AuthError::Malformed)?;
        let other_type = header.typ.as_ref().is_some_and(|typ| {
            !["JWT", "at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ))
        });
        // No extension is understood here, so none may be critical (RFC 7515, section 4.1.11).
        if other_type || header.crit.is_some() {
            return Err(AuthError::Malformed);
        }
        let kid = header.kid.ok_or(AuthError::Signature)?;
        let key = self.keys.find(&kid).await?;

        let mut validation = Validation::new(key.algorithm);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf", "sub"]);
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_audience(&[&self.rules.audience]);
        validation.validate_nbf = true;
        validation.leeway = self.rules.leeway.as_secs();
        let claims = decode::<Claims>(token, &key.key, &validation)
            .map_err(|error| reason(error.kind()))?
            .claims;
        if claims.sub.is_empty() || claims.sub.len() > SUBJECT_BYTES {
            return Err(AuthError::Claims);
        }
        let roles = claims.roles.iter().filter_map(|name| Role::parse(name)).collect();
        let until = i64::try_from(claims.exp.saturating_mul(1000)).ok();
        Ok(Principal { subject: claims.sub, roles, until })
    }
}

fn reason(kind: &ErrorKind) -> AuthError {
    match kind {
        ErrorKind::ExpiredSignature => AuthError::Expired,
        ErrorKind::ImmatureSignature => AuthError::NotYet,
        ErrorKind::InvalidSignature
        | ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::MissingAlgorithm => AuthError::Signature,
        ErrorKind::MissingRequiredClaim(_)
        | ErrorKind::InvalidClaimFormat(_)
        | ErrorKind::InvalidIssuer
        | ErrorKind::InvalidAudience
        | ErrorKind::InvalidSubject
        | ErrorKind::Json(_) => AuthError::Claims,
        _ => AuthError::Malformed,
    }
}
