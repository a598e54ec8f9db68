//! TLS, for those who have no proxy before the server. Wyoming has none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Files in PEM.
#[derive(Debug, Clone)]
pub struct Files {
    /// The server's certificate, and those between it and one that clients know.
    pub certificates: PathBuf,
    /// The key of the first.
    pub key: PathBuf,
}

/// Makes ready what the files hold.
///
/// # Errors
/// If they cannot be read or do not go together.
pub fn acceptor(files: &Files) -> anyhow::Result<TlsAcceptor> {
    let Files { certificates, key } = files;
    let read = |path: &Path| format!("{}: no PEM of the right kind", path.display());
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| read(certificates))?;
    anyhow::ensure!(!chain.is_empty(), "{}: no certificate", certificates.display());
    let secret = PrivateKeyDer::from_pem_file(key).with_context(|| read(key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| format!("{} and {}", certificates.display(), key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
