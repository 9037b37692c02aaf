"""The real @segment/analytics-node against the debugger: what it sends is taken, and shows up right on the page."""

import os
import shutil
import subprocess
import tempfile
import unittest

from patience import DEADLINE
from support import COMMAND, Browser, Debugger

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = os.environ["MW_NODE"]  # a folder with node_modules of package.json

CALLS = {
    "identify": ("user-1", None), "track": ("user-1", "Ticket Created"), "page": ("user-1", "Home"),
    "screen": ("anon-1", "Start"), "group": ("user-1", None), "alias": ("user-1", None),
}


class AnalyticsNode(unittest.TestCase):
    def setUp(self):
        self.debugger = Debugger()
        self.addCleanup(self.debugger.stop)
        # A script finds its modules beside itself.
        self.script = shutil.copy(os.path.join(HERE, "analytics_node.mjs"), MODULES)

    def send(self, *key):
        sent = subprocess.run(
            ["node", self.script, self.debugger.url, "analytics-node-key-nd01", *key],
            capture_output=True, text=True, timeout=DEADLINE,
        )
        self.assertEqual((0, ""), (sent.returncode, sent.stderr))

    def assert_all_six(self):
        messages = self.debugger.messages()
        self.assertEqual(CALLS, {m["type"]: (m["user"], m.get("name")) for m in messages})
        self.assertEqual(6, len(messages))
        for m in messages:
            self.assertEqual("…nd01", m["account"])
            self.assertNotIn(m["verdict"], ("dropped", "error"), m["findings"])
            self.assertEqual("/v1/batch", m["request"]["path"])
            self.assertNotIn("key-in-body", [f["rule"] for f in m["findings"]])

    def test_six_calls_with_basic_authentication_show_up(self):
        browser = Browser()
        self.addCleanup(browser.stop)
        browser.open(self.debugger.page)
        browser.wait_for_text("#connection", "Live")
        self.send()
        self.assert_all_six()
        browser.wait_for_text("#messages", "6")
        browser.wait_for_names(*[m.get("name") or m["type"] for m in reversed(self.debugger.messages())])
        self.assertEqual([], browser.harm(self.debugger.url))

    def test_it_repeats_after_429_500_and_a_cut_and_nothing_comes_twice(self):
        for fault in [{"kind": "429", "retry_after": 1}, {"kind": "500"}, {"kind": "cut"}]:
            self.debugger.control("POST", "faults", {**fault, "times": 1})
        self.send()
        self.assert_all_six()
        self.assertEqual(4, self.debugger.control("GET", "state")["requests"])

    def test_six_calls_with_oauth_show_up(self):
        if "--oauth-app" not in subprocess.run([COMMAND, "debugger", "--help"], capture_output=True, text=True).stdout:
            self.skipTest("this debugger has no token server")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        private, public = os.path.join(folder.name, "private.pem"), os.path.join(folder.name, "public.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", private], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        self.debugger = Debugger("--oauth-app", "app-1:key-1:" + public)
        self.addCleanup(self.debugger.stop)
        self.send("app-1", "key-1", private)
        self.assert_all_six()
        first = self.debugger.control("GET", "messages")["entries"][0]
        self.assertEqual(("request", "/token", "ok"), (first["kind"], first["request"]["path"], first["verdict"]))


if __name__ == "__main__":
    unittest.main()
