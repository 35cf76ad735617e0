//! Sends statements over HTTP/1.1 from so many clients for so many seconds, reads the answers to
//! their end and throws them away, and says how long they took.
//!
//!     load ADDRESS PATH ACCEPT TOKEN|- CLIENTS SECONDS STATEMENTS
//!
//! STATEMENTS is a file with one on each line, taken in turn. Each client is a thread with a
//! connection that stays open. Nothing but the standard library, so that it is compiled in a second
//! and costs as little as it can.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Client {
    address: String,
    connection: Option<BufReader<TcpStream>>,
    waste: Vec<u8>,
}

impl Client {
    /// Sends a request and reads its answer; how many bytes of body it had.
    fn exchange(&mut self, request: &[u8]) -> Result<u64, Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(120)))?;
                BufReader::with_capacity(256 * 1024, stream)
            }
        };
        connection.get_mut().write_all(request)?;
        let (mut length, mut chunked, mut stays) = (None, false, true);
        let mut line = String::new();
        connection.read_line(&mut line)?;
        if line.split(' ').nth(1) != Some("200") {
            return Err(Error::new(ErrorKind::InvalidData, line));
        }
        loop {
            line.clear();
            if connection.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok(),
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => stays = !value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        let bytes = match chunked {
            true => self.chunks(&mut connection)?,
            false => {
                let length = length.ok_or(ErrorKind::InvalidData)?;
                self.waste(&mut connection, length)?
            }
        };
        self.connection = stays.then_some(connection);
        Ok(bytes)
    }

    fn chunks(&mut self, connection: &mut BufReader<TcpStream>) -> Result<u64, Error> {
        let mut bytes = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if connection.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let size = line.trim_end().split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size, 16).map_err(|_| ErrorKind::InvalidData)?;
            if size == 0 {
                // Trailers, then an empty line.
                while !line.trim_end().is_empty() {
                    line.clear();
                    connection.read_line(&mut line)?;
                }
                return Ok(bytes);
            }
            bytes += self.waste(connection, size)?;
            line.clear();
            connection.read_line(&mut line)?;
        }
    }

    fn waste(&mut self, connection: &mut impl Read, length: u64) -> Result<u64, Error> {
        let mut left = length;
        while left > 0 {
            let most = self.waste.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match connection.read(&mut self.waste[..most])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => left -= read as u64,
            }
        }
        Ok(length)
    }
}

#[derive(Default)]
struct Tally {
    micros: Vec<u64>,
    bytes: u64,
    errors: u64,
    error: String,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, accept, token, clients, seconds, statements] = arguments.as_slice() else {
        eprintln!("usage: load ADDRESS PATH ACCEPT TOKEN|- CLIENTS SECONDS STATEMENTS");
        std::process::exit(2);
    };
    let authorization = match token.as_str() {
        "-" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let statements = std::fs::read_to_string(statements).unwrap();
    let requests = statements.lines().map(|sql| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}Accept: {accept}\r\n\
             Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{sql}",
            sql.len()
        )
        .into_bytes()
    });
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(requests.collect());
    let (clients, seconds): (usize, f64) = (clients.parse().unwrap(), seconds.parse().unwrap());
    let begun = Instant::now();
    let threads: Vec<_> = (0..clients)
        .map(|number| {
            let (requests, address) = (Arc::clone(&requests), address.clone());
            std::thread::spawn(move || run(number, address, &requests, begun, seconds))
        })
        .collect();
    let mut all = Tally::default();
    for thread in threads {
        let tally = thread.join().unwrap();
        all.micros.extend(tally.micros);
        all.bytes += tally.bytes;
        all.errors += tally.errors;
        all.error = if tally.error.is_empty() { all.error } else { tally.error };
    }
    let took = begun.elapsed().as_secs_f64();
    all.micros.sort_unstable();
    let at = |share: f64| {
        let last = all.micros.len().saturating_sub(1);
        all.micros.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    };
    println!(
        "{{\"requests\":{},\"errors\":{},\"error\":{:?},\"seconds\":{took:.3},\"bytes\":{},\
         \"p50_us\":{},\"p99_us\":{},\"max_us\":{},\"own_cpu_seconds\":{:.3}}}",
        all.micros.len(),
        all.errors,
        all.error,
        all.bytes,
        at(0.5),
        at(0.99),
        at(1.0),
        own_cpu(),
    );
}

fn run(
    number: usize,
    address: String,
    requests: &[Vec<u8>],
    begun: Instant,
    seconds: f64,
) -> Tally {
    let mut client = Client { address, connection: None, waste: vec![0; 256 * 1024] };
    let mut tally = Tally::default();
    let mut next = number * 7;
    // At least one request, however long it takes.
    while tally.micros.len() as u64 + tally.errors == 0 || begun.elapsed().as_secs_f64() < seconds {
        let request = &requests[next % requests.len()];
        next += 1;
        let sent = Instant::now();
        match client.exchange(request) {
            Ok(bytes) => {
                tally.micros.push(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
                tally.bytes += bytes;
            }
            Err(error) => {
                tally.errors += 1;
                tally.error = error.to_string();
                if tally.errors > 100 {
                    break;
                }
            }
        }
    }
    tally
}

/// Seconds of processor time that this process took: fields 14 and 15 of proc(5)'s `stat`, in
/// hundredths.
fn own_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (field(12) + field(13)) / 100.0
}
