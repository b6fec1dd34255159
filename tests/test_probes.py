"""Each probe reports what it says it looks at, on copies, and names what went wrong."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from labkit.markers import Env, LinearMap, Network, NormedNetwork, Objects, Seed
from labkit.probes import (
    UNSEEN,
    Copies,
    Draws,
    Gradient,
    Mutates,
    Part,
    Raises,
    Returns,
    Samples,
    Trace,
    observe,
)

X = np.array([1.0, 2.0])


def test_returns_reports_the_value_and_leaves_the_case_alone() -> None:
    case = {"x": X.copy(), "more": [1, {"y": X.copy()}]}

    def greedy(x: Any, more: Any) -> Any:
        x *= 2
        more[1]["y"] += 1
        return x

    seen = observe(greedy, Returns(), case)
    assert seen.value.tolist() == [2.0, 4.0]
    assert seen.changed == ("x", "more")
    assert case["x"].tolist() == [1.0, 2.0]
    assert case["more"][1]["y"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda x, t, d: None, ()),
        (lambda x, t, d: x.sort(), ()),
        (lambda x, t, d: x.__setitem__(0, 9.0), ("x",)),
        (lambda x, t, d: t.mul_(2), ("t",)),
        (lambda x, t, d: d.update(k=1), ("d",)),
        (lambda x, t, d: (d.pop("a"), t.zero_()), ("t", "d")),
        (lambda x, t, d: d["a"].append(1), ("d",)),
    ],
)
def test_changed_arguments_are_named(change: Any, changed: tuple[str, ...]) -> None:
    case = {"x": np.array([1.0, np.nan]), "t": torch.ones(2), "d": {"a": [0]}}
    seen = observe(change, Returns(), case)
    assert seen.error is None
    assert seen.changed == changed


def test_part_sees_one_part_and_what_has_no_such_part_whole() -> None:
    def returning(value: Any) -> Any:
        return observe(lambda: value, Part(0), {}).value

    assert returning((2.5, 17)) == (2.5, UNSEEN)
    assert returning([2.5, 17, 1]) == (2.5, UNSEEN, UNSEEN)
    assert observe(lambda: (2.5, 17), Part(1), {}).value == (UNSEEN, 17)
    assert observe(lambda: (2.5, 17), Part(2), {}).value == (2.5, 17)
    assert returning(2.5) == 2.5
    assert returning(()) == ()
    assert returning(None) is None
    assert returning(X) is X
    assert observe(lambda x: x.sort(), Part(0), {"x": X[::-1]}).changed == ("x",)


def test_mutates_reports_the_named_arguments_and_blames_only_the_others() -> None:
    def add(Q: Any, x: Any) -> None:
        Q += x
        x[0] = 0.0

    seen = observe(add, Mutates(("Q",)), {"Q": X, "x": X})
    assert seen.value["return"] is None
    assert seen.value["Q after the call"].tolist() == [2.0, 4.0]
    assert seen.changed == ("x",)


def test_gradient_reports_value_and_gradients() -> None:
    case = {"x": torch.tensor([1.0, 2.0]), "y": torch.tensor([3.0, 4.0])}
    seen = observe(lambda x, y: x * x * y.detach(), Gradient(("x", "y")), case)
    assert seen.value["return"].tolist() == [3.0, 16.0]
    assert seen.value["gradient of x"].tolist() == [6.0, 16.0]  # 2 x y
    assert seen.value["gradient of y"].tolist() == [0.0, 0.0]
    assert seen.changed == ()
    assert not case["x"].requires_grad


def test_gradient_of_a_detached_result_is_none() -> None:
    seen = observe(lambda x: x.detach() * 2, Gradient(("x",)), {"x": torch.ones(2)})
    assert seen.value["gradient of x"] is None


class Counter:
    def __init__(self, start: int) -> None:
        self.log = [start]

    def add(self, number: int) -> list[int]:
        self.log.append(number)
        return self.log

    def fail(self) -> None:
        raise KeyError("gone")


def test_trace_reports_every_call_as_it_was_then() -> None:
    calls = [("add", {"number": 1}), ("add", {"number": 2})]
    seen = observe(Counter, Trace(), {"init": {"start": 0}, "calls": calls})
    assert seen.value == [["add", [0, 1]], ["add", [0, 1, 2]]]


def test_trace_of_a_missing_method_is_an_error() -> None:
    seen = observe(Counter, Trace(), {"init": {"start": 0}, "calls": [("subtract", {})]})
    assert seen.error is not None
    assert seen.error.type_name == "AttributeError"


def fails(x: float) -> float:
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x


def test_raises_reports_the_type_alone() -> None:
    assert observe(fails, Raises(), {"x": -1.0}).value == {"raised": "ValueError"}
    assert observe(fails, Raises(), {"x": 1.0}).value == {"raised": "nothing"}


def test_an_error_names_its_line_in_the_function() -> None:
    seen = observe(fails, Returns(), {"x": -1.0})
    assert seen.error is not None
    assert (seen.error.type_name, seen.error.message) == ("ValueError", "-1.0 is negative")
    assert seen.error.source == 'raise ValueError(f"{x} is negative")'
    assert seen.error.line == fails.__code__.co_firstlineno + 2


def test_exit_is_an_error_too() -> None:
    seen = observe(lambda: exit(3), Returns(), {})
    assert seen.error is not None
    assert seen.error.type_name == "SystemExit"


def test_a_loop_without_end_is_timed_out() -> None:
    def loop() -> None:
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue

    assert observe(loop, Returns(), {}, seconds=0.1).timed_out


def test_generators_start_afresh_for_every_call() -> None:
    def draw(rng: np.random.Generator) -> list[float]:
        return [
            rng.random(),
            np.random.random(),  # noqa: NPY002
            random.random(),
            float(torch.rand(())),
        ]

    first = observe(draw, Returns(), {"rng": Seed(4)}).value
    assert first[0] == np.random.default_rng(4).random()
    assert observe(draw, Returns(), {"rng": Seed(4)}).value == first
    assert observe(draw, Returns(), {"rng": Seed(5)}).value[0] != first[0]


def test_markers_are_built_wherever_they_stand() -> None:
    case = {"pair": (Seed(1), [Seed(2)]), "env": Env("CliffWalking-v1", seed=3)}

    def look(pair: Any, env: Any) -> Any:
        assert env.step(0)[0] >= 0, "it was reset"
        return [pair[0].random(), pair[1][0].random()]

    seen = observe(look, Returns(), case)
    assert seen.value == [np.random.default_rng(n).random() for n in (1, 2)]
    assert seen.changed == ()


def test_samples_use_one_stream_and_fresh_arrays() -> None:
    def draw(x: Any, rng: np.random.Generator) -> float:
        x[0] += 1.0
        return float(x[0] + rng.random())

    case = {"x": np.zeros(1), "rng": Seed(7)}
    seen = observe(draw, Samples(3), case)
    expected = 1.0 + np.random.default_rng(7).random(3)
    assert seen.value.tolist() == expected[:, None].tolist()


def test_samples_of_a_mutation_flatten_what_changed() -> None:
    def toss(Q: Any, rng: np.random.Generator) -> None:
        Q[rng.integers(2)] += 1.0

    seen = observe(toss, Samples(40, of=Mutates(("Q",))), {"Q": np.zeros(2), "rng": Seed(0)})
    assert seen.value.shape == (40, 2)
    assert seen.value.sum(axis=1).tolist() == [1.0] * 40
    assert 0.0 < seen.value[:, 0].mean() < 1.0


def test_samples_of_what_is_no_number_report_it_as_it_is() -> None:
    assert observe(lambda: "left", Samples(5), {}).value == "left"
    assert observe(lambda: None, Samples(5), {}).value is None


def test_samples_get_fresh_copies_of_all_that_is_within() -> None:
    """A call that counts in each container finds them as they were, however deep they lie."""

    def count(table: dict[str, Any], rows: list[Any]) -> list[float]:
        table["tries"] += 1
        table["Q"][0] += 1
        table["seen"].append(1)
        rows[0][0] += 1
        rows[1][0].append(1)
        return [table["tries"], table["Q"][0], len(table["seen"]), rows[0][0], len(rows[1][0])]

    table = {"tries": 0, "Q": np.zeros(2), "seen": []}
    rows = [np.zeros(1), ([],)]
    seen = observe(count, Samples(3), {"table": table, "rows": rows})
    assert seen.value.tolist() == [[1.0] * 5] * 3


def test_a_network_is_the_same_wherever_it_is_built() -> None:
    """By hand: one layer of the draws of numpy's generator, scaled."""
    network = Network((4, 1), seed=3).build()
    rng = np.random.default_rng(3)
    weight, bias = rng.normal(scale=0.5, size=(1, 4)), rng.normal(scale=0.5, size=1)
    x = np.arange(4.0)
    assert network(torch.from_numpy(x)).item() == pytest.approx(float((weight @ x + bias)[0]))
    deep = Network((4, 8, 2), seed=3).build()
    assert [type(layer).__name__ for layer in deep] == ["Linear", "Tanh", "Linear"]
    assert all(p.dtype == torch.float64 and p.requires_grad for p in deep.parameters())


