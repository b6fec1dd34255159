"""The parts that the website is made of, each alone."""

from __future__ import annotations

import functools
import gzip
import importlib
import itertools
import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from docutils import nodes

BOOK = Path(__file__).parents[1] / "book"
sys.path.insert(0, str(BOOK / "_ext"))
from course_site import (  # noqa: E402
    films,
    katex,
    labpage,
    labs,
    numbering,
    overview,
    pages,
    quiz,
    reference,
    results,
    widget,
)
from course_site.films import (  # noqa: E402
    cartpole,
    cliff,
    connect_four,
    lunar_lander,
    maze,
    reel,
)


class TestQuiz:
    def test_options_and_their_reasons(self) -> None:
        options = quiz.parse(
            [
                "- too high :correct: Being cut off looks like arriving.",
                "- too low :why: Nothing is subtracted,",
                "  not even at the cut.",
            ]
        )
        assert options == [
            quiz.Option("too high", True, "Being cut off looks like arriving."),
            quiz.Option("too low", False, "Nothing is subtracted,\nnot even at the cut."),
        ]

    @pytest.mark.parametrize(
        ("lines", "complaint"),
        [
            (["- a :correct: x", "- b"], "mark this option"),
            (["- a :correct: x", "- b :why:"], "say why"),
            (["- a :why: x", "- b :why: y"], "one right option"),
            (["- a :correct: x", "- b :correct: y"], "one right option"),
            (["text", "- a :correct: x"], "list items"),
        ],
    )
    def test_a_quiz_that_says_too_little_is_refused(self, lines: list[str], complaint: str) -> None:
        with pytest.raises(ValueError, match=complaint):
            quiz.parse(lines)


class TestKatex:
    @pytest.fixture
    def renderer(self):  # type: ignore[no-untyped-def]
        script = BOOK.parent / "build/web/node_modules/katex/dist/katex.min.js"
        assert script.is_file(), "KaTeX is not installed: run make book"
        renderer = katex.Katex(script, {r"\E": r"\mathbb{E}"})
        yield renderer
        renderer.close()

    def test_a_formula_is_html_with_mathml_inside(self, renderer: katex.Katex) -> None:
        inline = renderer.render(r"\E[x]", display=False)
        assert "<math" in inline
        assert "𝔼" in inline or "mathbb" in inline
        assert "katex-display" not in inline
        assert "katex-display" in renderer.render("x", display=True)

    def test_bad_tex_is_an_error_and_the_next_formula_still_works(
        self, renderer: katex.Katex
    ) -> None:
        with pytest.raises(katex.TexError, match="Undefined control sequence"):
            renderer.render(r"\nosuchthing", display=False)
        assert "<math" in renderer.render("y", display=False)

    def test_sphinx_prints_the_numbers_not_tex(self) -> None:
        tex = r"\begin{align}x\end{align}"
        assert katex.NUMBERED.sub(r"\\\1{\2*}", tex) == r"\begin{align*}x\end{align*}"


