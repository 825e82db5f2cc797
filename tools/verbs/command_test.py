"""The command itself: dispatch, and what setup does on machines that lack something. Stubs stand in for id, sudo and
apt-get, so nothing is installed."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERBS = ["up", "down", "status", "version", "build", "install", "new-service", "test", "sim", "bench", "fuzz", "check", "fmt", "client", "chat",
         "rpc", "counters", "backup", "restore", "doctor"]


def run(*command, cwd="/", path=None):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HONGYAN_", "HY_"))}
    if path:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    return subprocess.run([str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)


class Command(unittest.TestCase):
    def test_help_has_a_line_for_every_verb_and_every_verb_is_known(self):
        text = run(ROOT / "hongyan", "help").stdout
        listed = re.findall(r"^  ([a-z-]+)  ", text, re.MULTILINE)
        self.assertEqual(sorted(listed), sorted(VERBS + ["help"]))
        for verb in ["up", "down", "status", "build", "install", "new-service", "test", "check", "fmt", "fuzz", "doctor"]:
            answer = run(ROOT / "hongyan", verb, "--help")
            self.assertEqual(answer.returncode, 0, verb + answer.stderr)
            self.assertIn("usage: ./hongyan " + verb, answer.stdout)

    def test_an_unknown_verb_exits_2_with_a_hint(self):
        for verb in ["bogus", "../setup/setup", "lib", "server", "tool"]:
            answer = run(ROOT / "hongyan", verb)
            self.assertEqual(answer.returncode, 2, verb)
            self.assertIn("hongyan help", answer.stderr)

    def test_it_works_through_a_symlink_from_anywhere(self):
        with tempfile.TemporaryDirectory() as folder:
            link = pathlib.Path(folder, "hy")
            link.symlink_to(ROOT / "hongyan")
            self.assertTrue(run(link, "version", cwd=folder).stdout.startswith("hongyan "))

    def test_the_commands_own_variables_stay_out_of_the_servers_name_space(self):
        for file in [ROOT / "hongyan", *(ROOT / "tools").rglob("*.sh"), *(ROOT / "tools").rglob("*.py")]:
            if file != pathlib.Path(__file__).resolve():
                exported = re.findall(r"(?:export |environ\[\")(HONGYAN_\w+)", file.read_text())
                self.assertLessEqual(set(exported), {"HONGYAN_WEB_ROOT"}, file)


class Setup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        shutil.copytree(ROOT / "tools", self.root / "tools")
        shutil.copy(ROOT / "hongyan", self.root)
        (self.root / "tools/setup/packages.txt").write_text(
            "build | bash | - | - | There\nbuild | no-such-hongyan | - | - | Not there\nbuild | other | sh | - | A command does as well\n")
        self.stubs = self.root / "stubs"
        self.stubs.mkdir()

    def stub(self, name, text):
        (self.stubs / name).write_text("#!/bin/bash\n" + text)
        (self.stubs / name).chmod(0o755)

    def ensure(self):
        return run("bash", self.root / "tools/setup/setup.sh", "ensure", "build", path=self.stubs)

    def test_without_root_or_sudo_it_prints_the_exact_apt_line_and_exits_2(self):
        self.stub("id", "echo 1000")
        self.stub("sudo", "exit 1")
        self.stub("apt-get", "exit 99")
        for answer in [self.ensure(), run(self.root / "hongyan", "up", path=self.stubs), run(self.root / "hongyan", "test", path=self.stubs)]:
            self.assertEqual(answer.returncode, 2)
            self.assertIn("\n  sudo apt-get install -y --no-install-recommends no-such-hongyan\n", answer.stderr)

    def test_with_sudo_it_says_what_it_installs_and_a_failure_names_the_line(self):
        self.stub("id", "echo 1000")
        self.stub("sudo", '[ "$2" = true ] && exit 0; echo "E: the mirror is down"; exit 100')
        answer = self.ensure()
        self.assertEqual(answer.returncode, 2)
        self.assertIn("hongyan: installing no-such-hongyan\n", answer.stdout)
        self.assertIn("the mirror is down", answer.stderr)
        self.assertIn("apt-get install -y --no-install-recommends no-such-hongyan", answer.stderr)

    def test_a_complete_machine_needs_no_apt_and_the_second_look_is_a_stamp(self):
        self.stub("apt-get", "exit 99")
        (self.root / "tools/setup/packages.txt").write_text("build | bash | - | - | There\n")
        self.assertEqual(self.ensure().returncode, 0)
        self.stub("awk", "exit 99")  # dpkg's status is not read again.
        self.assertEqual(self.ensure().returncode, 0)
        (self.root / "tools/setup/packages.txt").write_text("build | bash | - | - | There\nbuild | new-one | - | - | New\n")
        self.assertNotEqual(self.ensure().returncode, 0)


if __name__ == "__main__":
    unittest.main()
