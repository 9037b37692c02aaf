"""Names, labels, the tool's name and what Segment says are text, whatever is in them: in headless Chromium."""
import random
import time
import unittest

from selenium.common.exceptions import NoAlertPresentException

from payloads import PAYLOADS
from settings_page import KEY, Page, start
from patience import wait
from settings_world import World

# What turns the direction of text, breaks lines, or ends what it may stand in.
ODD = ["\u202e<b>x", "x\u2028y", "]]><!--", "</title><script>alert(1)</script>"]


class Hostile(unittest.TestCase):
    def test_payloads_are_text(self):
        payloads = PAYLOADS + ODD
        seed = int(time.time())
        print("seed", seed)
        random.Random(seed).shuffle(payloads)
        world = World(tool="\"'><img src=x onerror=alert(1)></title><script>alert(1)</script>")
        said = [""]
        world.us.answer = lambda key, batch: (400, said[0])
        with open(world.folder + "/names", "w") as file:
            file.write("\n".join(payloads))
        world.lua('local v = assert(require "moonweir.accounts".open { spool = arg[1] .. "/spool", '
                  'master_key_file = arg[1] .. "/master-key" }) '
                  'for n in io.lines(arg[1] .. "/names") do assert(v:set(n, { write_key = "%s", endpoint = "%s", label = n })) end'
                  % (KEY, world.us.url))
        driver = start()
        page = Page(driver)
        try:
            for payload in payloads:
                said[0] = payload
                page.open(world.link(payload, user=payload[:60]))
                page.wait_seen("connection")
                page.click("send-test")
                wait("the refusal", lambda: page.look() and "Segment did not take the test event" in page.text("test"))
                shown = driver.execute_script("""
                    return [document.getElementById("whose").textContent, document.getElementById("test-detail").textContent,
                        document.getElementById("whose").childElementCount, document.getElementById("test-detail").childElementCount,
                        document.scripts.length, document.images.length, frames.length, window.violations.length]""")
                visible = payload.replace("\u202e", "\ufffd")
                self.assertEqual(shown[0], " · " + visible)
                self.assertIn(visible[:100], shown[1])
                self.assertEqual(shown[2:], [0, 0, 1, 0, 0, 0], payload)
                with self.assertRaises(NoAlertPresentException, msg=payload):
                    driver.switch_to.alert
            foreign = [u for u in page.requested() if not u.startswith((world.base, "about:", "chrome", "data:"))]
            self.assertEqual(foreign, [])
        finally:
            driver.quit()
            world.close()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
