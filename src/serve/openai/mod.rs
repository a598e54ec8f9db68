//! `OpenAI`'s REST interface: files are sent as forms, text comes back whole or as it is found.

mod answer;
pub mod form;
pub mod realtime;

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde_json::{Value, json};
use vivavoce::transcript::Event;

use super::Server;
use super::appended::Appended;
use super::failure::Failure;
use super::recording::Recording;
use super::upload;
use answer::Heard;
use form::Form;
pub use realtime::talk as realtime;

/// The models, of which there is one.
pub async fn models(State(server): State<Arc<Server>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [described(&server)]}))
}

/// One of them.
pub async fn model(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Response {
    if id == server.settings.model {
        return Json(described(&server)).into_response();
    }
    Failure::new(StatusCode::NOT_FOUND, format!("the model {id:?} does not exist"))
        .param("model")
        .code("model_not_found")
        .into_response()
}

fn described(server: &Server) -> Value {
    json!({"id": server.settings.model, "object": "model", "created": 0, "owned_by": "vivavoce"})
}

/// Writes what is said in a file.
pub async fn transcriptions(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Result<Multipart, MultipartRejection>,
) -> Response {
    match transcribed(&server, &headers, body).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn transcribed(
    server: &Arc<Server>,
    headers: &HeaderMap,
    body: Result<Multipart, MultipartRejection>,
) -> Result<Response, Failure> {
    let most = server.settings.limits.body_bytes;
    upload::announced(headers, most).inspect_err(|_| server.metrics.refuse("body"))?;
    let body = body.map_err(|rejection| Failure::bad(rejection.body_text()))?;
    let Ok(reading) = server.uploads.try_acquire() else {
        server.metrics.refuse("uploads");
        return Err(Failure::full());
    };
    let mut form = Form::read(body, most).await?;
    drop(reading);
    form.check()?;
    let ask = form.ask();
    let recording = Recording::open(server, "openai", std::mem::take(&mut form.file), &ask).await?;
    if form.stream {
        return Ok(streamed(server, recording, &form));
    }
    let mut recording = recording;
    let mut heard = Heard::default();
    while let Some(output) = recording.next().await? {
        for event in output.events {
            heard.hear(event)?;
        }
    }
    heard.seconds = recording.seconds();
    Ok(heard.response(&form))
}

/// Where a stream of events is.
struct Streaming {
    recording: Recording,
    appended: Appended,
    over: bool,
}

/// Text as it is found.
fn streamed(server: &Server, recording: Recording, form: &Form) -> Response {
    let finals_only = server.makes_text_anew(&form.ask());
    let state = Streaming { recording, appended: Appended::new(finals_only), over: false };
    let events = unfold(state, |mut state| async move {
        loop {
            if state.over {
                return None;
            }
            let text = match state.recording.next().await {
                Ok(Some(output)) => deltas(&mut state.appended, &output.events),
                Ok(None) => {
                    state.over = true;
                    let text = state.appended.text();
                    let done = json!({"type": "transcript.text.done", "text": text});
                    Ok(format!("data: {done}\n\ndata: [DONE]\n\n"))
                }
                Err(failure) => Err(failure),
            };
            let text = text.unwrap_or_else(|failure| {
                state.over = true;
                format!("data: {}\n\n", failure.json())
            });
            if !text.is_empty() {
                return Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), state));
            }
        }
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(events)).into_response()
}

fn deltas(appended: &mut Appended, events: &[Event]) -> Result<String, Failure> {
    let mut text = String::new();
    for event in events {
        if let Event::Error(error) = event {
            return Err(Failure::bad(error.to_string()));
        }
        if let Some(delta) = appended.hear(event) {
            let delta = json!({"type": "transcript.text.delta", "delta": delta});
            let _ = write!(text, "data: {delta}\n\n");
        }
    }
    Ok(text)
}
