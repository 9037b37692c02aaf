"""The debugger's page, driven by real clicks and keys in headless Chromium: make browser."""

import http.client
import http.server
import json
import os
import subprocess
import tempfile
import threading
import unittest

from selenium.webdriver.common.keys import Keys

from payloads import PAYLOADS
from patience import DEADLINE, wait
from support import Browser, Debugger, track


class Page(unittest.TestCase):
    """One browser for all; a debugger for each."""

    options = {}

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser(**cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.browser.stop()

    def debugger(self, *arguments, **options):
        d = Debugger(*arguments, **options)
        self.addCleanup(d.stop)
        return d

    def opened(self, *arguments):
        d = self.debugger(*arguments)
        self.browser.open(d.page)
        self.browser.wait_for_text("#connection", "Live")
        return d, self.browser


class Opening(Page):
    def test_tells_how_to_send_a_first_event_and_then_shows_it(self):
        d, b = self.opened()
        self.assertTrue(b.shown("#empty"))
        command = b.text("#first")
        subprocess.run(["sh", "-c", command], check=True, capture_output=True)
        b.wait_for_names("Email Opened")
        self.assertFalse(b.shown("#empty"))

    def test_takes_the_token_out_of_sight_and_survives_a_reload(self):
        d, b = self.opened()
        self.assertEqual(d.url + "/", b.driver.current_url)
        d.send("/v1/batch", {"batch": [track("Ticket Created")]})
        b.driver.refresh()
        b.wait_for_names("Ticket Created")

    def test_says_so_without_the_token_or_with_a_wrong_one(self):
        d = self.debugger()
        self.browser.open(d.url)
        wait("the lock", lambda: self.browser.shown("#locked"))
        self.assertFalse(self.browser.shown("#desk"))
        self.browser.open(d.url + "/#" + "0" * 32)
        wait("the lock", lambda: self.browser.shown("#locked"))
        self.assertEqual("No token", self.browser.text("#connection"))

    def test_finds_a_debugger_that_was_started_again(self):
        d, b = self.opened()
        d.send("/v1/batch", {"batch": [track("Before")]})
        b.wait_for_names("Before")
        d.stop()
        b.wait_for_text("#connection", "Disconnected")
        again = self.debugger(port=d.port, token=d.token)
        b.wait_for_text("#connection", "Live")
        again.send("/v1/batch", {"batch": [track("After")]})
        b.wait_for_names("After")

    def debugger(self, *arguments, **options):
        d = super().debugger(*arguments, **options)
        stop = d.stop
        d.stop = lambda: d.process.poll() is None and stop()
        return d


class Watching(Page):
    def test_shows_each_message_as_it_comes_newest_first(self):
        d, b = self.opened()
        d.send("/v1/batch", {"batch": [track("First"), track("Second", "user-2")]})
        b.wait_for_names("Second", "First")
        d.send("/v1/page", {"userId": "user-3", "name": "Home"})
        b.wait_for_names("Home", "Second", "First")
        self.assertEqual(["OK", "track", "Second", "user-2"], b.rows()[1])
        b.wait_for_text("#messages", "3")

    def test_pauses_the_display_and_not_the_intake(self):
        d, b = self.opened()
        d.send("/v1/batch", {"batch": [track("First")]})
        b.wait_for_names("First")
        b.click("#pause")
        d.send("/v1/batch", {"batch": [track("Second")]})
        b.wait_for_text("#connection", "Paused, 1 new")
        self.assertEqual(["First"], b.names())
        self.assertEqual(2, len(d.messages()))
        b.click("#pause")
        b.wait_for_names("Second", "First")
        b.wait_for_text("#connection", "Live")

    def test_searches_the_raw_json(self):
        d, b = self.opened()
        d.send("/v1/batch", {"batch": [track("One", properties={"ticket_id": "T-77"}), track("Two", "ann@example.com")]})
        b.wait_for_names("Two", "One")
        b.find("#search").send_keys("t-77")
        b.wait_for_names("One")
        b.find("#search").send_keys(Keys.BACKSPACE, "8")
        wait("nothing", lambda: b.shown("#nothing"))
        b.click("#show-all")
        b.wait_for_names("Two", "One")
        b.find("#search").send_keys('"userId": "ann')
        b.wait_for_names("Two")
        d.send("/v1/batch", {"batch": [track("Three", "ann@example.org")]})
        b.wait_for_names("Three", "Two")
        b.wait_for_text("#count", "2 of 3")

    def test_filters_by_type_event_account_and_verdict(self):
        accounts = tempfile.NamedTemporaryFile("w", suffix=".json")
        self.addCleanup(accounts.close)
        os.chmod(accounts.name, 0o600)
        json.dump({"harbour": "harbour-write-key-0042"}, accounts)
        accounts.flush()
        d, b = self.opened("--accounts", accounts.name)
        d.send("/v1/batch", {"batch": [
            track("One"), track("order completed"), track("Three", 17), track("Four", anonymousId=None, context={}),
            {**track(""), "type": "page", "name": "Home", "event": None}]})
        d.send("/v1/batch", {"batch": [track("One", "user-9")]}, key="harbour-write-key-0042")
        d.send("/v1/batch", b"{")
        b.wait_for_names("/v1/batch", "One", "Home", "Four", "Three", "order completed", "One")
        for select, text, names in [
            ("#by-type", "page", ["Home"]), ("#by-type", "request", ["/v1/batch"]), ("#by-event", "One", ["One", "One"]),
            ("#by-account", "harbour…0042", ["One"]), ("#by-verdict", "Dropped", ["Three"]),
            ("#by-verdict", "Error", ["Four", "order completed"]), ("#by-verdict", "Refused", ["/v1/batch"]),
        ]:
            b.choose(select, text)
            b.wait_for_names(*names)
            b.click("#show-all")
            wait("all", lambda: len(b.names()) == 7)
        b.choose("#by-event", "One")
        b.choose("#by-account", "…k3y4")
        b.wait_for_names("One")
        self.assertEqual("user-1", b.rows()[0][3])

    def test_clears(self):
        d, b = self.opened()
        d.send("/v1/batch", {"batch": [track("One")]})
        b.wait_for_names("One")
        b.click("#clear")
        wait("nothing", lambda: b.shown("#empty"))
        self.assertEqual([], d.messages())
        d.send("/v1/batch", {"batch": [track("Two")]})
        b.wait_for_names("Two")

    def test_keeps_the_last_500_and_makes_rows_for_those_in_sight(self):
        d, b = self.opened()
        for request in range(30):
            d.send("/v1/batch", {"batch": [track("Event %d" % (request * 100 + n)) for n in range(100)]})
        b.wait_for_text("#messages", "3,000")
        b.wait_for_text("#count", "the last 500")
        wait("the newest", lambda: b.names()[:1] == ["Event 2999"])
        self.assertLess(b.run("return document.querySelectorAll('.row').length"), 80)
        b.find("#list").send_keys(Keys.END)
        wait("the oldest", lambda: b.names()[-1:] == ["Event 2500"])

    def test_stays_where_one_reads_while_more_comes(self):
        d, b = self.opened()
        d.send("/v1/batch", {"batch": [track("Old %d" % n) for n in range(100)]})
        wait("rows", lambda: "Old 99" in b.names())
        b.run("document.querySelector('#list').scrollTop = 40 * 30")
        wait("the rows there", lambda: "Old 69" in b.names())
        before = b.run("return document.querySelector('#list').scrollTop")
        d.send("/v1/batch", {"batch": [track("New %d" % n) for n in range(10)]})
        wait("room for them", lambda: b.run("return document.querySelector('#list').scrollTop") == before + 400)
        self.assertIn("Old 69", b.names())

    def test_is_used_by_keys_alone(self):
        d, b = self.opened()
        d.send("/v1/batch", {"batch": [track("One"), track("Two"), track("Three")]})
        b.wait_for_names("Three", "Two", "One")
        b.find("#clear").send_keys(Keys.TAB)
        self.assertEqual("list", b.run("return document.activeElement.id"))
        b.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
        b.wait_for_text("#detail h2", "Two")
        row = b.run("return document.getElementById(document.querySelector('#list').getAttribute('aria-activedescendant'))")
        self.assertEqual("true", row.get_attribute("aria-selected"))
        b.driver.switch_to.active_element.send_keys(Keys.END)
        b.wait_for_text("#detail h2", "One")
        unnamed = b.run("""return [...document.querySelectorAll("input, select, button")]
            .filter((e) => !(e.labels && e.labels.length) && !e.textContent.trim() && !e.ariaLabel).map((e) => e.id)""")
        self.assertEqual([], unnamed)


class Looking(Page):
    RAW = ('{"type":"track","userId":"user-1","event":"order completed","messageId":"m\'1","properties":'
           '{"n":12345678901234567890,"f":1.0,"note":"it\'s $HOME `x` \\"q\\""},"context":{"integration":{"name":"a","version":"1.0.0"}}}')

    def chosen(self):
        d, b = self.opened()
        d.send("/v1/batch", '{"batch":[' + self.RAW + "]}")
        b.wait_for_names("order completed")
        b.choose_row("order completed")
        b.wait_for_text("#detail", "Fix:")
        return d, b

    def test_shows_what_is_wrong_and_the_fix_beside_it(self):
        _, b = self.chosen()
        self.assertIn('"order completed" is "Order Completed"', b.text(".finding"))
        self.assertIn('Fix: call it "Order Completed"', b.text(".finding"))
        self.assertIn("partner requirement R3", b.text(".finding"))
        link = b.find(".finding a")
        self.assertTrue(link.get_attribute("href").startswith("https://segment.com/docs/"))
        self.assertEqual("noopener noreferrer", link.get_attribute("rel"))
        self.assertIn('"event": "order completed"', b.text(".json .is-error"))

    def test_says_what_a_200_hides(self):
        d, b = self.opened()
        twice = track("Ticket Created")
        d.send("/v1/batch", {"batch": [twice, twice]})
        b.wait_for_names("Ticket Created", "Ticket Created")
        self.assertEqual(["Dropped", "OK"], [row[0] for row in b.rows()])
        b.find("#list").send_keys(Keys.HOME)
        b.wait_for_text("#detail", "This messageId was sent before")
        self.assertIn("2, 1 dropped", b.text("#detail .facts"))

    def test_pretty_and_raw_keep_every_digit(self):
        _, b = self.chosen()
        self.assertIn('"n": 12345678901234567890', b.text(".json"))
        self.assertIn('"f": 1.0', b.text(".json"))
        b.click("#view-raw")
        self.assertEqual(self.RAW, b.text(".json"))
        b.click("#view-pretty")
        self.assertIn('\n  "userId": "user-1"', b.text(".json"))

    def copied(self, b, button):
        b.run("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
        b.click(button)
        b.wait_for_text(button, "Copied")
        return b.run("return window.copied")

    def test_copies_a_command_that_sends_it_again_under_a_placeholder_key(self):
        d, b = self.chosen()
        command = self.copied(b, "#copy-curl")
        self.assertIn("YOUR_WRITE_KEY", command)
        self.assertNotIn("k3y4", command)
        subprocess.run(["sh", "-c", command], check=True, capture_output=True)
        sent = d.messages()[-1]
        self.assertEqual((self.RAW, "/v1/track", "…_KEY"), (sent["raw"], sent["request"]["path"], sent["account"]))
        self.assertEqual(self.RAW, self.copied(b, "#copy-json"))

    def test_never_shows_a_key(self):
        d, b = self.opened()
        d.send("/v1/track", '{"writeKey":"canary-in-body-0001","userId":"u","event":"E"}', key="canary-in-header-0002")
        b.wait_for_names("E")
        b.choose_row("E")
        b.click("#view-raw")
        self.assertIn('"writeKey":"…0001"', b.text(".json"))
        self.assertNotIn("canary", b.run("return document.documentElement.outerHTML"))
        self.assertNotIn("canary", json.dumps(d.control("GET", "messages")) + json.dumps(d.control("GET", "state")))


class Failing(Page):
    def ready(self):
        d, b = self.opened()
        self.sent = 0
        return d, b

    def active(self, b, text):
        b.wait_for_text("#fault-list", text)

    def none_active(self, b):
        wait("no fault", lambda: b.text("#fault-list") == "")

    def test_429_with_retry_after_once(self):
        d, b = self.ready()
        b.find("#fault-wait").clear()
        b.find("#fault-wait").send_keys("7")
        b.click('[data-kind="429"]')
        self.active(b, "429 × 1")
        answer = d.send("/v1/batch", {"batch": [track("One")]})
        self.assertEqual((429, "7", "7"), (answer.status, answer.headers["Retry-After"], answer.headers["X-RateLimit-Reset"]))
        self.none_active(b)
        b.wait_for_names("/v1/batch")
        self.assertEqual(["Fault", "request", "/v1/batch", "429 rate_limited"], b.rows()[0])
        self.assertEqual(200, d.send("/v1/batch", {"batch": [track("One")]}).status)

    def test_500_until_removed(self):
        d, b = self.ready()
        b.choose("#fault-times", "all, until removed")
        b.click('[data-kind="500"]')
        self.active(b, "500")
        for _ in range(3):
            self.assertEqual(500, d.send("/v1/track", track("One")).status)
        b.click("#fault-list button")
        self.none_active(b)
        self.assertEqual(200, d.send("/v1/track", track("One")).status)

    def test_401_for_one_account(self):
        d, b = self.ready()
        d.send("/v1/track", track("One"))
        d.send("/v1/track", track("Two"), key="another-key-0000-zzzz")
        b.choose("#fault-account", "…zzzz")
        b.choose("#fault-times", "all, until removed")
        b.click('[data-kind="401"]')
        self.active(b, "401 for …zzzz")
        self.assertEqual(401, d.send("/v1/track", track("Two"), key="another-key-0000-zzzz").status)
        self.assertEqual(401, d.send("/v1/track", {"writeKey": "another-key-0000-zzzz", **track("Two")}, key=None).status)
        self.assertEqual(200, d.send("/v1/track", track("One")).status)

    def test_stalls_until_let_go(self):
        d, b = self.ready()
        b.click('[data-kind="stall"]')
        self.active(b, "Stall × 1")
        answers = []
        thread = threading.Thread(target=lambda: answers.append(d.send("/v1/track", track("Held"))))
        thread.start()
        self.active(b, "1 stalled")
        self.assertEqual(([], []), (answers, d.messages()))
        b.click("#fault-list button")
        thread.join(DEADLINE)
        self.assertEqual(200, answers[0].status)
        b.wait_for_names("Held")

    def test_cuts_the_connection_and_takes_nothing(self):
        d, b = self.ready()
        b.click('[data-kind="cut"]')
        self.active(b, "Cut × 1")
        with self.assertRaises((OSError, http.client.HTTPException)):
            d.send("/v1/track", track("One"))
        self.assertEqual([], d.messages())
        b.wait_for_names("/v1/track")

    def test_loses_the_answer_so_that_a_repeat_is_a_duplicate(self):
        d, b = self.ready()
        b.click('[data-kind="lost"]')
        self.active(b, "Lost answer × 1")
        call = track("One")
        with self.assertRaises((OSError, http.client.HTTPException)):
            d.send("/v1/track", call)
        self.assertEqual(200, d.send("/v1/track", call).status)
        b.wait_for_names("One", "One")
        self.assertEqual(["Dropped", "OK"], [row[0] for row in b.rows()])

    def test_says_what_is_wrong_with_a_wish(self):
        d, b = self.ready()
        b.find("#fault-wait").clear()
        b.find("#fault-wait").send_keys("99999")
        b.click('[data-kind="429"]')
        b.wait_for_text("#fault-error", "retry_after is a whole number up to 3600")


class Hostile(Page):
    def test_200_payloads_in_every_place_stay_text(self):
        accounts = tempfile.NamedTemporaryFile("w", suffix=".json")
        self.addCleanup(accounts.close)
        os.chmod(accounts.name, 0o600)
        json.dump({PAYLOADS[3]: "payload-write-key-0001"}, accounts)
        accounts.flush()
        d, b = self.opened("--accounts", accounts.name)
        for i, p in enumerate(PAYLOADS):
            calls = [
                {"type": "track", "event": p, "userId": p, "messageId": p[:80] + str(i), "properties": {p: p, "total": p},
                 "context": {"integration": {"name": p, "version": p}, p: p, "traits": {"email": p}}},
                {"type": p if i % 2 else "page", "name": p, "category": p, "anonymousId": p, p: {p: [p, {p: p}]}, "timestamp": p},
            ]
            d.send("/v1/batch", {"batch": calls}, key=("payload-write-key-0001" if i % 3 else p.replace(":", "")),
                   headers={"Content-Type": "application/json; " + p.encode("ascii", "replace").decode()})
        d.send("/v1/batch", b"<img src=x onerror=alert(1)>")
        d.send("/v1/batch", {"batch": [track("E")]}, headers={"Content-Encoding": "<svg onload=alert(1)>"})
        self.assertIn(400, [e["request"]["status"] for e in d.control("GET", "messages")["entries"]])
        b.wait_for_text("#count", "402")
        box = b.find("#list")
        box.send_keys(Keys.HOME)
        for i in range(402):
            if i % 50 == 25:
                b.run("document.querySelector('#view-raw')?.click()")
            if i % 50 == 0:
                b.run("document.querySelector('#view-pretty')?.click()")
            box.send_keys(Keys.ARROW_DOWN)
            self.assertTrue(b.text("#detail h2"))
        for select in ["#by-type", "#by-event", "#by-account", "#fault-account"]:
            wait("choices", lambda: len(b.all(select + " option")) > 1)
        b.find("#search").send_keys("<img src=x")
        wait("matches", lambda: " of " in b.text("#count"))
        made = b.run("return document.querySelectorAll('#desk script, #desk iframe, #desk img, #detail svg, #rows svg, "
                     "#desk base, #desk form, #desk a:not([href^=\"https://segment.com/docs/\"])').length")
        self.assertEqual(0, made)
        self.assertEqual([], b.harm(d.url))

    def test_turns_no_text_around_and_hides_none(self):
        d, b = self.opened()
        d.send("/v1/batch", {"batch": [track("a\u202eb\u200bc")]})
        b.wait_for_names("a\\u202eb\\u200bc")

    def test_another_origin_gets_nothing_and_changes_nothing(self):
        d, b = self.opened()
        d.send("/v1/batch", {"batch": [track("One")]})

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<!doctype html><title>evil</title>")

            def log_message(self, *_):
                pass

        evil = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=evil.serve_forever, daemon=True).start()
        self.addCleanup(evil.server_close)
        self.addCleanup(evil.shutdown)
        b.open("http://127.0.0.1:%d/" % evil.server_port)
        attempts = b.driver.execute_async_script("""
            const [url, token, done] = arguments;
            const attempt = (path, options) => fetch(url + path, options).then((r) => r.type + " " + r.status, () => "refused");
            Promise.all([
                attempt("/control/state", { headers: { "X-Moonweir-Token": token } }),
                attempt("/control/clear", { method: "POST", body: "{}", headers: { "X-Moonweir-Token": token } }),
                attempt("/control/clear", { method: "POST", body: "{}", mode: "no-cors" }),
                attempt("/control/state", { mode: "no-cors" }),
            ]).then(done)""", d.url, d.token)
        self.assertEqual(["refused", "refused"], attempts[:2])
        self.assertEqual(1, len(d.messages()))
        b.run("""
            const frame = document.createElement("iframe");
            frame.src = arguments[0];
            window.framed = new Promise((done) => { frame.onload = done; });
            document.body.append(frame);""", d.page)
        b.driver.execute_async_script("framed.then(arguments[0])")
        b.driver.switch_to.frame(0)
        self.assertFalse(b.run("return Boolean(document.querySelector('#desk'))"))
        b.driver.switch_to.default_content()


class Phone(Page):
    options = {"phone": True, "dark": True}

    def test_fits_and_shows_list_or_message(self):
        d, b = self.opened()
        d.send("/v1/batch", {"batch": [track("One", properties={"long_" * 30: "x" * 500}), track("E" * 300, "u" * 300)]})
        b.wait_for_names("E" * 300, "One")
        self.assertEqual("dark", b.run("return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'"))
        self.assertFalse(b.shown("#detail"))
        b.choose_row("One")
        wait("the message", lambda: b.shown("#detail") and not b.shown("#list"))
        self.assertLessEqual(b.run("return document.documentElement.scrollWidth"), 390)
        b.click("#back")
        wait("the list", lambda: b.shown("#list") and not b.shown("#detail"))
        self.assertEqual("list", b.run("return document.activeElement.id"))
        self.assertLessEqual(b.run("return document.documentElement.scrollWidth"), 390)
        self.assertEqual([], b.harm(d.url))


if __name__ == "__main__":
    unittest.main()