def test_a_network_that_changes_is_observed_by_its_tensors() -> None:
    case = {"online": Network((2, 1), seed=0), "target": Network((2, 1), seed=1)}

    def sync(online: Any, target: Any) -> None:
        target.load_state_dict(online.state_dict())

    seen = observe(sync, Mutates(("target",)), case)
    weight = case["online"].build().state_dict()["0.weight"]
    assert seen.changed == ()
    torch.testing.assert_close(seen.value["target after the call"]["0.weight"], weight)
    assert observe(sync, Returns(), case).changed == ("target",)
    assert observe(sync, Mutates(("online",)), case).changed == ("target",)


def test_a_linear_map_multiplies() -> None:
    case = {"hvp": LinearMap(np.array([[2.0, 1.0], [0.0, 3.0]]))}
    seen = observe(lambda hvp: hvp(torch.tensor([1.0, 2.0]).double()), Returns(), case)
    assert seen.value.tolist() == [4.0, 6.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Network((4,), 0),
        lambda: Network((4, 0), 0),
        lambda: Network((4, 10_000), 0),
        lambda: Network([4, 2], 0),
        lambda: Network((2,) * 9, 0),
        lambda: Network((4, 2), -1),
        lambda: LinearMap([[1.0]]),
        lambda: LinearMap(np.ones(3)),
    ],
)
def test_what_names_no_network_and_no_map_is_refused(make: Any) -> None:
    with pytest.raises(TypeError):
        make()


