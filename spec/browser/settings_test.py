"""The settings page, used as people use it, in headless Chromium."""
import json
import random
import time
import unittest
import urllib.error
import urllib.request

from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from payloads import PAYLOADS
from settings_world import Identity, World, browser, end, frame_server, wait_for

KEY = "wkONE1234567890abcdefghijklA1b2"
NEW_KEY = "wkTWO1234567890abcdefghijklC3d4"
REFUSED = "wkBAD1234567890abcdefghijklZ9y8"

# Before any script of the page: what breaks its policy is written down.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => window.violations.push(e.violatedDirective + " " + e.blockedURI));
"""

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

# Text on what it stands on, for every text that is seen: those with less contrast than 4.5 (3 if it is large).
CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
function rgba(colour) {
	canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
	return [...canvas.getImageData(0, 0, 1, 1).data].map((v, i) => i === 3 ? v / 255 : v);
}
const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
	const v = c[i] / 255;
	return sum + w * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
}, 0);
function ground(element) {
	const layers = [];
	for (let e = element; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
	return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
}
const bad = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
	const element = walker.currentNode.parentElement;
	if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(".unseen, noscript")) continue;
	const style = getComputedStyle(element), below = ground(element);
	const a = light(over(rgba(style.color), below)), b = light(below);
	const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
	const large = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700;
	if (ratio < (large ? 3 : 4.5)) bad.push(walker.currentNode.data.trim().slice(0, 40) + " " + ratio.toFixed(2));
}
return bad;
"""


def start(dark=False, width=1100, height=900):
    driver = browser(dark, width, height)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    return driver


class Page:
    """The page in a browser, by what its parts are called."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url):
        self.driver.get("about:blank")
        self.driver.get(url)

    def at(self, name):
        return self.driver.find_element(By.ID, name)

    def sees(self, name):
        return self.at(name).is_displayed()

    def text(self, name):
        return self.at(name).text

    def wait_text(self, name, part):
        wait_for(lambda: part in self.text(name), "%s to say %r; it says %r" % (name, part, self.text(name)))

    def look(self):
        """At once, not in a second: as when its tab is seen again. Always true."""
        self.driver.execute_script("document.dispatchEvent(new Event('visibilitychange'))")
        return True

    def wait_seen(self, name):
        wait_for(lambda: self.sees(name), name + " to be seen")

    def click(self, name):
        self.at(name).click()

    def choose(self, region):
        self.driver.find_element(By.CSS_SELECTOR, "input[value=%s]" % region).click()

    def connect(self, key, region):
        self.wait_seen("connect")
        self.at("write-key").send_keys(key)
        self.choose(region)
        self.click("save")
        self.wait_seen("connection")

    def focused(self):
        return self.driver.switch_to.active_element.get_attribute("id")

    def violations(self):
        return self.driver.execute_script("return window.violations")

    def requested(self):
        """All addresses asked for since the last look."""
        urls = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                urls.append(message["params"]["request"]["url"])
        return urls


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
        wait_for(lambda: world.eu.keys_of("Connection Tested") == [KEY, NEW_KEY], "the event under the new key")

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
        wait_for(lambda: not page.sees("confirm"), "the question to go")
        self.assertEqual(page.focused(), "disconnect")

    def test_five_test_events_a_minute(self):
        page = self.page
        page.open(self.world.link("eager"))
        page.connect(KEY, "us")
        for n in range(5):
            page.click("send-test")
            wait_for(lambda: len(self.world.us.keys_of("Connection Tested")) > n, "event %d" % n)
            wait_for(lambda: not page.at("send-test").get_attribute("aria-busy"), "the button")
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
        other = wait_for(lambda: [w for w in self.driver.window_handles if w != main], "the window")
        self.driver.switch_to.window(other[0])

    def enable(self):
        """From the settings page to Segment's question, in the window."""
        self.page.wait_seen("connect")
        self.page.choose("eu")
        main = self.driver.current_window_handle
        self.page.click("enable-go")
        self.to_window(main)
        wait_for(lambda: self.driver.find_elements(By.ID, "allow"), "Segment's question")
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
            wait_for(lambda: [e for e in driver.get_log("browser") if "frame-ancestors" in e["message"]], "the refusal")
            # The link was not used up: nothing of the page ran.
            page.open(link[0])
            page.wait_text("key", "A1b2")
        finally:
            driver.quit()
            world.close()
            end(allowed_server)
            end(foreign_server)


# What turns the direction of text, breaks lines, or ends what it may stand in.
ODD = ["\u202e<b>x", "x\u2028y", "]]><!--", "</title><script>alert(1)</script>"]


class Hostile(unittest.TestCase):
    """Names, labels, the tool's name and what Segment says are text, whatever is in them."""

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
                wait_for(lambda: page.look() and "Segment did not take the test event" in page.text("test"), "the refusal")
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
