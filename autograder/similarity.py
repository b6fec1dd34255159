"""Finds pairs of students whose code is more alike than chance explains.

Winnowed fingerprints of each answer (copydetect's: names and comments do not count) are compared
without those of the code that everybody was given, and the rarer a fingerprint is in the class,
the more it counts: what half of a class writes is how one writes it, and no sign of anything.

How unusual a likeness is, the class itself says. Of each exercise: which share of all pairs is at
least as alike? Fisher's method joins these shares over the exercises (Erlang's distribution), and
times the number of pairs that is how many pairs as alike a class would have in which everybody
worked alone. A pair is reported where that is below `MAX_EXPECTED`.

Sources: Schleimer, Wilkerson & Aiken (2003), "Winnowing"; Fisher (1932), section 21.1;
Devlin & Roeder (1999) for dividing by the inflation that the bulk of the pairs shows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from tqdm import tqdm

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.float64]  # a number per pair of students, as in np.triu_indices(n, 1)
Span = tuple[int, int]

GRAM = 12  # characters of filtered code, in which a name is one character
WINDOW = 4  # of as many grams in a row, one is kept
MAX_CHARS = 20_000  # of one answer: a longer one is compared as far as this
MIN_STUDENTS = 12  # below, a whole submission copied is no rarer than chance
MAX_EXPECTED = 0.01
PATIENCE = 2.0  # seconds without a word; then a bar says how far comparing has come
BULK = 0.95  # quantile of the pairs at which habits are measured; it holds no copies
WORDING = "names, comments, texts and mistakes"
DIGITS = 3  # to which likenesses are rounded: float32 sums must not part what is equal
BLOCK = 2_048  # fingerprints that are counted at a time
WORD = re.compile(r"""\#.*|"[^"\n]*"|'[^'\n]*'|[^\W\d]\w*""")
UNWRITTEN = "raise NotImplementedError"
_FACTORS = np.random.default_rng(0).integers(1, 2**63, GRAM, dtype=np.uint64) | np.uint64(1)


@dataclasses.dataclass(frozen=True)
class Part:
    """What a pair shares in one exercise.

    Attributes:
        name: the exercise, or `WORDING`.
        share: weight of what both have, of what either has, from 0 to 1.
        as_alike: share of the class's pairs that are at least as alike.
    """

    name: str
    share: float
    as_alike: float


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two students whose code is alike.

    Attributes:
        expected: pairs as alike as this in such a class if everybody works alone.
        parts: by exercise, the least likely first.
    """

    first: str
    second: str
    expected: float
    parts: tuple[Part, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What comparing a class came to.

    Attributes:
        students: how many were compared.
        compared: exercises in which enough students wrote enough.
        pairs: those beyond chance, the least likely first.
        reason: why nothing could be said; empty if something could.
    """

    students: int
    compared: tuple[str, ...]
    pairs: tuple[Pair, ...]
    reason: str = ""

    @property
    def groups(self) -> list[list[str]]:
        """Students who are joined by pairs, the largest group first."""
        leader = _leaders(self.pairs)
        joined: dict[str, list[str]] = {}
        for student in sorted(leader):
            joined.setdefault(leader[student], []).append(student)
        return sorted(joined.values(), key=lambda group: (-len(group), group))

    @property
    def telling(self) -> list[Pair]:
        """Enough pairs to join every group, the least likely first: m - 1 for m students."""
        kept: list[Pair] = []
        for pair in self.pairs:
            leader = _leaders(kept)
            if leader.get(pair.first, pair.first) != leader.get(pair.second, pair.second):
                kept.append(pair)
        return kept


def _leaders(pairs: Iterable[Pair]) -> dict[str, str]:
    """Name one student of each group that ``pairs`` join."""
    parent: dict[str, str] = {}

    def top(student: str) -> str:
        while parent.setdefault(student, student) != student:
            parent[student] = parent[parent[student]]
            student = parent[student]
        return student

    for pair in pairs:
        parent[top(pair.first)] = top(pair.second)
    return {student: top(student) for student in parent}


