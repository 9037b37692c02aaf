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
from urllib.parse import parse_qsl, urlencode, urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from patience import DEADLINE, wait

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LUA = os.environ.get("MOONWEIR_LUA", "lua5.4")
BUILD = os.path.join(ROOT, os.environ.get("MW_BUILD", "build"), "luajit" if "jit" in LUA else "lua5.4")


def listen(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def end(server):
    server.shutdown()
    server.server_close()


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


class Identity:
    """Segment's login and consent, its token endpoint and the source that was chosen."""

    SOURCE = "workspaces/acme/sources/mail"

    def __init__(self, write_key):
        self.codes = {}
        self.allow = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status, kind, text, more=()):
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                for name, value in more:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                url = urlsplit(self.path)
                query = dict(parse_qsl(url.query))
                if url.path == "/auth":
                    code = secrets.token_urlsafe(8)
                    outer.codes[code] = query
                    what = {"code": code} if outer.allow else {"error": "access_denied"}
                    back = query["redirect_uri"] + "?" + urlencode(dict(what, state=query["state"]))
                    self.answer(200, "text/html", '<title>consent</title><a id="allow" href="%s">Allow</a>' % back.replace("&", "&amp;"))
                elif url.path == "/api/v1beta/" + outer.SOURCE and self.headers["Authorization"] == "Bearer t0ken":
                    self.answer(200, "application/json", json.dumps({"write_keys": [write_key]}))
                else:
                    self.answer(403, "application/json", "{}")

            def do_POST(self):
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                asked = outer.codes.pop(form.get("code"), {})
                hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
                login = base64.b64decode(self.headers["Authorization"].split(" ")[1]).decode()
                good = (login == "acme-app:s3cret" and form.get("redirect_uri") == asked.get("redirect_uri")
                        and base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() == asked.get("code_challenge"))
                told = {"access_token": "t0ken", "source_names": [outer.SOURCE]} if good else {"error": "invalid_grant"}
                self.answer(200 if good else 400, "application/json", json.dumps(told))

            def log_message(self, *_):
                pass

        self.server = listen(Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        self.config = {"client_id": "acme-app", "client_secret": "s3cret", "authorize_url": self.url + "/auth",
                       "token_url": self.url + "/token", "api_url": self.url + "/api"}


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
        port = wait("the page's host", lambda: self.read("port"))
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
        for server in (self.us.server, self.eu.server):
            end(server)
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
