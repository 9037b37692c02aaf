"""The settings page, used as people use it, in headless Chromium."""
import json
import time
import unittest
import urllib.error
import urllib.request

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from settings_page import CONTRAST, KEY, NEW_KEY, REFUSED, Page, start
from patience import wait
from settings_world import World, end, frame_server


def post(world, path, body, session=None):
    """What the page's script would ask, without a browser."""
    headers = {"Content-Type": "application/json", "Origin": world.base}
    if session:
        headers["Authorization"] = "Bearer " + session
    request = urllib.request.Request(world.base + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


class Settings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(oauth=True)
        for segment in (cls.world.us, cls.world.eu):
            segment.answer = lambda key, batch: (401, '{"message":"no"}') if key == REFUSED else (200, "{}")
        cls.driver = start()
        cls.page = Page(cls.driver)

    @classmethod
    def tearDownClass(cls):
        cls.driver.quit()
        cls.world.close()

    def tearDown(self):
        self.assertEqual(self.page.violations(), [])
        foreign = [u for u in self.page.requested() if not u.startswith((self.world.base, "about:", "chrome", "data:"))]
        self.assertEqual(foreign, [])

    def test_a_customer_connects_and_sees_it_work(self):
        page, world = self.page, self.world
        page.open(world.link("acme", user="ann"))
        page.wait_seen("connect")
        self.assertEqual(self.driver.current_url, world.base + "/settings")
        self.assertEqual(page.focused(), "write-key")
        field = page.at("write-key")
        self.assertEqual((field.get_attribute("type"), field.get_attribute("autocomplete")), ("password", "off"))

        page.click("save")
        self.assertIn("Paste the write key", page.text("key-wrong"))
        field.send_keys("not a key")
        page.click("save")
        self.assertIn("not a write key", page.text("key-wrong"))
        self.assertEqual(field.get_attribute("aria-invalid"), "true")
        field.clear()
        page.connect(KEY, "eu")
        self.assertEqual((page.text("key"), page.text("region")), ("•••• A1b2", "European Union"))
        self.assertNotIn(KEY, self.driver.page_source)
        self.assertEqual(page.at("write-key").get_attribute("value"), "")

        page.click("send-test")
        page.wait_text("test", "The test event arrived")
        self.assertEqual(world.eu.keys_of("Connection Tested"), [KEY])
        self.assertEqual(world.us.batches, [])
        page.wait_text("status-title", "Connected")
        self.assertEqual((page.text("delivered"), page.text("last")), ("1", "just now"))

        page.click("replace")
        self.assertEqual(page.focused(), "write-key")
        page.at("write-key").send_keys(NEW_KEY)
        page.click("save")
        page.wait_text("key", "C3d4")
        page.click("send-test")
        wait("the event under the new key", lambda: world.eu.keys_of("Connection Tested") == [KEY, NEW_KEY])

        page.click("pause")
        page.wait_text("status-title", "Paused")
        page.click("send-test")
        page.wait_text("test", "Resume, and it is sent")
        page.wait_text("waiting", "1")
        page.click("pause")
        page.wait_text("test", "The test event arrived")

        page.click("disconnect")
        page.wait_seen("confirm")
        self.assertEqual(page.focused(), "confirm-no")
        page.click("confirm-no")
        self.assertTrue(page.sees("connection"))
        page.click("disconnect")
        page.click("confirm-yes")
        page.wait_text("status-title", "Not connected")
        self.assertTrue(page.sees("connect"))
        audit = world.read("audit.ndjson")
        for word in ("opened", "write_key_saved", "test_sent", "paused", "resumed", "disconnected", '"ann"'):
            self.assertIn(word, audit)
        for secret in (KEY, NEW_KEY):
            self.assertNotIn(secret, audit)

    def test_a_refused_key_is_explained_and_replaced(self):
        page, world = self.page, self.world
        page.open(world.link("refused"))
        page.connect(REFUSED, "us")
        page.click("send-test")
        page.wait_text("status-title", "Segment refused the write key")
        self.assertIn("ending in Z9y8", page.text("status-text"))
        page.click("renew")
        page.at("write-key").send_keys(KEY)
        page.click("save")
        page.wait_text("status-title", "Connected")
        page.wait_text("test", "The test event arrived")

    def test_it_can_be_done_by_keyboard_alone(self):
        page = self.page
        page.open(self.world.link("keyboard"))
        page.wait_seen("connect")

        def keys(*pressed):
            for key in pressed:
                self.driver.switch_to.active_element.send_keys(key)

        keys(KEY, Keys.SHIFT + Keys.TAB, Keys.ARROW_DOWN, Keys.ENTER)
        page.wait_seen("connection")
        self.assertEqual(page.text("region"), "European Union")
        self.assertEqual(page.focused(), "send-test")
        keys(Keys.ENTER)
        page.wait_text("test", "The test event arrived")
        self.assertIn("arrived", page.at("announce").get_attribute("textContent"))
        page.at("disconnect").send_keys(Keys.ENTER)
        page.wait_seen("confirm")
        keys(Keys.ESCAPE)
        wait("the question to go", lambda: not page.sees("confirm"))
        self.assertEqual(page.focused(), "disconnect")

    def test_five_test_events_a_minute(self):
        page = self.page
        page.open(self.world.link("eager"))
        page.connect(KEY, "us")
        for n in range(5):
            page.click("send-test")
            wait("event %d" % n, lambda: len(self.world.us.keys_of("Connection Tested")) > n)
            wait("the button", lambda: not page.at("send-test").get_attribute("aria-busy"))
        page.click("send-test")
        page.wait_text("action-error", "Five test events a minute")

    def test_links_that_are_no_good(self):
        page, world = self.page, self.world
        now = int(time.time())
        used = world.link("links")
        page.open(used)
        page.wait_seen("connect")
        for url, title in (
            (used, "used already"),
            (world.link("links", iat=now - 400, exp=now - 100), "too old"),
            (world.link("links") + "x", "not valid"),
            (world.link("links", aud="https://other.example"), "not valid"),
            (world.base + "/settings", "Open this page from Acme Mail"),
        ):
            page.open(url)
            page.wait_seen("closed")
            self.assertIn(title, page.text("closed-title"))
            self.assertIn("Acme Mail", page.text("closed-text"))
            self.assertFalse(page.sees("settings"))
            self.assertEqual(self.driver.current_url, world.base + "/settings")

    def test_another_account_is_another_page(self):
        page, world = self.page, self.world
        page.open(world.link("first"))
        page.connect(KEY, "us")
        page.open(world.link("second"))
        page.wait_seen("connect")
        self.assertNotIn("A1b2", self.driver.find_element(By.TAG_NAME, "body").text)
        page.connect(NEW_KEY, "eu")
        page.open(world.link("first"))
        page.wait_text("key", "A1b2")
        # The page that is open, and a link for another account: that account's settings, and nothing left of the first.
        self.driver.get(world.link("second"))
        page.wait_text("key", "C3d4")
        # What the first one's session says of the second.
        session = post(world, "/settings/session", {"token": world.link("first").split("#")[1]})["session"]
        with self.assertRaises(urllib.error.HTTPError) as refused:
            post(world, "/settings/api/disconnect", {"confirm": True, "account": "second"}, session)
        self.assertEqual(refused.exception.code, 404)
        page.open(world.link("second"))
        page.wait_text("key", "C3d4")

    def test_a_reload_needs_a_new_link(self):
        page = self.page
        page.open(self.world.link("reload"))
        page.wait_seen("connect")
        self.driver.refresh()
        page.wait_seen("closed")
        self.assertEqual(self.driver.execute_script("return [document.cookie, localStorage.length, sessionStorage.length]"), ["", 0, 0])

    def test_every_control_has_a_name(self):
        page = self.page
        page.open(self.world.link("names"))
        page.connect(KEY, "us")
        page.click("oauth-open")
        nameless = self.driver.execute_script("""
            return [...document.querySelectorAll("input, select, textarea, button, summary, dialog")].filter((e) =>
                !(e.labels && e.labels.length && e.labels[0].textContent.trim()) && !e.textContent.trim() &&
                !e.getAttribute("aria-labelledby")).map((e) => e.outerHTML)""")
        self.assertEqual(nameless, [])
        ids = self.driver.execute_script("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(self.driver.execute_script("return document.documentElement.lang"), "en")


class Looks(unittest.TestCase):
    """In light and dark, on a desk and on a phone: everything can be read, nothing sticks out."""

    def test_contrast_and_width(self):
        world = World(oauth=True, color="#ffb300")
        world.us.answer = lambda key, batch: (401, "no " * 60) if key == REFUSED else (200, "{}")
        try:
            for dark, width in ((False, 1100), (True, 1100), (False, 390), (True, 320)):
                driver = start(dark, width)
                page = Page(driver)
                name = "%s-%d" % (dark, width)

                def looks_right(state):
                    self.assertEqual(driver.execute_script(CONTRAST), [], "%s %s" % (name, state))
                    self.assertLessEqual(driver.execute_script("return document.documentElement.scrollWidth"), width, state)

                try:
                    page.open(world.base + "/settings")
                    page.wait_seen("closed")
                    looks_right("closed")
                    page.open(world.link(name))
                    page.wait_seen("connect")
                    page.driver.find_element(By.CSS_SELECTOR, ".help summary").click()
                    page.click("save")
                    looks_right("connect")
                    page.connect(REFUSED, "us")
                    looks_right("connected")
                    page.click("oauth-open")
                    looks_right("oauth")
                    page.click("oauth-cancel")
                    page.click("send-test")
                    page.wait_text("status-title", "Segment refused")
                    driver.find_element(By.CSS_SELECTOR, "#status-details summary").click()
                    looks_right("refused")
                    page.click("pause")
                    page.wait_text("status-title", "Paused")
                    looks_right("paused")
                    page.click("disconnect")
                    page.wait_seen("confirm")
                    self.assertLessEqual(driver.execute_script("return document.documentElement.scrollWidth"), width)
                    page.click("confirm-no")
                    page.click("replace")
                    page.at("write-key").send_keys(KEY)
                    page.click("save")
                    page.wait_seen("connection")
                    page.click("pause")
                    page.wait_text("test", "The test event arrived")
                    looks_right("arrived")
                finally:
                    driver.quit()
        finally:
            world.close()


class Frames(unittest.TestCase):
    def test_named_origins_frame_it_and_others_do_not(self):
        link = [""]
        allowed_server, allowed = frame_server(lambda: link[0])
        foreign_server, foreign = frame_server(lambda: link[0])
        world = World(frame_ancestors=[allowed])
        driver = start()
        page = Page(driver)
        try:
            link[0] = world.link("framed")
            driver.get(allowed)
            driver.switch_to.frame("f")
            page.connect(KEY, "eu")
            page.click("send-test")
            page.wait_text("test", "The test event arrived")
            self.assertEqual(world.eu.keys_of("Connection Tested"), [KEY])

            link[0] = world.link("framed")
            driver.get(foreign)
            driver.switch_to.frame("f")
            self.assertEqual(driver.find_elements(By.ID, "settings"), [])
            wait("the refusal", lambda: [e for e in driver.get_log("browser") if "frame-ancestors" in e["message"]])
            # The link was not used up: nothing of the page ran.
            page.open(link[0])
            page.wait_text("key", "A1b2")
        finally:
            driver.quit()
            world.close()
            end(allowed_server)
            end(foreign_server)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
