"""Where submissions are judged: processes of this machine, or workers of a Dask cluster.

Both take a function and its argument and return a `concurrent.futures.Future`. A worker that dies
is replaced; what it had fails with an error that `deaths` counts, so that it can be tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from multiprocessing import connection, forkserver
from typing import Any, Protocol, TypeVar

Answer = TypeVar("Answer")
Argument = TypeVar("Argument")

CONNECT_SECONDS = 5.0
WORKER_SECONDS = 10.0  # for the first worker of a cluster to appear
CHECK_SECONDS = 1.0  # between two looks at a cluster that does not answer
WORKERLESS_SECONDS = 60.0  # that a cluster may have no worker before it is given up


class PoolError(RuntimeError):
    """Nothing can be judged there any more, or at all, said in one sentence."""


class WorkerDiedError(RuntimeError):
    """A worker process ended under its submission."""


class Pool(Protocol):
    """Where submissions are judged, until it is left."""

    def __enter__(self) -> Pool: ...

    def __exit__(self, *_: object) -> None:
        """End the workers, whatever they do."""

    @property
    def width(self) -> int:
        """How many submissions it judges at the same time."""

    def submit(self, function: Callable[[Argument], Answer], argument: Argument) -> Future[Answer]:
        """Call a function of this package in a worker."""

    def start(
        self, function: Callable[[Argument], Answer], argument: Argument
    ) -> dict[str, Future[Answer]]:
        """Call a function once in every worker, before anything else; return answers by worker."""

    def deaths(self, error: BaseException) -> int:
        """Return how many workers died under a submission that failed with ``error``."""

    def check(self) -> None:
        """Look whether anything can still be judged.

        Raises:
            PoolError: if not.
        """


def open_pool(workers: int, scheduler: str | None, libraries: Sequence[str] = ()) -> Pool:
    """Return worker processes of this machine, or those of a Dask cluster.

    Args:
        workers: number of processes.
        scheduler: address of the cluster.
        libraries: that every worker needs: those of this machine share them.

    Raises:
        PoolError: if there are none to be had.
    """
    return LocalPool(workers, libraries) if scheduler is None else Cluster(scheduler)


# -- this machine --------------------------------------------------------------------------------


class LocalPool:
    """Worker processes of this machine, forked from one server that has imported everything.

    Each process belongs to one thread, so that a death has one submission to its name; one that
    is gone is replaced when the next submission comes.

    Args:
        workers: number of processes.
        libraries: that the server imports too, unless it runs already.

    Raises:
        PoolError: where this operating system has no fork server.
    """

    def __init__(self, workers: int, libraries: Sequence[str] = ()) -> None:
        self.width = workers
        if "forkserver" not in multiprocessing.get_all_start_methods():
            raise PoolError("Submissions are graded where processes can be forked: use Linux")
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["autograder.preload", *libraries])
        forkserver.ensure_running()  # it imports while this process does other things
        self._starting = threading.Lock()
        self._closed = False
        self._all: set[_Worker] = set()
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="worker")

    def submit(self, function: Callable[[Argument], Answer], argument: Argument) -> Future[Answer]:
        return self._threads.submit(self._call, self._idle_or_new, function, argument)

    def start(
        self, function: Callable[[Argument], Answer], argument: Argument
    ) -> dict[str, Future[Answer]]:
        names = [f"worker {number}" for number in range(1, self.width + 1)]
        return {
            name: self._threads.submit(self._call, self._new, function, argument) for name in names
        }

    def deaths(self, error: BaseException) -> int:
        return int(isinstance(error, WorkerDiedError))

    def check(self) -> None:
        """Processes can always be replaced."""

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, *_: object) -> None:
        with self._starting:
            self._closed = True
            for worker in list(self._all):
                worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _call(
        self,
        take: Callable[[], _Worker],
        function: Callable[[Argument], Answer],
        argument: Argument,
    ) -> Answer:
        worker = take()
        try:
            answer: Answer = worker.ask(function, argument)
        except WorkerDiedError:
            self._all.discard(worker)
            raise
        finally:
            if worker in self._all:
                self._idle.put(worker)
        return answer

    def _idle_or_new(self) -> _Worker:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._new()

    def _new(self) -> _Worker:
        with self._starting:
            if self._closed:
                raise CancelledError
            worker = _Worker(self._context)
            self._all.add(worker)
            return worker


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, context: Any) -> None:
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, function: Callable[[Any], Any], argument: Any) -> Any:
        raw = pickle.dumps((function, argument))
        try:
            self._pipe.send_bytes(raw)
            answer, error = self._pipe.recv()
        except (EOFError, OSError):
            self.kill()
            self._process.join()
            raise WorkerDiedError(f"exit code {self._process.exitcode}") from None
        if error is not None:
            raise error
        return answer

    def kill(self) -> None:
        self._process.kill()


def _serve(pipe: Any) -> None:
    """Answer calls until the pipe is closed or the process at its other end is gone."""
    from autograder import preload  # noqa: F401 - unless the server had it already

    # not SIG_IGN, which the processes that run submissions would inherit
    signal.signal(signal.SIGINT, lambda *_: None)
    parent = multiprocessing.parent_process()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    while True:
        try:
            raw = pipe.recv_bytes()
        except EOFError:
            return
        answer, failure = None, None
        try:
            function, argument = pickle.loads(raw)
            answer = function(argument)
        except Exception as error:
            failure = _sendable(error)
        pipe.send((answer, failure))


def _sendable(error: Exception) -> Exception:
    """The error, or one that says the same if pickle can't bring it to the other side."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end_with(parent: Any) -> None:
    connection.wait([parent.sentinel])
    os._exit(1)


