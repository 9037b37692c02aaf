"""Enable with Segment and its window, used as people use them, in headless Chromium."""
import unittest

from selenium.webdriver.common.by import By

from settings_page import CONTRAST, NEW_KEY, Page, start
from patience import wait
from settings_world import Identity, World, end, frame_server

# A network that fails while the condition says so.
BROKEN = """
const real = window.fetch;
let left = 1000;
window.heal = () => { left = 0; };
window.fetch = async (path, options) => {
	if (await (%s)) throw new TypeError("no network");
	return real(path, options);
};
"""


class Enable(unittest.TestCase):
    """The key of a source that is chosen in Segment, through a window of its own; from a frame as well."""

    def setUp(self):
        self.identity = Identity(NEW_KEY)
        self.outer, self.origin = frame_server(lambda: self.link)
        self.world = World(enable=self.identity.config, frame_ancestors=[self.origin])
        self.driver = start()
        self.page = Page(self.driver)

    def tearDown(self):
        self.driver.quit()
        self.world.close()
        end(self.outer)
        end(self.identity.server)

    def to_window(self, main):
        other = wait("the window", lambda: [w for w in self.driver.window_handles if w != main])
        self.driver.switch_to.window(other[0])

    def enable(self):
        """From the settings page to Segment's question, in the window."""
        self.page.wait_seen("connect")
        self.page.choose("eu")
        main = self.driver.current_window_handle
        self.page.click("enable-go")
        self.to_window(main)
        wait("Segment's question", lambda: self.driver.find_elements(By.ID, "allow"))
        return main

    def test_the_key_comes_without_being_pasted(self):
        page = self.page
        page.open(self.world.link("acme"))
        main = self.enable()
        page.click("allow")
        page.wait_text("title", "Connected")
        self.assertEqual(self.driver.current_url, self.world.base + "/settings/enabled")
        self.driver.close()
        self.driver.switch_to.window(main)
        page.wait_text("key", "C3d4")
        self.assertEqual(page.text("region"), "European Union")
        page.click("send-test")
        page.wait_text("test", "The test event arrived")
        self.assertEqual(self.world.eu.keys_of("Connection Tested"), [NEW_KEY])
        self.assertEqual(page.violations(), [])

    def test_it_works_from_a_frame(self):
        self.link = self.world.link("framed")
        self.driver.get(self.origin)
        self.driver.switch_to.frame("f")
        main = self.enable()
        self.page.click("allow")
        self.page.wait_text("title", "Connected")
        self.driver.close()
        self.driver.switch_to.window(main)
        self.driver.switch_to.frame("f")
        self.page.wait_text("key", "C3d4")

    def test_who_does_not_allow_it_is_told(self):
        self.identity.allow = False
        self.page.open(self.world.link("acme"))
        self.enable()
        self.page.click("allow")
        self.page.wait_text("title", "Not connected")

    def come_back(self, broken):
        """Allow it, and have the window's script come upon a network that is so: `broken` is JavaScript, true for a path
        while `left` is more than 0."""
        self.page.open(self.world.link("acme"))
        self.enable()
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": BROKEN % broken})
        self.page.click("allow")

    def test_it_goes_on_when_some_looks_fail(self):
        self.come_back('path.endsWith("look") && left-- > 997')
        self.page.wait_text("title", "Connected")
        self.assertFalse(self.page.sees("again"))

    def test_an_answer_that_got_lost_is_no_failure(self):
        self.come_back('path.endsWith("finish") && left-- > 999 && real(path, options)')
        self.page.wait_text("title", "Connected")

    def test_who_waits_in_vain_can_look_again(self):
        for what in ("finish", "look"):
            self.come_back('path.endsWith("%s") && left > 0' % what)
            self.page.wait_seen("again")
            self.page.wait_text("title", "Not finished yet")
            self.page.wait_text("text", "can’t be reached")
            self.assertEqual(self.driver.execute_script(CONTRAST), [])
            self.driver.execute_script("heal()")
            self.page.click("again")
            self.page.wait_text("title", "Connected")
            self.assertFalse(self.page.sees("again"))
            self.driver.close()
            self.driver.switch_to.window(self.driver.window_handles[0])
            self.page.wait_text("key", "C3d4")
            self.page.click("disconnect")
            self.page.click("confirm-yes")
            self.page.wait_text("status-title", "Not connected")

    def test_a_code_that_comes_to_another_window_is_refused(self):
        self.page.open(self.world.link("acme"))
        main = self.enable()
        back = self.page.at("allow").get_attribute("href")
        self.driver.close()
        self.driver.switch_to.window(main)
        self.driver.switch_to.new_window("tab")
        self.driver.get(back)
        self.page.wait_text("title", "That did not work")
        self.page.open(self.world.link("acme"))
        self.page.wait_seen("connect")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
