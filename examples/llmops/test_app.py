"""What the job `test` of the workflow runs."""

import unittest

from app import HEALTH_PATH, answer


class Health(unittest.TestCase):
    def test_says_which_commit_runs(self) -> None:
        self.assertEqual(answer(HEALTH_PATH, "c0ffee"), (200, {"status": "ok", "commit": "c0ffee"}))

    def test_knows_no_other_page(self) -> None:
        self.assertEqual(answer("/", "c0ffee")[0], 404)


if __name__ == "__main__":
    unittest.main()
