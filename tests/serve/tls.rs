//! TLS in the server itself. The key in tests/serve/tls is for these tests and guards nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tungstenite::Message;

use super::{Server, clip_i16, heard, pcm, text};

fn file(name: &str) -> PathBuf {
    crate::common::root().join("tests/serve/tls").join(name)
}

fn server() -> Option<Server> {
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    Server::start(&["--tls-certificate", certificate, "--tls-key", key])
}

fn connect(server: &Server) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), server.tcp())
}

#[test]
fn requests_and_sockets_are_served_to_those_who_know_the_certificate() {
    let Some(server) = server() else { return };
    let mut stream = connect(&server);
    stream
        .write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let (samples, rate) = clip_i16("harbour-int16-16000-mono.wav");
    let (mut socket, _) = tungstenite::client("wss://localhost/", connect(&server)).unwrap();
    socket.send(Message::text("{\"config\": {\"sample_rate\": 16000}}")).unwrap();
    let mut said = Vec::new();
    for piece in pcm(&samples).chunks(8000) {
        socket.send(Message::binary(piece.to_vec())).unwrap();
        said.push(socket.read().unwrap());
    }
    socket.send(Message::text("{\"eof\": 1}")).unwrap();
    said.push(socket.read().unwrap());
    let said = said.iter().map(|m| serde_json::from_str::<Value>(m.to_text().unwrap()).unwrap());
    let said = said.filter_map(|answer| Some(answer["text"].as_str()?.to_owned()));
    let said: Vec<_> = said.filter(|text| !text.is_empty()).collect();
    assert_eq!(said.join(" "), text(&heard(&samples, rate)));
}

#[test]
fn clients_without_tls_and_those_who_say_nothing_do_no_harm() {
    let Some(server) = server() else { return };
    let silent: Vec<TcpStream> = (0..50).map(|_| server.tcp()).collect();
    let mut plain = server.tcp();
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let mut stream = connect(&server);
    stream
        .write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.contains("\"streams\":0"), "{answer}");
    drop(silent);
}

#[test]
fn files_that_do_not_go_together_are_named() {
    let Some(model) = crate::common::real_folder() else { return };
    for (certificate, key, reason) in [
        ("ca.pem", "key.pem", "key.pem"),
        ("key.pem", "key.pem", "no certificate"),
        ("certificate.pem", "ca.pem", "ca.pem: no PEM"),
        ("none.pem", "key.pem", "none.pem"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vivavoce"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--model"]).arg(&model);
        command.arg("--tls-certificate").arg(file(certificate)).arg("--tls-key").arg(file(key));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(reason), "{said}");
    }
}