# -- fingerprints --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Fingerprints:
    """An answer as it is compared.

    Attributes:
        text: what was written, with newlines as one character and none at its ends.
        filtered: the same without names, comments and spaces.
        offsets: rows of (place in ``filtered``, characters left out before it).
        grams: hash of every `GRAM` characters of ``filtered``.
        kept: those that winnowing keeps, sorted, each once.
    """

    text: str
    filtered: str
    offsets: NDArray[np.int64]
    grams: Hashes
    kept: Hashes

    def spans(self, wanted: Hashes) -> list[Span]:
        """Return where in ``text`` grams stand that are among ``wanted``, from start to end."""
        places = np.flatnonzero(np.isin(self.grams, wanted))
        if not len(places):
            return []
        slices = _copydetect().get_copied_slices(places, GRAM).astype(np.int64)
        rows = np.searchsorted(self.offsets[:, 0], slices).clip(0, len(self.offsets) - 1)
        starts, ends = slices + self.offsets[rows, 1]
        return list(zip(starts.tolist(), ends.tolist(), strict=True))


@functools.cache
def _copydetect() -> Any:
    """Its functions; the rest of it would import matplotlib, which takes a second."""
    spec = importlib.util.find_spec("copydetect")
    assert spec is not None
    with contextlib.ExitStack() as stack:
        if spec.name not in sys.modules:
            sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # not executed
            stack.callback(sys.modules.pop, spec.name)
        return importlib.import_module("copydetect.utils")


def fingerprints(source: str) -> Fingerprints:
    """Return the fingerprints of code, which need not be valid."""
    text = "\n".join(source[:MAX_CHARS].splitlines()).strip("\n")
    filtered, offsets = _copydetect().filter_code(text, "answer.py", "python")
    return _winnowed(text, filtered, np.asarray(offsets, np.int64))


def prose_fingerprints(source: str) -> Fingerprints:
    """Return the fingerprints of a written answer: its letters and digits, in small."""
    text = "\n".join(source[:MAX_CHARS].splitlines()).strip("\n")
    places = [place for place, character in enumerate(text) if character.isalnum()]
    filtered = "".join(text[place].lower()[:1] for place in places)
    offsets = [(row, place - row) for row, place in enumerate([*places, len(text)])]
    return _winnowed(text, filtered, np.array(offsets, np.int64))


def _winnowed(text: str, filtered: str, offsets: NDArray[np.int64]) -> Fingerprints:
    grams = _hashed(filtered)
    # hash(), which CodeFingerprint takes, differs from run to run, and so would what is kept
    kept = _copydetect().winnow(grams, WINDOW)[0] if len(grams) else grams
    return Fingerprints(text, filtered, offsets, grams, np.unique(kept))