class TestLabs:
    LAB = labs.Lab("lab02_x", "Q & A", 30.0, 200, 8, "60 s", "")

    def test_facts_come_from_the_lab(self, tmp_path: Path) -> None:
        (tmp_path / "solutions/lab02_x").mkdir(parents=True)
        (tmp_path / "labs/lab02_x").mkdir(parents=True)
        text = "---\ntitle: T\ntotal: 30\nminutes: 200\ncpu: 60 s\n---\n# T\n\n---\n"
        (tmp_path / "solutions/lab02_x/lab.md").write_text(text)
        public = {"title": "Q & A", "exercises": [{}] * 8}
        (tmp_path / "labs/lab02_x/public_cases.json").write_text(json.dumps(public))
        assert labs.read_lab(tmp_path, "lab02_x") == self.LAB

    def test_a_card_names_points_time_and_three_ways_in(self) -> None:
        card = labs.card(self.LAB, root="../", labs_url="", on_lab_page=False)
        for text in ("30", "3 h 20 min", "60 s", "Q &amp; A"):
            assert text in card
        assert "On a GPU" not in card
        for address in (
            "../labs/lab02_x.html",
            "../labs/lab02_x.zip",
            "../how_labs_work.html#in-colab",
        ):
            assert f'href="{address}"' in card
        assert "lab02_x.html" not in labs.card(self.LAB, root="", labs_url="", on_lab_page=True)

    @pytest.mark.parametrize(
        ("address", "place"),
        [
            ("https://github.com/someone/labs", "someone/labs/blob/main"),
            ("https://github.com/someone/labs/", "someone/labs/blob/main"),
            ("https://github.com/someone/c/tree/dev/labs", "someone/c/blob/dev/labs"),
        ],
    )
    def test_colab_opens_what_github_has(self, address: str, place: str) -> None:
        host = "https://colab.research.google.com/github"
        assert labs.colab_link(address, "lab02_x") == f"{host}/{place}/lab02_x/lab02_x.ipynb"

    def test_colab_opens_nothing_elsewhere(self) -> None:
        assert labs.colab_link("https://example.org/labs", "lab02_x") is None
        assert labs.colab_link("", "lab02_x") is None

    @pytest.mark.parametrize(
        ("minutes", "said"), [(45, "45 min"), (120, "2 h"), (200, "3 h 20 min"), (0, "0 min")]
    )
    def test_duration(self, minutes: int, said: str) -> None:
        assert labs.duration(minutes) == said


KERNEL = {"name": "python3", "display_name": "Python 3"}


class TestLabPage:
    def notebook(self) -> nbformat.NotebookNode:
        graded = {"nbgrader": {"solution": True, "grade_id": "q_update"}}
        tests = {"nbgrader": {"solution": False, "grade": True, "grade_id": "test-q_update"}}
        cells = [
            nbformat.v4.new_markdown_cell("# Lab\n\nAn agent.\n\n## The cliff\n\n# not a title"),
            nbformat.v4.new_code_cell('labkit.start("lab02_x")'),
            nbformat.v4.new_markdown_cell("## Learning"),
            nbformat.v4.new_markdown_cell("**Exercise 1**"),
            nbformat.v4.new_code_cell("def q_update(): ...", metadata=graded),
            nbformat.v4.new_code_cell(
                'labkit.check("q_update")',
                metadata=tests,
                outputs=[nbformat.v4.new_output("stream", text="secret")],
            ),
        ]
        return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})

    def test_an_exercise_is_found_at_the_words_that_name_it(self) -> None:
        page = labpage.lab_page(self.notebook(), "lab02_x")
        sources = [cell.source for cell in page.cells]
        target = sources.index("(lab02-x-q-update)=")
        assert sources[target + 1] == "**Exercise 1**"
        assert sum(source.endswith(")=") for source in sources) == 1

    def test_the_card_follows_the_title_and_nothing_was_run(self) -> None:
        page = labpage.lab_page(self.notebook(), "lab02_x")
        assert page.cells[0].source == "# Lab\n\n```{lab-card} lab02_x\n```"
        assert page.cells[1].source.startswith("An agent.")
        assert nbformat.writes(page).count("lab-card") == 1
        assert "secret" not in nbformat.writes(page)
        nbformat.validate(page)

    def test_the_same_notebook_gives_the_same_page(self) -> None:
        first, second = (labpage.lab_page(self.notebook(), "lab02_x") for _ in range(2))
        assert nbformat.writes(first) == nbformat.writes(second)


