"""The page of results: its tables and goals follow from the raw rows, and the pages of docs are what they give."""

import os
import shutil
import tempfile
import unittest

from . import batch, concurrency, report, speculation, widths
from .rows import Rows
from .session import Tools

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class ReportTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.results, self.page = os.path.join(folder.name, "bench", "results"), os.path.join(folder.name, "docs", "benchmarks.md")

    def rows(self, scenario):
        """A function that adds a row of a run that went well."""
        name = scenario.__name__.rsplit(".", 1)[-1]
        rows = Rows(self.results, name, scenario.COLUMNS)
        return lambda **values: rows.add(**{"model": "q4_0", "test": name, "repetition": 0, "status": "ok", **values})

    def written(self):
        report.write(self.results, self.page)
        with open(self.page) as file:
            return file.read()

    def test_the_documentation_is_what_the_rows_give(self):
        shutil.copytree(os.path.join(ROOT, "bench", "results"), self.results)
        shutil.copytree(os.path.join(ROOT, "docs"), os.path.dirname(self.page))
        results, docs = self.results, os.path.dirname(self.page)
        pages = {"": "benchmarks", "mixture": "mixture-benchmarks", "mixture-16": "mixture-benchmarks-16", "device": "device-benchmarks"}
        for folder, page in pages.items():
            self.results, self.page = os.path.join(results, folder).rstrip("/"), os.path.join(docs, page + ".md")
            with open(self.page) as file:
                before = file.read()
            with self.subTest(page):
                self.assertTrue(before == self.written(), "bench/run.py --report was not run, or the page was changed between its markers")

    def test_without_rows_nothing_was_measured(self):
        self.assertIn("Not measured yet", self.written())

    def test_widths_are_compared_with_one_token_of_the_same_process(self):
        add = self.rows(widths)
        for turn, one in enumerate((1000, 2000)):
            for width, times in ((1, 1), (8, 1.2), (16, 1.7), (1, 1)):
                add(variant="headrace-auto", width=width, pass_ms=one * times, tokens_per_s=1, repetition=turn)
        page = self.written()
        self.assertIn("| q4_0: a pass of 8 tokens ÷ a pass of one | ≤ 1.25 | 1.20 (1.20–1.20) | yes |", page)
        self.assertIn("| q4_0: a pass of 16 tokens ÷ a pass of one | ≤ 1.6 | 1.70 (1.70–1.70) | **no** |", page)
        self.assertIn("**Q4_0, tokens in a pass**", page)
        self.assertTrue(os.path.exists(os.path.join(self.results, "widths.svg")))

    def test_the_library_says_where_the_time_of_a_width_went(self):
        line = "headrace: pass {}: 8 columns, 300.0 ms: {} waiting for the disk, 200.0 in kernels (50.0 repacking), 2.4 own; 2.35 GiB streamed\n"
        found = widths._account(line.format(1, 900.0) + line.format(2, 10.0) + line.format(3, 30.0))
        self.assertEqual(found, {8: {"wait_ms": 20.0, "kernel_ms": 200.0, "repack_ms": 50.0}})

    def test_drafts_are_compared_with_plain_streaming_of_the_same_turn(self):
        add = self.rows(speculation)
        for tokens_per_s in (0.9, 1.1):
            add(test="synthetic", variant="plain", tokens_per_s=tokens_per_s, pass_ms=1000, tokens=25, passes=24)
        common = {"test": "synthetic", "variant": "draft", "tokens": 25, "drafted": 72}
        add(acceptance=0.8, draft_tokens=7, choice="learned", tokens_per_s=2.5, pass_ms=1250, accepted=12, passes=10, **common)
        add(acceptance=0, draft_tokens=3, choice="first", tokens_per_s=0.98, pass_ms=1020, accepted=0, passes=24, **common)
        add(model="austen", test="example, free", variant="draft of 3", draft_tokens=3, tokens=128, drafted=180, accepted=60, passes=67, same_text=1)
        page = self.written()
        # (1 - 0.8^8) / (1 - 0.8) = 4.16 tokens in a pass of 1.25 s
        self.assertIn("| drafts of 7, acceptance 0.8 ÷ plain streaming | ≥ 3 | 2.50; 3.33 at the expected tokens in a pass | **no** |", page)
        self.assertIn("| drafts of 3, acceptance 0 ÷ plain streaming | ≥ 0.97 | 0.98; 0.98 at the expected tokens in a pass | yes |", page)
        self.assertIn("**synthetic**", page)
        self.assertIn("| draft of 3 | 1.90 | 33% | yes |", page)

    def test_requests_at_a_time_are_compared_with_one(self):
        add = self.rows(concurrency)
        for count, together, generating in ((1, 0.8, 0.9), (16, 6.0, 9.0)):
            add(test=f"{count} requests", variant="serve", requests=count, tokens=24 * count, tokens_per_s=together,
                generating_tokens_per_s=generating, request_tokens_per_s=0.5, first_token_s=2, last_first_token_s=4)
        add(test="newcomer", variant="serve", tokens=256, pass_tokens=64, usual_gap_s=1.1, longest_gap_s=2.2, first_token_s=20)
        page = self.written()
        self.assertIn("| 16 requests ÷ one, tokens/s together | ≥ 8 | 7.50; 10.00 while all generate | **no** |", page)
        self.assertIn("| as `headrace serve` chooses, 64 | 1.10 | 2.20 | 20.0 |", page)

    def test_a_batch_is_compared_with_stock(self):
        add = self.rows(batch)
        add(variant="stock-ram-server", requests=64, tokens=1536, answer_s=150, tokens_per_s=10)
        add(variant="headrace-batch", requests=64, tokens=1536, answer_s=170, tokens_per_s=9, peak_bytes=1 << 30, limit_hits=0)
        self.assertIn("| `headrace batch` ÷ stock in RAM, tokens/s | ≥ 0.8 | 0.90 | yes |", self.written())

    def test_a_run_that_failed_is_said_and_no_goal_is_met_without_it(self):
        self.rows(batch)(variant="headrace-batch", status="oom-killed")
        page = self.written()
        self.assertIn("killed: out of memory", page)
        self.assertNotIn("≥ 0.8", page)


class ToolsTest(unittest.TestCase):
    def test_a_missing_program_is_named_with_what_to_do(self):
        with self.assertRaisesRegex(FileNotFoundError, "libheadrace.so is missing: make all"):
            Tools("/nonexistent/build", "/nonexistent/engine")


if __name__ == "__main__":
    unittest.main()
