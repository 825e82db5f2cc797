"""Plants a violation of each rule of check.py in a small tree and sees file and rule named."""
import json
import os
import pathlib
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check

README = "# base\n" + "".join(f"## {heading}\nText.\n" for heading in check.HEADINGS)
PACKAGES = "build | g++ | g++ | - | The compiler\n"
GOOD = {
    "tools/check/layers.txt": "base:\nstore/engine: base\n",
    "tools/setup/packages.txt": PACKAGES,
    "src/CMakeLists.txt": "hongyan_room(base LIBS x EXCEPT deep)\nhongyan_room(base/deep)\n# hongyan_room(commented)\n",
    "src/base/README.md": README,
    "src/base/deep/README.md": README,
    "src/base/a.cc": "int a;\n",
    "src/base/deep/b_test.cc": "int b;\n",
    "docs/plan.md": "See [the page](docs/x.md), https://example.org/home/page and /api/work/x.\n",
}


class Check(unittest.TestCase):
    def complaints(self, files):
        with tempfile.TemporaryDirectory() as root:
            root = pathlib.Path(root)
            files = dict(files)
            files.setdefault("docs/dependencies.md", self.page(root, files))
            for name, text in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text.replace("ROOT", str(root)))
                if name.startswith("tests/run.d/") and "not executable" not in text:
                    path.chmod(0o755)
            database = root / "build/compile_commands.json"
            if database.exists():
                os.utime(database, (time.time() + 60, time.time() + 60))
            tree = check.Tree(root)
            found = [complaint for rule in check.CHECKS for complaint in rule(tree)]
            return check.with_debt(tree, found)

    def page(self, root, files):
        path = root / "packages"
        path.write_text(files["tools/setup/packages.txt"])
        text = check.dependencies.render(check.dependencies.read(path))
        path.unlink()
        return text

    def test_a_good_tree_passes(self):
        self.assertEqual(self.complaints(GOOD), [])

    def test_each_planted_violation_is_named_with_file_and_rule(self):
        fix = "FIX" + "ME"
        database = json.dumps([{"directory": "ROOT", "file": "sim/known_test.cc"}])
        layers = GOOD["tools/check/layers.txt"] + "sim: *\n"
        for name, text, where in [
            ("src/base/a.cc", "int a;\n" * 1001, "src/base/a.cc:1: size: "),
            ("src/base/a.cc", f"// {fix}: later\n", "src/base/a.cc:1: unfinished: "),
            ("docs/plan.md", "\nRun /" + "home/anna/x.\n", "docs/plan.md:2: machine-path: "),
            ("src/base/a.cc", 'const char* p = "/' + 'root/x";\n', "src/base/a.cc:1: machine-path: "),
            ("src/base/README.md", README.replace("## Not here", "## Elsewhere"), "src/base/README.md:1: readme: "),
            ("src/store/engine/e.cc", "int e;\n", "src/store/engine/e.cc:1: registered: no hongyan_room"),
            ("src/CMakeLists.txt", "hongyan_room(base)\nhongyan_room(base/deep)\n", "src/base/deep/b_test.cc:1: registered: built by"),
            ("src/base/a.cc", '#include "store/engine/e.h"\n', "src/base/a.cc:1: layer: base may not include store/engine"),
            ("src/CMakeLists.txt", GOOD["src/CMakeLists.txt"].replace("LIBS", "DEPS store/engine LIBS"),
             "src/CMakeLists.txt:1: layer: base links store/engine"),
            ("docs/dependencies.md", "old\n", "docs/dependencies.md:1: documents: "),
            ("tests/run.d/10_x.sh", "not executable\n", "tests/run.d/10_x.sh:1: executable: "),
            ("tools/check/debt.txt", "# sins\nsrc/gone.cc:1: size: 1200 lines\n", "tools/check/debt.txt:1: debt: paid"),
        ]:
            with self.subTest(file=name, where=where):
                found = self.complaints({**GOOD, name: text})
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith(where), found[0])
        without = {name: text for name, text in GOOD.items() if name != "src/base/deep/b_test.cc"}
        found = self.complaints({**without, "tools/check/layers.txt": layers, "build/compile_commands.json": database,
                                 "sim/known_test.cc": "", "sim/forgotten_test.cc": ""})
        self.assertEqual(found, ["sim/forgotten_test.cc:1: registered: the build does not compile this test"])

    def test_a_room_without_readme_is_named(self):
        files = {name: text for name, text in GOOD.items() if name != "src/base/deep/README.md"}
        self.assertEqual(self.complaints(files), ["src/base/deep/README.md:1: readme: a room needs one"])

    def test_debt_excuses_its_exact_line_only(self):
        files = {**GOOD, "src/base/a.cc": "int a;\n" * 1001}
        line = self.complaints(files)[0]
        self.assertEqual(self.complaints({**files, "tools/check/debt.txt": line + "\n"}), [])
        self.assertEqual(len(self.complaints({**files, "tools/check/debt.txt": line + "!\n"})), 2)


if __name__ == "__main__":
    unittest.main()
