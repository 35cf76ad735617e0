//! An answer that is read as it comes, down to its trailers.

use std::collections::BTreeMap;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A chunked answer (RFC 9112, section 7.1) on a connection of its own; dropping it hangs up.
pub struct Chunked {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    stream: BufReader<TcpStream>,
}

impl Chunked {
    /// Sends `text/plain` to `/v1/sql` and reads the head of the answer.
    pub async fn sql(address: &str, token: &str, accept: &str, sql: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST /v1/sql HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Accept: {accept}\r\nTE: trailers\r\nConnection: TE\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{sql}",
            sql.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut stream = BufReader::with_capacity(256 * 1024, stream);
        let status = line(&mut stream).await.split(' ').nth(1).unwrap().parse().unwrap();
        let headers = fields(&mut stream).await;
        Self { status, headers, stream }
    }

    /// The next chunk, or the trailers behind the last.
    pub async fn next(&mut self) -> Result<Vec<u8>, BTreeMap<String, String>> {
        let size = usize::from_str_radix(&line(&mut self.stream).await, 16).unwrap();
        if size == 0 {
            return Err(fields(&mut self.stream).await);
        }
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk).await.unwrap();
        assert_eq!(line(&mut self.stream).await, "");
        Ok(chunk)
    }
}

/// Fields up to the empty line, their names in lower case.
async fn fields(stream: &mut BufReader<TcpStream>) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    loop {
        let line = line(stream).await;
        let Some((name, value)) = line.split_once(':') else { return fields };
        fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}

/// A line without its end.
async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    assert!(stream.read_line(&mut line).await.unwrap() > 0, "the answer broke off");
    line.trim_end().to_owned()
}
