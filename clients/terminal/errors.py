"""What can go wrong, as exceptions. The server's codes are a copy of src/model/error_code.h (a test compares them);
negative codes are this client's own. Each error knows the exit code of the process it ends."""
from typing import Any

OK, RETRY, LATER, LOG_IN, ELSEWHERE, GIVE_UP, BUG = range(7)  # Classes.
BAD_SNAPSHOT = 111

CODES: dict[int, tuple[str, int, str]] = {
    0: ("ok", OK, "Done."),
    1: ("cancelled", RETRY, "The server is closing or the request was given up."),
    2: ("deadline", RETRY, "The server did not finish in time; send the same request again."),
    3: ("overloaded", LATER, "The server refused the request before doing any work; wait retry_after_ms."),
    4: ("unavailable", LATER, "A part of the server can't be reached now."),
    5: ("invalid", GIVE_UP, "The request is wrong and will never pass; debug says why."),
    6: ("unauthenticated", LOG_IN, "The ticket is missing, expired, revoked or forged."),
    7: ("forbidden", GIVE_UP, "This account has no right to do that."),
    8: ("not_found", GIVE_UP, "There is no such thing."),
    10: ("conflict", RETRY, "Somebody else changed it at the same moment; send the request again."),
    11: ("too_large", GIVE_UP, "Over a limit of docs/protocol.md."),
    12: ("no_space", LATER, "The server's disk is full; reading works, sending does not."),
    13: ("corrupt", BUG, "Stored data fail their check; the operator must look."),
    14: ("unsupported", GIVE_UP, "This server does not know the command, format or version."),
    15: ("internal", BUG, "A bug of the server."),
    16: ("io", LATER, "The server's disk failed."),
    17: ("unknown_outcome", RETRY, "The connection broke meanwhile; send the same request again."),
    19: ("read_only", LATER, "The server can't write now; reading works."),
    21: ("rate_limited", LATER, "Too many requests; wait retry_after_ms."),
    101: ("name_taken", GIVE_UP, "This user name belongs to somebody else."),
    102: ("bad_name", GIVE_UP, "A user name is 3 to 32 of a-z, 0-9, '_', '.', '-' and starts with a letter."),
    103: ("bad_password", GIVE_UP, "A password has 8 to 128 bytes."),
    104: ("wrong_password", GIVE_UP, "The user name or the password is wrong."),
    105: ("not_friend", GIVE_UP, "You are not friends (any more): the other must accept you first."),
    106: ("blocked", GIVE_UP, "The other does not take messages from you."),
    107: ("client_msg_id_reused", GIVE_UP, "The same client_msg_id was used for another payload."),
    108: ("not_member", GIVE_UP, "You are not in this group."),
    109: ("group_full", GIVE_UP, "The group has no room for more members."),
    110: ("contacts_full", GIVE_UP, "The contact list has no room for more."),
    111: ("bad_snapshot", RETRY, "The snapshot is not of this account and device, or is damaged; sync without it."),
    112: ("no_request", GIVE_UP, "There is no friend request to accept."),
    113: ("old_epoch", LOG_IN, "This device has logged in again or was logged out elsewhere."),
    114: ("login_disabled", GIVE_UP, "This server takes accounts only from its integrator."),
    115: ("bad_frame", GIVE_UP, "The body's format byte or seal is unknown, or it is no protobuf."),
    116: ("owner_must_stay", GIVE_UP, "The owner can't be removed."),
}


class ClientError(Exception):
    exit_code = 1

    def __init__(self, code: int, name: str, error_class: int, text: str, debug: str = "") -> None:
        super().__init__(f"{name}: {debug or text}")
        self.code, self.name, self.error_class, self.text, self.debug = code, name, error_class, text, debug

    def as_json(self) -> dict[str, Any]:
        shown = {"code": self.code, "name": self.name, "class": self.error_class, "text": self.text}
        return {"error": {**shown, "debug": self.debug} if self.debug else shown}


class Refused(ClientError):
    """The server answered, and the answer is an error."""

    def __init__(self, code: int, error_class: int | None = None, debug: str = "", retry_after_ms: int = 0,
                 answer: dict[str, Any] | None = None) -> None:
        # A code of a newer server: its class decides; without one the same request would not help.
        known = CODES.get(code, (f"code_{code}", GIVE_UP, "The server refused, for a reason this client does not know."))
        super().__init__(code, known[0], known[1] if error_class is None else error_class, known[2], debug)
        self.retry_after_ms = retry_after_ms
        self.answer = answer or {}

    @property
    def transient(self) -> bool:
        return self.error_class in (RETRY, LATER)


class Usage(ClientError):
    """The request makes no sense here; nothing was sent."""
    exit_code = 2

    def __init__(self, text: str, name: str = "usage") -> None:
        super().__init__(-1, name, GIVE_UP, text)


class Unreachable(ClientError):
    """No answer. The request may or may not have been done; all of them may be repeated."""
    exit_code = 3

    def __init__(self, text: str, lasting: bool = False, close_code: int = 0) -> None:
        super().__init__(-2, "unreachable", LATER, text)
        self.lasting = lasting        # Trying again at once will not help: a wrong certificate, not our server.
        self.close_code = close_code  # Of a WebSocket.


class NotLoggedIn(ClientError):
    exit_code = 4

    def __init__(self, text: str = "This profile is not logged in; use login or register.") -> None:
        super().__init__(-3, "not_logged_in", LOG_IN, text)