class TestPages:
    def test_mending_twice_is_mending_once(self) -> None:
        page = (
            '<div id="pst-primary-sidebar" class="x"><th></th><th class="head"></th>'
            '<script src="_static/doctools.js?v=1"></script><script src="searchindex.js"></script>'
            '<script src="_static/documentation_options.js"></script>'
            '<div class="highlight"><pre>'
        )
        mended = pages.mend(page)
        assert pages.mend(mended) == mended
        assert '<script defer src="searchindex.js">' in mended
        assert '<script src="_static/documentation_options.js">' in mended
        assert "<th" not in mended
        assert '<pre tabindex="0">' in mended

    def test_a_description_ends_at_a_word(self) -> None:
        document = nodes.document(None, None)  # type: ignore[arg-type]
        document += nodes.paragraph(text="word " * 60)
        text = pages.describe(document)
        assert text.endswith("word …")
        assert len(text) <= pages.DESCRIPTION_LENGTH + 2

    def test_icons_that_pages_name_and_the_theme_draws_are_kept_and_no_others(self) -> None:
        css = (
            '.fa-bars:before,.fa-navicon:before{content:"\\f0c9"}.fa-car:before{content:"\\f1b9"}'
            '.admonition-title:after{content:"\\f0ae"}'
        )
        assert pages.used_icons(css, '<i class="fa-solid fa-bars">') == {0xF0C9, 0xF0AE}

    def test_an_icon_that_the_theme_does_not_escape_is_kept(self) -> None:
        css = ':root{--link:"\uf09b"} .fa-x:before{content:"\uf00d"} .fa-y:before{content:"\uf000"}'
        assert pages.used_icons(css, '<i class="fa-x">') == {0xF09B, 0xF00D}

    def test_pictures_get_their_size(self, tmp_path: Path) -> None:
        from PIL import Image

        Image.new("RGB", (7, 5)).save(tmp_path / "a.png")
        page = pages.with_sizes('<img alt="" src="a.png"><img src="https://x/b.png">', tmp_path)
        assert 'width="7" height="5"' in page
        assert page.count("width") == 1


class TestResults:
    def test_a_mean_is_given_to_the_digits_that_its_error_allows(self) -> None:
        spread = {"count": 60, "mean": -51.337, "sd": 6.0117, "stderr": 0.7761}
        assert results.cell(spread) == "−51.34 ± 0.78 (sd 6.01, n = 60)"

    def test_curves_are_left_to_figures(self) -> None:
        header, body = results.rows({"Q": {"peak": 0.5, "curve": [1, 2]}, "SARSA": {"peak": 1}})
        assert (header, body) == (["method", "peak"], [["Q", "0.5"], ["SARSA", "1"]])
        assert results.turned(header, body) == (["measured", "Q", "SARSA"], [["peak", "0.5", "1"]])

    def test_results_of_several_sizes_get_a_table_each(self) -> None:
        methods = {"plain": {"earned": 1, "per seed": [1, 2]}, "careful": {"earned": 2}}
        sizes = {"3": {"seen": 0.5, "methods": methods}, "10": {"methods": methods}}
        made = results.tables({"exact": {"best": -12.25}, "date": "x", "sizes": sizes})
        texts = [" ".join(node.astext().split()) for node in made]
        assert texts == [
            "computed exactly value best −12.25",
            "sizes: 3",
            "measured plain careful earned 1 2",
            "measured value seen 0.5",
            "sizes: 10",
            "measured plain careful earned 1 2",
        ]

    def test_results_by_name_are_rows_of_one_table_and_curves_are_in_none(self) -> None:
        spread = {"count": 15, "mean": 0.9576, "sd": 0.0257, "stderr": 0.0066}
        made = results.tables(
            {
                "weights": {"none": spread | {"paper": -0.39}, "3": spread | {"paper": 0.72}},
                "curves": {"kl": {"mean": [1, 2]}, "gain": {"mean": [3, 4]}},
                "teacher": {"returns": [1, 2]},
                "student": {"returns": [1, 2], "solved": 18},
            }
        )
        texts = [" ".join(node.astext().split()) for node in made]
        assert texts == [
            "measured value student solved: 18",
            "weights",
            "method measured paper none 0.9576 ± 0.0066 (sd 0.0257, n = 15) −0.39"
            " 3 0.9576 ± 0.0066 (sd 0.0257, n = 15) 0.72",
        ]

    def test_every_committed_result_makes_a_section(self) -> None:
        benchmarks = BOOK.parent / "benchmarks"
        files = sorted((benchmarks / "results").glob("*.json"))
        assert files
        for path in files:
            heading = results.title(benchmarks, path.stem)
            section = results.report(path.stem, heading, json.loads(path.read_text("utf-8")))
            assert heading != path.stem, f"no module of benchmarks/ writes {path.name}"
            assert list(section.findall(nodes.table)), path.name


