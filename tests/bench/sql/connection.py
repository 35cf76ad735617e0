"""One HTTP/1.1 connection that is kept alive, with as little work for each answer as can be."""
import socket

BUFFER = 1 << 18


class Broken(Exception):
    """An answer that does not end as it should."""


class Connection:
    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.view = memoryview(bytearray(BUFFER))
        # What was received and not used yet is view[at:end].
        self.at = self.end = 0

    def ask(self, request, keep=None):
        """Sends the bytes of a request, reads the whole answer. Its status, and bytes of its body.

        The body is thrown away as it comes; `keep`, a bytearray, takes it.
        """
        self.socket.sendall(request)
        status, headers = self.head()
        if headers.get(b"transfer-encoding") == b"chunked":
            size = self.chunks(keep)
        else:
            size = int(headers.get(b"content-length", b"0"))
            self.take(size, keep)
        return status, size

    def head(self):
        status = int(self.line().split(b" ", 2)[1])
        headers = {}
        while line := self.line():
            name, value = line.split(b":", 1)
            headers[name.lower()] = value.strip().lower()
        return status, headers

    def chunks(self, keep):
        size = 0
        while chunk := int(self.line().split(b";")[0], 16):
            self.take(chunk, keep)
            size += chunk
            self.line()
        while self.line():  # trailers
            pass
        return size

    def line(self):
        """The next line without its end."""
        line = b""
        while True:
            have = bytes(self.view[self.at : min(self.end, self.at + 8192)])
            found = have.find(b"\n")
            if found >= 0:
                self.at += found + 1
                return (line + have[:found]).rstrip(b"\r")
            line += have
            self.at += len(have)
            if self.at == self.end:
                self.receive()

    def take(self, size, keep):
        while size:
            if self.at == self.end:
                self.receive()
            here = min(size, self.end - self.at)
            if keep is not None:
                keep += self.view[self.at : self.at + here]
            self.at += here
            size -= here

    def receive(self):
        self.at, self.end = 0, self.socket.recv_into(self.view)
        if not self.end:
            raise Broken("the server closed the connection")


def request(method, path, headers=(), body=b""):
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
