#!/usr/bin/env python3
"""Measures decode from one drive and from two (--mirror): loop devices whose bandwidth a control group limits.

Usage: mirror.py BUILD ENGINE [--work DIR] [--fast MB/s] [--tokens N] [--results DIR]

Needs root, loop devices and the blkio controller of version 1. Writes bench/results/mirror/decode.csv: one row for each
run. The limits are low on purpose, so that what else runs on the machine hardly matters. Exit status 1: a goal was missed."""
import argparse
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

GROUPS = pathlib.Path("/sys/fs/cgroup/blkio")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Drive:
    """A file system of its own on a loop device."""

    def __init__(self, work, name, size):
        self.image, self.path = work / f"{name}.img", work / name
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(size)
        run("mkfs.ext4", "-q", "-F", "-m", "0", str(self.image))
        self.device = run("losetup", "-f", "--show", str(self.image))
        run("mount", self.device, str(self.path))
        number = os.stat(self.device).st_rdev
        self.number = f"{os.major(number)}:{os.minor(number)}"

    def end(self):
        subprocess.run(["umount", "-l", str(self.path)], check=False)
        subprocess.run(["losetup", "-d", self.device], check=False)
        self.image.unlink(missing_ok=True)


class Group:
    """Limits of bandwidth for what is started in it."""

    def __init__(self):
        self.path = GROUPS / f"headrace-mirror-{os.getpid()}"
        self.path.mkdir()

    def limit(self, drive, megabytes):
        (self.path / "blkio.throttle.read_bps_device").write_text(f"{drive.number} {int(megabytes * 1e6)}\n", encoding="ascii")

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def end(self):
        self.path.rmdir()


def decode(options, group, model, mirrors):
    """Tokens per second, by llama-bench."""
    command = [str(options.build / "src/headrace"), "exec", "--engine", str(options.engine), "--flash-mode", "on",
               "--weights-ram", options.weights_ram]
    for mirror in mirrors:
        command += ["--mirror", str(mirror)]
    command += ["--", "llama-bench", "-m", str(model), "-p", "0", "-n", str(options.tokens), "-r", "1", "-t", "2", "-o", "json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, preexec_fn=group.enter)
    if done.returncode != 0:
        sys.exit(f"mirror.py: {' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)[0]["avg_ts"]


def measure(options, work, drives, group):
    headrace = str(options.build / "src/headrace")
    make_model = options.make_model or options.build / "bench/headrace-make-model"
    first, second = (Drive(work, name, 900 << 20) for name in ("first", "second"))
    drives += [first, second]
    model = first.path / "model.gguf"
    run(str(make_model), "--preset", "llama-4g", "--layers", str(options.layers), str(model))
    fast = options.fast
    rows = []

    def row(name, speeds, share, mirrors):
        for drive, speed in zip((first, second), speeds):
            group.limit(drive, speed)
        speed = decode(options, group, model, mirrors)
        rows.append({"what": name, "first_mb_s": speeds[0], "second_mb_s": speeds[1], "share": share,
                     "tokens": options.tokens, "tokens_per_s": f"{speed:.4f}"})
        print(rows[-1], flush=True)
        return speed

    one = row("one drive", (fast, fast), "", [])
    run(headrace, "mirror", str(model), str(second.path))
    equal = row("two equal drives", (fast, fast), 1, [second.path])
    third = row("a second drive of a third", (fast, fast / 3), 1, [second.path])
    run(headrace, "mirror", "--remove", str(model), str(second.path))
    run(headrace, "mirror", "--share", "0.5", str(model), str(second.path))
    half = row("two equal drives, half of the bytes copied", (fast, fast), 0.5, [second.path])
    run(headrace, "mirror", "--remove", str(model), str(second.path))
    # Without a copy: the parts of a split model lie on both drives, under links in one folder.
    run(headrace, "exec", "--engine", str(options.engine), "--flash-mode", "off", "--", "llama-gguf-split", "--split",
        "--split-max-size", "110M", str(model), str(first.path / "part"))
    parts = sorted(first.path.glob("part-*.gguf"))
    for part in parts[len(parts) // 2:]:
        shutil.move(part, second.path / part.name)
        part.symlink_to(second.path / part.name)
    model = parts[0]
    row("a split model over two equal drives, no copy", (fast, fast), "", [])
    options.results.mkdir(parents=True, exist_ok=True)
    with open(options.results / "decode.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    goals = [("two equal drives, of one", equal / one, 1.9), ("a second drive of a third, of the sum", third / one / (4 / 3), 0.95),
             ("half of the bytes copied, of one", half / one, 1.8)]
    for name, got, wanted in goals:
        print(f"{name}: {got:.2f}, goal {wanted}: {'reached' if got >= wanted else 'missed'}")
    return all(got >= wanted for _, got, wanted in goals)


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("engine", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, help="folder for the drives' images (default: a temporary one)")
    parser.add_argument("--fast", type=float, default=90, help="MB/s of the first drive")
    parser.add_argument("--tokens", type=int, default=6)
    parser.add_argument("--layers", type=int, default=1, help="of the model: about 120 MB each, and 150 MB beside")
    parser.add_argument("--weights-ram", default="64M")
    parser.add_argument("--make-model", type=pathlib.Path, help="headrace-make-model, if it is not in BUILD/bench")
    parser.add_argument("--results", type=pathlib.Path, default=here / "results/mirror")
    options = parser.parse_args()
    if os.geteuid() != 0 or not (GROUPS / "blkio.throttle.read_bps_device").exists():
        sys.exit("mirror.py: needs root and the blkio controller of version 1 at " + str(GROUPS))
    work = pathlib.Path(tempfile.mkdtemp(dir=options.work, prefix="headrace-mirror-"))
    drives, group = [], Group()
    try:
        return 0 if measure(options, work, drives, group) else 1
    finally:
        for drive in drives:
            drive.end()
        group.end()
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
