"""One child process: started inside its memory group, timed, ended when it must be, and accounted."""

import os
import re
import signal
import subprocess
import tempfile
import time


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


def run(argv, environment=None, group=None, timeout_s=900):
    """Runs argv to its end and returns an Outcome. The child is ended when this process is interrupted."""
    outcome = Outcome()
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "LD_", "LLAMA_", "GGML_"))}
    variables.update(environment or {})
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = subprocess.Popen(argv, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 preexec_fn=group.enter_from_child if group else None, start_new_session=True)
        timed_out = False
        try:
            usage = _wait(child, start + timeout_s)
            if usage is None:
                timed_out = True
                usage = _end(child)
        except BaseException:
            _end(child)
            raise
        outcome.figures["wall_s"] = round(time.monotonic() - start, 3)
        for stream, name in ((out, "stdout"), (err, "stderr")):
            stream.seek(0)
            setattr(outcome, name, stream.read().decode(errors="replace"))
    outcome.returncode = child.returncode
    outcome.figures.update(user_s=round(usage.ru_utime, 3), system_s=round(usage.ru_stime, 3),
                           major_faults=usage.ru_majflt, max_rss_bytes=usage.ru_maxrss * 1024)
    if group:
        outcome.figures.update(group.figures())
    if timed_out:
        outcome.status = "timeout"
    elif child.returncode == 0:
        outcome.status = "ok"
    elif outcome.figures.get("oom_kills", 0) > 0:
        outcome.status = "oom-killed"
    return outcome


def _wait(child, deadline):
    """The resource usage of the ended child, or None at the deadline."""
    while time.monotonic() < deadline:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return usage
        time.sleep(0.02)
    return None


def _end(child):
    if child.returncode is not None:
        return None
    for number, patience_s in ((signal.SIGTERM, 5), (signal.SIGKILL, 30)):
        os.kill(child.pid, number)
        usage = _wait(child, time.monotonic() + patience_s)
        if usage is not None:
            return usage
    raise RuntimeError(f"process {child.pid} does not end")
