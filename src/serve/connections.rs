//! Connections: accepted up to a number, given a limited time to say what they want, and let go when the server stops.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
#[cfg(feature = "tls")]
use tokio::time::timeout;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Server, routes};

/// For the head of a request.
const HEAD: Duration = Duration::from_secs(15);
/// All headers together.
const HEAD_BYTES: usize = 32 * 1024;
/// Connections that are no streams: uploads, health checks, the page.
pub const OTHERS: usize = 512;
/// When the system has no more sockets.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until the server stops, then waits for streams to end, but not for long.
pub async fn accept(listener: &TcpListener, server: &Arc<Server>) {
    let most = server.settings.limits.streams + OTHERS;
    let room = Arc::new(Semaphore::new(most));
    let router = routes::router(server);
    let mut stop = server.stop.clone();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match Arc::clone(&room).try_acquire_owned() {
                Ok(place) => {
                    let _ = stream.set_nodelay(true);
                    let (router, stop) = (router.clone(), stop.clone());
                    #[cfg(feature = "tls")]
                    if let Some(tls) = server.tls.clone() {
                        tokio::spawn(async move {
                            // A client of another kind, or none in time.
                            if let Ok(Ok(stream)) = timeout(HEAD, tls.accept(stream)).await {
                                one(stream, router, stop, place).await;
                            }
                        });
                        continue;
                    }
                    tokio::spawn(one(stream, router, stop, place));
                }
                Err(_) => server.metrics.refuse("connections"),
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(PAUSE).await;
            }
        }
    }
    let until = Instant::now() + server.settings.limits.stop;
    while Instant::now() < until {
        if server.slots.open() == 0 && room.available_permits() == most {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    sleep_until(until).await;
    tracing::warn!(streams = server.slots.open(), "stopped without waiting any longer");
}

async fn one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: axum::Router,
    mut stop: Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    tokio::pin!(connection);
    let done = tokio::select! {
        done = &mut connection => done,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = done {
        // A client that goes is nothing unusual.
        tracing::debug!(%error, "a connection ended");
    }
}

/// Waits until the server stops.
pub async fn stopped(stop: &mut Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}

/// Waits for SIGINT or SIGTERM.
pub async fn asked_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
        std::future::pending::<()>().await;
    }
    #[cfg(not(unix))]
    if interrupted.await.is_err() {
        std::future::pending::<()>().await;
    }
}
