//! Those who mean no good: refused or bounded, and others do not notice. `benches/serve_attack.py` does the same at full size.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, Server, clip_i16, heard, pcm, text};

/// Whether a client is served as ever.
fn others_are_unharmed(server: &Server) {
    let (samples, rate) = clip_i16("edges-int16-16000-mono.wav");
    let mut client = server.socket("/");
    client.text("{\"config\": {\"sample_rate\": 16000}}");
    client.bytes(&pcm(&samples));
    let first = client.answer();
    client.text("{\"eof\": 1}");
    let said = [first, client.answer()];
    let said: Vec<_> = said.iter().filter_map(|answer| answer["text"].as_str()).collect();
    assert_eq!(said.join(" ").trim(), text(&heard(&samples, rate)));
}

/// Memory of the server.
fn bytes(server: &Server) -> f64 {
    let text = server.get("/metrics", "").text();
    let line = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    line.unwrap().parse().unwrap()
}

fn refused(server: &Server, reason: &str) -> u64 {
    let text = server.get("/metrics", "").text();
    let start = format!("vivavoce_refused_total{{reason=\"{reason}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |n| n.parse().unwrap())
}

#[test]
fn connections_that_say_nothing_or_half_a_word_are_bounded() {
    let Some(server) = Server::start(&["--max-streams", "4", "--wyoming", "0"]) else { return };
    let halves: [&[u8]; 4] =
        [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: a\r\nx: ", b"\xff\xfe\x00"];
    let mut slow: Vec<TcpStream> = Vec::new();
    for i in 0..300 {
        let mut stream = server.tcp();
        let _ = stream.write_all(halves[i % 4]);
        slow.push(stream);
    }
    others_are_unharmed(&server);
    // Beyond the bound they are let go at once.
    for _ in 0..900 {
        slow.push(server.tcp());
    }
    slow.truncate(100);
    let start = Instant::now();
    while server.try_get("/ready").is_none() {
        assert!(start.elapsed() < super::PATIENCE, "no room");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(refused(&server, "connections") > 0);
    drop(slow);
    others_are_unharmed(&server);
}

#[test]
fn a_head_or_a_body_that_comes_too_slowly_is_given_up() {
    let Some(server) = Server::start(&[]) else { return };
    let mut head = server.tcp();
    head.write_all(b"GET /v1/models HTTP/1.1\r\nhost: a\r\n").unwrap();
    let body = "POST /v1/listen HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
    let mut slow = server.tcp();
    slow.write_all(body.as_bytes()).unwrap();
    let start = Instant::now();
    let mut rest = Vec::new();
    while head.write_all(b"x: y\r\n").is_ok() && start.elapsed() < Duration::from_secs(40) {
        let _ = slow.write_all(b"a");
        std::thread::sleep(Duration::from_millis(250));
    }
    let _ = head.read_to_end(&mut rest);
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    while start.elapsed() < Duration::from_secs(29) {
        let _ = slow.write_all(b"a");
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(Answer::read(&mut slow).status, 408);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    others_are_unharmed(&server);
}

#[test]
fn those_who_connect_and_go_leave_nothing_behind() {
    let Some(server) = Server::start(&["--max-streams", "100"]) else { return };
    let wave = |count: usize| {
        for i in 0..count {
            let mut stream = server.tcp();
            let upgrade = format!(
                "GET / HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                server.address
            );
            if i % 2 == 0 {
                stream.write_all(upgrade.as_bytes()).unwrap();
            }
            if i % 4 == 0 {
                let mut head = [0; 64];
                let _ = stream.read(&mut head);
                // A frame that promises more than it holds.
                let _ = stream.write_all(&[0x82, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5]);
            }
        }
        server.wait_until_empty();
    };
    wave(200);
    let before = bytes(&server);
    wave(1000);
    let grown = bytes(&server) - before;
    assert!(grown < 8e6, "{grown} bytes more");
    others_are_unharmed(&server);
}

/// A WebSocket frame from a client; the mask is zero.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let head = [0x80 | kind, 0xfe];
    [&head[..], &length.to_be_bytes(), &[0; 4], payload].concat()
}

#[test]
fn a_client_may_break_off_after_any_byte() {
    let Some(server) = Server::start(&["--max-streams", "8"]) else { return };
    let (samples, _) = clip_i16("edges-int16-16000-mono.wav");
    let wav = std::fs::read(crate::common::clip_path("edges-int16-16000-mono.wav")).unwrap();
    let host = &server.address;
    let socket = |path: &str| {
        let upgrade = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let audio: Vec<u8> = pcm(&samples).chunks(9_001).flat_map(|some| frame(2, some)).collect();
        [upgrade.into_bytes(), audio, frame(1, b"{\"eof\" : 1}")].concat()
    };
    let upload = |path: &str, kind: &str, body: &[u8]| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let form = [
        &b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n"[..],
        &wav,
        b"\r\n--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n",
    ]
    .concat();
    let talks = [
        socket("/"),
        socket("/v1/listen?encoding=linear16&sample_rate=16000"),
        socket("/v1/realtime?intent=transcription"),
        upload("/v1/audio/transcriptions", "multipart/form-data; boundary=b", &form),
        upload("/v1/listen", "audio/wav", &wav),
    ];
    let mut cases = 0;
    for talk in &talks {
        let head = talk.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let within_head = (0..head).step_by(17);
        let later = (head..talk.len()).step_by(talk.len() / 40);
        for end in within_head.chain(later) {
            let mut stream = server.tcp();
            // The server may turn away what it will not hear to its end.
            let _ = stream.write_all(&talk[..end]);
            cases += 1;
            // Half of them say that they are done, the others are gone without a word.
            if end % 2 == 0 {
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
    }
    assert!(cases > 200, "{cases}");
    server.wait_until_empty();
    others_are_unharmed(&server);
}

/// A FLAC file of a constant: `blocks` blocks of 65,535 samples at 8 kHz in a few bytes each.
fn flac_of_nothing(blocks: u32) -> Vec<u8> {
    let mut bytes = b"fLaC\x80\x00\x00\x22".to_vec();
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    // 8000 Hz in 20 bits, one channel, 16 bits, an unknown number of samples.
    let layout: u64 = (8_000 << 44) | (15 << 36);
    bytes.extend(layout.to_be_bytes());
    bytes.extend([0; 16]);
    for block in 0..blocks {
        let mut frame = vec![0xff, 0xf8, 0x74, 0x08];
        frame.extend(coded(block));
        frame.extend([0xff, 0xfe]);
        frame.push(crc8(&frame));
        frame.extend([0, 0, 7]);
        frame.extend(crc16(&frame).to_be_bytes());
        bytes.extend(frame);
    }
    bytes
}

/// A number as FLAC writes it: as UTF-8 would.
fn coded(number: u32) -> Vec<u8> {
    let tail = |shift: u32| 0x80 | (number >> shift & 0x3f) as u8;
    match number {
        0..0x80 => vec![number as u8],
        0x80..0x800 => vec![0xc0 | (number >> 6) as u8, tail(0)],
        _ => vec![0xe0 | (number >> 12) as u8, tail(6), tail(0)],
    }
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 7 })
    })
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let crc = crc ^ u16::from(*byte) << 8;
        (0..8).fold(crc, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x8005 })
    })
}

