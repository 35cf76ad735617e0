//! What handlers share.

use std::sync::Arc;

use crate::app::App;
use crate::auth::Verifier;

/// The services, and who may use them.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// The services.
    pub app: Arc<App>,
    /// Checks tokens.
    pub verifier: Arc<Verifier>,
}
