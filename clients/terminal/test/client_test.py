"""The library against a server in memory: retries, tickets, sync in pieces, the outbox, two processes on one profile."""
import pathlib
import queue
import re
import sys
import tempfile
import threading
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from client import Client  # noqa: E402
from errors import CODES, NotLoggedIn, Refused, Unreachable, Usage  # noqa: E402
from fake_server import FakeServer  # noqa: E402
from store import Store  # noqa: E402
from wire import Backoff, Link, Rings, plain_fingerprint  # noqa: E402


class Table(unittest.TestCase):
    def test_the_codes_are_those_of_the_server(self):
        source = (HERE.parents[2] / "src/model/error_code.h").read_text()
        rows = re.findall(r'X\((\d+), (\w+), (\d+), "([^"]*)"\)', source)
        self.assertEqual(CODES, {int(n): (name, int(kind), text) for n, name, kind, text in rows})

    def test_backoff_doubles_within_its_jitter_up_to_its_limit(self):
        for chance in (0.0, 1.0):
            waits = [Backoff(1, 8, lambda: chance).next() for _ in range(1)]
            backoff = Backoff(1, 8, lambda: chance)
            waits = [backoff.next() for _ in range(6)]
            self.assertEqual(waits, [full * (0.5 + chance / 2) for full in (1, 2, 4, 8, 8, 8)])

    def test_fingerprints_in_any_spelling(self):
        self.assertEqual(plain_fingerprint("AB:" * 31 + "cd"), "ab" * 31 + "cd")
        self.assertRaises(Usage, plain_fingerprint, "abc")


class Case(unittest.TestCase):
    def setUp(self):
        self.fake = FakeServer()
        self.addCleanup(self.fake.stop)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.slept = []
        self.ann, self.bob = self.client("ann"), self.client("bob")
        for client, name in ((self.ann, "ann"), (self.bob, "bob")):
            client.register(name, "password", name.title())
        self.fake.befriend(self.ann.uin, self.bob.uin)

    def client(self, directory, url=None):
        return Client(Store(pathlib.Path(self.folder.name, directory)), Link(url or self.fake.url), 5, self.slept.append)

    def texts(self, events):
        return [e.value["digest"] for e in events if e.what == "message"]

    def asked(self, path):
        return [body for name, body in self.fake.requests if name == path]


class Requests(Case):
    def test_each_class_has_its_rule(self):
        self.fake.refuse["profile"] = []
        self.fake.refuse["user/find"] = [10, {"code": 3, "retryAfterMs": 700}]
        self.assertEqual(self.ann.find("bob")[0]["uin"], self.bob.uin)
        self.assertEqual(len(self.slept), 2)
        self.assertGreaterEqual(self.slept[1], 0.7)
        self.fake.refuse["user/find"] = [5]
        self.assertRaises(Refused, self.ann.find, "bob")
        self.fake.refuse["user/find"] = [{"code": 12, "retryAfterMs": 60000}]
        with self.assertRaises(Refused) as caught:  # Longer than the patience: said at once.
            self.ann.find("bob")
        self.assertEqual(caught.exception.name, "no_space")

    def test_an_unknown_code_is_final_and_keeps_its_number(self):
        self.fake.refuse["user/find"] = [{"code": 4711, "class": 5, "debug": "new\x1b[2J"}]
        with self.assertRaises(Refused) as caught:
            self.ann.find("bob")
        self.assertEqual((caught.exception.code, caught.exception.name), (4711, "code_4711"))
        self.assertNotIn("\x1b", caught.exception.debug)

    def test_a_refused_ticket_is_renewed_once_and_the_request_repeated(self):
        before = self.ann.base()["ticket"]
        del self.fake.tickets[before]
        self.assertEqual(self.ann.find("bob")[0]["uin"], self.bob.uin)
        self.assertNotEqual(self.ann.base()["ticket"], before)
        self.assertEqual(len(self.asked("login")), 1)

    def test_a_refused_refresh_ends_the_login_and_keeps_the_messages(self):
        self.ann.sync()
        self.fake.tickets.clear()
        self.fake.refreshes.clear()
        self.assertRaises(NotLoggedIn, self.ann.sync)
        self.assertFalse(self.ann.logged_in)
        self.assertEqual(self.ann.resolve("bob"), "1-" + self.bob.uin)
        self.assertRaises(Usage, self.ann.register, "other", "password")
        self.ann.login("ann", "password")
        self.assertEqual(self.ann.sync(), [])

    def test_a_new_ticket_in_any_answer_replaces_the_old(self):
        self.fake.do_profile_get = lambda body: {"base": {"newTicket": "bmV3"}, "profile": {}}
        self.ann.my_profile()
        self.assertEqual(self.ann.base()["ticket"], "bmV3")

    def test_no_server_and_a_server_that_is_none_of_ours(self):
        lost = Client(self.ann.store, Link("http://127.0.0.1:1"), 0, self.slept.append)
        self.assertRaises(Unreachable, lost.find, "bob")
        odd = Client(self.ann.store, Link(self.fake.url + "/other"), 5, self.slept.append)
        del self.slept[:]
        self.fake.answer = lambda path, body: ["what?"]
        self.assertRaises(Unreachable, odd.find, "bob")
        self.assertEqual(self.slept, [], "what is no Hongyan server is not asked again")


