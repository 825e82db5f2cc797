"""Code in the guides stands as it is in files that CI builds and runs: `<!-- cut from FILE -->` before a block names the
file, and the block's lines are lines of it, one after the other. `...` alone in a line leaves some out. Blocks of shell
commands need no file; every other block of docs/guide does."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:^<!-- cut from (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def complaints(text, read):
    """One line for each block that is not what its file says; read(name) is the text of a file, or None."""
    for source, language, block in BLOCK.findall(text):
        if not source:
            if language != "sh":
                yield f"a block of '{language}' says no file: {block[:60]!r}"
            continue
        whole = read(source)
        if whole is None:
            yield f"{source} is not there"
            continue
        at = 0
        for piece in re.split(r"^\s*\.\.\.\n", block, flags=re.MULTILINE):
            found = ("\n" + whole).find("\n" + piece, at)
            if found < 0:
                yield f"{source} has no such lines: {piece[:200]!r}"
                break
            at = found + len(piece)


def read(name):
    path = ROOT / name
    return path.read_text() if path.is_file() else None


class Snippets(unittest.TestCase):
    def test_the_guides_say_what_is_built(self):
        guides = sorted((ROOT / "docs/guide").glob("*.md"))
        self.assertTrue(guides)
        for guide in guides:
            text = guide.read_text()
            self.assertTrue(BLOCK.search(text), guide)
            self.assertEqual(list(complaints(text, read)), [], guide.name)

    def test_a_block_that_differs_is_found(self):
        files = {"a.cc": "one\ntwo\nthree\nfour\n"}
        for block, wanted in [("two\nthree\n", 0), ("one\n...\nfour\n", 0), ("two\nfour\n", 1), ("wo\n", 1), ("four\n...\none\n", 1)]:
            self.assertEqual(len(list(complaints(f"<!-- cut from a.cc -->\n```cpp\n{block}```\n", files.get))), wanted, block)
        self.assertEqual(len(list(complaints("<!-- cut from b.cc -->\n```cpp\none\n```\n", files.get))), 1)
        self.assertEqual(len(list(complaints("```cpp\none\n```\n", files.get))), 1)
        self.assertEqual(list(complaints("```sh\nls\n```\n", files.get)), [])


if __name__ == "__main__":
    unittest.main()
