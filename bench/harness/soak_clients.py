"""What eight clients of a soak do: each request ends in a whole answer or in an error that says why, or it counts as lost."""

import collections
import http.client
import json
import random
import threading
import time

ANSWER_S = 180   # longer is as good as never
WORDS = "It is a truth universally acknowledged that a single man in possession of a good fortune must be in want of a wife".split()
# Statuses that say something: refused, not found, in the way, too much, another load, the engine ended.
ERRORS = (400, 401, 403, 404, 405, 409, 411, 413, 415, 429, 431, 500, 501, 502, 503)


class Lost(Exception):
    """A request that got neither an answer nor an error."""


class Ledger:
    """What became of the requests. Thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self.done, self.refused, self.lost = collections.Counter(), collections.Counter(), []

    def count(self, name, status):
        with self._lock:
            if status < 400:
                self.done[name] += 1
            else:
                self.refused[f"{name} {status}"] += 1

    def lose(self, name, why):
        with self._lock:
            self.lost.append(f"{name}: {why}")


class Client(threading.Thread):
    """Asks one thing after another until `stop` is set."""

    def __init__(self, number, port, models, ledger, stop):
        super().__init__(daemon=True)
        self._random, self._port, self._models, self._ledger, self._stop_event = random.Random(number), port, models, ledger, stop
        self._actions = {self._short: 6, self._stream: 6, self._long: 3, self._leave: 4, self._embed: 3, self._load: 1, self._unload: 1,
                         self._wrong: 4, self._look: 4}

    def run(self):
        while not self._stop_event.is_set():
            action = self._random.choices(list(self._actions), list(self._actions.values()))[0]
            name = action.__name__.lstrip("_")
            try:
                self._ledger.count(name, action())
            except (Lost, OSError, http.client.HTTPException) as error:
                self._ledger.lose(name, f"{type(error).__name__}: {error}")
            time.sleep(self._random.uniform(0, 0.3))

    def _ask(self, method, path, body=None):
        """(status, text) of a whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)
        try:
            data = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        finally:
            connection.close()
        if response.status >= 400:
            if response.status not in ERRORS:
                raise Lost(f"{method} {path}: status {response.status}")
            if not text.startswith("{") or "error" not in json.loads(text):
                raise Lost(f"{method} {path}: {response.status} without an error: {text[:200]}")
        return response.status, text

    def _prompt(self, words):
        return " ".join(self._random.choice(WORDS) for _ in range(words))

    def _model(self):
        return self._random.choice(self._models)

    def _completion(self, words, tokens, stream=False):
        return {"model": self._model(), "prompt": self._prompt(words), "max_tokens": tokens, "temperature": 0, "stream": stream}

    def _short(self):
        return self._ask("POST", "/v1/completions", self._completion(5, 8))[0]

    def _long(self):
        return self._ask("POST", "/v1/completions", self._completion(250, 24))[0]

    def _stream(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)
        try:
            connection.request("POST", "/v1/completions", json.dumps(self._completion(8, 24, True)), {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        finally:
            connection.close()
        if response.status == 200 and "data: [DONE]" not in text and '"error"' not in text:
            raise Lost(f"a stream ended without an end or an error: {text[-200:]!r}")
        return response.status

    def _leave(self):
        """Asks for much and goes away."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)
        connection.request("POST", "/v1/completions", json.dumps(self._completion(self._random.choice((5, 250)), 200, True)),
                           {"Content-Type": "application/json"})
        time.sleep(self._random.uniform(0, 1))
        if self._random.random() < 0.5:
            connection.sock.settimeout(0.2)
            try:
                connection.sock.recv(100)
            except OSError:
                pass
        connection.close()
        return 200

    def _embed(self):
        return self._ask("POST", "/v1/embeddings", {"model": self._model(), "input": [self._prompt(10), self._prompt(3)]})[0]

    def _load(self):
        return self._ask("POST", "/api/v1/models/load", {
            "model": self._model(), "flash_mode": self._random.choice(("on", "off", "auto")), "context_length": self._random.choice((512, 1024)),
            "embedding": self._random.random() < 0.5, "slots": self._random.choice((1, 4, 8)), "remember": False})[0]

    def _unload(self):
        return self._ask("POST", "/api/v1/models/unload", {"model": self._model(), "force": self._random.random() < 0.3})[0]

    def _wrong(self):
        method, path, body = self._random.choice((
            ("POST", "/v1/completions", b"{"), ("POST", "/v1/completions", b"[" * 20000), ("POST", "/v1/completions", {"model": "no-such-model"}),
            ("POST", "/api/v1/models/load", {"model": self._models[0], "slots": -1}), ("POST", "/v1/chat/completions", {"model": self._models[0], "messages": 7}),
            ("GET", "/v1/models/no-such-model", None), ("GET", "/api/v1/nothing", None)))
        status, text = self._ask(method, path, body)
        if status < 400:
            raise Lost(f"{method} {path} {str(body)[:40]} was answered with {status}: {text[:200]}")
        return status

    def _look(self):
        return self._ask("GET", self._random.choice(("/health", "/metrics", "/v1/models", "/api/v1/models", "/")))[0]
