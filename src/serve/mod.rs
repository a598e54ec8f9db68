//! `vivavoce serve`: sockets that existing clients speak to. Engines compute in threads of their own; sockets only queue.

mod access;
mod appended;
pub mod ask;
mod check;
mod client;
mod connections;
pub mod deepgram;
mod failure;
mod fair;
mod limits;
pub mod load;
mod metrics;
pub mod openai;
mod page;
pub mod pcm;
mod recording;
mod routes;
mod scheduler;
#[cfg(all(test, shuttle))]
mod schedules;
mod socket;
mod stream;
mod sync;
#[cfg(feature = "tls")]
pub mod tls;
mod upload;
pub mod vosk;
pub mod wyoming;

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use vivavoce::{EndpointOptions, Recognizer, StreamOptions};

pub use std::net::SocketAddr as Address;

pub use check::check;
pub use limits::Limits;
pub use vosk::Defaults;

use limits::Slots;
use metrics::Metrics;
use scheduler::Pool;

/// What the server is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: Address,
    /// Where it listens for Wyoming, if it does.
    pub wyoming: Option<Address>,
    /// Keys of which a client must have one; none: anybody may come.
    pub keys: Vec<String>,
    /// Origins of web pages that may use it, besides its own; `*` for all.
    pub origins: Vec<String>,
    /// Name of the model.
    pub model: String,
    /// Threads that compute.
    pub threads: usize,
    /// What all streams are like where a client does not say otherwise.
    pub stream: StreamOptions,
    /// Whether that has sentence ends, and digits: their text is made anew out of confirmed words.
    pub rewrites: (bool, bool),
    /// Where they end segments.
    pub endpoints: Option<EndpointOptions>,
    /// What clients of Vosk need not say.
    pub vosk: Defaults,
    /// How much may be asked for.
    pub limits: Limits,
    /// Where its certificate is; none: no TLS.
    #[cfg(feature = "tls")]
    pub tls: Option<tls::Files>,
}

/// What all connections share.
pub struct Server {
    settings: Settings,
    recognizer: Recognizer,
    pool: Pool,
    metrics: Arc<Metrics>,
    slots: Arc<Slots>,
    /// Connections of Wyoming.
    callers: Arc<Semaphore>,
    /// Uploads that are being read.
    uploads: Arc<Semaphore>,
    /// Lists of words that are being made ready.
    lists: Semaphore,
    stop: watch::Receiver<bool>,
    #[cfg(feature = "tls")]
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl Server {
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unused_self, reason = "there is no certificate then")
    )]
    fn has_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

/// Serves until the process is asked to stop (SIGINT or SIGTERM), then lets streams end.
///
/// # Errors
/// If the address cannot be listened on, or the system has no threads.
pub fn run(recognizer: &Recognizer, settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(settings.limits.streams + 8)
        .enable_all()
        .build()?;
    let done = runtime.block_on(serve(recognizer, settings));
    runtime.shutdown_background();
    done
}

async fn serve(recognizer: &Recognizer, settings: Settings) -> anyhow::Result<()> {
    let address = settings.listen;
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() && settings.keys.is_empty() {
        tracing::warn!(
            "anybody who reaches {address} may use the server; --api-key asks for a key"
        );
    }
    let (stopping, stop) = watch::channel(false);
    let metrics = Arc::new(Metrics::new(&settings.model));
    let server = Arc::new(Server {
        recognizer: recognizer.clone(),
        pool: Pool::start(recognizer, settings.threads, &metrics)?,
        slots: Arc::new(Slots::new(settings.limits.streams, &metrics)),
        callers: Arc::new(Semaphore::new(settings.limits.streams + connections::OTHERS)),
        uploads: Arc::new(Semaphore::new(settings.limits.streams)),
        lists: ask::lists(),
        #[cfg(feature = "tls")]
        tls: settings.tls.as_ref().map(tls::acceptor).transpose()?,
        metrics,
        settings,
        stop,
    });
    if let Some(address) = server.settings.wyoming {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        tracing::info!(wyoming = %address, "listening for Wyoming on {address}");
        tokio::spawn(wyoming::accept(listener, Arc::clone(&server)));
    }
    tokio::spawn(async move {
        connections::asked_to_stop().await;
        tracing::info!("stopping");
        stopping.send_replace(true);
    });
    let scheme = if server.has_tls() { "https" } else { "http" };
    tracing::info!(%address, model = server.settings.model, "listening on {scheme}://{address}");
    connections::accept(&listener, &server).await;
    Ok(())
}
