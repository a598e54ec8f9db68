//! Keys, origins, limits, figures, and the end.

use std::io::Write;

use tungstenite::Message;

use super::{Server, clip_i16, heard, pcm, text};

fn status(result: tungstenite::Result<super::Client>) -> u16 {
    match result {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => 101,
    }
}

#[test]
fn a_key_opens_by_header_subprotocol_or_query() {
    let Some(server) = Server::start(&["--api-key", "k1,k2"]) else { return };
    let refused = server.get("/v1/models", "");
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_str()),
        (401, Some("invalid_api_key"))
    );
    assert!(refused.head.contains("www-authenticate: bearer"));
    assert_eq!(server.get("/v1/models", "authorization: Bearer k2\r\n").status, 200);
    assert_eq!(server.get("/v1/models", "authorization: Bearer k3\r\n").status, 401);
    assert_eq!(server.get("/metrics", "").status, 401);
    assert_eq!(server.get("/health", "").status, 200);
    assert_eq!(status(server.handshake("/", &[])), 401);
    assert_eq!(status(server.handshake("/?token=k", &[])), 401);
    assert_eq!(status(server.handshake("/?token=k1", &[])), 101);
    let client = server.handshake("/", &[("sec-websocket-protocol", "token, k1")]).unwrap();
    assert_eq!(client.protocol.as_deref(), Some("token"));
    let offer = "realtime, openai-insecure-api-key.k1";
    let client = server.handshake("/", &[("sec-websocket-protocol", offer)]).unwrap();
    assert_eq!(client.protocol.as_deref(), Some("realtime"));
}

#[test]
fn web_pages_of_others_are_turned_away() {
    let Some(server) = Server::start(&["--allow-origin", "https://good.example"]) else { return };
    let own = format!("http://{}", server.address);
    for (origin, expected) in
        [("https://evil.example", 403), ("null", 403), ("https://good.example", 101), (&own, 101)]
    {
        assert_eq!(status(server.handshake("/", &[("origin", origin)])), expected, "{origin}");
    }
    let answer = server.get("/v1/models", "origin: https://good.example\r\n");
    assert!(answer.head.contains("access-control-allow-origin: https://good.example"));
    let answer = server.get("/v1/models", "origin: https://evil.example\r\n");
    assert_eq!(answer.status, 403);
    assert!(!answer.head.contains("access-control"));
    // Asterisk wants `ws` or nothing.
    let client = server.handshake("/", &[("sec-websocket-protocol", "ws")]).unwrap();
    assert_eq!(client.protocol.as_deref(), Some("ws"));
    assert_eq!(server.socket("/").protocol, None);
}

#[test]
fn a_full_server_says_so_and_places_come_back_however_clients_go() {
    let Some(server) = Server::start(&["--max-streams", "2"]) else { return };
    for _ in 0..3 {
        let mut first = server.socket("/");
        let mut second = server.socket("/");
        first.bytes(&[0; 3200]);
        first.answer();
        let mut third = server.socket("/");
        assert_eq!(third.closed(), 1013);
        let ready = server.get("/ready", "");
        assert_eq!(ready.status, 503);
        assert!(ready.head.contains("retry-after: 1"));
        // One goes without a word, the other in the middle of a frame.
        drop(first);
        let tungstenite::stream::MaybeTlsStream::Plain(stream) = second.socket.get_mut() else {
            panic!("no TLS here")
        };
        stream.write_all(&[0x82, 0xfe, 0x10]).unwrap();
        drop(second);
        server.wait_until_empty();
    }
    let metrics = server.get("/metrics", "").text();
    for line in [
        "vivavoce_streams_open{protocol=\"vosk\"} 0",
        "vivavoce_streams_total{protocol=\"vosk\"} 6",
        "vivavoce_refused_total{reason=\"full\"} 3",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}\n{metrics}");
    }
}

