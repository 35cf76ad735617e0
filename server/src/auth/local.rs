//! The local key: for development and for the first token of a new server.

use std::fmt;
use std::path::Path;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};

use super::error::KeyError;
use super::key::VerifyingKey;
use super::token::Claims;
use crate::key_file::{self, Key};

/// The `kid` of its tokens.
pub(super) const LOCAL_KID: &str = "local";

/// A secret of this server, for HS256 only.
pub struct LocalKey {
    secret: Key,
}

impl LocalKey {
    /// Reads the key from its file, making it first if there is none.
    ///
    /// # Errors
    /// If the file cannot be read or made, or does not hold a key.
    pub fn open(file: &Path) -> Result<Self, KeyError> {
        let secret = key_file::read_or_make(file)
            .map_err(|source| KeyError::File { file: file.to_owned(), source })?;
        Ok(Self { secret })
    }

    /// Signs a token.
    ///
    /// # Errors
    /// [`KeyError::Sign`], which would be a fault of the library.
    pub fn sign(&self, claims: &Claims) -> Result<String, KeyError> {
        let header = Header { kid: Some(LOCAL_KID.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&self.secret))
            .map_err(|error| KeyError::Sign(error.to_string()))
    }

    pub(super) fn verifying(&self) -> VerifyingKey {
        let key = DecodingKey::from_secret(&self.secret);
        VerifyingKey { algorithm: Algorithm::HS256, key }
    }
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}
