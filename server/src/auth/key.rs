//! A key that tokens are checked with, and the one algorithm that it is for (RFC 8725, section 3.1).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// Shortest RSA modulus, in base64url characters of its bytes: 2048 bits (RFC 7518, section 3.3).
const RSA_CHARACTERS: usize = 2048 / 8 * 4 / 3;

/// A key and its algorithm.
#[derive(Clone, Debug)]
pub(super) struct VerifyingKey {
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

impl VerifyingKey {
    /// A public key of a JWKS: Ed25519, P-256, or RSA of 2048 bits and more. `None` for anything
    /// else, among it symmetric keys, and for keys that are meant for encryption.
    pub fn from_jwk(jwk: &Jwk) -> Option<Self> {
        if matches!(&jwk.common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
            return None;
        }
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::RSA(rsa) if rsa.n.len() >= RSA_CHARACTERS => {
                (Algorithm::RS256, KeyAlgorithm::RS256)
            }
            _ => return None,
        };
        // A key that names an algorithm is for that one only.
        if jwk.common.key_algorithm.is_some_and(|other| other != named) {
            return None;
        }
        Some(Self { algorithm, key: DecodingKey::from_jwk(jwk).ok()? })
    }
}
