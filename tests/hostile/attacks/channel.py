"""Attacks on the line to the grader: frames that no honest process sends."""

from tests.hostile.declare import Attack, Goal

LINE = """
import gc, json, os, socket, struct, sys, threading, time

def line():
    for thing in gc.get_objects():
        if type(thing).__name__ == "Channel" and hasattr(thing, "_connection"):
            return thing._connection
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                return socket.socket(fileno=os.dup(int(name)))
        except OSError:
            pass
    return socket.socketpair()[0]

def frame(tree):
    raw = tree if type(tree) is bytes else json.dumps(tree).encode()
    return struct.pack("<I", len(raw)) + raw

def record(**fields):
    return {"t": "dict", "v": [[key, value] for key, value in fields.items()]}

def done(number, value):
    seen = {"t": "Observation", "v": {"value": value}}
    return frame(record(op="done", id=number, observation=seen, error="", execution_count=1))
"""


def sent(name: str, tries: str, body: str, goal: Goal = "points gained", **more: object) -> Attack:
    """An attack by what a call to ``scale`` sends; indented bodies run inside of the call."""
    source = LINE + "def scale(number):\n" + _indented(body)
    return Attack(name, tries, goal, answers={"scale": source}, **more)  # type: ignore[arg-type]


def _indented(body: str) -> str:
    lines = body.strip("\n").split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip())
    return "".join(f"    {line[margin:]}\n" for line in lines)


STOPPED: Goal = "run stopped or delayed"

ATTACKS = (
    sent(
        "forges-answers-ahead",
        "writes the replies to the next questions before they are asked",
        """
        for number_of_question in range(1, 60):
            line().send(done(number_of_question, True))
        return True
        """,
    ),
    sent(
        "forges-a-summary",
        "sends the records that the grader makes itself: summaries, observations, probes",
        """
        summary = {"t": "Summary", "v": {"mean": [0.7, 0.3, 0.0], "stderr": [1e9, 1e9, 1e9],
                   "count": 300, "categories": 2}}
        for number_of_question in range(1, 40):
            line().send(done(number_of_question, summary))
        return 0
        """,
    ),
    sent(
        "claims-points",
        "sends verdicts, scores and commands on the line",
        """
        for op in ("verdict", "result", "done", "ready", "kill", "cell"):
            line().send(frame(record(op=op, id=1, points=13, status="ok", ok=True)))
        return 0
        """,
    ),
    sent(
        "endless-frame",
        "announces a frame of four gigabytes and starts to send it",
        """
        line().send(struct.pack("<I", 0xFFFFFFFF) + b"[" * 100_000)
        return 0
        """,
        STOPPED,
    ),
    sent(
        "deep-frame",
        "sends a value nested a hundred thousand levels deep",
        """
        line().send(frame(b"[" * 100_000 + b"]" * 100_000))
        return 0
        """,
        STOPPED,
    ),
    sent(
        "wide-frame",
        "sends three million empty lists, to fill the grader's memory",
        """
        line().sendall(frame(b"[" + b"[]," * 3_000_000 + b"[]]"))
        return 0
        """,
        STOPPED,
    ),
    sent(
        "colliding-keys",
        "sends a dictionary whose keys all have the same hash, which takes hours to build",
        """
        keys = [[(2**61 - 1) * k, None] for k in range(1, 60_000)]
        line().sendall(done(1, {"t": "dict", "v": keys}))
        return 0
        """,
        STOPPED,
    ),
    sent(
        "colliding-tuples",
        "the same with tuples, which collide although each number is small",
        """
        mask, one, two = 2**64 - 1, 11400714785074694791, 14029467366897019727
        five, keys = 2870177450012600261, []
        def turned(x):
            return (x << 31 | x >> 33) & mask
        undo_one, undo_two = pow(one, -1, 2**64), pow(two, -1, 2**64)
        target = 12345
        for first in range(60_000):
            state = turned((five + first * two) & mask) * one & mask
            second = (target - state) * undo_two & mask
            if second < 2**61 - 1:
                keys.append([{"t": "tuple", "v": [first, second]}, None])
        line().sendall(done(1, {"t": "dict", "v": keys}))
        return 0
        """,
        STOPPED,
    ),
    sent(
        "half-a-frame",
        "sends half a frame and then nothing, so that the grader waits for the rest",
        """
        line().send(struct.pack("<I", 1000) + b"[1, 2")
        time.sleep(1000)
        """,
        STOPPED,
    ),
    sent(
        "babbles",
        "sends outputs without end while the grader waits for an answer",
        """
        babble = frame(record(op="output", output=record(output_type="stream", text="x" * 60_000)))
        connection = line()
        while True:
            connection.sendall(babble)
        """,
        STOPPED,
    ),
    sent(
        "hangs-up",
        "closes the line and goes on computing",
        """
        line().shutdown(socket.SHUT_RDWR)
        while True:
            time.sleep(0.1)
        """,
        STOPPED,
    ),
    sent(
        "sends-descriptors",
        "passes open files over the line, to fill the grader's table",
        """
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
        for _ in range(10):
            socket.send_fds(line(), [b"\\0"], files)
        return 0
        """,
        STOPPED,
    ),
    Attack(
        "half-a-character",
        "raises an error and prints text that no encoding can write",
        STOPPED,
        answers={
            "scale": "print('\\ud800' * 3, '\\0\\x1b[31m')\nraise ValueError('\\udcff \\0')",
            "total": "def total(values):\n    raise ValueError('\\udcff \\ud800 \\0')",
            "answer": "answer = '\\udcff'",
        },
    ),
    Attack(
        "long-names",
        "raises errors whose class names are a megabyte long, to fill the tables",
        STOPPED,
        answers={
            "scale": "raise type('E' * 1_000_000, (Exception,), {})('m' * 1_000_000)",
            "total": "def total(values):\n"
            "    raise type('=E' * 500_000, (Exception,), {})('m' * 1_000_000)",
            "letter": "letter = 'B' + 'x' * 1_000_000",
        },
    ),
)
