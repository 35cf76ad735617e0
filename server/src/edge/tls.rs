//! TLS: the server's certificate, read again when its files change.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::EdgeError;
use crate::config::TlsConfig;

/// What a TLS connection is accepted with.
#[derive(Debug)]
pub(super) struct Tls {
    config: TlsConfig,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    changed: Changed,
    checked: Instant,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("changed", &self.changed).finish_non_exhaustive()
    }
}

/// When both files were changed last.
type Changed = [Option<SystemTime>; 2];

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn open(config: &TlsConfig) -> Result<Self, EdgeError> {
        // The times first: what changes while the files are read is read again.
        let changed = changed(config);
        let current = Current { acceptor: acceptor(config)?, changed, checked: Instant::now() };
        Ok(Self { config: config.clone(), current: Mutex::new(current) })
    }

    /// The acceptor of the next connection. Files that changed and cannot be used are logged, and
    /// the certificate before them stays.
    pub fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.checked.elapsed() >= Duration::from_secs(self.config.reload_seconds) {
            current.checked = Instant::now();
            let changed = changed(&self.config);
            if changed != current.changed {
                match acceptor(&self.config) {
                    Ok(acceptor) => {
                        tracing::info!("TLS certificate read again");
                        current.acceptor = acceptor;
                        current.changed = changed;
                    }
                    Err(error) => tracing::warn!(%error, "TLS certificate not read again"),
                }
            }
        }
        current.acceptor.clone()
    }

    /// How long a handshake may take.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.config.handshake_seconds)
    }
}

/// Looks whether certificate and key can be used.
///
/// # Errors
/// Which file cannot be used, and why.
pub fn check(config: &TlsConfig) -> Result<(), EdgeError> {
    acceptor(config).map(drop)
}

fn changed(config: &TlsConfig) -> Changed {
    [&config.certificate, &config.key]
        .map(|file| std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok())
}

fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, EdgeError> {
    let unusable =
        |file: &Path, reason: String| EdgeError::TlsFile { file: file.to_owned(), reason };
    let unreadable = |error| unusable(&config.certificate, format!("{error}"));
    let certificates: Vec<CertificateDer> = CertificateDer::pem_file_iter(&config.certificate)
        .and_then(|certificates| certificates.collect())
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(unusable(&config.certificate, "holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&config.key)
        .map_err(|error| unusable(&config.key, format!("{error}")))?;
    let tls = |error: tokio_rustls::rustls::Error| EdgeError::Tls(error.to_string());
    let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(tls)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}
