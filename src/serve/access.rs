//! Who may speak to the server: keys, and the web pages that may use it from a browser.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Server;
use super::failure::Failure;

/// What tells the subprotocol with a key.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// Lets a request pass or not, and adds what every answer has.
pub async fn guard(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).cloned();
    let listed = origin.as_ref().is_some_and(|origin| is_listed(&server.settings.origins, origin));
    let mut response = if origin.as_ref().is_some_and(|o| !listed && !is_own(o, headers)) {
        server.metrics.refuse("origin");
        Failure::new(StatusCode::FORBIDDEN, "this web page may not use the server").into_response()
    } else if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else if !is_public(request.uri().path(), headers) && !has_key(&server, &request) {
        server.metrics.refuse("key");
        let mut response = Failure::new(StatusCode::UNAUTHORIZED, "a wrong API key, or none")
            .code("invalid_api_key")
            .into_response();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    if let (true, Some(origin)) = (listed, origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let methods = HeaderValue::from_static("GET, POST, OPTIONS");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let names = HeaderValue::from_static("authorization, content-type");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&format!("req_{}", random_id())) {
        headers.insert("x-request-id", id);
    }
    response
}

/// An identifier that nobody can guess well enough to matter: it names, it does not protect.
pub fn random_id() -> String {
    let half = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

/// Whether a path needs no key.
fn is_public(path: &str, headers: &HeaderMap) -> bool {
    let page = path == "/" && !headers.contains_key(header::UPGRADE);
    let page = page || path.starts_with("/page/");
    page || path == "/health" || path == "/ready"
}

fn is_listed(list: &[String], origin: &HeaderValue) -> bool {
    list.iter().any(|one| one == "*" || one.as_bytes() == origin.as_bytes())
}

/// Whether a page came from this server. A name does not prove it, since whoever makes a page can let a name of his stand for this
/// machine; an address does, and so does `localhost`.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let origin = origin.to_str().ok().and_then(|o| o.split_once("://")).map(|(_, host)| host);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let (Some(origin), Some(host)) = (origin, host) else { return false };
    if origin != host {
        return false;
    }
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

fn has_key(server: &Server, request: &Request) -> bool {
    let keys = &server.settings.keys;
    keys.is_empty()
        || offered(request).iter().any(|offer| keys.iter().any(|key| same(key.as_bytes(), offer)))
}

/// The keys that a request offers: in a header, in a subprotocol, in the query.
fn offered(request: &Request) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    for value in request.headers().get_all(header::AUTHORIZATION) {
        let value = value.as_bytes();
        let at = value.iter().position(|b| *b == b' ').map_or(0, |at| at + 1);
        keys.push(value[at..].trim_ascii().to_vec());
    }
    for value in request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        let protocols = value.to_str().unwrap_or_default().split(',').map(str::trim);
        keys.extend(protocols.map(|p| p.strip_prefix(KEY_PROTOCOL).unwrap_or(p).into()));
    }
    let query = super::ask::query(request.uri().query().unwrap_or_default());
    keys.extend(query.into_iter().filter(|(name, _)| name == "token").map(|(_, v)| v.into_bytes()));
    keys
}

/// Compares without telling by its time where two keys differ.
fn same(key: &[u8], offer: &[u8]) -> bool {
    let differ = key.iter().zip(offer).fold(0, |differ, (a, b)| differ | (a ^ b));
    key.len() == offer.len() && std::hint::black_box(differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_the_servers_own_by_its_address_only() {
        for (origin, host, own) in [
            ("http://127.0.0.1:2700", "127.0.0.1:2700", true),
            ("http://localhost:2700", "localhost:2700", true),
            ("http://[::1]:2700", "[::1]:2700", true),
            ("https://10.0.0.7", "10.0.0.7", true),
            ("http://localhost:8000", "localhost:2700", false),
            ("http://evil.example:2700", "evil.example:2700", false),
            ("null", "localhost", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            assert_eq!(is_own(&HeaderValue::from_static(origin), &headers), own, "{origin}");
        }
    }

    #[test]
    fn a_key_is_found_wherever_clients_put_it() {
        let requests = [
            Request::builder().header("authorization", "Bearer k1"),
            Request::builder().header("authorization", "Token k1"),
            Request::builder().header("sec-websocket-protocol", "token, k1"),
            Request::builder()
                .header("sec-websocket-protocol", "realtime, openai-insecure-api-key.k1"),
            Request::builder().uri("/x?a=b&token=k%31"),
        ];
        for request in requests {
            let request = request.body(axum::body::Body::empty()).unwrap();
            assert!(offered(&request).iter().any(|offer| same(b"k1", offer)), "{request:?}");
            assert!(!offered(&request).iter().any(|offer| same(b"k12", offer)));
        }
    }
}
