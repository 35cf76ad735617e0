//! What is remembered of loads and imports may name somebody: a file is called after them, an answer
//! says why their record was rejected. An erasure removes it.

use super::error::LandingError;
use super::import::Imports;
use super::load::Landing;
use super::memory::Memory;

impl Landing {
    /// Removes the record that an object of the lake is a part of, if it is one of an import that has
    /// ended, or of what was sent with a key; false if it is another object.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn forget(&self, object: &str) -> Result<bool, LandingError> {
        if Memory::is_key(object) {
            self.lake.remove_object(object).await?;
            return Ok(true);
        }
        Imports::forget(&self.lake, object).await
    }
}