#[test]
fn a_small_file_that_decodes_to_hours_is_cut_off_at_the_limit() {
    if !cfg!(feature = "media") {
        return;
    }
    let Some(server) = Server::start(&["--max-seconds", "60"]) else { return };
    let post = |file: &[u8]| {
        let mut stream = server.tcp();
        let head = format!(
            "POST /v1/listen HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            server.address,
            file.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(file).unwrap();
        Answer::read(&mut stream)
    };
    // It is a file: a little of it is heard.
    let short = post(&flac_of_nothing(4));
    assert_eq!(short.status, 200, "{}", short.text());
    assert!((short.json()["metadata"]["duration"].as_f64().unwrap() - 32.7).abs() < 0.1);
    let bomb = flac_of_nothing(5_000);
    assert!(bomb.len() < 100_000);
    let before = bytes(&server);
    let start = Instant::now();
    let answer = post(&bomb);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("more than 60 seconds"), "{}", answer.text());
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    let grown = bytes(&server) - before;
    assert!(grown < 64e6, "{grown} bytes more");
    others_are_unharmed(&server);
}

#[test]
fn lists_without_end_and_text_that_is_none_are_refused() {
    let Some(server) = Server::start(&[]) else { return };
    let many: Vec<String> = (0..100_000).map(|i| format!("word{i}")).collect();
    for list in ["hotwords", "phrase_list"] {
        let mut client = server.socket("/");
        client.text(&json!({"config": {list: many}}).to_string());
        let _ = client.socket.send(tungstenite::Message::binary(vec![0; 320]));
        assert_eq!(client.closed(), 1008, "{list}");
    }
    let long = "a".repeat(200_000);
    let mut client = server.socket("/");
    client.text(&json!({"config": {"hotwords": [long]}}).to_string());
    let _ = client.socket.send(tungstenite::Message::binary(vec![0; 320]));
    assert_eq!(client.closed(), 1008);

    // Text that is no UTF-8, in a masked frame.
    let mut client = server.socket("/");
    let tungstenite::stream::MaybeTlsStream::Plain(stream) = client.socket.get_mut() else {
        panic!("no TLS here")
    };
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28]).unwrap();
    assert_eq!(client.closed(), 1007);
    // Objects in objects, and numbers that are none.
    for text in [
        "[".repeat(100_000),
        "{\"config\":".repeat(50_000),
        "{\"config\":{\"sample_rate\":1e999}}".into(),
    ] {
        let mut client = server.socket("/");
        client.text(&text);
        assert!([1003, 1008].contains(&client.closed()), "{}", &text[..20]);
    }
    others_are_unharmed(&server);
}

