import unittest

from . import expectation

RATES = [(0, 0.0), (0.5, 0.8), (1, 1.0)]


def plan(**changes):
    """A mixture of 40 GB, of which 20 are in memory; a token uses 2 of experts and 2 of the rest."""
    made = {"streams": True, "model": {"managed_bytes": 2e9, "expert_bytes": 38e9, "active_expert_bytes": 2e9},
            "plan": {"resident_bytes": 2e9, "streamed_bytes_per_pass": 0, "expert_cache_bytes": 19e9},
            "machine": {"disk_bytes_per_s": 2e9, "memory_bytes_per_s": 40e9},
            "prediction": {"decode_tokens_per_s": 2.0, "decode_tokens_per_s_range": [1.5, 4.0], "prompt_tokens_per_s": 30.0}}
    for part, values in changes.items():
        made[part] = {**made[part], **values} if isinstance(values, dict) else values
    return made


class Expectation(unittest.TestCase):
    def test_interpolates_and_keeps_the_ends(self):
        self.assertAlmostEqual(expectation.interpolate(RATES, 0.25), 0.4)
        self.assertAlmostEqual(expectation.interpolate(RATES, 0.75), 0.9)
        self.assertEqual([expectation.interpolate(RATES, at) for at in (-1, 0, 0.5, 1, 2)], [0.0, 0.0, 0.8, 1.0, 1.0])

    def test_likely_decode_is_the_longer_of_disk_and_memory(self):
        self.assertAlmostEqual(expectation.likely_decode(plan(), RATES), 2 / 0.4)  # a fifth of 2 GB is missed
        self.assertAlmostEqual(expectation.likely_decode(plan(machine={"disk_bytes_per_s": 200e9}), RATES), 10)
        dense = plan(model={"expert_bytes": 0, "active_expert_bytes": 0}, plan={"streamed_bytes_per_pass": 8e9, "expert_cache_bytes": 0})
        self.assertAlmostEqual(expectation.likely_decode(dense, RATES), 0.25)

    def test_cells(self):
        self.assertEqual(expectation.decode_cell(plan(), RATES), "1.5 to 5")
        self.assertEqual(expectation.decode_cell(plan(streams=False), RATES), "2")
        self.assertEqual(expectation.share_in_memory(plan()), "52 %")
        self.assertEqual(expectation.share_in_memory(plan(streams=False)), "fits")
        self.assertEqual(expectation.prompt_cell([plan(), plan(prediction={"prompt_tokens_per_s": 55.4})]), "30 to 55")
        self.assertEqual(expectation.prompt_cell([plan(), plan(prediction={"prompt_tokens_per_s": None})]), "unknown")

    def test_the_table_has_predictions_and_what_was_measured(self):
        measured = [{"model": "m", "memory_gb": "32", "disk_gb_s": "2.4", "decode": "4.1", "prompt": "20", "machine": "2 cores"}]
        lines = expectation.table([("Model", "m", 40e9, {16: {2: None}, 32: {2: plan()}})], [2], measured, RATES).splitlines()
        self.assertEqual(len({line.count("|") for line in lines}), 1)
        self.assertEqual(lines[2], "| Model | 40.0 GB | 16 GB | too little |  |  |  |")
        self.assertEqual(lines[3], "|  |  | 32 GB | 52 % | 1.5 to 5 | 30 | 4.1 and 20 at 2.4 GB/s, 2 cores |")


if __name__ == "__main__":
    unittest.main()
