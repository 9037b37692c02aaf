"""What the settings page's browser test needs around it: the page's host, a Segment that does as it is told, frames, a browser.

Everything listens on a free port of 127.0.0.1, lives in a temporary folder, and is gone when the test is over.
"""
import base64
import hashlib
import hmac
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LUA = os.environ.get("MOONWEIR_LUA", "lua5.4")
BUILD = os.path.join(ROOT, os.environ.get("MW_BUILD", "build"), "luajit" if "jit" in LUA else "lua5.4")
DEADLINE = 60


def wait_for(condition, what):
    """The first true value of `condition`, which is asked again and again."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("waited in vain: " + what)


def listen(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Segment:
    """Takes batches, remembers them with their key, and answers what `answer` says: (status, text)."""

    def __init__(self):
        self.batches = []
        self.answer = lambda key, batch: (200, '{"success":true}')
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                login = self.headers.get("Authorization", "").split(" ")
                key = base64.b64decode(login[1]).decode().split(":")[0] if login[0] == "Basic" else login[0]
                batch = json.loads(body)["batch"]
                status, text = outer.answer(key, batch)
                outer.batches.append((key, batch, status))
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = listen(Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def keys_of(self, event):
        return [key for key, batch, status in self.batches for m in batch if m.get("event") == event and status == 200]


def frame_server(src):
    """A page of another origin that frames `src()`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            data = ('<!doctype html><title>tool</title><iframe id="f" width="700" height="700" src="%s"></iframe>' % src()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = listen(Handler)
    return server, "http://127.0.0.1:%d" % server.server_port


class World:
    def __init__(self, **config):
        self.folder = tempfile.mkdtemp(prefix="moonweir-browser-")
        self.env = dict(
            os.environ,
            LUA_PATH="lua/?.lua;lua/?/init.lua;spec/?.lua;;",
            LUA_CPATH=BUILD + "/?.so;;",
        )
        self.us, self.eu = Segment(), Segment()
        self.lua('local c = require "moonweir.core" assert(c.new_master_key(arg[1] .. "/master-key")) '
                 'assert(c.new_master_key(arg[1] .. "/link-key"))')
        config = dict({"tool": "Acme Mail", "endpoints": [
            {"name": "us", "label": "United States", "endpoint": self.us.url},
            {"name": "eu", "label": "European Union", "endpoint": self.eu.url},
        ]}, **config)
        config.update(folder=self.folder, port_file=self.folder + "/port")
        path = self.folder + "/config.json"
        with open(path, "w") as file:
            json.dump(config, file)
        self.host_log = open(self.folder + "/host.log", "w+")
        self.host = subprocess.Popen([LUA, "spec/support/settings_host.lua", path], cwd=ROOT, env=self.env,
                                     stdout=self.host_log, stderr=self.host_log)
        port = wait_for(lambda: self.read("port"), "the page's host")
        self.base = "http://127.0.0.1:" + port
        with open(self.folder + "/link-key") as file:
            self.key = bytes.fromhex(file.read().strip())

    def lua(self, script, *args):
        path = self.folder + "/script.lua"
        with open(path, "w") as file:
            file.write(script)
        subprocess.run([LUA, path, self.folder, *args], cwd=ROOT, env=self.env, check=True)

    def read(self, name):
        try:
            with open(os.path.join(self.folder, name)) as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def link(self, account, **changed):
        """As the README's recipe for Python makes it."""
        now = int(time.time())
        fields = {"account": account, "aud": self.base, "iat": now, "exp": now + 300, "jti": secrets.token_urlsafe(16)}
        fields.update(changed)
        signed = "v1." + base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()
        mac = hmac.new(self.key, signed.encode(), hashlib.sha256).digest()
        return self.base + "/settings#" + signed + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def close(self):
        self.host.send_signal(signal.SIGTERM)
        self.host.wait(DEADLINE)
        self.host_log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def browser(dark=False, width=1100, height=900):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--window-size=%d,%d" % (width, height)):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
    return driver
