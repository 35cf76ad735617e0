//! What was loaded, and under which key, is remembered in the lake for longer than a table's log
//! does.
//!
//! - `system/loads/content/<table>/<digest>/<sequence>` is there before a load of that content is
//!   committed under that sequence, and stays if it is. The log's marker says for a time whether it
//!   was; later the rows do, which carry the sequence.
//! - `system/loads/keys/<digest>.json` is what was sent with a key, and the first answer.

use serde::{Deserialize, Serialize};
use stedi_openapi::LoadResult;

use super::error::LandingError;
use super::mark::Marks;
use crate::lake::Lake;

const CONTENT: &str = "system/loads/content";
const KEYS: &str = "system/loads/keys";

/// An `Idempotency-Key`, and whose it is.
#[derive(Clone, Debug)]
pub struct LoadKey {
    /// A token's `sub`.
    pub principal: String,
    /// The key.
    pub key: String,
}

/// What was sent with a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    pub table: String,
    /// A keyed hash of the content, in hexadecimal digits.
    pub digest: String,
    /// The sequence of the load that came with it first.
    pub sequence: i64,
    /// The first answer, once there is one.
    pub answer: Option<LoadResult>,
}

/// The memory of a lake.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    lake: Lake,
    marks: Marks,
}

impl Memory {
    /// Whether an object of the lake says what was sent with a key.
    pub fn is_key(object: &str) -> bool {
        object.strip_prefix(KEYS).is_some_and(|rest| rest.starts_with('/'))
    }

    pub fn new(lake: Lake, marks: Marks) -> Self {
        Self { lake, marks }
    }

    /// The sequences under which a content was, or was to be, committed.
    pub async fn sequences(&self, table: &str, digest: &str) -> Result<Vec<i64>, LandingError> {
        let names = self.lake.list_objects(&format!("{CONTENT}/{table}/{digest}")).await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Notes that a content is about to be committed.
    pub async fn note(&self, table: &str, digest: &str, sequence: i64) -> Result<(), LandingError> {
        let path = format!("{CONTENT}/{table}/{digest}/{sequence}");
        Ok(self.lake.put_object(&path, b"{}".to_vec()).await?)
    }

    /// Forgets one that was not committed. What is not forgotten costs a look at the rows.
    pub async fn forget(&self, table: &str, digest: &str, sequence: i64) {
        let path = format!("{CONTENT}/{table}/{digest}/{sequence}");
        if let Err(error) = self.lake.remove_object(&path).await {
            tracing::warn!(table, %error, "a load that was not committed is still noted");
        }
    }

    /// What was sent first with a key: this, if it is new.
    pub async fn sent(&self, key: &LoadKey, new: &Sent) -> Result<Sent, LandingError> {
        let path = self.path(key);
        if self.lake.create_object(&path, bytes(&path, new)?).await? {
            return Ok(new.clone());
        }
        let unreadable = |reason: String| LandingError::Memory { path: path.clone(), reason };
        let found = self.lake.read_object(&path).await?;
        let found = found.ok_or_else(|| unreadable("it is gone".to_owned()))?;
        serde_json::from_slice(&found).map_err(|error| unreadable(error.to_string()))
    }

    /// Remembers the answer to what was sent with a key. Without it the answer is worked out anew.
    pub async fn answer(&self, key: &LoadKey, sent: Sent, answer: &LoadResult) {
        let path = self.path(key);
        let sent = Sent { answer: Some(answer.clone()), ..sent };
        let kept = async {
            Ok::<_, LandingError>(self.lake.put_object(&path, bytes(&path, &sent)?).await?)
        };
        if let Err(error) = kept.await {
            tracing::warn!(table = sent.table, %error, "the answer to a load is not remembered");
        }
    }

    /// Forgets the keys that were used last before a moment, in epoch milliseconds.
    pub async fn forget_keys(&self, before: i64) -> Result<(), LandingError> {
        for name in self.lake.list_objects_before(KEYS, before).await? {
            self.lake.remove_object(&format!("{KEYS}/{name}")).await?;
        }
        Ok(())
    }

    /// The name of a file may be in a key: it is kept as a keyed hash.
    fn path(&self, LoadKey { principal, key }: &LoadKey) -> String {
        let mark = self.marks.of("key", &[principal.as_bytes(), key.as_bytes()]);
        format!("{KEYS}/{mark}.json")
    }
}

fn bytes(path: &str, sent: &Sent) -> Result<Vec<u8>, LandingError> {
    serde_json::to_vec(sent)
        .map_err(|error| LandingError::Memory { path: path.to_owned(), reason: error.to_string() })
}
