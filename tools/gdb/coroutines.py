"""gdb commands that see coroutines, in a running process or a core file:

    source tools/gdb/coroutines.py
    coroutines            every coroutine: number, name, what it does, where it goes on
    coroutine N bt        the backtrace of one

Needs no debug types: the program tells the layout in hongyan_coro_debug (src/runtime/coro/debug.h). Backtraces of
coroutines that wait follow the frame pointers, which all code of the project keeps; a parked one's stack is read from
its copy.
"""
import struct

import gdb

STATES = ("is ready", "runs", "waits", "has ended", "is dead")
FIELDS = ("scheduler_impl", "scheduler_running", "impl_next_scheduler", "impl_everyone", "coroutine_everyone_link",
          "coroutine_name", "coroutine_state", "coroutine_context", "coroutine_stack", "coroutine_saved",
          "coroutine_waits_in", "coroutine_domain", "coroutine_name_bytes", "context_frame")
LAYOUT = struct.Struct("<I4xQ14i")
FRAMES_MAX = 64


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def pointer(address):
    return struct.unpack("<Q", read(address, 8))[0]


def text(address, length=None):
    if not address:
        return ""
    if length is not None:
        return read(address, min(length, 200)).decode(errors="replace")
    return gdb.Value(address).cast(gdb.lookup_type("char").pointer()).string(errors="replace", length=-1)


class Layout:
    def __init__(self):
        address = int(gdb.parse_and_eval("(unsigned long)&hongyan_coro_debug"))
        version, self.first_scheduler, *offsets = LAYOUT.unpack(read(address, LAYOUT.size))
        if version != 2:
            raise gdb.GdbError(f"no coroutines yet, or a layout (version {version}) that this script does not know")
        self.__dict__.update(zip(FIELDS, offsets))


class Coroutine:
    def __init__(self, layout, address, running):
        self.address = address
        length = struct.unpack("<H", read(address + layout.coroutine_name_bytes, 2))[0]
        self.name = text(pointer(address + layout.coroutine_name), length)
        self.state = read(address + layout.coroutine_state, 1)[0]
        self.domain = struct.unpack("<I", read(address + layout.coroutine_domain, 4))[0]
        self.context = pointer(address + layout.coroutine_context)
        self.low, self.bytes = struct.unpack("<QI", read(address + layout.coroutine_stack, 12))
        self.saved = pointer(address + layout.coroutine_saved) if self.low else 0
        self.context_frame = layout.context_frame
        self.waits_in = text(pointer(address + layout.coroutine_waits_in)) if self.state == 2 else ""
        self.running = address == running

    def doing(self):
        if self.running:
            return "runs"
        words = STATES[self.state] if self.state < len(STATES) else "?"
        if self.waits_in:
            words += " in " + self.waits_in
        return words + (", parked" if self.saved else "")

    def frames(self):
        """Instruction addresses, innermost first; nothing of one that runs or has not started."""
        if self.low == 0 or self.running or self.context_frame < 0:
            return []
        top = self.low + self.bytes
        content = read(self.saved or self.context, top - self.context)
        frame, instruction = struct.unpack_from("<QQ", content, self.context_frame)
        frames = [instruction]
        while self.context <= frame <= top - 16 and frame % 8 == 0 and len(frames) < FRAMES_MAX:
            above, instruction = struct.unpack_from("<QQ", content, frame - self.context)
            if instruction == 0:
                break
            frames.append(instruction)
            if above <= frame:
                break
            frame = above
        return frames


def everyone():
    layout = Layout()
    scheduler = layout.first_scheduler
    while scheduler:
        impl = pointer(scheduler + layout.scheduler_impl)
        running = pointer(scheduler + layout.scheduler_running)
        head = impl + layout.impl_everyone
        link = pointer(head)
        while link != head:
            yield Coroutine(layout, link - layout.coroutine_everyone_link, running)
            link = pointer(link)
        scheduler = pointer(impl + layout.impl_next_scheduler)


def place(instruction):
    block = gdb.execute(f"info symbol {instruction:#x}", to_string=True).strip()
    name = block.split(" in section")[0] if " in section" in block else "?"
    line = gdb.find_pc_line(instruction - 1)  # Of the call, not of what follows it.
    where = f" at {line.symtab.filename}:{line.line}" if line.symtab else ""
    return name + where


# Those of the runtime, which say nothing about what is waited for.
OWN = ("hongyan::runtime::switch_fiber", "hongyan::runtime::Scheduler", "hongyan::runtime::WaitList", "hongyan_")


class Coroutines(gdb.Command):
    """Lists all coroutines of all schedulers."""

    def __init__(self):
        super().__init__("coroutines", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        count = 0
        for number, one in enumerate(everyone(), 1):
            places = [place(frame) for frame in one.frames()]
            where = next((at for at in places if not at.startswith(OWN)), places[0] if places else "")
            print(f"{number:>5}  {one.name} (domain {one.domain}) {one.doing()}{'  ' + where if where else ''}")
            count = number
        print(f"{count} coroutines")


class OneCoroutine(gdb.Command):
    """coroutine N bt: the backtrace of the coroutine with that number in `coroutines`."""

    def __init__(self):
        super().__init__("coroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if len(words) != 2 or words[1] != "bt" or not words[0].isdigit():
            raise gdb.GdbError("coroutine N bt")
        one = next((each for number, each in enumerate(everyone(), 1) if number == int(words[0])), None)
        if one is None:
            raise gdb.GdbError(f"there is no coroutine {words[0]}")
        print(f"{one.name} (domain {one.domain}) {one.doing()}")
        if one.running:
            print("It runs: use bt in its thread.")
        for depth, frame in enumerate(one.frames()):
            print(f"#{depth:<3} {frame:#018x} in {place(frame)}")


Coroutines()
OneCoroutine()
