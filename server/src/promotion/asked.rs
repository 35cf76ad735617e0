//! What is asked of promotions.

use serde::{Deserialize, Serialize};
use stedi_openapi::{PromotionCause, PromotionInfo};

use crate::ledger;

/// What was asked, by whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The tables, in dependency order.
    pub tables: Vec<String>,
    pub cause: PromotionCause,
    pub principal: String,
    pub roles: Vec<String>,
    pub request_id: Option<String>,
    /// Epoch milliseconds.
    pub created: i64,
}

/// Where runs are kept.
pub(super) type Shelf = ledger::Shelf<Asked, PromotionInfo>;

/// Their folder in the lake.
pub(super) const FOLDER: &str = "system/promotions";
