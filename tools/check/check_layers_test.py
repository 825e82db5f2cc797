"""Plants violations of each rule of check_layers.py in a small tree and sees file and rule named; the same tree without
them passes. A checker that finds nothing would pass any tree, so every rule is shown to bite, and to bite only there."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_layers

LAYERS = """
base:
runtime:      base
runtime/os:   base runtime
rpc:          base runtime
store/engine: base runtime
store/paxos:  base
api:          base rpc
data/*:       base runtime rpc api
logic/*:      base runtime rpc api
process:      base runtime rpc api data logic
main:         process
bundle:       *
sim:          * -runtime/os
clients:      base api/client
tests:        *
testing:      runtime/testing rpc/testing
ban \\bstd::mutex\\b => runtime/ store/engine/ -- coro::Mutex
ban #\\s*include\\s*<sys/ => runtime/os/ -- Env
ban \\bthrow\\b => runtime/coro/
"""

GOOD = {
    "src/base/a.h": "#pragma once\n#include <string>\n",
    "src/base/a.cc": '#include "base/a.h"\n#include <vector>\n// A throw, std::mutex: words in a comment.\n'
                     'const char* k_text = "throw std::mutex";\n/* throw\n   std::mutex */ int x;\n',
    "src/base/a_test.cc": '#include "base/a.h"\n#include <gtest/gtest.h>\n#include "runtime/testing/fake_env.h"\n',
    "src/runtime/env/env.h": '#include "base/a.h"\n',
    "src/runtime/os/os_env.h": '#include <sys/socket.h>\n#include "runtime/env/env.h"\n',
    "src/runtime/testing/fake_env.h": '#include "runtime/env/env.h"\n#include <gtest/gtest.h>\n',
    "src/rpc/client.h": '#include "runtime/env/env.h"\n#include "rpc/impl/frame.h"\n',
    "src/rpc/impl/frame.h": '#include "base/a.h"\n',
    "src/store/engine/engine.cc": "std::mutex m;\n",
    "src/api/client/chat.h": '#include "base/a.h"\n',
    "src/api/internal/inbox.h": '#include "base/a.h"\n',
    "src/data/inbox/inbox.cc": '#include "api/internal/inbox.pb.h"\n#include "data/inbox/inbox_table.h"\n',
    "src/data/inbox/inbox_table.h": '#include "rpc/client.h"\n',
    "src/logic/chat/chat.cc": '#include "api/client/chat.rpc.pb.h"\n',
    "src/data/inbox/main.cc": '#include "data/inbox/inbox_table.h"\n#include "process/process.h"\n',
    "src/process/process.h": '#include "data/inbox/inbox_table.h"\n',
    "src/bundle/main.cc": '#include "runtime/os/os_env.h"\n#include "logic/chat/chat.h"\n',
    "sim/world/world.cc": '#include "runtime/env/env.h"\n#include "sim/world/world_clock.h"\n',
    "clients/terminal/chat.cc": '#include "api/client/chat.pb.h"\n#include "clients/sdk_cpp/sdk.h"\nstd::mutex m;\n',
    "tests/end_to_end.cc": '#include "bundle/bundle.h"\n#include <gtest/gtest.h>\n',
}

