"""How the tests here wait: for a condition, asked again and again, with a deadline."""

import time

DEADLINE = 60


def wait(what, condition):
    """The first true value of `condition`."""
    until = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.02)
