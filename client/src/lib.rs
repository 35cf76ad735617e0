//! Client of the STEDI lakehouse: one method per call of the service, snapshots pulled into folders,
//! and checks that need no server.
//!
//! ```no_run
//! use futures::TryStreamExt;
//! use stedi_client::openapi::{SnapshotDataQuery, SnapshotRequest};
//! use stedi_client::{ClientError, Server};
//!
//! # async fn example() -> Result<(), ClientError> {
//! let server = Server::new("http://127.0.0.1:7070")?.with_token(std::env::var("STEDI_TOKEN").unwrap());
//! let snapshot = server.create_snapshot(&SnapshotRequest::default()).await?;
//! let query = SnapshotDataQuery { split: Some("train".to_owned()), ..Default::default() };
//! let mut batches = server.snapshot_data(&snapshot.id, &query).await?;
//! while let Some(batch) = batches.try_next().await? {
//!     println!("{} rows", batch.num_rows());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Calls that change nothing, and those under a key that the client makes for its caller, are made again
//! where the server does not answer, has too much to do, or is not there ([`Retries`]). No other call is,
//! and none of whose answer something was handed on already.

mod audit;
mod batches;
mod certificate;
mod digest;
mod error;
mod events;
mod holds;
mod landing;
mod maintenance;
mod profiles;
mod promotions;
mod pull;
mod retry;
mod revocations;
mod server;
mod snapshots;
mod sql;
mod statements;
mod tables;

pub use arrow_array;
pub use arrow_schema;
pub use stedi_openapi as openapi;

pub use batches::Batches;
pub use certificate::{CertificateError, CertificateKey, Verified, chained};
pub use digest::manifest_id;
pub use error::ClientError;
pub use profiles::{Profile, ProfileError, Profiles, Secret};
pub use pull::{
    Fault, FaultKind, Lock, LockedFile, Pull, PullError, PullEvent, Pulled, Verification, verify,
};
pub use retry::{Backoff, Retries};
pub use server::Server;
pub use snapshots::{FileBody, FileRange};