class Ring:
    """Keeps copies of the last two rows."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def add(self, obs: Any) -> None:
        self.rows = [*self.rows, obs.copy()][-2:]

    def sample(self, rng: Any) -> Any:
        drawn = rng.integers(len(self.rows), size=400)
        return {"obs": np.array([self.rows[i] for i in drawn])}


class Keeps(Ring):
    def add(self, obs: Any) -> None:
        self.rows = [*self.rows, obs][-2:]


class Prefers(Ring):
    def sample(self, rng: Any) -> Any:
        drawn = (rng.random(400) < 0.8).astype(int)
        return {"obs": np.array([self.rows[i] for i in drawn], dtype=object)}


class InARow(Ring):
    def sample(self, rng: Any) -> Any:
        drawn = (rng.integers(2) + np.arange(400)) % 2
        return {"obs": np.array([self.rows[i] for i in drawn])}


class OfItsOwn(Ring):
    def sample(self, rng: Any) -> Any:
        return super().sample(np.random.default_rng(0))


class Elsewhere(Ring):
    def sample(self, rng: Any) -> Any:
        return super().sample(np.random.default_rng())


class InSingle(Ring):
    def sample(self, rng: Any) -> Any:
        return {name: rows.astype(np.float32) for name, rows in super().sample(rng).items()}


def drawn(cls: type) -> Any:
    calls = [("add", {"obs": np.array([float(x), 5.0])}) for x in (9, 7, 4)]
    case = {"init": {}, "calls": [*calls, ("sample", {"rng": Seed(0)})]}
    seen = observe(cls, Draws(), case)
    assert calls[0][1]["obs"][0] == 9.0, "the case itself is left alone"
    return seen.value[-1][1]


def test_draws_reports_which_rows_came_and_whether_evenly() -> None:
    found = drawn(Ring)
    assert found["different rows: obs"].tolist() == [[4.0, 5.0], [7.0, 5.0]]
    assert (found["number of rows"], found["how often"]) == (400, "each about as often")
    assert drawn(Prefers)["different rows: obs"].tolist() == [[4.0, 5.0], [7.0, 5.0]]
    assert drawn(Prefers)["how often"] == "some much more often than others"


@pytest.mark.parametrize("cls", [Ring, Prefers, InARow, OfItsOwn, Elsewhere, InSingle])
def test_draws_reports_in_what_order_from_where_and_how_wide(cls: type) -> None:
    found = drawn(cls)
    names = ("in what order", "drawn by", "drawn later", "widest float")
    expected = {
        InARow: ("a row depends on the one before", "`rng`", "other rows", "float64"),
        OfItsOwn: ("by chance", "`rng`", "the same rows again", "float64"),
        Elsewhere: ("by chance", "something else than `rng`", "other rows", "float64"),
        InSingle: ("by chance", "`rng`", "other rows", "float32"),
    }.get(cls, ("by chance", "`rng`", "other rows", "float64"))
    assert tuple(found[name] for name in names) == expected


def test_draws_overwrites_what_was_given_so_that_references_show() -> None:
    assert drawn(Keeps)["different rows: obs"].tolist() == [[-1.0, -1.0]]


def test_draws_reports_anything_else_as_it_is() -> None:
    for value in (3, {}, {"x": 1.0}, {"x": [1, 2], "y": [1]}, {"x": ["a"]}, {1: [2]}):
        cls = type("Odd", (), {"sample": lambda self, value=value: value})
        seen = observe(cls, Draws(), {"init": {}, "calls": [("sample", {})]})
        assert seen.value == [["sample", value]]


def copied(sync: Any) -> dict[str, Any]:
    case = {"online": NormedNetwork((2, 3, 1), seed=0), "target": NormedNetwork((2, 3, 1), seed=1)}
    seen = observe(sync, Copies("online", "target"), case)
    assert seen.error is None
    found: dict[str, Any] = seen.value
    return found


def test_copies_looks_again_after_the_source_has_moved_on() -> None:
    def shares(online: Any, target: Any) -> None:
        for new, old in zip(online.parameters(), target.parameters(), strict=True):
            old.data = new.data

    def method(online: Any, target: Any) -> None:
        target.state_dict = online.state_dict

    later, name = "target once online has moved on", "0.weight"
    found = copied(lambda online, target: target.load_state_dict(online.state_dict()))
    assert torch.equal(found[later][name], found["online after the call"][name])
    assert torch.equal(
        found[later]["1.running_mean"], found["online after the call"]["1.running_mean"]
    )
    found = copied(shares)
    assert torch.equal(found[later][name], found["online after the call"][name] + 1)
    found = copied(method)
    assert not torch.equal(
        found["target after the call"][name], found["online after the call"][name]
    )


def test_a_normed_network_has_buffers_of_its_own() -> None:
    network = NormedNetwork((2, 3, 1), seed=4).build()
    assert [type(layer).__name__ for layer in network] == [
        "Linear",
        "BatchNorm1d",
        "Tanh",
        "Linear",
    ]
    assert len(list(network.buffers())) == 3
    assert 0.5 <= network[1].running_mean.min() < network[1].running_mean.max() <= 2.0
    assert network[1].num_batches_tracked > 0
    plain = Network((2, 3, 1), seed=4).build()
    assert torch.equal(network[0].weight, plain[0].weight)


def test_objects_are_an_array_of_arrays_and_none() -> None:
    case = {"infos": {"final_obs": Objects((X, None))}}
    seen = observe(lambda infos: infos["final_obs"][np.array([True, False])][0], Returns(), case)
    assert seen.value.tolist() == [1.0, 2.0]
    assert seen.changed == ()
    seen = observe(lambda infos: infos["final_obs"][0].fill(3.0), Returns(), case)
    assert seen.changed == ("infos",)
    for wrong in ([X], (1.0,), ("x",)):
        with pytest.raises(TypeError):
            Objects(wrong)  # type: ignore[arg-type]
