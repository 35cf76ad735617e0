//! The objects of statements in the lake.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StatementError;
use super::record::{Asked, Run};
use crate::lake::Lake;

const FOLDER: &str = "system/statements";
const ASKED: &str = "statement.json";
const CANCEL: &str = "cancel";

/// Where statements are kept.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    lake: Lake,
}

impl Shelf {
    pub fn new(lake: Lake) -> Self {
        Self { lake }
    }

    /// All statements that are kept.
    pub async fn ids(&self) -> Result<Vec<String>, StatementError> {
        Ok(self.lake.list_folders(FOLDER).await?)
    }

    /// Keeps a new statement; false if there is one with this id.
    pub async fn ask(&self, id: &str, asked: &Asked) -> Result<bool, StatementError> {
        let path = path(id, ASKED);
        Ok(self.lake.create_object(&path, bytes(&path, asked)?).await?)
    }

    pub async fn asked(&self, id: &str) -> Result<Option<Asked>, StatementError> {
        self.read(&path(id, ASKED)).await
    }

    /// Takes an attempt; false if somebody else did.
    pub async fn claim(&self, id: &str, attempt: u32, run: &Run) -> Result<bool, StatementError> {
        let path = path(id, &run_name(attempt));
        Ok(self.lake.create_object(&path, bytes(&path, run)?).await?)
    }

    pub async fn write(&self, id: &str, attempt: u32, run: &Run) -> Result<(), StatementError> {
        let path = path(id, &run_name(attempt));
        Ok(self.lake.put_object(&path, bytes(&path, run)?).await?)
    }

    /// The newest attempt, and whether it was cancelled.
    pub async fn newest(&self, id: &str) -> Result<(Option<(u32, Run)>, bool), StatementError> {
        let (attempt, cancelled) = self.attempts(id).await?;
        if attempt == 0 {
            return Ok((None, cancelled));
        }
        let run = self.read(&path(id, &run_name(attempt))).await?;
        Ok((run.map(|run| (attempt, run)), cancelled))
    }

    /// All attempts, oldest first.
    pub async fn runs(&self, id: &str) -> Result<Vec<(u32, Run)>, StatementError> {
        let (newest, _) = self.attempts(id).await?;
        let mut runs = Vec::new();
        for attempt in 1..=newest {
            if let Some(run) = self.read(&path(id, &run_name(attempt))).await? {
                runs.push((attempt, run));
            }
        }
        Ok(runs)
    }

    /// Removes the chunks of an attempt, also those that it did not tell of any more.
    pub async fn remove_chunks(&self, id: &str, attempt: u32) -> Result<(), StatementError> {
        let of_attempt = format!("run-{attempt}-");
        for name in self.lake.list_objects(&format!("{FOLDER}/{id}")).await? {
            if name.starts_with(&of_attempt) {
                self.lake.remove_object(&path(id, &name)).await?;
            }
        }
        Ok(())
    }

    /// Notes that somebody wants it cancelled.
    pub async fn cancel(&self, id: &str) -> Result<(), StatementError> {
        self.lake.create_object(&path(id, CANCEL), b"{}".to_vec()).await?;
        Ok(())
    }

    pub async fn is_cancelled(&self, id: &str) -> Result<bool, StatementError> {
        Ok(self.lake.read_object(&path(id, CANCEL)).await?.is_some())
    }

    pub async fn write_chunk(
        &self,
        id: &str,
        attempt: u32,
        chunk: usize,
        bytes: Vec<u8>,
    ) -> Result<(), StatementError> {
        Ok(self.lake.put_object(&path(id, &chunk_name(attempt, chunk)), bytes).await?)
    }

    pub async fn chunk(
        &self,
        id: &str,
        attempt: u32,
        chunk: usize,
    ) -> Result<Vec<u8>, StatementError> {
        let read = self.lake.read_object(&path(id, &chunk_name(attempt, chunk))).await?;
        read.ok_or_else(|| StatementError::Gone(id.to_owned()))
    }

    /// Removes everything of a statement.
    pub async fn remove(&self, id: &str) -> Result<(), StatementError> {
        Ok(self.lake.remove_folder(&format!("{FOLDER}/{id}"), ASKED).await?)
    }

    /// The number of the newest attempt, and whether there is a word of cancelling.
    async fn attempts(&self, id: &str) -> Result<(u32, bool), StatementError> {
        let names = self.lake.list_objects(&format!("{FOLDER}/{id}")).await?;
        let number =
            |name: &String| name.strip_prefix("run-")?.strip_suffix(".json")?.parse::<u32>().ok();
        let newest = names.iter().filter_map(number).max().unwrap_or_default();
        Ok((newest, names.iter().any(|name| name == CANCEL)))
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, StatementError> {
        let Some(bytes) = self.lake.read_object(path).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(path, &error))
    }
}

fn path(id: &str, name: &str) -> String {
    format!("{FOLDER}/{id}/{name}")
}

fn run_name(attempt: u32) -> String {
    format!("run-{attempt}.json")
}

fn chunk_name(attempt: u32, chunk: usize) -> String {
    format!("run-{attempt}-{chunk:05}.arrow")
}

fn bytes<T: Serialize>(path: &str, value: &T) -> Result<Vec<u8>, StatementError> {
    serde_json::to_vec(value).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &str, error: &serde_json::Error) -> StatementError {
    StatementError::Unreadable { path: path.to_owned(), reason: error.to_string() }
}