class TestReel:
    def test_what_is_shown_for_a_while_is_hidden_before_and_after(self) -> None:
        made = reel.Reel("x", ticks=10, seconds_per_tick=0.5)
        assert made.shown(2, 4) == "animation:x-0 5.0s linear infinite"
        steps = re.findall(r"([\d.]+)%\{opacity:(\d)\}", made.style)
        opacity = {float(share): int(value) for share, value in steps}
        assert opacity == {0: 0, 19.9: 0, 20: 1, 39.9: 1, 40: 0, 100: 0}
        assert [float(share) for share, _ in steps] == sorted(opacity)

    def test_what_moves_alike_shares_its_animation(self) -> None:
        made = reel.Reel("x", ticks=4, seconds_per_tick=1)
        one, other = made.moved([(0, 1, 1), (4, 2, 1)]), made.moved([(0, 1, 1), (4, 2, 1)])
        assert one == other != made.moved([(0, 1, 1), (4, 3, 1)])
        assert made.style.count("@keyframes") == 2


class TestFilms:
    @staticmethod
    @functools.cache
    def drawings(name: str) -> list[str]:
        return list(importlib.import_module(f"course_site.films.{name}").film())

    def test_the_last_walk_over_the_cliff_is_the_shortest(self) -> None:
        walks = cliff.train()
        assert len(walks[-1]) - 1 == 13
        assert walks[-1][-1] == 47
        assert len(walks[0]) > len(walks[1]) > len(walks[2])

    def test_who_plans_knows_the_maze_after_one_success_and_a_few_steps(self) -> None:
        plain, planner = (maze.train(n, num_episodes=3) for n in maze.PLANNING)
        assert [cell for cell, _ in plain[0]] == [cell for cell, _ in planner[0]]
        assert len(planner[1]) * 3 < len(plain[1])
        assert 14 <= len(planner[2]) - 1 <= 20
        after_two = [len(episodes[1][-1][1]) for episodes in (plain, planner)]
        assert after_two[0] <= 2
        assert after_two[1] > 30

    def test_stones_rest_on_each_other_and_four_in_a_line_are_seen(self) -> None:
        assert connect_four.stones([3, 3, 0, 3]) == [(3, 0), (3, 1), (0, 0), (3, 2)]
        with pytest.raises(ValueError, match="move 7: no stone fits into column 2"):
            connect_four.stones([2] * 7)
        for line in ([(k, 0) for k in range(4)], [(2, k) for k in range(4)],
                     [(k, k) for k in range(4)], [(k, 3 - k) for k in range(4)]):  # fmt: skip
            others = [(6, k) for k in range(3)]
            game = [*itertools.chain(*zip(line, others, strict=False)), line[-1]]
            assert connect_four.line_of_four(game) == set(line)
            assert connect_four.line_of_four(game[:-1]) == set()

    def test_the_recorded_game_ends_as_it_says(self) -> None:
        record = json.loads(connect_four.RECORD.read_text("utf-8"))
        places = connect_four.stones(record["moves"])
        lines = [connect_four.line_of_four(places[: k + 1]) for k in range(len(places))]
        assert not any(lines[:-1])
        mover = record["players"][(len(places) - 1) % 2]
        assert record["winner"] == (mover if lines[-1] else None)
        assert lines[-1] or len(places) == 42
        assert len(record["values"]) == len(places)
        sign = {record["players"][0]: 1, record["players"][1]: -1, None: 0}[record["winner"]]
        assert record["values"][-1] == sign

    @pytest.mark.parametrize("agent", cartpole.AGENTS)
    def test_who_balances_does_so_throughout(self, agent: str) -> None:
        path = cartpole.played(agent)
        assert len(path) == cartpole.STEPS + 1
        assert max(abs(x) for x, _ in path) < cartpole.EDGE
        assert path[0] == (cartpole.START[0], pytest.approx(cartpole.START[2]))
        assert f"{cartpole.AGENTS[agent]} 500" in cartpole.facts()

    def test_the_lander_comes_down_between_the_flags_on_the_ground(self) -> None:
        record = json.loads(lunar_lander.RECORD.read_text("utf-8"))
        x, y, angle, _ = record["path"][-1]
        assert abs(x) < 0.2 and abs(y) < 0.05 and abs(angle) < 0.2
        assert record["return"] >= lunar_lander.SOLVED
        assert "between the two flags" in lunar_lander.film()[0]

    def test_flames_burn_while_their_engine_fires(self) -> None:
        engines = [2, 2, 0, 1, 2]
        burns = [lunar_lander.burning(engines, engine) for engine in (1, 2, 3)]
        assert burns == [[(3, 4)], [(0, 2), (4, 5)], []]

    @pytest.mark.parametrize("name", films.films())
    def test_a_film_is_small_and_its_still_is_a_picture(self, name: str) -> None:
        """Without its animations: nothing lies on anything else, and no heading is empty."""
        drawings = self.drawings(name)
        assert len(gzip.compress("".join(drawings).encode())) < 5_000
        for drawing in drawings:
            tree = ElementTree.fromstring(drawing)
            assert len(tree.attrib["aria-label"]) > 60
            still = [
                element
                for element in tree.iter("text")
                if "opacity:0;" not in element.attrib.get("style", "")
            ]
            places = [(element.attrib["x"], element.attrib["y"]) for element in still]
            assert len(places) == len(set(places))

    def test_names_of_animations_differ_between_films(self) -> None:
        made = map(self.drawings, films.films())
        names = re.findall(r"@keyframes ([\w-]+)", "".join(itertools.chain(*made)))
        assert len(names) == len(set(names)) > 20


