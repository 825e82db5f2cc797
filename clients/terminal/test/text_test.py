"""What others wrote must not reach the terminal as anything but text; widths and wrapping; the line editor."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from editor import AnsiScreen, Editor, Keys  # noqa: E402
from system_message import sentence  # noqa: E402
from text import Paint, clean, columns, cut, one_line, width, wrap  # noqa: E402
import base64  # noqa: E402


class Clean(unittest.TestCase):
    def test_no_control_character_survives_but_the_newline(self):
        hostile = "".join(map(chr, range(0x20))) + "\x7f" + "".join(map(chr, range(0x80, 0xA0)))
        shown = clean(hostile)
        self.assertTrue(all(c == "\n" or ord(c) >= 0x20 and not 0x7F <= ord(c) < 0xA0 for c in shown), ascii(shown))
        self.assertEqual(clean("a\x1b[2Jb"), "a␛[2Jb")
        self.assertEqual(one_line("a\r\nb\u2028c\td"), "a b c d")

    def test_what_reorders_or_hides_text_is_gone(self):
        for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0x200B, 0xFEFF, 0xE0041):
            self.assertEqual(clean(f"a{chr(code)}b"), "ab", hex(code))

    def test_lone_surrogates_and_towers_of_marks_are_tamed(self):
        clean("\ud800").encode()
        self.assertEqual(len(clean("a" + "\u0301" * 50)), 5)

    def test_ordinary_text_of_any_script_is_untouched(self):
        for text in ("鸿雁 传书", "שלום", "नमस्ते", "é", "👩\u200d👧 ❤\ufe0f", "👍🏽"):
            self.assertEqual(clean(text), text)

    def test_every_single_code_point_prints_safely(self):
        for code in range(0x11000):
            shown = clean(chr(code))
            self.assertFalse(any(c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000) for c in shown))


class Layout(unittest.TestCase):
    def test_wide_characters_take_two_columns(self):
        self.assertEqual(width("鸿雁ab"), 6)
        self.assertEqual(width("e\u0301"), 1)
        self.assertEqual(cut("鸿雁传书", 5), "鸿雁…")
        self.assertEqual(columns([["鸿", "x"], ["abcd", "y"]]), ["鸿    x", "abcd  y"])

    def test_wrapping_never_exceeds_and_never_loses(self):
        for text in ("the quick brown fox jumps", "x" * 35, "鸿雁传书鸿雁传书鸿雁传书", "a 鸿雁 b" * 6):
            for columns_ in (4, 7, 10):
                lines = wrap(text, columns_)
                self.assertLessEqual(max(map(width, lines)), columns_)
                self.assertEqual("".join("".join(lines).split()), "".join(text.split()))
        self.assertEqual(wrap("one two", 5), ["one", "two"])

    def test_no_colours_when_off(self):
        self.assertEqual(Paint(False)("red", "x") + Paint(False).person("7", "y"), "xy")


def type_keys(editor, data, keys=None):
    lines = []
    for key, text in (keys or Keys()).feed(data):
        line = editor.press(key, text)
        if line is not None:
            lines.append(line)
    return lines


class Editing(unittest.TestCase):
    def setUp(self):
        names = ["bob", "bobby", "Book club"]
        self.editor = Editor([], lambda before: (6, [n for n in names if n.casefold().startswith(before[6:].casefold())])
                             if before.startswith("/open ") else (0, []))

    def test_lines_are_typed_edited_and_recalled(self):
        self.assertEqual(type_keys(self.editor, "héllo 鸿雁\r".encode()), ["héllo 鸿雁"])
        self.assertEqual(type_keys(self.editor, b"ac\x1b[Db\x1b[H>\x1b[F!\r"), [">abc!"])
        self.assertEqual(type_keys(self.editor, b"half\x1b[A\x1b[A\x1b[B\x1b[B done\r"), ["half done"])
        self.assertEqual(type_keys(self.editor, b"one two\x17three\r"), ["one three"])
        self.assertEqual(type_keys(self.editor, b"\x1b[A\r"), ["one three"])

    def test_bytes_may_come_one_at_a_time(self):
        keys, lines = Keys(), []
        for byte in "雁\x1b[D鸿\x1b[200~x\ny\x1b[201~\r".encode():
            lines += type_keys(self.editor, bytes([byte]), keys)
        self.assertEqual(lines, ["鸿x\ny雁"])

    def test_a_paste_is_not_run_line_by_line(self):
        self.assertEqual(type_keys(self.editor, b"\x1b[200~/quit\r\n/quit\x1b[201~"), [])
        self.assertEqual(self.editor.buffer, "/quit\n/quit")

    def test_backspace_removes_a_letter_with_its_marks(self):
        type_keys(self.editor, "ae\u0301\x7f".encode())
        self.assertEqual(self.editor.buffer, "a")

    def test_tab_completes_names_with_spaces_and_shows_choices(self):
        type_keys(self.editor, b"/open boo\t")
        self.assertEqual(self.editor.buffer, "/open Book club ")
        self.editor.set("/open bob")
        type_keys(self.editor, b"\t")
        self.assertEqual(self.editor.choices, ["bob", "bobby"])

    def test_garbage_never_raises(self):
        keys = Keys()
        for i in range(256):
            for data in (bytes([i]), bytes([27, i]), bytes([27, 91, i]), bytes([i, i ^ 0x55, 0x80])):
                type_keys(self.editor, data, keys)


class Emulator:
    """The few sequences AnsiScreen uses, on a grid, to see what a person would see."""

    def __init__(self):
        self.rows, self.row, self.column = [""], 0, 0

    def feed(self, data):
        i = 0
        while i < len(data):
            c = data[i]
            if c == "\x1b":
                end = i + 2
                while not data[end].isalpha():
                    end += 1
                count, what = data[i + 2:end], data[end]
                if what == "A":
                    self.row -= int(count)
                elif what == "C":
                    self.column += int(count)
                elif what == "J":
                    self.rows = self.rows[:self.row + 1]
                    self.rows[self.row] = self.rows[self.row][:self.column]
                i = end
            elif c == "\r":
                self.column = 0
            elif c == "\n":
                self.row += 1
                self.rows += [""] * (self.row + 1 - len(self.rows))
            else:
                line = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = line[:self.column] + c + line[self.column + 1:]
                self.column += 1
            i += 1


class Drawing(unittest.TestCase):
    def test_news_appear_above_what_is_being_typed_even_over_several_rows(self):
        screen_of = Emulator()
        screen = AnsiScreen(screen_of.feed)
        screen.size = lambda: (12, 10)
        editor = Editor([], lambda _: (0, []))
        editor.set("a long line being typed")
        screen.draw([], ["status"], "> ", editor)
        for cursor in (23, 0, 12):
            editor.cursor = cursor
            screen.draw([f"news {cursor}"], ["status"], "> ", editor)
        self.assertEqual(screen_of.rows, ["news 23", "news 0", "news 12", "status", "> a long li", "ne being ty", "ped"])
        self.assertEqual((screen_of.row, screen_of.column), (5, 3))


    def test_a_terminal_made_narrower_is_erased_as_it_broke_the_rows(self):
        out = []
        screen = AnsiScreen(out.append)
        screen.size = lambda: (41, 10)
        editor = Editor([], lambda _: (0, []))
        editor.set("x" * 50)
        screen.draw([], ["s" * 30], "> ", editor)
        screen.size = lambda: (20, 10)
        screen.draw([], [], "> ", editor)
        self.assertTrue(out[-1].startswith("\r\x1b[4A\x1b[J"), out[-1])  # 30 and 40 columns are two rows each now.


class System(unittest.TestCase):
    def test_templates_become_sentences_and_garbage_falls_back_to_the_digest(self):
        def field(n, data):
            return bytes([n << 3 | 2, len(data)]) + data
        actor = field(2, field(1, b"actor") + bytes([3 << 3, 7]))
        member = field(2, field(1, b"member") + bytes([3 << 3, 9]))
        content = field(1, b"group.member_added") + actor + member
        message = {"sender": "7", "digest": "New\x1b members", "content": base64.b64encode(content).decode()}
        self.assertEqual(sentence(message, {"7": "Ann", "9": "Ben"}.__getitem__), "Ann added Ben")
        for cut_ in range(18):
            message["content"] = base64.b64encode(content[:cut_]).decode()
            self.assertEqual(sentence(message, str), "New␛ members")


if __name__ == "__main__":
    unittest.main()