class Syncing(Case):
    def test_news_come_once_in_order_over_many_answers(self):
        for n in range(10):
            self.bob.queue("1-" + self.ann.uin, f"line {n}")
        self.bob.flush()
        self.assertEqual(self.texts(self.ann.sync()), [f"line {n}" for n in range(10)])
        self.assertEqual(self.texts(self.ann.sync()), [])
        self.assertEqual([m["digest"] for m in self.ann.stored("1-" + self.bob.uin, 3)], ["line 7", "line 8", "line 9"])
        self.assertEqual(self.ann.chat("1-" + self.bob.uin)["unread"], 10)
        self.assertEqual(self.ann.mark_read("1-" + self.bob.uin)["unread"], 0)
        self.ann.sync()
        self.assertEqual(self.ann.chat("1-" + self.bob.uin)["unread"], 0)

    def test_two_processes_on_one_profile_share_what_they_get(self):
        other = self.client("ann")
        self.bob.queue("1-" + self.ann.uin, "hello")
        self.bob.flush()
        self.assertEqual(self.texts(self.ann.sync()), ["hello"])
        self.assertEqual(other.sync(), [])
        self.assertEqual([m["digest"] for m in other.stored("1-" + self.bob.uin, 9)], ["hello"])

    def test_an_answer_that_another_process_was_quicker_with_is_not_applied(self):
        other = self.client("ann")
        self.bob.queue("1-" + self.ann.uin, "hello")
        self.bob.flush()
        original = self.fake.do_sync

        def late(body):
            answer = original(body)
            self.fake.do_sync = original
            return answer
        self.fake.do_sync = late
        held = self.ann.call

        def call(path, *arguments, **named):
            answer = held(path, *arguments, **named)
            if path == "sync" and not news:
                news.extend(other.sync())
            return answer
        news = []
        self.ann.call = call
        self.assertEqual(self.texts(news) + self.texts(self.ann.sync()) + self.texts(news), ["hello"])

    def test_a_bad_snapshot_starts_over_and_a_reset_deletes_nothing(self):
        self.bob.queue("1-" + self.ann.uin, "hello")
        self.bob.flush()
        self.ann.sync()
        self.fake.refuse["sync"] = [111]
        self.assertEqual(self.texts(self.ann.sync()), [], "what is known is no news")
        self.fake.do_sync = lambda body: {"reset": True, "snapshot": "MA=="}
        self.assertEqual([e.what for e in self.ann.sync()], ["reset"])
        self.assertEqual(len(self.ann.stored("1-" + self.bob.uin, 9)), 1)

    def test_a_torn_or_doubled_line_on_disk_is_harmless(self):
        self.bob.queue("1-" + self.ann.uin, "hello")
        self.bob.flush()
        self.ann.sync()
        path = pathlib.Path(self.folder.name, f"ann/messages/1-{self.bob.uin}.jsonl")
        line = path.read_bytes()
        path.write_bytes(line + line + line[:len(line) // 2])
        again = self.client("ann")
        self.assertEqual(len(again.stored("1-" + self.bob.uin, 9)), 1)
        self.bob.queue("1-" + self.ann.uin, "more")
        self.bob.flush()
        again.sync()
        self.assertEqual([m["digest"] for m in self.client("ann").stored("1-" + self.bob.uin, 9)], ["hello", "more"])

    def test_the_profile_is_private(self):
        for path in pathlib.Path(self.folder.name).rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_recalls_erase_and_markers_count(self):
        self.bob.queue("1-" + self.ann.uin, "secret")
        self.bob.flush()
        self.ann.sync()
        message = self.ann.stored("1-" + self.bob.uin, 1)[0]
        log = self.fake.people[self.ann.uin]["log"]
        log.append({"update": {"key": message["key"], "conversation": message["conversation"], "state": 1, "revision": 1}})
        log.append({"somethingNew": {}})
        log.append({"marker": {"conversation": {"type": 2, "id": "77"}, "upTo": "40", "unread": 39}})
        self.assertEqual([e.what for e in self.ann.sync()], ["update", "chat"])
        self.assertNotIn("content", {k: v for k, v in self.client("ann").stored("1-" + self.bob.uin, 1)[0].items() if v})
        self.assertEqual(self.ann.chat("2-77")["unread"], 39)

    def test_what_a_marker_stands_for_is_fetched_by_pages_once(self):
        group = {"type": 2, "id": "77"}
        rows = [{"key": f"k{n}", "conversation": group, "sender": self.bob.uin, "clientMsgId": f"m{n}", "position": str(n),
                 "kind": 1, "content": "aGk=", "digest": f"line {n}"} for n in range(1, 251)]
        log = self.fake.people[self.ann.uin]["log"]

        def history(body):
            before = int(body.get("beforePosition", 0)) or 1 << 60
            there = [m for m in rows if int(m["position"]) < before]
            return {"messages": there[::-1][:body["limit"]], "more": len(there) > body["limit"]}
        self.fake.do_history = history
        log.append({"message": rows[0]})
        self.assertEqual(self.texts(self.ann.sync()), ["line 1"])
        log.append({"state": {"conversation": group, "lastPosition": "240", "unread": 240, "version": "5"}})
        log.append({"marker": {"conversation": group, "upTo": "240", "unread": 240, "last": rows[239]}})
        log.append({"message": rows[240]})
        self.fake.lose["history"] = 1 << 30  # The link is down: with the next sync.
        self.ann.sync()
        self.fake.lose["history"] = 0
        again = self.client("ann")
        self.assertEqual(self.texts(again.sync()), [f"line {n}" for n in range(2, 241)])
        self.assertEqual([m["digest"] for m in again.stored("2-77", 999)], [f"line {n}" for n in range(1, 242)])
        self.assertEqual(again.chat("2-77")["unread"], 241)
        asked = len(self.asked("history"))
        self.assertEqual(self.texts(again.sync()), [])
        self.assertEqual(len(self.asked("history")), asked)


class Sending(Case):
    def test_a_lost_answer_is_asked_for_again_under_the_same_id(self):
        self.fake.lose["send"] = 1
        self.ann.queue("1-" + self.bob.uin, "once")
        self.assertEqual(len(self.ann.flush()), 1)
        ids = [m["clientMsgId"] for body in self.asked("send") for m in body["messages"]]
        self.assertEqual((len(ids), len(set(ids))), (2, 1))
        self.assertEqual(self.texts(self.bob.sync()), ["once"])

    def test_what_was_queued_by_a_process_that_died_goes_out_with_the_next_first(self):
        self.ann.queue("1-" + self.bob.uin, "one")
        again = self.client("ann")
        again.queue("1-" + self.bob.uin, "two")
        again.flush()
        self.assertEqual(self.texts(self.bob.sync()), ["one", "two"])
        self.assertEqual(self.ann.waiting(), [])

    def test_a_refusal_does_not_hold_up_the_next_and_can_be_retried(self):
        self.ann.queue("1-4711", "to nobody")
        self.ann.queue("1-" + self.bob.uin, "to bob")
        outcomes = self.ann.flush()
        self.assertEqual([o.error.name if o.error else "" for o in outcomes], ["not_friend", ""])
        self.assertEqual([row["error"] for row in self.ann.waiting("failed")], ["not_friend"])
        self.ann.retry_failed()
        self.assertEqual(len(self.ann.waiting()), 1)

    def test_a_refusal_for_the_moment_keeps_the_message_and_lets_other_chats_pass(self):
        self.fake.refuse["send"] = [{"code": 12, "retryAfterMs": 99999}]
        self.ann.queue("1-" + self.bob.uin, "kept")
        self.ann.queue("1-" + self.ann.uin, "other chat")
        with self.assertRaises(Refused):
            self.ann.flush()
        self.assertEqual([row["digest"] for row in self.ann.waiting()], ["kept"])

    def test_batches_hold_sixteen_of_one_chat(self):
        for n in range(20):
            self.ann.queue("1-" + self.bob.uin, str(n))
        self.ann.flush()
        self.assertEqual([len(body["messages"]) for body in self.asked("send")], [16, 4])
        self.assertEqual(self.texts(self.bob.sync()), [str(n) for n in range(20)])

    def test_after_seven_days_a_person_decides(self):
        self.ann.queue("1-" + self.bob.uin, "old")
        self.ann.now = lambda: 1e12
        self.assertEqual(self.ann.flush(), [])
        self.assertEqual(self.ann.waiting("failed")[0]["error"], "too_old")

    def test_nothing_and_too_much_are_refused_before_they_are_stored(self):
        self.assertRaises(Usage, self.ann.queue, "1-5", "")
        self.assertRaises(Usage, self.ann.queue, "1-5", "鸿" * 11000)
        self.assertEqual(self.ann.waiting(), [])


class Names(Case):
    def test_people_by_user_name_nickname_remark_or_number(self):
        self.ann.sync()
        for name in ("bob", "BOB", "Bob", "@bob", self.bob.uin):
            self.assertEqual(self.ann.resolve(name), "1-" + self.bob.uin)
        self.assertEqual(self.ann.resolve("ann"), "1-" + self.ann.uin)
        self.assertRaises(Refused, self.ann.resolve, "nobody")

    def test_what_is_ambiguous_is_refused_and_a_user_name_wins(self):
        carol = self.client("carol")
        carol.register("carol", "password", "bob")
        dave = self.client("dave")
        dave.register("dave", "password", "Twin")
        eve = self.client("eve")
        eve.register("eve", "password", "Twin")
        for other in (carol, dave, eve):
            self.fake.befriend(self.ann.uin, other.uin)
        self.ann.sync()
        self.assertEqual(self.ann.resolve("bob"), "1-" + self.bob.uin)
        self.assertRaises(Usage, self.ann.resolve, "twin")


class Live(Case):
    def follow(self):
        heard = queue.SimpleQueue()
        rings = Rings(self.ann.link, self.ann.base, self.ann.poll, heard.put)
        rings.backoff = Backoff(0.01, 0.02)
        rings.start()
        self.addCleanup(rings.stop)
        return heard

    def until(self, heard, what):
        while heard.get(timeout=10) != what:
            pass

    def test_rings_come_over_the_web_socket_in_pieces_between_pings(self):
        heard = self.follow()
        self.until(heard, "online")
        self.until(heard, "ring")
        self.bob.queue("1-" + self.ann.uin, "x" * 300)
        self.bob.flush()
        self.until(heard, "ring")

    def test_a_link_that_breaks_comes_back_by_itself(self):
        heard = self.follow()
        self.until(heard, "online")
        for connection, _ in list(self.fake.sockets):
            connection.connection.shutdown(2)
        self.until(heard, "offline")
        self.until(heard, "online")

    def test_without_web_sockets_it_polls(self):
        self.fake.no_socket = True
        self.ann.sync()
        heard = self.follow()
        self.until(heard, "online")
        self.bob.queue("1-" + self.ann.uin, "hello")
        self.bob.flush()
        self.until(heard, "ring")

    def test_a_refused_ticket_is_told(self):
        self.fake.tickets.clear()
        self.until(self.follow(), "refused")


if __name__ == "__main__":
    unittest.main()
