//! Legal holds: customers who may not be erased for now.
//!
//! - `system/holds/<id>.json` is there as long as the hold is. It has a keyed reference, no pseudonym:
//!   a hold that came too late for an erasure must not keep what the erasure takes away.

use stedi_openapi::LegalHold;
use uuid::Uuid;

use super::error::ConsentError;
use crate::lake::Lake;
use crate::ledger::LedgerError;

const FOLDER: &str = "system/holds";

/// The legal holds of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Holds {
    lake: Lake,
}

impl Holds {
    /// Those of a lake.
    pub fn new(lake: Lake) -> Self {
        Self { lake }
    }

    /// Places one; its id is made here.
    pub(super) async fn place(&self, hold: LegalHold) -> Result<LegalHold, ConsentError> {
        let hold = LegalHold { id: Uuid::now_v7().simple().to_string(), ..hold };
        let path = path(&hold.id);
        let bytes = serde_json::to_vec(&hold).map_err(unreadable(&path))?;
        self.lake.create_object(&path, bytes).await?;
        Ok(hold)
    }

    /// All, newest first.
    pub(super) async fn all(&self) -> Result<Vec<LegalHold>, ConsentError> {
        let mut names = self.lake.list_objects(FOLDER).await?;
        names.sort_by(|a, b| b.cmp(a));
        let mut holds = Vec::with_capacity(names.len());
        for name in names {
            let path = format!("{FOLDER}/{name}");
            // It may have ended a moment ago.
            let Some(bytes) = self.lake.read_object(&path).await? else { continue };
            holds.push(serde_json::from_slice(&bytes).map_err(unreadable(&path))?);
        }
        Ok(holds)
    }

    /// Ends one, and says what it was.
    ///
    /// # Errors
    /// [`ConsentError::NoHold`]
    pub(super) async fn end(&self, id: &str) -> Result<LegalHold, ConsentError> {
        let unknown = || ConsentError::NoHold(id.chars().take(64).collect());
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let path = path(id);
        let bytes = self.lake.read_object(&path).await?.ok_or_else(unknown)?;
        let hold = serde_json::from_slice(&bytes).map_err(unreadable(&path))?;
        self.lake.remove_object(&path).await?;
        Ok(hold)
    }
}

fn path(id: &str) -> String {
    format!("{FOLDER}/{id}.json")
}

fn unreadable(path: &str) -> impl Fn(serde_json::Error) -> LedgerError {
    let path = path.to_owned();
    move |error| LedgerError::Unreadable { path: path.clone(), reason: error.to_string() }
}
