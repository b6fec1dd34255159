"""Attacks that use up time, memory, processes, files, disk and the grader's patience."""

from tests.hostile.declare import Attack, Goal

STOPPED: Goal = "run stopped or delayed"


def called(name: str, tries: str, body: str, **more: object) -> Attack:
    """An attack by what a call to ``scale`` does."""
    lines = body.strip("\n").split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip())
    source = "import ctypes, mmap, os, re, signal, sys, threading, time\n\ndef scale(number):\n"
    source += "".join(f"    {line[margin:]}\n" for line in lines)
    return Attack(name, tries, STOPPED, answers={"scale": source}, **more)  # type: ignore[arg-type]


ATTACKS = (
    called("loops", "computes without end", "while True: pass"),
    called(
        "loops-in-c",
        "stays in one call of C that no interrupt ends",
        "return re.match('(a+)+$', 'a' * 40 + 'b')",
    ),
    called(
        "refuses-to-stop",
        "catches whatever should end it, and switches its signals off",
        """
        for number_of_signal in (signal.SIGINT, signal.SIGALRM, signal.SIGTERM, signal.SIGXCPU):
            signal.signal(number_of_signal, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                pass
        """,
    ),
    called(
        "stops-itself",
        "stops its own process and all of its group",
        """
        os.kill(os.getpid(), signal.SIGSTOP)
        os.kill(0, signal.SIGSTOP)
        time.sleep(1000)
        """,
    ),
    called(
        "sleeps-just-under-the-limit",
        "takes nearly all of the time in every call",
        "time.sleep(0.8)\nreturn 0".replace("\n", "\n        "),
        earns=1.0,
    ),
    called("memory", "asks for more memory than it may have", "return len(bytes(4 << 30))"),
    called(
        "memory-that-is-shared",
        "fills shared memory, which belongs to no process",
        """
        block = mmap.mmap(-1, 2 << 30)
        for offset in range(0, 2 << 30, 4096):
            block[offset] = 1
        """,
    ),
    called(
        "memory-of-many",
        "spreads its memory over a tree of processes",
        """
        for _ in range(12):
            if os.fork() == 0:
                keep = bytearray(os.urandom(4096)) * (100 << 8)
                time.sleep(1000)
        time.sleep(1000)
        """,
    ),
    called(
        "memory-on-disk",
        "fills every folder that it may write to",
        """
        block = bytes(16 << 20)
        for place in ("/tmp", "/dev/shm", os.getcwd(), "/var/tmp", "@ROOM@", "@COURSE@"):
            for count in range(1000):
                try:
                    with open(f"{place}/@LEFT@-{count}", "wb") as file:
                        file.write(block)
                except OSError:
                    break
        return 0
        """,
    ),
    called(
        "files-without-number",
        "makes files until there are no more",
        """
        made = 0
        try:
            for made in range(100_000):
                open(f"f{made}", "w").close()
        except OSError:
            pass
        return made
        """,
    ),
    called(
        "descriptors",
        "opens files until none can be opened",
        """
        keep = []
        try:
            while True:
                keep.append(os.dup(0))
        except OSError:
            pass
        return 0
        """,
    ),
    called(
        "fork-bomb",
        "forks in every process that it forked",
        """
        for _ in range(14):
            try:
                os.fork()
            except OSError:
                pass
        time.sleep(1000)
        """,
    ),
    called(
        "thread-bomb",
        "starts threads until none can be started",
        """
        def wait():
            time.sleep(1000)
        try:
            while True:
                threading.Thread(target=wait, daemon=True).start()
        except RuntimeError:
            pass
        return 0
        """,
    ),
    called(
        "stack",
        "calls itself until the stack is full, in Python and in C",
        """
        sys.setrecursionlimit(10**9)
        def deeper():
            return deeper()
        deeper()
        """,
    ),
    called("segfault", "writes where nothing is", "ctypes.memset(0, 0, 8)"),
    called("ends-at-every-call", "ends its process whenever it is called", "os._exit(0)"),
    Attack(
        "ends-in-every-cell",
        "ends its process in twelve cells, so that all is run again",
        STOPPED,
        first=("import os\nos._exit(0)",) * 12,
        earns=0.0,
    ),
    Attack(
        "floods-its-outputs",
        "prints and displays without end in one cell",
        STOPPED,
        after={
            "": "from IPython.display import display\nfor i in range(3_000):\n"
            "    print('x' * 5_000)\n    display({'text/plain': 'y' * 5_000}, raw=True)"
        },
    ),
    Attack(
        "pictures-in-every-cell",
        "displays a picture of three megabytes in each of 30 cells",
        STOPPED,
        first=(
            "from IPython.display import display\n"
            "display({'image/png': 'QUJD' * 750_000}, raw=True)",
        )
        * 30,
    ),
    Attack(
        "floods-in-calls",
        "prints without end in every call",
        STOPPED,
        answers={"scale": "def scale(number):\n    while True:\n        print('x' * 100_000)"},
    ),
)
