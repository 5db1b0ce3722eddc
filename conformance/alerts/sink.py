"""Receives alerts as the receivers of others do: webhooks, whose signatures the authors' library checks, and mails.

Writes its ports, and then everything that arrives, as a line of JSON each into the file of its first argument. The second is the secret of
webhooks. What is posted to /busy is refused twice before it is taken.
"""

import email
import email.policy
import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from standardwebhooks.webhooks import Webhook

out = open(sys.argv[1], "a", buffering=1)
lock = threading.Lock()
refusals = {"left": 2}


def tell(**line):
    with lock:
        out.write(json.dumps(line) + "\n")


class Http(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.path == "/busy" and refusals["left"] > 0:
            refusals["left"] -= 1
            self.send_response(503)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if self.path == "/webhook":
            Webhook(sys.argv[2]).verify(body, dict(self.headers))
        tell(path=self.path, body=json.loads(body), id=self.headers["webhook-id"], team=self.headers["x-team"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Mail:
    async def handle_DATA(self, _server, _session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        headers = {name: str(message[name]) for name in ("subject", "from", "to", "message-id")}
        tell(mail=headers, to=envelope.rcpt_tos, body=message.get_content())
        return "250 OK"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


http = ThreadingHTTPServer(("127.0.0.1", 0), Http)
smtp = Controller(Mail(), hostname="127.0.0.1", port=free_port())
smtp.start()
tell(http=http.server_address[1], smtp=smtp.port)
http.serve_forever()
