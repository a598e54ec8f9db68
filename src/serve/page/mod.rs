//! The page: plain files, compiled in, that use nothing from anywhere else.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::failure::Failure;

/// Only what comes from here is loaded, and no other page may frame it.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'";

/// The page itself.
pub fn index() -> Response {
    file("text/html; charset=utf-8", include_str!("index.html"))
}

/// What it is made of.
pub async fn part(Path(name): Path<String>) -> Response {
    match name.as_str() {
        "page.css" => file("text/css; charset=utf-8", include_str!("page.css")),
        "page.js" => file("text/javascript; charset=utf-8", include_str!("page.js")),
        "worklet.js" => file("text/javascript; charset=utf-8", include_str!("worklet.js")),
        _ => Failure::new(StatusCode::NOT_FOUND, "there is no such part").into_response(),
    }
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
