//! Proves at start that the store can hold a lake: a key can be created once and not twice. Every
//! Delta commit relies on it (Delta protocol, "ACID guarantees").

use std::time::Duration;

use deltalake::ObjectStoreError as StoreError;
use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use futures::StreamExt;
use uuid::Uuid;

use super::error::StoreFault;

/// How long the whole proof may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How stores and file systems say that the credentials do not suffice.
const DENIED: [&str; 4] =
    ["AccessDenied", "Permission denied", "SignatureDoesNotMatch", "InvalidAccessKeyId"];

/// Creates a key, tries to create it again, reads it back and removes it.
pub(super) async fn prove(store: &ObjectStoreRef, root: &Path) -> Result<(), StoreFault> {
    let key = root.clone().join("system").join(format!("probe-{}", Uuid::new_v4()));
    let proof = async {
        // Some stores make a bucket that is missing at the first write. Listing shows what is there,
        // and reading a Delta log needs it anyway.
        if let Some(Err(error)) = store.list(Some(root)).next().await {
            return Err(fault(error));
        }
        let outcome = create_twice(store, &key).await;
        // A probe that is left behind is harmless, and why it could not be removed is no reason
        // to refuse the store.
        let _ = store.delete(&key).await;
        outcome
    };
    tokio::time::timeout(PATIENCE, proof)
        .await
        .unwrap_or_else(|_| Err(StoreFault::NoAnswer(format!("waited {} s", PATIENCE.as_secs()))))
}

async fn create_twice(store: &ObjectStoreRef, key: &Path) -> Result<(), StoreFault> {
    let create = |bytes: &'static [u8]| {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(key, PutPayload::from_static(bytes), options)
    };
    create(b"first").await.map_err(fault)?;
    match create(b"second").await {
        Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {}
        Ok(_) => return Err(StoreFault::Unconditional),
        Err(error) => return Err(fault(error)),
    }
    let read = async { store.get(key).await?.bytes().await };
    match read.await.map_err(fault)? {
        bytes if bytes.as_ref() == b"first" => Ok(()),
        _ => Err(StoreFault::NotReadBack),
    }
}

fn fault(error: StoreError) -> StoreFault {
    match error {
        StoreError::PermissionDenied { source, .. }
        | StoreError::Unauthenticated { source, .. } => StoreFault::Denied(cause(&*source)),
        StoreError::NotImplemented { .. } | StoreError::NotSupported { .. } => {
            StoreFault::NoConditionalWrites("not implemented".to_owned())
        }
        StoreError::NotFound { .. } => StoreFault::NoBucket,
        other => {
            let cause = cause(&other);
            match () {
                () if cause.contains("NoSuchBucket") => StoreFault::NoBucket,
                () if DENIED.iter().any(|word| cause.contains(word)) => StoreFault::Denied(cause),
                () if cause.contains("NotImplemented") => StoreFault::NoConditionalWrites(cause),
                () => StoreFault::NoAnswer(cause),
            }
        }
    }
}

/// The innermost cause, which is what the store itself said, in one line.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    // S3 answers in XML; the code and the message in it say it all.
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
    };
    let said = match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => text.clone(),
    };
    said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}