def test_the_map_links_what_is_ready_only() -> None:
    chapters = [
        {"topic": "01_a", "title": "A", "build": "x"},
        {"topic": "02_b", "title": "<B>", "build": "y"},
    ]
    page = overview.course_map(chapters, {"02_b"})
    assert page.count("<a ") == 1
    assert 'href="chapters/02_b.html">&lt;B&gt;</a>' in page


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2", "Chapter 2 and its lab are ready; the other four follow in the same form."),
        ("12", "Chapters 1 and 2 and their labs are ready; the other three follow in"),
        ("123", "Chapters 1 to 3 and their labs are ready; the other two follow in"),
        ("1245", "Chapters 1, 2, 4 and 5 and their labs are ready; one more follows in"),
        ("12345", "Every chapter and its lab are ready."),
        ("", "No chapter is ready; the other five follow in the same form."),
    ],
)
def test_the_map_says_what_is_ready(written: str, said: str) -> None:
    chapters = [{"topic": f"0{number}_x", "title": "X", "build": "x"} for number in range(1, 6)]
    page = overview.course_map(chapters, {f"0{number}_x" for number in written})
    assert page.startswith(f"<p>{said}")


def test_chapters_are_numbered_by_their_files() -> None:
    assert numbering.renumbered((1, 3), 2) == (2, 3)


def test_every_module_of_labkit_is_known_to_its_reference() -> None:
    folder = BOOK.parent / "labs" / "labkit"
    names = {path.stem for path in folder.glob("*.py") if not path.stem.startswith(("_", "test_"))}
    assert set(reference.modules()) >= names


def test_a_figure_that_does_not_say_how_tall_it_is_is_refused() -> None:
    with pytest.raises(ValueError, match="how tall"):
        widget.reserved_height("export function render() {}")
