//! Progress of long work.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A server-sent event (WHATWG HTML, section 9.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkEvent {
    /// What the work is: `promotion` or `import`.
    #[schema(example = "promotion")]
    pub event: String,
    /// The work as JSON, as its resource gives it.
    pub data: String,
}
