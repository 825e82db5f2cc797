"""`up --detach`, `status` and `down` against a stand-in for the server: Python under the server's name, which writes
server.json as the server does. What is tested is the command, not the server."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

VERBS = pathlib.Path(__file__).resolve().parent

SERVER = """
import http.server, json, os, pathlib, signal, sys, threading
data = pathlib.Path(sys.argv[1])
print("log line", file=sys.stderr, flush=True)
if "--fail" in sys.argv:
    print("no such option", file=sys.stderr)
    sys.exit(7)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if "--sick" in sys.argv else 200)
        self.end_headers()
        self.wfile.write(b'{"status":"ok","version":"9.8.7"}')
    def log_message(self, *arguments): pass
page = http.server.HTTPServer(("127.0.0.1", 0), Page)
web = f"http://127.0.0.1:{page.server_port}"
(data / "server.json").write_text(json.dumps({"pid": os.getpid(), "web": web, "long_link": "127.0.0.1:1", "server_api": web}))
print("the secret is 4711")
print("ready " + json.dumps({"web": web}), flush=True)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=page.shutdown).start())
page.serve_forever()
"""


class Server(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.data = self.root / "data"
        self.data.mkdir()
        self.binary = self.root / "hongyan-server"
        shutil.copy(os.path.realpath(sys.executable), self.binary)
        self.script = self.root / "server_stand_in.py"
        self.script.write_text(SERVER)
        self.addCleanup(self.verb, "down")

    def verb(self, name, *options):
        environment = {**os.environ, "HY_ROOT": str(self.root)}
        environment.pop("HONGYAN_DATA", None)
        return subprocess.run([sys.executable, VERBS / "server.py", name, *options], env=environment, capture_output=True, text=True, timeout=60)

    def up(self, *options):
        environment = {**os.environ, "PYTHONHOME": sys.prefix}
        return subprocess.run([sys.executable, VERBS / "detach.py", self.data, self.binary, self.script, self.data, *options],
                              env=environment, capture_output=True, text=True, timeout=60)

    def test_up_returns_when_ready_and_shows_what_the_server_printed_but_keeps_no_secret(self):
        up = self.up()
        self.assertEqual(up.returncode, 0, up.stderr)
        self.assertIn("the secret is 4711\nready {", up.stdout)
        kept = {file.name: file.read_text() for file in self.data.iterdir()}
        self.assertEqual(kept["server.log"], "log line\n")
        self.assertFalse(any("4711" in text for text in kept.values()), kept)

    def test_status_then_down(self):
        self.assertEqual(self.up().returncode, 0)
        status = json.loads(self.verb("status", "--json").stdout)
        self.assertEqual((status["running"], status["healthy"], status["version"]), (True, True, "9.8.7"))
        self.assertIn("version 9.8.7", self.verb("status").stdout)
        down = self.verb("down")
        self.assertEqual((down.returncode, down.stdout), (0, f"stopped (pid {status['pid']})\n"))
        self.assertEqual(self.verb("status").returncode, 1)
        self.assertIn("not running", self.verb("down").stdout)

    def test_an_unhealthy_server_is_called_so(self):
        self.assertEqual(self.up("--sick").returncode, 0)
        status = self.verb("status")
        self.assertEqual(status.returncode, 1)
        self.assertIn("UNHEALTHY", status.stdout)

    def test_a_server_that_ends_before_it_is_ready_shows_its_last_words_and_code(self):
        up = self.up("--fail")
        self.assertEqual(up.returncode, 7)
        self.assertIn("no such option", up.stderr)

    def test_a_stale_server_json_never_points_at_a_stranger(self):
        (self.data / "server.json").write_text(json.dumps({"pid": os.getpid(), "web": "http://127.0.0.1:1"}))
        self.assertIn("not running", self.verb("down").stdout)
        for broken in ("", "[]", '{"pid": "x"}', '{"pid": 1e400}'):
            (self.data / "server.json").write_text(broken)
            self.assertEqual(self.verb("status").returncode, 1)
            self.assertIn("not running", self.verb("status").stdout)


if __name__ == "__main__":
    unittest.main()
