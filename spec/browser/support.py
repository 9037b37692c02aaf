"""A debugger and a headless browser for the tests here. Every wait is for a condition and has a deadline."""

import base64
import http.client
import json
import os
import secrets
import subprocess
import tempfile
import threading

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from patience import DEADLINE, wait

COMMAND = os.environ["MW_COMMAND"]

# Noted by the page itself, before any script of it runs.
WATCH = """
window.violations = []; window.dialogs = [];
document.addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective + " " + e.blockedURI));
for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = (text) => { dialogs.push(name + " " + text); };
"""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Debugger:
    """`moonweir debugger` on a free port."""

    def __init__(self, *arguments, port=0, token=None):
        self.token = token or secrets.token_hex(16)
        self.out = tempfile.TemporaryFile("w+")
        environment = dict(os.environ, MOONWEIR_DEBUGGER_TOKEN=self.token)
        self.process = subprocess.Popen(
            [COMMAND, "debugger", "--port", str(port), "--json", *arguments],
            stdout=self.out, stderr=subprocess.PIPE, text=True, env=environment,
        )
        line = self.process.stderr.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line
        self.port = int(line.rsplit(":", 1)[1])
        self.page = self.process.stderr.readline().split()[-1]
        self.url = "http://127.0.0.1:%d" % self.port
        self.reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.reader.start()

    def ask(self, method, path, body=None, headers=None, timeout=DEADLINE):
        """One request on a connection of its own; raises OSError or HTTPException if there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def send(self, path, value, key="acme-write-key-k3y4", headers=None):
        basic = {"Authorization": "Basic " + base64.b64encode(key.encode() + b":").decode()} if key else {}
        body = value if isinstance(value, (bytes, str)) else json.dumps(value)
        return self.ask("POST", path, body, {"Content-Type": "application/json", **basic, **(headers or {})})

    def control(self, method, path, value=None):
        headers = {"X-Moonweir-Token": self.token, "Content-Type": "application/json"}
        answer = self.ask(method, "/control/" + path, None if value is None else json.dumps(value), headers)
        return json.loads(answer.body)

    def messages(self):
        return [e for e in self.control("GET", "messages")["entries"] if e["kind"] == "message"]

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        self.process.stderr.close()
        self.out.close()


class Browser:
    """Headless Chromium. `dark`, and `phone`: 390 pixels wide, touched."""

    def __init__(self, dark=False, phone=False):
        options = webdriver.ChromeOptions()
        for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1360,950",
                         "--disable-background-networking", "--disable-component-update", "--no-first-run"]:
            options.add_argument(argument)
        if phone:
            metrics = {"width": 390, "height": 844, "pixelRatio": 2, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_script_timeout(DEADLINE)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        if dark:
            feature = {"name": "prefers-color-scheme", "value": "dark"}
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def open(self, url):
        self.driver.get("about:blank")
        self.driver.get(url)
        return self

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def shown(self, selector):
        return self.run("const e = document.querySelector(arguments[0]); return Boolean(e && e.checkVisibility())", selector)

    def click(self, selector):
        self.find(selector).click()

    def choose(self, selector, text):
        """An option of a select, by its text, as soon as it is there."""
        def pick():
            for option in self.all(selector + " option"):
                if option.text == text:
                    option.click()
                    self.run("document.activeElement.blur()")
                    return True
        wait("the option " + text, pick)

    def rows(self):
        """What the rows in sight say, newest first: verdict, type, name, user."""
        return self.run("""
            return [...document.querySelectorAll(".row:not([hidden])")]
                .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
                .map((r) => [".verdict", ".kind", "b", "i"].map((s) => r.querySelector(s).textContent))""")

    def names(self):
        return [row[2] for row in self.rows()]

    def wait_for_names(self, *names):
        return wait("the rows %s, not %s" % (names, self.names()), lambda: self.names() == list(names))

    def wait_for_text(self, selector, text):
        return wait("%s to say %s" % (selector, text), lambda: text in self.text(selector))

    def choose_row(self, name):
        for row in self.all(".row:not([hidden])"):
            if row.find_element(By.CSS_SELECTOR, "b").text == name:
                return row.click()
        raise AssertionError("no row says " + name)

    def harm(self, *origins):
        """Dialogs, violations of the CSP, requests to anybody but these origins, and what the console complains of."""
        own = [origin + "/" for origin in origins]
        harm = self.run("return [...dialogs, ...violations]")
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                url = message["params"].get("request", message["params"])["url"]
                if not url.startswith(tuple(own)) and not url.startswith(("about:", "data:", "chrome:")):
                    harm.append("request to " + url)
        for entry in self.driver.get_log("browser"):
            if entry["level"] == "SEVERE":
                harm.append(entry["message"])
        return harm

    def stop(self):
        self.driver.quit()


def track(event, user="user-1", **more):
    """A call with nothing wrong in it."""
    call = {
        "type": "track", "userId": user, "event": event, "messageId": "test:" + secrets.token_hex(8),
        "timestamp": "2026-01-31T12:00:00.000Z", "properties": {},
        "context": {"integration": {"name": "acme-desk", "version": "1.0.0"}},
    }
    call.update(more)
    return call
