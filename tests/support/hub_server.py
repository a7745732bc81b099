"""A stand-in for the Hugging Face Hub on this machine: repositories of files in memory."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class HubServer(ThreadingHTTPServer):
    """Takes commits and gives their files.

    Attributes:
        files: Content by repository and name.
        requests_seen: Method and path of each request.
    """

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.requests_seen: list[str] = []

    @property
    def address(self) -> str:
        return f'http://127.0.0.1:{self.server_port}'


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """The server, running."""
    server = HubServer()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = 'HTTP/1.1'

    def do_HEAD(self) -> None:
        self._give_file(with_content=False)

    def do_GET(self) -> None:
        self._give_file(with_content=True)

    def do_POST(self) -> None:
        self.server.requests_seen.append(f'POST {self.path}')
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        if self.path == '/api/repos/create':
            content = json.loads(body)
            name = f'{content["organization"]}/{content["name"]}'
            self.server.files.setdefault(name, {})
            self._answer(dict(url=f'{self.server.address}/{name}', id=name))
        elif found := re.fullmatch(r'/api/models/(.+)/preupload/main', self.path):
            files = json.loads(body)['files']
            answer = [dict(path=f['path'], uploadMode='regular', shouldIgnore=False) for f in files]
            self._answer(dict(files=answer))
        elif found := re.fullmatch(r'/api/models/(.+)/commit/main', self.path):
            for line in body.splitlines():
                entry = json.loads(line)
                if entry['key'] == 'file':
                    value = entry['value']
                    content = base64.b64decode(value['content'])
                    self.server.files[found[1]][value['path']] = content
            commit = f'{self.server.address}/{found[1]}/commit/{"0" * 40}'
            self._answer(dict(commitUrl=commit, commitOid='0' * 40, success=True))
        elif self.path == '/api/validate-yaml':
            self._answer(dict(errors=[], warnings=[]))
        else:
            self._refuse()

    def _give_file(self, with_content: bool) -> None:
        self.server.requests_seen.append(f'{self.command} {self.path}')
        found = re.fullmatch(r'/([^/]+/[^/]+)/resolve/([^/]+)/(.+)', self.path)
        content = self.server.files.get(found[1], {}).get(found[3]) if found else None
        if content is None:
            self._refuse()
            return
        self.send_response(200)
        self.send_header('ETag', f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header('X-Repo-Commit', '0' * 40)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def _answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self) -> None:
        self.send_response(404)
        self.send_header('X-Error-Code', 'EntryNotFound')
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""
