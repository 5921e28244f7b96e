"""One child process: started inside its memory group, timed, ended when it must be, and accounted."""

import os
import re
import signal
import subprocess
import tempfile
import time


# Which devices the engine has is the machine's business.
DEVICES = ("GGML_BACKEND_PATH", "GGML_VK_VISIBLE_DEVICES")


class Outcome:
    """What became of a child. status: ok, failed, oom-killed, timeout."""

    def __init__(self):
        self.status, self.returncode, self.stdout, self.stderr = "failed", None, "", ""
        self.figures = {}  # wall_s, user_s, system_s, major_faults, max_rss_bytes and the group's

    @property
    def reason(self):
        """The last lines that the child said, without folders of this machine: rows are published."""
        noise = ("load_backend:", "ggml_backend_load_best:", "headrace: pass ")
        lines = [line for line in self.stderr.splitlines() if line.strip() and not line.startswith(noise)]
        return re.sub(r"(/[\w.+~-]+)+/", "", " | ".join(lines[-3:]))[-400:]


class Child:
    """A started process. Ask it to end, or wait; outcome() then says what became of it. Not for several threads."""

    def __init__(self, argv, environment=None, group=None):
        variables = {k: v for k, v in os.environ.items() if k in DEVICES or not k.startswith(("HEADRACE_", "LD_", "LLAMA_", "GGML_"))}
        variables.update(environment or {})
        self._group, self._usage, self._timed_out = group, None, False
        self._streams = {"stdout": tempfile.TemporaryFile(), "stderr": tempfile.TemporaryFile()}
        self.start = time.monotonic()
        self._process = subprocess.Popen(argv, env=variables, stdin=subprocess.DEVNULL, **self._streams,
                                         preexec_fn=group.enter_from_child if group else None, start_new_session=True)

    def wait(self, timeout_s):
        """Until it ended by itself; after timeout_s it is ended. It is ended as well when this process is interrupted."""
        try:
            if not self._ended_before(time.monotonic() + timeout_s):
                self._timed_out = True
                self.end()
        except BaseException:
            self.end()
            raise

    def running(self):
        return not self._ended_before(time.monotonic())

    def end(self):
        for number, patience_s in ((signal.SIGTERM, 5), (signal.SIGKILL, 30)):
            if not self.running():
                return
            os.kill(self._process.pid, number)
            if self._ended_before(time.monotonic() + patience_s):
                return
        raise RuntimeError(f"process {self._process.pid} does not end")

    def outcome(self):
        """Once, after it ended and before its group is removed."""
        outcome = Outcome()
        outcome.figures["wall_s"] = round(self._ended - self.start, 3)
        for name, stream in self._streams.items():
            with stream:
                stream.seek(0)
                setattr(outcome, name, stream.read().decode(errors="replace"))
        outcome.returncode = self._process.returncode
        outcome.figures.update(user_s=round(self._usage.ru_utime, 3), system_s=round(self._usage.ru_stime, 3),
                               major_faults=self._usage.ru_majflt, max_rss_bytes=self._usage.ru_maxrss * 1024)
        if self._group:
            outcome.figures.update(self._group.figures())
        if self._timed_out:
            outcome.status = "timeout"
        elif outcome.returncode == 0:
            outcome.status = "ok"
        elif outcome.figures.get("oom_kills", 0) > 0:
            outcome.status = "oom-killed"
        return outcome

    def _ended_before(self, deadline):
        """Looks at least once."""
        while self._usage is None:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                self._process.returncode, self._usage, self._ended = os.waitstatus_to_exitcode(status), usage, time.monotonic()
            elif time.monotonic() >= deadline:
                return False
            else:
                time.sleep(0.02)
        return True


def run(argv, environment=None, group=None, timeout_s=900):
    """Runs argv to its end and returns an Outcome. The child is ended when this process is interrupted."""
    child = Child(argv, environment, group)
    child.wait(timeout_s)
    return child.outcome()