# (file, its text, the rule that must be named)
BAD = [
    ("src/base/b.h", '#include "runtime/env/env.h"\n', "layer"),
    ("src/store/paxos/paxos.cc", '#include "runtime/env/env.h"\n', "layer"),
    ("src/store/paxos/paxos.cc", '#include "store/engine/engine.h"\n', "layer"),
    ("src/logic/chat/chat.cc", '#include "store/engine/engine.h"\n', "layer"),
    ("src/logic/chat/main.cc", '#include "store/engine/engine.h"\n', "layer"),
    ("src/logic/chat/chat.cc", '#include "process/process.h"\n', "layer"),  # Only its main.cc.
    ("src/rpc/server.cc", '#include "runtime/os/os_env.h"\n', "layer"),  # The longest room wins: not `runtime`.
    ("src/base/b.cc", '#include "api/internal/inbox.pb.h"\n', "layer"),  # Generated code counts as the room of its path.
    ("src/bundle/main.cc", '#include "sim/world/world.h"\n', "layer"),  # `*` means the rooms of src.
    ("src/base/b.cc", '#include "clients/sdk_cpp/sdk.h"\n', "layer"),
    ("src/logic/chat/chat.cc", '#include "tests/helper.h"\n', "layer"),
    ("sim/world/world.cc", '#include "runtime/os/os_env.h"\n', "layer"),
    ("clients/terminal/chat.cc", '#include "api/internal/inbox.pb.h"\n', "layer"),
    ("clients/terminal/chat.cc", '#include "runtime/env/env.h"\n', "layer"),
    ("src/base/b_test.cc", '#include "rpc/client.h"\n', "layer"),  # A test sees testing/ folders, no more.
    ("src/data/inbox/inbox.cc", '#include "data/account/account_table.h"\n', "sibling"),
    ("src/logic/chat/limits.h", '#include "logic/login/login.h"\n', "sibling"),
    ("src/base/b.h", '#include "nowhere/x.h"\n', "unknown"),
    ("src/base/b.h", '#include "b2.h"\n', "unknown"),
    ("src/newroom/x.h", "int x;\n", "unknown"),
    ("src/data/inbox/inbox.cc", '#include "rpc/impl/frame.h"\n', "impl"),
    ("src/bundle/main.cc", '#include "rpc/impl/frame.h"\n', "impl"),
    ("src/rpc/server.cc", '#include "runtime/testing/fake_env.h"\n', "testing"),
    ("src/rpc/server.cc", "#include <gtest/gtest.h>\n", "testing"),
    ("src/rpc/server.cc", "#include <base/a.h>\n", "quotes"),
    ("src/base/a.cc", '#include <vector>\n#include "base/a.h"\n', "own-header"),
    ("src/rpc/server.cc", "std::mutex m;\n", "ban"),
    ("src/runtime/env/env.h", "#  include <sys/stat.h>\n", "ban"),
    ("src/store/engine/engine.cc", "void f() { throw 1; }\n", "ban"),
    ("src/store/engine/engine.cc", "/* a comment */ throw 1;\n", "ban"),
    ("sim/world/world.cc", "std::mutex m;\n", "ban"),
]


def complaints(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in {"tools/check/layers.txt": LAYERS, **files}.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return list(check_layers.check(root))


class CheckLayers(unittest.TestCase):
    def test_a_good_tree_passes(self):
        self.assertEqual(complaints(GOOD), [])

    def test_each_planted_violation_is_named_once_with_file_and_rule(self):
        for name, text, rule in BAD:
            with self.subTest(file=name, text=text):
                found = complaints({**GOOD, name: text})
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith(f"{name}:1: {rule}: "), found[0])

    def test_a_ban_names_the_folders_that_may_and_what_to_use_instead(self):
        found = complaints({**GOOD, "src/rpc/server.cc": "\n\nstd::mutex m;\n"})
        self.assertEqual(found, ["src/rpc/server.cc:3: ban: allowed only in: runtime/ store/engine/; use coro::Mutex: std::mutex m;"])

    def test_the_projects_own_rules_can_be_read(self):
        root = pathlib.Path(__file__).resolve().parents[2]
        layers = check_layers.Layers((root / "tools/check/layers.txt").read_text())
        self.assertEqual(layers.may["store/paxos"], ["base"])
        self.assertEqual(layers.room_of("data/inbox/inbox.h"), "data")
        self.assertTrue(layers.closed >= {"data", "logic", "access"})
        self.assertFalse(any(right.startswith("store") for right in layers.may["logic"] + layers.may["access"]))
        self.assertTrue(any(pattern.search("std::thread t;") for pattern, _, _ in layers.bans))


if __name__ == "__main__":
    unittest.main()
