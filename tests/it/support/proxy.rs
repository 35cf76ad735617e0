//! A proxy between the server and the store that does harm where a test wants it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Passed,
    /// The store carries it out, and the server does not learn so.
    AnswerLost,
}

/// Decides on a request by its first line, before the store sees it; it may take its time.
type Rule = dyn Fn(&str) -> Fate + Send + Sync;

/// Passes requests on as its rule says.
pub struct Proxy {
    port: u16,
}

impl Proxy {
    /// In front of `http://HOST:PORT`.
    pub fn start(endpoint: &str, rule: impl Fn(&str) -> Fate + Send + Sync + 'static) -> Self {
        let upstream = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let rule: Arc<Rule> = Arc::new(rule);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), upstream, rule) = (stream, upstream.clone(), Arc::clone(&rule))
                else {
                    return;
                };
                // A connection that breaks is the server's to handle.
                std::thread::spawn(move || pass(stream, &upstream, rule.as_ref()));
            }
        });
        Self { port }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// One request; the connection is closed behind it.
fn pass(mut client: TcpStream, upstream: &str, rule: &Rule) -> std::io::Result<()> {
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

    let fate = rule(head.lines().next().unwrap_or_default());
    let mut store = TcpStream::connect(upstream)?;
    store.write_all(head.as_bytes())?;
    store.write_all(&body)?;
    let mut answer = Vec::new();
    store.read_to_end(&mut answer)?;
    match fate {
        Fate::Passed => client.write_all(&answer),
        Fate::AnswerLost => Ok(()),
    }
}
