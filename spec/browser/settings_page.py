"""The settings page in headless Chromium, by what its parts are called."""
import json

from selenium.webdriver.common.by import By

from patience import wait
from settings_world import browser

KEY = "wkONE1234567890abcdefghijklA1b2"
NEW_KEY = "wkTWO1234567890abcdefghijklC3d4"
REFUSED = "wkBAD1234567890abcdefghijklZ9y8"

# Before any script of the page: what breaks its policy is written down.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => window.violations.push(e.violatedDirective + " " + e.blockedURI));
"""


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
        wait("%s to say %r; it says %r" % (name, part, self.text(name)), lambda: part in self.text(name))

    def look(self):
        """At once, not in a second: as when its tab is seen again. Always true."""
        self.driver.execute_script("document.dispatchEvent(new Event('visibilitychange'))")
        return True

    def wait_seen(self, name):
        wait(name + " to be seen", lambda: self.sees(name))

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
