#!/usr/bin/env python3
"""Whether the folders of src/ use each other downwards only, as the table "Folders" of docs/architecture.md says.

Usage: check-layers.py SOURCE_TREE

A folder may include its own headers, those of the folders that its row names, and those of the folders below these.
The one file in src/ itself, the program, may include everything."""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z_/]+)/[^/"]+"')


def table_of(document):
    """{folder: [folders that it uses]}, from the rows "| `folder/` | what it knows | uses |"."""
    section = document.split("\n## Folders\n", 1)[-1].split("\n## ", 1)[0]
    uses = {}
    for row in re.findall(r"^\| `([a-z_/]+)/` \|(.*)\|$", section, re.M):
        folder, cells = row
        below = cells.rsplit("|", 1)[-1]
        uses[folder] = [name.strip() for name in below.split(",") if name.strip()]
    return uses


def closure(uses, folder, path=()):
    if folder in path:
        raise ValueError("a circle: " + " uses ".join(path[path.index(folder):] + (folder,)))
    below = {folder}
    for other in uses[folder]:
        if other not in uses:
            raise ValueError(f"{folder}/ uses {other}/, which has no row")
        below |= closure(uses, other, path + (folder,))
    return below


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    root = pathlib.Path(arguments[0])
    src = root / "src"
    document = root / "docs" / "architecture.md"
    uses = table_of(document.read_text(encoding="utf-8"))
    errors = []
    try:
        allowed = {folder: closure(uses, folder) for folder in uses}
    except ValueError as error:
        print(f"{document}: {error}", file=sys.stderr)
        return 1
    files = {path: path.parent.relative_to(src).as_posix() for path in sorted(src.glob("*/**/*")) if path.suffix in (".h", ".cpp")}
    present = set(files.values())
    errors += [f"{document}: {folder}/ is in the table and has no files" for folder in sorted(uses.keys() - present)]
    errors += [f"{document}: {folder}/ has no row in the table" for folder in sorted(present - uses.keys())]
    count = 0
    for path, folder in files.items():
        if folder not in allowed:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if match is None or match[1] not in present:
                continue
            count += 1
            if match[1] not in allowed[folder]:
                errors.append(f"{path}:{number}: {folder}/ may not use {match[1]}/")
    for error in errors:
        print(error, file=sys.stderr)
    if count == 0:
        print(f"{src}: no includes were found", file=sys.stderr)
    print(f"{count} includes of {len(present)} folders, {len(errors)} wrong")
    return 1 if errors or count == 0 else 0


sys.exit(main(sys.argv[1:]))
