"""A program that serves a model over HTTP on loopback, in a memory group of its own where it has a limit."""

import contextlib
import http.client
import json
import socket
import threading
import time

from . import child, machine

READY_S, ANSWER_S = 300, 600


class Answer:
    """What became of one request. arrived: when each token came, seconds on the monotonic clock."""

    def __init__(self):
        self.start, self.arrived, self.tokens, self.timings = time.monotonic(), [], [], {}

    @property
    def first_token_s(self):
        return self.arrived[0] - self.start

    @property
    def tokens_per_s(self):
        """Of this request, its prompt left out."""
        return (len(self.arrived) - 1) / (self.arrived[-1] - self.arrived[0]) if len(self.arrived) > 1 else None

    def gaps(self):
        return [later - earlier for earlier, later in zip(self.arrived, self.arrived[1:])]


class Server:
    """Use as a context manager: empties the page cache, starts the program and waits until it answers. Afterwards `outcome`
    is a child.Outcome with the group's figures. Errors: RuntimeError of a server that ends early or refuses a request."""

    def __init__(self, session, argv, environment=None, limit_bytes=0):
        self.outcome, self.dropped = None, machine.drop_caches()
        self._argv, self._environment, self._stack = argv, environment, contextlib.ExitStack()
        self._group, self._child, self.port = session.groups.make(limit_bytes), None, 0

    def __enter__(self):
        with self._stack:  # undone when it does not come up
            if self._group:
                self._stack.enter_context(self._group)
            self.port = _free_port()
            address = ["--host", "127.0.0.1", "--port", str(self.port)]
            at = self._argv.index("--") if "--" in self._argv else len(self._argv)  # options behind it are another program's
            self._child = child.Child(self._argv[:at] + address + self._argv[at:], self._environment, self._group)
            self._stack.callback(self._end)
            self._until_ready()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _end(self):
        ended_early = not self._child.running()
        self._child.end()
        self.outcome = self._child.outcome()
        if not ended_early and self.outcome.figures.get("oom_kills", 0) == 0:
            self.outcome.status = "ok"  # it ended because it was told to

    def _until_ready(self):
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if not self._child.running():
                raise RuntimeError("the server ended before it answered")
            try:
                if self._ask("GET", "/health", None, 5).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"the server does not answer after {READY_S} s")

    def _ask(self, method, path, body, timeout_s):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        return connection.getresponse()

    def get(self, path):
        response = self._ask("GET", path, None, ANSWER_S)
        text = response.read().decode(errors="replace")
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {text[:300]}")
        return json.loads(text)

    def complete(self, prompt, count, seed=1, on_token=None, **more):
        """Greedily `count` tokens after a prompt (text, or a list of tokens), streamed. on_token(answer) is called after each;
        False gives the request up. more: of llama-server's own."""
        answer = Answer()
        response = self._ask("POST", "/completion", {
            "prompt": prompt, "n_predict": count, "temperature": 0, "seed": seed, "ignore_eos": True, "cache_prompt": False,
            "stream": True, "return_tokens": True, **more}, ANSWER_S)
        if response.status != 200:
            raise RuntimeError(f"/completion: {response.status} {response.read().decode(errors='replace')[:300]}")
        with contextlib.closing(response):
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                if "error" in event:
                    raise RuntimeError(f"/completion: {event['error']}")
                answer.arrived += [time.monotonic()] * len(event.get("tokens", []))
                answer.tokens += event.get("tokens", [])
                answer.timings = event.get("timings", answer.timings)
                if event.get("stop") or (on_token and on_token(answer) is False):
                    break
        return answer

    def complete_together(self, prompts, count):
        """One request for each prompt at the same time; their Answers."""
        answers, errors = [None] * len(prompts), []

        def ask(index):
            try:
                answers[index] = self.complete(prompts[index], count, seed=index + 1)
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                errors.append(error)

        threads = [threading.Thread(target=ask, args=(index,), daemon=True) for index in range(len(prompts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise RuntimeError(f"{len(errors)} of {len(prompts)} requests failed: {errors[0]}")
        return answers


def measure(server, work):
    """(outcome, what work(server) returned, or None). A server or request that fails is an outcome."""
    result = None
    try:
        with server:
            result = work(server)
    except (RuntimeError, OSError, http.client.HTTPException) as error:
        server.outcome = server.outcome or child.Outcome()
        server.outcome.stderr += f"\n{error}\n"
        if server.outcome.status == "ok":
            server.outcome.status = "failed"
    return server.outcome, result


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