# -- a cluster -----------------------------------------------------------------------------------


class Cluster:
    """Workers of a Dask cluster that exists, each with the course installed.

    Args:
        address: of its scheduler, as ``tcp://HOST:PORT``.

    Raises:
        PoolError: if no scheduler with workers answers there.
    """

    def __init__(self, address: str) -> None:
        import distributed

        self._address = address
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        try:
            asyncio.run(asyncio.wait_for(_knock(address), CONNECT_SECONDS))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about versions: they are compared below
                client: Any = distributed.Client
                self._client = client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except Exception as error:
            said = str(error) or f"nothing within {CONNECT_SECONDS:g} s"
            raise PoolError(f"no Dask scheduler answers at {address}: {said}") from None
        self._executor: Any = self._client.get_executor(pure=False)
        self._seen = self._looked = time.monotonic()
        self._threads = 1
        try:
            self._meet_workers()
        except BaseException:
            self.__exit__()
            raise

    @property
    def width(self) -> int:
        self._look()
        return self._threads

    def submit(self, function: Callable[[Argument], Answer], argument: Argument) -> Future[Answer]:
        return self._submit(function, argument)

    def start(
        self, function: Callable[[Argument], Answer], argument: Argument
    ) -> dict[str, Future[Answer]]:
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        return {name: self._submit(function, argument, workers=[name]) for name in workers}

    def deaths(self, error: BaseException) -> int:
        from distributed import KilledWorker

        return error.allowed_failures + 1 if isinstance(error, KilledWorker) else 0

    def check(self) -> None:
        self._look()
        if self._client.status not in ("running", "connecting"):
            raise PoolError(f"the scheduler at {self._address} is gone")
        if time.monotonic() - self._seen > WORKERLESS_SECONDS:
            raise PoolError(f"the scheduler at {self._address} has no workers any more")

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):  # it may be gone already
            self._client.close(timeout=CONNECT_SECONDS)

    def _submit(self, function: Any, argument: Any, **options: Any) -> Future[Any]:
        def call(raw: bytes) -> Any:  # travels by value: the scheduler need not know the course
            import pickle

            function, argument = pickle.loads(raw)
            return function(argument)

        future: Future[Any] = self._executor.submit(
            call, pickle.dumps((function, argument)), **options
        )
        return future

    def _look(self) -> None:
        """Ask how many workers there are, not more than once a second."""
        now = time.monotonic()
        if now - self._looked >= CHECK_SECONDS:
            self._looked = now
            self._threads = self._client.scheduler_info(n_workers=0).get("total_threads", 0)
            if self._threads:
                self._seen = now

    def _meet_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError:
            raise PoolError(
                f"the scheduler at {self._address} has no workers: start some with"
                f" `dask worker {self._address}` where the course is installed"
            ) from None
        found = self._client.get_versions()
        ours = found["client"]["packages"]["distributed"]
        for name, machine in {"the scheduler": found["scheduler"], **found["workers"]}.items():
            theirs = machine["packages"]["distributed"]
            if theirs != ours:
                raise PoolError(f"{name} has distributed {theirs}, this machine {ours}")


async def _knock(address: str) -> None:
    """Ask for a scheduler's identity: `Client` waits for ever where something else listens."""
    import distributed

    distributed_: Any = distributed
    arguments = distributed_.Security().get_connection_args("client")
    async with distributed_.rpc(address, connection_args=arguments) as there:
        kind = (await there.identity(n_workers=0))["type"]
    if kind != "Scheduler":
        raise ValueError(f"it is a {kind}")