def _hashed(filtered: str) -> Hashes:
    codes = np.frombuffer(filtered.encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    if len(codes) < GRAM:
        return np.zeros(0, np.uint64)
    hashes: Hashes = (sliding_window_view(codes, GRAM) * _FACTORS).sum(axis=1, dtype=np.uint64)
    hashes ^= hashes >> np.uint64(31)  # the least of a window is to be any of them
    hashes *= np.uint64(0x9E3779B97F4A7C15)
    return hashes ^ (hashes >> np.uint64(29))


def words(source: str) -> frozenset[str]:
    """Return names, comments and texts of code: what its fingerprints leave out."""
    found = (" ".join(text.split()) for text in WORD.findall(source[:MAX_CHARS]))
    return frozenset(found)


def own_part(text: str, stub: str) -> str:
    """Return an answer without the stub's lines above its ``raise``, if it still begins so."""
    head = stub.partition(UNWRITTEN)[0].rpartition("\n")[0]
    return text.removeprefix(head)


# -- the class -----------------------------------------------------------------------------------


class Class:
    """The code of a class, ready to be compared.

    Args:
        answers: what each student wrote, by exercise and student; an untouched stub is none.
        stubs: what was released in its place, by exercise.
        provided: the rest of the release's code.
        mistakes: what is wrong with each student's answers, in any words that tell them apart.
        prose: names of those answers that are text and no code.
    """

    def __init__(
        self,
        answers: Mapping[str, Mapping[str, str]],
        stubs: Mapping[str, str],
        provided: Sequence[str],
        mistakes: Mapping[str, Iterable[str]],
        prose: frozenset[str] = frozenset(),
    ) -> None:
        self.students = sorted({student for texts in answers.values() for student in texts})
        self._prose = prose
        self._rare: dict[str, Hashes] = {}
        released = [*stubs.values(), *provided]
        given = [self._prints(name, text).grams for name, text in stubs.items()]
        given += [fingerprints(text).grams for text in provided]
        self._given = np.unique(np.concatenate(given)) if given else np.zeros(0, np.uint64)
        self._provided = frozenset[str]().union(*map(words, released))
        self._answers = {
            name: {who: own_part(text, stubs.get(name, "")) for who, text in texts.items()}
            for name, texts in answers.items()
        }
        self._mistakes = mistakes
        self._known: dict[tuple[bool, str], tuple[Hashes, frozenset[str]]] = {}

    def compare(self) -> Comparison:
        """Return the pairs that are more alike than chance explains."""
        n = len(self.students)
        if n < MIN_STUDENTS:
            return Comparison(n, (), (), f"fewer than {MIN_STUDENTS} students handed in code")
        upper = np.triu_indices(n, 1)
        found: dict[str, tuple[NDArray[np.float32], Pairs]] = {}  # share and as_alike by part
        names = [*self._answers, WORDING]
        for name in tqdm(names, desc="comparing", unit="part", delay=PATIENCE, leave=False):
            features = self._features(name)
            if sum(len(items) > 0 for items in features) >= MIN_STUDENTS:
                share, score = (matrix[upper] for matrix in likeness(features))
                found[name] = share, as_alike(score)
        if not set(found) - {WORDING}:
            return Comparison(n, (), (), "nobody's answers are long enough to compare")
        expected = expected_pairs([share for _, share in found.values()])
        places = np.flatnonzero(expected <= MAX_EXPECTED)
        pairs = [
            Pair(
                self.students[upper[0][at]],
                self.students[upper[1][at]],
                float(expected[at]),
                tuple(
                    sorted(
                        (Part(name, float(s[at]), float(p[at])) for name, (s, p) in found.items()),
                        key=lambda part: part.as_alike,
                    )
                ),
            )
            for at in places[np.argsort(expected[places], kind="stable")]
        ]
        return Comparison(n, tuple(name for name in found if name != WORDING), tuple(pairs))

    def marked(self, exercise: str, first: str, second: str) -> list[tuple[str, list[Span]]]:
        """Return both answers, each with where it has what the other has and most have not."""
        if exercise not in self._rare:
            features = self._features(exercise)
            kinds, counts = np.unique(np.concatenate(features), return_counts=True)
            self._rare[exercise] = kinds[2 * counts <= len(features)]
        wanted, answers = self._rare[exercise], self._answers[exercise]
        for student in (first, second):
            own, _ = self._of(exercise, answers.get(student, ""))
            wanted = np.intersect1d(wanted, own)
        prints = [self._prints(exercise, answers.get(who, "")) for who in (first, second)]
        return [(one.text, one.spans(wanted)) for one in prints]

    def said(self, first: str, second: str) -> list[str]:
        """Return names, comments, texts and mistakes that these two have and few others."""
        holders = self._holders
        both = self._words(first) & self._words(second)
        few = [word for word in both if holders[word] ** 2 <= len(self.students)]
        return sorted(few, key=lambda word: (holders[word], -len(word), word))

    def _features(self, name: str) -> list[Hashes]:
        """What is compared of each student, as sorted hashes."""
        if name != WORDING:
            answers = self._answers[name]
            return [self._of(name, answers.get(student, ""))[0] for student in self.students]
        numbers: dict[str, int] = {}
        return [
            np.array(
                sorted(numbers.setdefault(w, len(numbers)) for w in self._words(student)), np.uint64
            )
            for student in self.students
        ]

    @functools.cached_property
    def _holders(self) -> Counter[str]:
        """How many students have each word."""
        return Counter(word for student in self.students for word in self._words(student))

    def _words(self, student: str) -> set[str]:
        said = {f"mistake: {text}" for text in self._mistakes.get(student, ())}
        for name, answers in self._answers.items():
            said |= self._of(name, answers.get(student, ""))[1]
        return said

    def _of(self, name: str, text: str) -> tuple[Hashes, frozenset[str]]:
        """Fingerprints and words of an answer that nobody was given; many answers are the same."""
        key = name in self._prose, text
        if key not in self._known:
            kept = self._prints(name, text).kept
            own = np.setdiff1d(kept, self._given, assume_unique=True)
            said = frozenset[str]() if name in self._prose else words(text) - self._provided
            self._known[key] = own, said
        return self._known[key]

    def _prints(self, name: str, text: str) -> Fingerprints:
        return prose_fingerprints(text) if name in self._prose else fingerprints(text)


# -- statistics ----------------------------------------------------------------------------------


def likeness(features: Sequence[Hashes]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how alike students are: weighted Jaccard index J, and J^2 times the weight shared.

    What ``k`` of ``n`` students have weighs ``log2(n / k)`` bits. Of several scores tried on
    classes of students who work alone, the second told copies apart best: alike in most, and in
    something rare.

    Args:
        features: sorted hashes of each student, each once.

    Returns:
        Two matrices of shape ``(students, students)``, rounded.
    """
    n = len(features)
    lengths = [len(items) for items in features]
    rows = np.repeat(np.arange(n), lengths)
    _, columns, counts = np.unique(
        np.concatenate(features), return_inverse=True, return_counts=True
    )
    weights = np.log2(n / counts)
    own = np.bincount(rows, weights[columns], n).astype(np.float32)
    shared = np.zeros((n, n), np.float32)
    rank = np.cumsum(counts > 1) - 1  # what one student alone has is shared with nobody
    common = counts[columns] > 1
    rows, columns = rows[common], columns[common]
    for start in range(0, int((counts > 1).sum()), BLOCK):
        here = (rank[columns] >= start) & (rank[columns] < start + BLOCK)
        block = np.zeros((n, BLOCK), np.float32)
        block[rows[here], rank[columns[here]] - start] = np.sqrt(weights[columns[here]])
        shared += block @ block.T
    either = own[:, None] + own[None] - shared
    jaccard = np.divide(shared, either, out=np.zeros_like(shared), where=either > 10.0**-DIGITS)
    return jaccard.round(DIGITS), (shared * jaccard**2).round(DIGITS)


def as_alike(scores: NDArray[np.floating]) -> Pairs:
    """Return for each pair which share of all pairs is at least as alike.

    Args:
        scores: one per pair; equal ones get equal shares.
    """
    ordered = np.sort(scores)
    shares: Pairs = 1.0 - np.searchsorted(ordered, scores, side="left") / len(scores)
    return shares


def expected_pairs(shares: Sequence[Pairs]) -> Pairs:
    """Return how many pairs as unlikely as each there would be among as many, by chance.

    The sum of ``-ln(share)`` over ``k`` independent exercises follows Erlang's distribution of
    shape ``k`` (a share that pairs have in common makes it smaller, never larger). Students have
    habits, so exercises are not quite independent: if the bulk of the pairs lies above that
    distribution, sums are divided by the factor.

    Args:
        shares: of each exercise, what `as_alike` returned.
    """
    from scipy.special import gammaincc, gammainccinv

    sums = np.sum([-np.log(share) for share in shares], axis=0)
    inflation = max(1.0, np.quantile(sums, BULK) / gammainccinv(len(shares), 1.0 - BULK))
    expected: Pairs = len(sums) * gammaincc(len(shares), sums / inflation)
    return expected
