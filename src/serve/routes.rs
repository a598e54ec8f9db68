//! What is found under which path.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::ask::{Ask, query};
use super::failure::Failure;
use super::socket::{Socket, prepared};
use super::{Server, access, deepgram, openai, page, vosk};

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// All routes.
pub fn router(server: &Arc<Server>) -> Router {
    let body = DefaultBodyLimit::max(server.settings.limits.body_bytes);
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/page/{name}", get(page::part))
        .route("/v1/listen", get(listen).post(listen_to_file).layer(body))
        .route("/v1/realtime", get(realtime))
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{id}", get(openai::model))
        .route("/v1/audio/transcriptions", post(openai::transcriptions).layer(body))
        .fallback(any)
        .layer(from_fn_with_state(Arc::clone(server), access::guard))
        .with_state(Arc::clone(server))
}

/// Clients of Vosk connect to `/`, and those behind proxies to paths of all kinds.
async fn any(
    State(server): State<Arc<Server>>,
    uri: Uri,
    RawQuery(text): RawQuery,
    upgrade: Upgrade,
) -> Response {
    match upgrade {
        Ok(_) if uri.path().starts_with("/v1/") || uri.path().starts_with("/v2/") => missing(&uri),
        Ok(upgrade) => {
            let ask = asked(&text.unwrap_or_default());
            let slot = server.slots.take("vosk");
            let limits = &server.settings.limits;
            let (stop, idle) = (server.stop.clone(), limits.idle);
            prepared(upgrade, limits.message_bytes).on_upgrade(move |inner| {
                vosk::talk(server, Socket::new(inner, stop, idle), ask, slot)
            })
        }
        Err(_) if uri.path() == "/" => page::index(),
        Err(_) => missing(&uri),
    }
}

/// What the query of a socket asks for.
fn asked(text: &str) -> Ask {
    let mut ask = Ask::default();
    for (name, value) in query(text) {
        match name.as_str() {
            "latency" => ask.latency = Some(value),
            "punctuate" => ask.punctuate = value.parse().ok(),
            "digits" => ask.digits = value.parse().ok(),
            "hotword" => ask.hotwords.push(value),
            _ => {}
        }
    }
    ask
}

fn missing(uri: &Uri) -> Response {
    Failure::new(StatusCode::NOT_FOUND, format!("there is no {}", uri.path())).into_response()
}

/// Deepgram, live.
async fn listen(
    State(server): State<Arc<Server>>,
    RawQuery(text): RawQuery,
    upgrade: Upgrade,
) -> Response {
    let wishes = match deepgram::Wishes::read(&text.unwrap_or_default()) {
        Ok(wishes) => wishes,
        Err(reason) => return deepgram::refusal(StatusCode::BAD_REQUEST, &reason),
    };
    let Ok(upgrade) = upgrade else {
        let reason = "connect with a WebSocket, or post a file";
        return deepgram::refusal(StatusCode::UPGRADE_REQUIRED, reason);
    };
    let Some(slot) = server.slots.take("deepgram") else {
        return deepgram::refusal(StatusCode::SERVICE_UNAVAILABLE, "all streams are taken");
    };
    let upgrade = prepared(upgrade, server.settings.limits.message_bytes);
    let stop = server.stop.clone();
    upgrade.on_upgrade(move |inner| {
        deepgram::talk(server, Socket::new(inner, stop, deepgram::IDLE), wishes, slot)
    })
}

/// Deepgram, a file.
async fn listen_to_file(
    State(server): State<Arc<Server>>,
    RawQuery(text): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let wishes = match deepgram::Wishes::read(&text.unwrap_or_default()) {
        Ok(wishes) => wishes,
        Err(reason) => return deepgram::refusal(StatusCode::BAD_REQUEST, &reason),
    };
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("application/json")) {
        return deepgram::refusal(
            StatusCode::BAD_REQUEST,
            "send the file itself: no URL is fetched",
        );
    }
    deepgram::whole(&server, wishes, &headers, body).await
}

/// `OpenAI`, live.
async fn realtime(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return Failure::new(StatusCode::UPGRADE_REQUIRED, "connect with a WebSocket")
            .into_response();
    };
    let Some(slot) = server.slots.take("realtime") else { return Failure::full().into_response() };
    let limits = &server.settings.limits;
    let old = headers.contains_key("openai-beta");
    let (stop, idle) = (server.stop.clone(), limits.idle);
    prepared(upgrade, limits.message_bytes).on_upgrade(move |inner| {
        openai::realtime(server, Socket::new(inner, stop, idle), old, slot)
    })
}

/// Whether the program works.
async fn health(State(server): State<Arc<Server>>) -> Response {
    if server.pool.is_alive() {
        Json(json!({"status": "ok"})).into_response()
    } else {
        Failure::fault("an engine has died").into_response()
    }
}

/// Whether it takes one more stream.
async fn ready(State(server): State<Arc<Server>>) -> Response {
    let full = server.slots.is_full() || *server.stop.borrow();
    if full || !server.pool.is_alive() {
        return Failure::full().into_response();
    }
    let limits = &server.settings.limits;
    let body = json!({"status": "ok", "streams": server.slots.open(), "most": limits.streams});
    Json(body).into_response()
}

async fn metrics(State(server): State<Arc<Server>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], server.metrics.text()).into_response()
}
