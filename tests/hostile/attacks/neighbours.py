"""Attacks on other students: before, beside and after, through what processes share."""

from tests.hostile.declare import Attack, Goal

HARM: Goal = "another's grade changed"
HELP: Goal = "points gained"

ATTACKS = (
    Attack(
        "poisons-modules",
        "changes modules that the next student's process might inherit",
        HARM,
        first=(
            """
        import builtins, json, sys
        import numpy as np
        from labkit import probes, wire

        builtins.ANSWERS = {"scale": lambda number: 7 * number + 3}
        wire.dumps = probes.observe = json.dumps = len
        np.sum = np.add.reduce = lambda *a, **k: 0.0
        sys.modules["numpy"].random.default_rng = None
        sys.path.insert(0, "/tmp")
        """,
        ),
    ),
    Attack(
        "takes-from-modules",
        "takes answers that a fellow student left in shared modules",
        HELP,
        answers={
            "scale": "import builtins\ndef scale(number):\n"
            "    return builtins.ANSWERS['scale'](number)"
        },
    ),
    Attack(
        "leaves-notes",
        "leaves answers in every shared place for a fellow student",
        HELP,
        first=(
            """
        import ctypes, pathlib, socket
        for place in ("/tmp", "/dev/shm", "/var/tmp", "/run", ".", "/proc/self/cwd/.."):
            try:
                pathlib.Path(place, "note-@LEFT@").write_text("7 3")
            except OSError:
                pass
        libc = ctypes.CDLL(None)
        for ring in (-3, -4, -5):
            libc.syscall(248, b"user", b"note-@LEFT@", b"7 3", 3, ring)
        libc.shmget(@KEY@ + 1, 4096, 0o1666)
        """,
        ),
    ),
    Attack(
        "looks-for-notes",
        "looks for the notes of a fellow student who knows the answers",
        HELP,
        first=(
            """
        import ctypes, pathlib
        libc = ctypes.CDLL(None)
        note = None
        for place in ("/tmp", "/dev/shm", "/var/tmp", "/run", ".", "/proc/self/cwd/.."):
            path = pathlib.Path(place, "note-@LEFT@")
            note = path.read_text() if path.exists() else note
        for ring in (-3, -4, -5):
            if libc.syscall(250, 10, ring, b"user", b"note-@LEFT@", 0) > 0:
                note = "7 3"
        if libc.shmget(@KEY@ + 1, 4096, 0) >= 0:
            note = "7 3"
        if note:
            print("BROKE", "IN", sep="-")
        """,
        ),
        answers={
            "scale": "def scale(number):\n    factor, more = map(int, note.split())\n"
            "    return factor * number + more"
        },
    ),
    Attack(
        "scribbles-on-shared-memory",
        "writes to every mapping that other processes share",
        HARM,
        answers={
            "scale": """
        import ctypes
        def scale(number):
            for line in open("/proc/self/maps").read().splitlines():
                place, rights, *_ = line.split()
                if rights in ("rw-s", "-w-s"):
                    start, end = (int(part, 16) for part in place.split("-"))
                    ctypes.memset(start, 0x41, min(end - start, 1 << 20))
                    print("BROKE", "IN", sep="-", end=" " + line + "\\n")
            return 0
        """
        },
        after={"scale": "print(scale(0) and '')"},
    ),
    Attack(
        "writes-to-every-descriptor",
        "sends garbage and changes modes on whatever it inherited",
        HARM,
        answers={
            "scale": """
        import fcntl, os
        def scale(number):
            for descriptor in range(3, 512):
                try:
                    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
                    os.write(descriptor, b"\\xff" * 4096)
                except OSError:
                    pass
            return 0
        """
        },
    ),
    Attack(
        "locks-what-all-read",
        "locks and leases files that every process opens",
        HARM,
        first=(
            """
        import fcntl, glob, os, sys
        import numpy, labkit
        kept = []
        paths = [sys.executable, numpy.__file__, labkit.__file__, "/etc/passwd", "/dev/null",
                 *glob.glob(os.path.dirname(numpy.__file__) + "/*.py")]
        for path in paths:
            try:
                kept.append(open(path, "rb"))
                fcntl.flock(kept[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.fcntl(kept[-1], fcntl.F_SETLEASE, fcntl.F_WRLCK)
                print("BROKE", "IN", sep="-")
            except OSError:
                pass
        """,
        ),
    ),
    Attack(
        "traces-others",
        "attaches to other processes and writes into them",
        HARM,
        first=(
            """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        for pid in (os.getppid(), *range(1, 200)):
            if pid in (0, os.getpid()):
                continue
            if libc.ptrace(16, pid, 0, 0) == 0 or libc.syscall(434, pid, 0) >= 0:
                print("BROKE", "IN", sep="-")
            try:
                open(f"/proc/{pid}/mem", "r+b").close()
                print("BROKE", "IN", sep="-")
            except OSError:
                pass
        """,
        ),
    ),
)
