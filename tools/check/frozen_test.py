"""Breaks the client contract in a copy of it, each way it can break, and sees the line named."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import frozen

PARTS = ["src/api/client", "src/api/vectors", "src/rpc/options.proto", "src/model/error_code.h"]


class Frozen(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        for part in PARTS:
            (self.root / part).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (frozen.ROOT / part).is_dir() else shutil.copy
            copy(frozen.ROOT / part, self.root / part)
        self.git("init", "-q")
        self.git("add", "-A")
        self.git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "as it was")

    def tearDown(self):
        self.folder.cleanup()

    def git(self, *words):
        subprocess.run(["git", *words], cwd=self.root, check=True)

    def change(self, name, old, new):
        file = self.root / name
        text = file.read_text()
        self.assertIn(old, text)
        file.write_text(text.replace(old, new, 1))

    def test_the_contract_as_it_stands_is_kept(self):
        self.assertEqual(list(frozen.complaints(self.root)), [])

    def test_each_broken_promise_is_named(self):
        base = "src/api/client/base.proto"
        for name, old, new, named in [
            (base, "bytes ticket = 1;", "bytes token = 1;", "field hongyan.client.BaseRequest 1 ticket bytes"),
            (base, "uint32 client_version = 4;", "uint32 client_version = 44;", "BaseRequest 4 client_version uint32"),
            (base, "uint32 client_version = 4;", "string client_version = 4;", "BaseRequest 4 client_version uint32"),
            (base, "repeated string long_link = 2;", "string long_link = 2;", "Redirect 2 long_link string repeated"),
            (base, "  bytes handoff = 5;\n", "", "Redirect 5 handoff bytes"),
            ("src/api/client/chat.proto", "id: 301", "id: 399", "command 301 send"),
            ("src/model/error_code.h", "X(105, ", "X(195, ", "code 105"),
            (frozen.PAGE, "field hongyan.client.BaseRequest 1 ticket bytes\n", "", "HEAD has this line"),
            ("src/api/vectors/301-send.json", '"cmdid": 301', '"cmdid": 302', "a vector never changes"),
        ]:
            with self.subTest(named):
                before = (self.root / name).read_text()
                self.change(name, old, new)
                found = list(frozen.complaints(self.root))
                self.assertTrue(any(named in line for line in found), found)
                (self.root / name).write_text(before)

    def test_what_is_new_is_asked_about(self):
        self.change("src/api/client/base.proto", "bytes handoff = 5;", "bytes handoff = 5; bytes more = 6;")
        (line,) = frozen.complaints(self.root)
        self.assertIn("new; ", line)
        self.assertIn("Redirect 6 more bytes", line)


if __name__ == "__main__":
    unittest.main()
