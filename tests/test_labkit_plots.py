"""Figures: what they draw, and that drawing leaves matplotlib as it was."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb

from labkit import plots


@pytest.fixture(autouse=True)
def no_figures_left() -> object:
    yield
    plt.close("all")


def test_running_mean_by_hand() -> None:
    """Of 2, 4, 9, 1 with a window of two: 2, 3, 6.5, 5."""
    np.testing.assert_allclose(plots.smoothed([2.0, 4, 9, 1], 2), [2, 3, 6.5, 5])
    rows = np.random.default_rng(0).normal(size=(3, 40))
    wanted = [rows[:, max(0, t - 6) : t + 1].mean(axis=1) for t in range(40)]
    np.testing.assert_allclose(plots.smoothed(rows, 7), np.transpose(wanted))


def test_learning_curves_draw_means_and_the_range_of_the_seeds() -> None:
    curves = {"a": np.arange(50.0).reshape(5, 10), "b": np.ones((3, 10))}
    ax = plots.learning_curves(curves, window=1, band=(0, 100), truth={"a": 7.0, "c": 8.0})
    first, second, truth, other = ax.lines
    np.testing.assert_allclose(first.get_ydata(), np.arange(20.0, 30))
    np.testing.assert_allclose(second.get_ydata(), 1.0)
    assert truth.get_color() == first.get_color() != other.get_color()
    (band, _) = ax.collections
    edges = band.get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (0.0, 49.0)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]


def test_grid_prints_values_and_walks_the_path() -> None:
    values = np.arange(48) / 4
    ax = plots.grid(values=values, path=[36, 24, 25])
    printed = {text.get_text() for text in ax.texts}
    assert {f"{value:.1f}" for value in values[:37]} <= printed
    assert "11.5" not in printed  # hidden under the cliff
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 3], [0, 2], [1, 2]])


def test_grid_draws_an_arrow_for_every_best_action() -> None:
    Q = np.zeros((48, 4))
    Q[:, 2] = 1.0
    Q[0, 1] = 1.0
    ax = plots.grid(Q=Q)
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None) is not None]
    assert len(arrows) == 37 + 1
    right, down = (np.subtract(arrow.xy, arrow.xyann) for arrow in arrows[:2])
    assert right[0] > 0 == right[1]
    assert down[1] > 0 == down[0]  # rows count downwards


def test_film_moves_the_agents_in_step() -> None:
    film = plots.film({"short": [36, 24], "long": [36, 24, 12, 0]}, pause=2)
    film._init_draw()
    (ax_short, ax_long) = film._fig.axes
    film._draw_frame(2)
    assert ax_short.lines[-1].get_xydata().tolist() == [[0, 2]]
    assert ax_long.lines[-1].get_xydata().tolist() == [[0, 1]]
    assert len(list(film.new_frame_seq())) == 6


def test_ink_reads_on_white_and_on_black() -> None:
    """Contrast at least 4.5 to 1 on white and on the book's dark page (WCAG AA)."""

    def luminance(colour: str) -> float:
        linear = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)
        ]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    ink = luminance(plots.INK)
    assert 1.05 / (ink + 0.05) >= 4.5
    assert (ink + 0.05) / (luminance("#000000") + 0.05) >= 4.5


def test_style_leaves_matplotlib_as_it_was() -> None:
    before = dict(plt.rcParams)
    plots.grid()
    assert dict(plt.rcParams) == before
    with plots.style():
        mpl.interactive(True)  # as Jupyter does when it meets its first figure
    assert plt.isinteractive()
    mpl.interactive(False)
