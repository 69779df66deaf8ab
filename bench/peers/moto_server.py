"""moto's server with a count and a delay before every call, for the peers' side of `bench.backup`.

Run by the peers' interpreter (requirements/peers.txt), never by ours. Its first line of output is JSON with its `url`;
GET /_count answers how many calls came, by action; POST /_delay?seconds=... sets the delay.
"""

import json
import sys
import time
from collections import Counter
from threading import Lock
from urllib.parse import parse_qs

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


class Counted:
    def __init__(self, app):
        self.app, self.delay, self.counts, self.lock = app, 0.0, Counter(), Lock()

    def __call__(self, environ, start_response):
        path, query = environ.get("PATH_INFO", ""), parse_qs(environ.get("QUERY_STRING", ""))
        if path == "/_count":
            return self.answer(start_response, dict(self.counts))
        if path == "/_delay":
            self.delay = float(query["seconds"][0])
            self.counts.clear()
            return self.answer(start_response, {})
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = Body(body)
        action = parse_qs(body.decode(errors="replace")).get("Action", ["?"])[0]
        with self.lock:
            self.counts[action] += 1
        time.sleep(self.delay)
        return self.app(environ, start_response)

    def answer(self, start_response, value):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(value).encode()]


class Body:
    """What was read once, to be read again."""

    def __init__(self, body):
        self.body, self.at = body, 0

    def read(self, size=-1):
        end = len(self.body) if size is None or size < 0 else self.at + size
        part, self.at = self.body[self.at : end], min(end, len(self.body))
        return part

    def readline(self, size=-1):
        return self.read(size)


def main():
    server = make_server("127.0.0.1", 0, Counted(DomainDispatcherApplication(create_backend_app)), threaded=True)
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}) + "\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
