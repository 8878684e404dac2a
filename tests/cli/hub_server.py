"""A stand-in for the hub: creates repositories and takes commits, on loopback."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_token_of_the_test"


@dataclass
class Hub:
    """What the server holds.

    Attributes:
        files: contents by repository and path
        private: whether each created repository is private
        licenses: of base models
        refuses: whether commits are refused
    """

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    licenses: dict[str, str] = field(default_factory=dict)
    refuses: bool = False
    address: str = ""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, code: int, content: Any, **headers: str) -> None:
            body = json.dumps(content).encode()
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            parts = self.path.partition("?")[0].strip("/").split("/")
            name = "/".join(parts[2:4])
            if name in hub.licenses:
                self.answer(200, {"id": name, "cardData": {"license": hub.licenses[name]}})
            elif name not in hub.files:
                self.answer(404, {"error": "none"}, X_Error_Code="RepoNotFound")
            elif parts[4:5] == ["tree"]:
                listed = [
                    {"type": "file", "path": path, "size": len(held), "oid": "0"}
                    for path, held in hub.files[name].items()
                ]
                self.answer(200, listed)
            else:
                held = [{"rfilename": path} for path in hub.files[name]]
                known = {"siblings": held, "private": hub.private.get(name, False)}
                self.answer(200, {"id": name, "sha": "0", **known})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self.answer(401, {"error": "Invalid token"})
            elif self.path == "/api/repos/create":
                given = json.loads(body)
                name = f"{given['organization']}/{given['name']}"
                hub.files.setdefault(name, {".gitattributes": b""})
                hub.private[name] = given.get("private") or given.get("visibility") == "private"
                self.answer(200, {"url": f"{hub.address}/{name}"})
            elif self.path == "/api/validate-yaml":
                self.answer(200, {"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                asked = [one["path"] for one in json.loads(body)["files"]]
                regular = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
                self.answer(200, {"files": [{"path": path, **regular} for path in asked]})
            elif hub.refuses:
                self.answer(403, {"error": "Forbidden"})
            else:
                self.commit(body)

        def commit(self, body: str) -> None:
            name = "/".join(self.path.split("/")[3:5])
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    hub.files[name][line["value"]["path"]] = content
            there = f"{hub.address}/{name}/commit/1"
            self.answer(200, {"success": True, "commitUrl": there, "commitOid": "1"})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