#[test]
fn paths_lead_nowhere_but_where_they_should() {
    let Some(server) = Server::start(&["--api-key", "k"]) else { return };
    for path in [
        "/page/../../Cargo.toml",
        "/page/%2e%2e%2fCargo.toml",
        "/page/..%5cCargo.toml",
        "/page//etc/passwd",
        "//etc/passwd",
        "/page/page.js%00.html",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/health/..",
        "/v1/models/%2e%2e",
        "/page/page.js/..",
        "/PAGE/page.js",
    ] {
        let answer = server.get(path, "authorization: Bearer k\r\n");
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains("root:") && !answer.text().contains("[package]"), "{path}");
    }
    // What needs no key opens nothing else.
    for path in
        ["/page/../metrics", "/page/../v1/models", "/health/../metrics", "/%6detrics", "/metrics/"]
    {
        let answer = server.get(path, "");
        assert!([400, 401, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains("vivavoce_streams"), "{path}");
    }
    let answer = server.get("/metrics", "upgrade: websocket\r\n");
    assert_eq!(answer.status, 401);
    assert_eq!(server.get("/metrics", "authorization: Bearer k\r\n").status, 200);
}

#[test]
fn heads_and_bodies_of_any_size_are_refused_before_they_fill_the_memory() {
    let Some(server) = Server::start(&["--max-body-bytes", "1000000"]) else { return };
    let before = bytes(&server);
    let head = format!("GET /health HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let mut stream = server.tcp();
    let _ = stream.write_all(head.as_bytes());
    assert!([400, 431].contains(&Answer::read(&mut stream).status));
    // A body of unknown length that does not end.
    for path in ["/v1/listen", "/v1/audio/transcriptions"] {
        let kind =
            if path == "/v1/listen" { "audio/wav" } else { "multipart/form-data; boundary=edge" };
        let mut stream = server.tcp();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: {kind}\r\n\
             transfer-encoding: chunked\r\n\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        if path != "/v1/listen" {
            let part = "--edge\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n";
            let _ = stream.write_all(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes());
        }
        let piece = [b"10000\r\n".as_slice(), &vec![b'a'; 0x10000], b"\r\n"].concat();
        let mut sent = 0_usize;
        while sent < 64 << 20 && stream.write_all(&piece).is_ok() {
            sent += piece.len();
        }
        assert!(sent < 64 << 20, "{path}: all {sent} bytes were taken");
        let mut answer = Vec::new();
        // Whoever still sends may lose the answer to the reset.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
    }
    let grown = bytes(&server) - before;
    assert!(grown < 32e6, "{grown} bytes more");
    let error: Value = {
        let mut stream = server.tcp();
        let head = "POST /v1/listen HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1073741824\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let answer = Answer::read(&mut stream);
        assert_eq!(answer.status, 413);
        answer.json()
    };
    assert!(error["err_msg"].as_str().unwrap().contains("1000000"), "{error}");
    others_are_unharmed(&server);
}
