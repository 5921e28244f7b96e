#!/usr/bin/env python3
"""The tests that were skipped, by reason, and ctest's count as the last line.

Usage: check-skips.py RESULTS.xml [ALLOWED]    RESULTS.xml is what ctest --output-junit wrote
With ALLOWED, a list of reasons, every other reason is an error (status 1)."""
import re
import sys
import xml.etree.ElementTree as xml


def reason_of(case):
    output = case.findtext("system-out") or ""
    said = re.search(r": Skipped\n(.*?)\n\s*\n?\[", output, re.S)
    if said:
        return " ".join(said.group(1).split())
    skipped = case.find("skipped")
    return (skipped.get("message") if skipped is not None else None) or "it was not run"


def not_run(case):
    """What ctest could not start, which it counts as failed."""
    skipped = case.find("skipped")
    return skipped is not None and not (skipped.get("message") or "").startswith(("SKIP_", "Disabled"))


def main(arguments):
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    suite = xml.parse(arguments[0]).getroot()
    cases = suite.findall("testcase")
    skipped = {}
    for case in cases:
        # A program that ctest runs as one test may skip some of its own.
        if case.find("skipped") is not None or "[  SKIPPED ]" in (case.findtext("system-out") or ""):
            skipped.setdefault(reason_of(case), []).append(case.get("name"))
    count = sum(len(names) for names in skipped.values())

    refused = []
    if len(arguments) == 2:
        with open(arguments[1], encoding="utf-8") as file:
            allowed = [line.strip() for line in file if line.strip() and not line.startswith("#")]
        refused = [reason for reason in skipped if not any(line in reason for line in allowed)]
    for reason, names in sorted(skipped.items(), key=lambda item: -len(item[1])):
        mark = "NOT ALLOWED " if reason in refused else ""
        print(f"skipped {len(names)}: {mark}{reason} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
    if refused:
        print(f"check-skips: mend the tests above or the machine; a reason that cannot be helped goes into {arguments[1]}", file=sys.stderr)
    failed = sum(1 for case in cases if case.get("status") == "fail" or not_run(case))
    print(f"skipped: {count} of {len(cases)} tests", flush=True)
    if cases:
        # As ctest says it, skipped tests among those that passed.
        percent = 100 if failed == 0 else min(99, round(100 * (len(cases) - failed) / len(cases)))
        print(f"{percent}% tests passed, {failed} tests failed out of {len(cases)}")
    return 1 if refused or not cases else 0


sys.exit(main(sys.argv[1:]))
