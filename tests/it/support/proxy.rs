//! A proxy between the server and the store that does harm where a test wants it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a connection is held at most.
const HOLD: Duration = Duration::from_secs(300);

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Passed,
    /// The store does not see it, and the server gets this status.
    Refused(u16),
    /// The store does not see it, and the connection is closed.
    Dropped,
    /// The store does not see it, and the connection is reset.
    Reset,
    /// The store does not see it, and there is no answer until the server goes.
    Held,
    /// The store carries it out, and the server does not learn so: the connection is closed.
    AnswerLost,
    /// The store carries it out, and the connection is reset.
    AnswerReset,
    /// The store carries it out, and the server is told that it failed (500).
    AnswerFailed,
    /// The store carries it out, and there is no answer until the server goes.
    AnswerHeld,
    /// The answer ends in the middle of its body.
    AnswerCut,
}

/// Decides on a request by its first line, before the store sees it; it may take its time.
type Rule = dyn Fn(&str) -> Fate + Send + Sync;

/// Passes requests on as its rule says, one on each connection.
pub struct Proxy {
    port: u16,
    held: Mutex<Receiver<String>>,
}

impl Proxy {
    /// In front of `http://HOST:PORT`.
    pub fn start(endpoint: &str, rule: impl Fn(&str) -> Fate + Send + Sync + 'static) -> Self {
        let upstream = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let rule: Arc<Rule> = Arc::new(rule);
        let (holds, held) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (upstream, rule, holds) = (upstream.clone(), Arc::clone(&rule), holds.clone());
                // A connection that breaks is the server's to handle.
                std::thread::spawn(move || pass(stream, &upstream, rule.as_ref(), &holds));
            }
        });
        Self { port, held: Mutex::new(held) }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `AWS_*` variables that lead through it to the same store.
    pub fn through(&self, environment: &[(String, String)]) -> Vec<(String, String)> {
        let mut environment = environment.to_vec();
        let endpoint = environment.iter_mut().find(|(name, _)| name == "AWS_ENDPOINT_URL").unwrap();
        endpoint.1 = self.endpoint();
        environment
    }

    /// The first line of the next request that is held, once it is; `None` if there was none
    /// for so long.
    pub fn holds(&self, patience: Duration) -> Option<String> {
        self.held.lock().unwrap().recv_timeout(patience).ok()
    }
}

/// A request as it comes. Its last byte stays in the socket until it is taken: a socket that is
/// closed with something unread is reset, as a broken connection would be.
struct Incoming {
    stream: TcpStream,
    head: Vec<u8>,
    /// Bytes of the body that were not read.
    body: u64,
    /// The last byte, as long as it is in the socket.
    unread: bool,
}

impl Incoming {
    fn read(stream: TcpStream) -> std::io::Result<Option<Self>> {
        let mut seen = vec![0; 64 * 1024];
        let length = loop {
            let read = stream.peek(&mut seen)?;
            if read == 0 {
                return Ok(None);
            }
            match seen[..read].windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        seen.truncate(length);
        let text = String::from_utf8_lossy(&seen);
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
        };
        let body: u64 = text.lines().find_map(header).unwrap_or_default();
        let mut incoming = Self { stream, head: seen, body, unread: true };
        let take = length - usize::from(body == 0);
        let mut head = vec![0; take];
        incoming.stream.read_exact(&mut head)?;
        Ok(Some(incoming))
    }

    fn line(&self) -> String {
        String::from_utf8_lossy(&self.head).lines().next().unwrap_or_default().to_owned()
    }

    /// Hands the body on; its last byte is seen and not taken.
    fn send_body(&mut self, to: &mut impl Write) -> std::io::Result<()> {
        if self.body == 0 {
            return Ok(());
        }
        let copied = std::io::copy(&mut (&self.stream).take(self.body - 1), to)?;
        if copied < self.body - 1 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut last = [0];
        if self.stream.peek(&mut last)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.body = 0;
        to.write_all(&last)
    }

    /// The client, with nothing of the request left to read.
    fn taken(&mut self) -> std::io::Result<&mut TcpStream> {
        self.send_body(&mut std::io::sink())?;
        if self.unread {
            self.stream.read_exact(&mut [0])?;
            self.unread = false;
        }
        Ok(&mut self.stream)
    }

    fn answer(&mut self, status: u16) -> std::io::Result<()> {
        let answer =
            format!("HTTP/1.1 {status} Harm\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        self.taken()?.write_all(answer.as_bytes())
    }

    /// Waits until the client goes.
    fn hold(&mut self, holds: &Sender<String>) -> std::io::Result<()> {
        let line = self.line();
        let stream = self.taken()?;
        stream.set_read_timeout(Some(HOLD))?;
        // Nobody may wait for it.
        let _ = holds.send(line);
        while stream.read(&mut [0; 1024])? > 0 {}
        Ok(())
    }
}

/// One request; the connection is closed behind it.
fn pass(
    stream: TcpStream,
    upstream: &str,
    rule: &Rule,
    holds: &Sender<String>,
) -> std::io::Result<()> {
    let Some(mut request) = Incoming::read(stream)? else { return Ok(()) };
    let fate = rule(&request.line());
    match fate {
        Fate::Refused(status) => return request.answer(status),
        Fate::Dropped => return request.taken().map(|_| ()),
        Fate::Reset => return request.send_body(&mut std::io::sink()),
        Fate::Held => return request.hold(holds),
        _ => {}
    }
    let mut store = TcpStream::connect(upstream)?;
    let head = request.head[..request.head.len() - 2].to_vec();
    store.write_all(&head)?;
    store.write_all(b"Connection: close\r\n\r\n")?;
    request.send_body(&mut store)?;
    if fate == Fate::Passed {
        return std::io::copy(&mut store, request.taken()?).map(|_| ());
    }
    let mut answer = Vec::new();
    store.read_to_end(&mut answer)?;
    match fate {
        Fate::AnswerReset => Ok(()),
        Fate::AnswerFailed => request.answer(500),
        Fate::AnswerHeld => request.hold(holds),
        Fate::AnswerCut => {
            let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
            let head = head.map_or(answer.len(), |at| at + 4);
            request.taken()?.write_all(&answer[..head + (answer.len() - head) / 2])
        }
        _ => request.taken().map(|_| ()),
    }
}
