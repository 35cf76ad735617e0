//! A proxy between the server and the store that loses answers.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes everything on, but of every commit the first answer is lost: the store has it, and the
/// server does not learn so.
pub struct LosingProxy {
    port: u16,
    lost: Arc<Mutex<BTreeSet<String>>>,
}

impl LosingProxy {
    /// In front of `http://HOST:PORT`.
    pub fn start(endpoint: &str) -> Self {
        let upstream = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lost = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&lost);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), upstream, seen) = (stream, upstream.clone(), Arc::clone(&seen))
                else {
                    return;
                };
                // A connection that breaks is the server's to handle.
                std::thread::spawn(move || pass(stream, &upstream, &seen));
            }
        });
        Self { port, lost }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many commits' answers were lost.
    pub fn lost(&self) -> usize {
        self.lost.lock().unwrap().len()
    }
}

/// One request; the connection is closed behind it.
fn pass(client: TcpStream, upstream: &str, lost: &Mutex<BTreeSet<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    head.push_str("Connection: close\r\n\r\n");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;

    let mut store = TcpStream::connect(upstream)?;
    store.write_all(head.as_bytes())?;
    store.write_all(&body)?;
    let mut answer = Vec::new();
    store.read_to_end(&mut answer)?;

    let request = head.lines().next().unwrap_or_default();
    let commit = request.starts_with("PUT ") && request.contains("_delta_log/");
    let lose = commit && lost.lock().unwrap().insert(request.to_owned());
    if !lose {
        let mut client = client;
        client.write_all(&answer)?;
    }
    Ok(())
}
