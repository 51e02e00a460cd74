"""Servers on the loopback address, that die with the test."""

import http.server
import threading
from contextlib import contextmanager


class Answering(http.server.BaseHTTPRequestHandler):
    """Lets a function answer; `handler` makes one of it."""

    def do_GET(self):
        try:
            self.answer()
        except OSError:
            pass  # the other side has hung up

    def log_message(self, *_):
        pass

    def begin(self):
        """Head of an answer of Motion JPEG."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()

    def part(self, jpeg):
        """A picture of it."""
        head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
        self.wfile.write(head % len(jpeg) + jpeg + b"\r\n")

    def send(self, content, *, kind="video/mp4", length=True):
        """A file."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if length:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def handler(answer):
    """A class of handlers that answer as `answer` does, which takes one."""
    return type("Handler", (Answering,), {"answer": answer})


def multipart(jpegs):
    """A handler that sends these pictures again and again, as fast as it can."""

    def answer(client):
        client.begin()
        while True:
            for jpeg in jpegs:
                client.part(jpeg)

    return handler(answer)


@contextmanager
def serve(handlers):
    """The address of a server of these handlers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handlers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