#[test]
fn a_client_that_says_nothing_is_sent_away() {
    let Some(server) = Server::start(&["--idle-seconds", "0.5", "--max-seconds", "2"]) else {
        return;
    };
    let mut client = server.socket("/");
    assert_eq!(client.closed(), 1008);
    let mut client = server.socket("/");
    client.bytes(&vec![0; 48_000]);
    assert_eq!(client.closed(), 1008);
    server.wait_until_empty();
}

#[test]
fn a_server_that_stops_gives_what_was_heard_and_ends() {
    let Some(mut server) = Server::start(&[]) else { return };
    let (samples, rate) = clip_i16("harbour-int16-16000-mono.wav");
    let mut client = server.socket("/");
    client.text("{\"config\": {\"sample_rate\": 16000}}");
    client.bytes(&pcm(&samples));
    assert!(client.answer().get("partial").is_some());
    server.ask_to_stop();
    assert_eq!(client.answer()["text"], text(&heard(&samples, rate)));
    assert_eq!(client.closed(), 1012);
    let _ = client.socket.send(Message::Close(None));
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn clients_do_not_hear_each_other() {
    let Some(server) = Server::start(&["--threads", "2"]) else { return };
    let clips = [
        "harbour-int16-16000-mono.wav",
        "edges-int16-16000-mono.wav",
        "road-noise-int16-16000-mono.wav",
    ];
    std::thread::scope(|scope| {
        for i in 0..9 {
            let (samples, rate) = clip_i16(clips[i % 3]);
            let server = &server;
            scope.spawn(move || {
                let mut client = server.socket("/");
                client.text("{\"config\": {\"sample_rate\": 16000}}");
                let mut said = Vec::new();
                for piece in pcm(&samples).chunks(1000 + 700 * i) {
                    client.bytes(piece);
                    said.push(client.answer());
                }
                client.text("{\"eof\": 1}");
                said.push(client.answer());
                let said = said.iter().filter_map(|answer| answer["text"].as_str());
                let said: Vec<_> = said.filter(|text| !text.is_empty()).collect();
                assert_eq!(said.join(" "), text(&heard(&samples, rate)), "client {i}");
            });
        }
    });
    server.wait_until_empty();
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_no_key() {
    let Some(server) = Server::start(&["--api-key", "k"]) else { return };
    let page = server.get("/", "");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy: default-src 'self'"), "{}", page.head);
    let html = page.text();
    let parts: Vec<&str> = html.split('"').filter(|part| part.starts_with("page/")).collect();
    assert_eq!(parts, ["page/page.css", "page/page.js"]);
    let mut all = html.clone();
    for part in parts.into_iter().chain(["page/worklet.js"]) {
        let answer = server.get(&format!("/{part}"), "");
        assert_eq!(answer.status, 200, "{part}");
        all += &answer.text();
    }
    assert!(!all.contains("http://") && !all.contains("https://"));
    for id in all.split("$(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(html.contains(&format!("id=\"{id}\"")), "the page has no {id}");
    }
    assert_eq!(server.get("/page/none.js", "").status, 404);
}

#[test]
fn a_container_can_ask_whether_its_server_is_well() {
    let Some(server) = Server::start(&[]) else { return };
    let check = |address: &str| {
        let check = ["serve", "--check", "--listen", address];
        std::process::Command::new(env!("CARGO_BIN_EXE_vivavoce")).args(check).output().unwrap()
    };
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    for address in [server.address.clone(), format!("0.0.0.0:{port}")] {
        let well = check(&address);
        assert!(well.status.success() && well.stdout.is_empty(), "{well:?}");
    }
    drop(server);
    let gone = check(&format!("127.0.0.1:{port}"));
    let message = String::from_utf8(gone.stderr).unwrap();
    assert!(gone.status.code() == Some(1) && message.contains("no answer from 127.0.0.1"));
    // Something else that answers.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 512]);
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap();
    });
    let unwell = check(&address);
    answering.join().unwrap();
    let message = String::from_utf8(unwell.stderr).unwrap();
    assert!(unwell.status.code() == Some(1) && message.contains("503"), "{message}");
}
