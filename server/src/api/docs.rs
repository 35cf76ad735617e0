//! `/docs`: an interactive page over the document. All of its files are in the binary, and browsers
//! are told to load nothing from elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::{Config, SwaggerFile};

use super::error::ApiError;

/// Scripts and requests from and to this server only. The page styles its elements one by one and
/// has small pictures in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The page and its files; outside of the document, which is for programs.
pub(super) fn pages<S: Clone + Send + Sync + 'static>() -> Router<S> {
    // Without `none` the page would show the document to a validator on another host.
    let config = Config::new(["/openapi.json"])
        .validator_url("none")
        .try_it_out_enabled(true)
        .display_request_duration(true);
    let config = Arc::new(config);
    let index = Arc::clone(&config);
    Router::new()
        // The page names its files relative to a folder.
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/", get(async move || file("index.html", index)))
        .route("/docs/{*file}", get(async move |Path(name): Path<String>| file(&name, config)))
        .layer(map_response(locked))
}

fn file(name: &str, config: Arc<Config<'static>>) -> Result<Response, ApiError> {
    match utoipa_swagger_ui::serve(name, config) {
        Ok(Some(SwaggerFile { bytes, content_type, .. })) => {
            let bytes = Bytes::from(bytes.into_owned());
            Ok(([(CONTENT_TYPE, content_type)], bytes).into_response())
        }
        Ok(None) => Err(ApiError::NotFound),
        Err(error) => Err(ApiError::Document(error.to_string())),
    }
}

async fn locked(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
