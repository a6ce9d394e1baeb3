import json
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "src"))

from invoice import invoice  # noqa: E402


class Vectors(unittest.TestCase):
    def test_vectors(self):
        for vector in json.loads((ROOT / "vectors.json").read_text("utf-8")):
            with self.subTest(vector["name"]):
                kind, value = invoice(json.dumps(vector["order"]).encode(), {})
                self.assertEqual(value, vector[kind])

    def test_what_is_no_order_is_rejected(self):
        kind, reason = invoice(b"nonsense", {})
        self.assertEqual(kind, "reject")
        self.assertTrue(reason.startswith("not an order"), reason)


if __name__ == "__main__":
    unittest.main()
