"""What `test-command` of the workflow runs."""

import unittest

from worker import address


class Broker(unittest.TestCase):
    def test_has_a_host_and_a_port(self) -> None:
        self.assertEqual(address("redis://broker.example:6380/0"), ("broker.example", 6380))

    def test_has_the_usual_port(self) -> None:
        self.assertEqual(address("redis://broker.example"), ("broker.example", 6379))


if __name__ == "__main__":
    unittest.main()
