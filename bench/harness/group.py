"""A memory cgroup for one child process: the limit, and what the kernel counted under it."""

import os
import time

SIZE_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text):
    """'2G', '700M', '4096' in bytes, powers of 1024."""
    text = text.strip().upper().removesuffix("IB").removesuffix("B")
    unit = SIZE_UNITS.get(text[-1:], 1)
    return int(float(text.rstrip("KMGT")) * unit)


def _read(path, default=""):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return default


def _write(path, text):
    with open(path, "w") as file:
        file.write(str(text))


def _fields(text):
    """Lines 'name value' as a dict of numbers."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


class MemoryGroup:
    """Made before a run, entered by the child before it executes the program, removed after.

    Use as a context manager. figures() is valid inside it, after the child ended."""

    version = 0

    def __init__(self, folder, limit_bytes):
        self.folder, self.limit_bytes = folder, limit_bytes

    def __enter__(self):
        os.mkdir(self.folder)
        try:
            self._set_limit()
        except OSError:
            os.rmdir(self.folder)
            raise
        return self

    def __exit__(self, *_):
        self._forget_cache()
        for _attempt in range(50):  # the kernel may still be emptying it
            try:
                os.rmdir(self.folder)
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.1)
        print(f"bench: cannot remove {self.folder}: rmdir it when it is empty")

    def enter_from_child(self):
        """To be called in the child, between fork and exec."""
        _write(os.path.join(self.folder, "cgroup.procs"), os.getpid())

    def path(self, name):
        return os.path.join(self.folder, name)

    def _forget_cache(self):
        pass


class MemoryGroupV1(MemoryGroup):
    version = 1

    def _set_limit(self):
        _write(self.path("memory.limit_in_bytes"), self.limit_bytes)
        # No escape into swap. Not memory.memsw.limit_in_bytes: with it the kernel stops counting limit hits.
        _write(self.path("memory.swappiness"), 0)

    def _forget_cache(self):
        try:
            _write(self.path("memory.force_empty"), 0)
        except OSError:
            pass

    def figures(self):
        return {
            "peak_bytes": int(_read(self.path("memory.max_usage_in_bytes"), "0")),
            "limit_hits": int(_read(self.path("memory.failcnt"), "0")),
            "oom_kills": _fields(_read(self.path("memory.oom_control"))).get("oom_kill", 0),
            "group_major_faults": _fields(_read(self.path("memory.stat"))).get("pgmajfault", 0),
        }


class MemoryGroupV2(MemoryGroup):
    version = 2

    def _set_limit(self):
        _write(self.path("memory.max"), self.limit_bytes)
        try:
            _write(self.path("memory.swap.max"), 0)
        except OSError:
            pass

    def figures(self):
        events = _fields(_read(self.path("memory.events")))
        return {
            "peak_bytes": int(_read(self.path("memory.peak"), "0") or 0),
            "limit_hits": events.get("max", 0),
            "oom_kills": events.get("oom_kill", 0),
            "group_major_faults": _fields(_read(self.path("memory.stat"))).get("pgmajfault", 0),
        }


class Groups:
    """Makes memory groups where this machine and user can. version: 1, 2, or 0 with why_not."""

    def __init__(self):
        self.version, self.root, self.why_not, self._count = 0, "", "", 0
        if os.geteuid() != 0:
            self.why_not = "not root"
            return
        for line in _read("/proc/mounts").splitlines():
            _device, folder, kind, options = line.split()[:4]
            if kind == "cgroup" and "memory" in options.split(","):
                self.version, self.root = 1, folder
            if kind == "cgroup2" and self.version == 0 and "memory" in _read(folder + "/cgroup.controllers").split():
                try:
                    _write(folder + "/cgroup.subtree_control", "+memory")
                    self.version, self.root = 2, folder
                except OSError as error:
                    self.why_not = f"cannot enable the memory controller: {error.strerror}"
        if self.version and not os.access(self.root, os.W_OK):
            self.version, self.why_not = 0, f"{self.root} is not writable"
        if not self.version and not self.why_not:
            self.why_not = "no memory controller"

    def make(self, limit_bytes):
        """A MemoryGroup, or None where there can be none."""
        if not self.version or not limit_bytes:
            return None
        self._count += 1
        kind = MemoryGroupV1 if self.version == 1 else MemoryGroupV2
        return kind(os.path.join(self.root, f"headrace-bench-{os.getpid()}-{self._count}"), limit_bytes)
