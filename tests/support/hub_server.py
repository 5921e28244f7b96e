"""A small server that speaks the protocol of Hugging Face's hub: the hub on 127.0.0.1, and the host that files really lie on, 127.0.0.2.

Usage: hub_server.py CONFIGURATION LOG

CONFIGURATION is a JSON file that is read anew for each request:
  repositories  {"USER/NAME": {"commit": "...", "token": "...", "gated": "auto", "downloads": 7, "files": {"PATH": {"source": "/a/file", "sha256": "..."}}}}
  plain         {"/PATH": {"source": "/a/file"}}   without the hub's protocol
  break_after   bytes of a body after which a connection breaks; "breaks": how often in all (absent: always)
  no_ranges     a range is answered with the whole file
  delay         seconds before each 64 KiB
  etag          of plain files; "COUNT" in it is the number of the request
LOG gets a JSON object for each request. Both ports are written to standard output in a line."""
import hashlib
import http.server
import json
import os
import sys
import threading
import time
import urllib.parse

CONFIGURATION, LOG = sys.argv[1:3]
LOCK = threading.Lock()
COUNTS = {"requests": 0, "breaks": 0}
PIECE = 1 << 16


def configuration():
    with open(CONFIGURATION, encoding="utf-8") as file:
        return json.load(file)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        with LOCK:
            COUNTS["requests"] += 1
            with open(LOG, "a", encoding="utf-8") as log:
                log.write(json.dumps({"server": self.server.kind, "method": self.command, "path": self.path, "range": self.headers.get("Range"),
                                      "authorization": self.headers.get("Authorization")}) + "\n")
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        config = configuration()
        if path in config.get("plain", {}):
            return self.send_file(config["plain"][path]["source"], config)
        if self.server.kind == "files":
            return self.send_file(path, config)
        return self.hub(path, config)

    def hub(self, path, config):
        if path == "/api/models":
            return self.search(config)
        for name, repository in config.get("repositories", {}).items():
            api, resolve = f"/api/models/{name}", f"/{name}/resolve/{repository['commit']}/"
            if path != api and not path.startswith(api + "/") and not path.startswith(resolve):
                continue
            if "token" in repository and self.headers.get("Authorization") != "Bearer " + repository["token"]:
                return self.answer(401)
            if path == api + "/revision/main":
                return self.answer(200, body=json.dumps({"sha": repository["commit"]}).encode())
            if path.startswith(api + "/tree/"):
                return self.tree(api, repository)
            if path.startswith(resolve) and path[len(resolve):] in repository["files"]:
                file = repository["files"][path[len(resolve):]]
                where = f"http://127.0.0.2:{FILES.server_port}{urllib.parse.quote(file['source'])}?signed=1"
                return self.answer(302, [("Location", where), ("X-Linked-Size", str(os.path.getsize(file["source"]))),
                                         ("X-Linked-ETag", '"' + (file.get("sha256") or sha256(file["source"])) + '"')])
        return self.answer(404, [("X-Error-Message", "not found")])

    def search(self, config):
        """Repositories with a GGUF file whose names have all the words."""
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        words = query.get("search", "").lower().split()
        found = [{"id": name, "downloads": repository.get("downloads", 0), "likes": 0, "gated": repository.get("gated", False)}
                 for name, repository in config.get("repositories", {}).items()
                 if all(word in name.lower() for word in words) and any(file.endswith(query.get("filter", "")) for file in repository["files"])]
        found.sort(key=lambda repository: -repository["downloads"])
        return self.answer(200, body=json.dumps(found[:int(query.get("limit", 1000))]).encode())

    def tree(self, api, repository):
        """Two pages, as the hub gives long lists."""
        entries = [{"type": "directory", "path": "sub", "size": 0}]
        for name, file in repository["files"].items():
            entry = {"type": "file", "path": name, "size": os.path.getsize(file["source"])}
            if not file.get("no_lfs"):
                entry["lfs"] = {"oid": file.get("sha256") or sha256(file["source"]), "size": entry["size"]}
            entries.append(entry)
        half = len(entries) // 2
        if "cursor=2" in self.path:
            return self.answer(200, body=json.dumps(entries[half:]).encode())
        after = f'<http://127.0.0.1:{self.server.server_port}{api}/tree/{repository["commit"]}?recursive=true&cursor=2>; rel="next"'
        return self.answer(200, [("Link", after)], json.dumps(entries[:half]).encode())

    def send_file(self, source, config):
        if not os.path.isfile(source):
            return self.answer(404)
        with open(source, "rb") as file:
            data = file.read()
        begin, end, status = 0, len(data), 200
        wanted = self.headers.get("Range")
        if wanted and not config.get("no_ranges"):
            first, last = wanted[len("bytes="):].split("-")
            begin, end, status = int(first), min(len(data), int(last) + 1), 206
        self.send_response(status)
        self.send_header("Content-Length", str(end - begin))
        if config.get("no_ranges") is None:
            self.send_header("Accept-Ranges", "bytes")
        if "etag" in config:
            self.send_header("ETag", config["etag"].replace("COUNT", str(COUNTS["requests"])))
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        self.end_headers()
        if self.command == "HEAD":
            return None
        sent = 0
        while begin < end:
            if "break_after" in config and sent >= config["break_after"]:
                with LOCK:
                    broken = COUNTS["breaks"] < config.get("breaks", sys.maxsize)
                    COUNTS["breaks"] += broken
                if broken:
                    self.close_connection = True
                    self.wfile.flush()
                    self.connection.shutdown(2)
                    return None
            time.sleep(config.get("delay", 0))
            piece = data[begin:min(end, begin + PIECE)]
            try:
                self.wfile.write(piece)
            except OSError:
                return None
            begin += len(piece)
            sent += len(piece)
        return None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host, kind):
        super().__init__((host, 0), Handler)
        self.kind = kind
        threading.Thread(target=self.serve_forever, daemon=True).start()


HUB, FILES = Server("127.0.0.1", "hub"), Server("127.0.0.2", "files")
print(f"ports {HUB.server_port} {FILES.server_port}.", flush=True)
threading.Event().wait()
