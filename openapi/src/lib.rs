//! Wire types of the STEDI lakehouse: what goes over HTTP, written once for server and client.

mod health;
mod landing;

pub use health::Health;
pub use landing::{LoadResult, Reject};
