#!/usr/bin/env python3
"""Goal: what the picture shows is what the samples say. Method: made-up output of perf script, and of the /cpu page."""
import pathlib
import subprocess
import sys
import unittest
import xml.etree.ElementTree as xml

FLAME = pathlib.Path(__file__).with_name("flame.py")
PERF = """server  1 10.1: 250000 cpu-clock:
\tffffffff81000000 tcp_sendmsg+0x1 ([kernel.kallsyms])
\t    7f0000000001 __send+0x10 (/usr/lib/libc.so.6)
\t    555500000010 hongyan::Writer<char const*>::write_some(std::span<char, 1ul>)+0x44 (/opt/server)
\t    555500000000 main+0x4 (/opt/server)

server  1 10.2: 250000 cpu-clock:
\t    555500000020 [unknown] (/opt/server)
\t    555500000000 main+0x4 (/opt/server)

server  1 10.3: 250000 cpu-clock:
\t    555500000000 main+0x4 (/opt/server)
"""


def run(text, *words):
    return subprocess.run([sys.executable, FLAME, *words], input=text, capture_output=True, text=True, check=False)


def frames(svg):
    """name -> (share, x, width, y)"""
    out = {}
    space = "{http://www.w3.org/2000/svg}"
    for group in xml.fromstring(svg).iter(space + "g"):
        name, _, share = group.find(space + "title").text.rpartition(": ")
        box = group.find(space + "rect").attrib
        out[name] = float(share.split()[0]), float(box["x"]), float(box["width"]), float(box["y"])
    return out


class FlameTest(unittest.TestCase):
    def test_frames_are_as_wide_as_their_samples_and_stand_on_their_callers(self):
        found = frames(run(PERF).stdout)
        self.assertEqual(found["main"][0], 100)
        self.assertAlmostEqual(found["hongyan::Writer::write_some"][0], 33.3)
        self.assertAlmostEqual(found["tcp_sendmsg"][2] * 3, found["main"][2], delta=2)
        self.assertLess(found["tcp_sendmsg"][3], found["__send"][3])
        self.assertGreaterEqual(found["__send"][1], found["hongyan::Writer::write_some"][1])
        self.assertIn("[server]", found)

    def test_what_is_too_small_is_left_out(self):
        text = "main;often 999\nmain;seldom 1\n"
        self.assertNotIn("seldom", frames(run(text, "--collapsed").stdout))
        self.assertIn("seldom", frames(run(text, "--collapsed", "--least", "0.01").stdout))

    def test_own_shares_leave_out_what_was_called(self):
        said = run("main;work;send 6\nmain;work 3\nmain 1\n", "--collapsed", "--top", "3").stdout.split("\n")
        self.assertEqual([line.split() for line in said[:3]], [["60.0", "%", "send"], ["30.0", "%", "work"], ["10.0", "%", "main"]])

    def test_names_are_text_and_nothing_else(self):
        svg = run("main;operator<<script>alert(1) 3\n", "--collapsed").stdout
        self.assertIn("operator<<script>alert(1)", frames(svg))
        self.assertNotIn("<script>", svg)

    def test_nothing_is_an_error(self):
        self.assertEqual(run("").returncode, 1)


if __name__ == "__main__":
    unittest.main()
