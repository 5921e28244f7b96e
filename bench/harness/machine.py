"""The machine: what it is, its page cache and its disk's read-ahead."""

import os
import platform
import subprocess


def _read(path, default=""):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return default


def memory_bytes(field="MemTotal"):
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def drop_caches():
    """Writes dirty pages out and empties the page cache. False without the right to."""
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")
        return True
    except OSError:
        return False


def _mount_of(path):
    """(device, file system) of the mount that holds a path."""
    best = ("", "unknown", "unknown")
    real = os.path.realpath(path)
    for line in _read("/proc/mounts").splitlines():
        device, folder, kind = line.split()[:3]
        if (real + "/").startswith(folder.rstrip("/") + "/") and len(folder) >= len(best[0]):
            best = (folder, device, kind)
    return best[1], best[2]


class ReadAhead:
    """The read-ahead of the disk that holds a file. Whatever is set is put back by restore()."""

    def __init__(self, path):
        number = os.stat(path).st_dev
        block = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"
        candidates = [f"/sys/class/bdi/{os.major(number)}:{os.minor(number)}/read_ahead_kb",
                      f"{block}/queue/read_ahead_kb",
                      f"{os.path.realpath(block)}/../queue/read_ahead_kb"]  # a partition's disk
        self.file = next((name for name in candidates if os.path.exists(name)), None)
        self.original = self.get()

    def get(self):
        text = _read(self.file) if self.file else ""
        return int(text) if text.isdigit() else None

    def set(self, kib):
        """False where it cannot be set."""
        if self.file is None or kib is None:
            return False
        if self.get() == kib:
            return True
        try:
            with open(self.file, "w") as file:
                file.write(str(kib))
            return self.get() == kib
        except OSError:
            return False

    def restore(self):
        if self.original is not None and self.get() != self.original:
            self.set(self.original)


def describe(model_folder, read_ahead_kib, engine_version):
    """What a reader needs to compare: a flat dict, no names of machines or folders."""
    model = next((line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo").splitlines()
                  if line.startswith("model name")), platform.machine())
    flags = next((line for line in _read("/proc/cpuinfo").splitlines() if line.startswith("flags")), "").split()
    device, file_system = _mount_of(model_folder)
    name = os.path.basename(device)
    disk = _read(f"/sys/class/block/{name}/device/model") or _read(f"/sys/class/block/{name}/../device/model")
    virtual = "hypervisor" in flags
    kind = disk or ("virtio disk" if name.startswith("vd") else "NVMe" if name.startswith("nvme") else "disk")
    return {
        "CPU": model + (", virtual machine" if virtual else ""),
        "CPUs": str(os.cpu_count()),
        "vector instructions": ", ".join(f for f in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if f in flags),
        "memory": f"{memory_bytes() / 2**30:.1f} GiB",
        "disk": f"{kind}, {file_system}",
        "read-ahead (default here)": f"{read_ahead_kib} KiB" if read_ahead_kib is not None else "unknown",
        "kernel": platform.release().split("-")[0],
        "llama.cpp": engine_version,
    }


def program_version(program):
    """The first line with a version that a llama.cpp program prints."""
    try:
        result = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return "unknown"
    for line in (result.stdout + result.stderr).splitlines():
        if "version" in line.lower():
            return line.split(":", 1)[-1].strip()
    return "unknown"
