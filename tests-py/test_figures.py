"""The plots and tables in the docs show the figures that the bench wrote."""

import sys

import pytest

from servers import ROOT

sys.path.insert(0, str(ROOT / "benches"))

import figures  # noqa: E402


@pytest.mark.parametrize("plot", figures.PLOTS, ids=lambda plot: plot.name)
def test_a_plot_is_drawn_from_the_figures(plot: figures.Plot) -> None:
    drawn = figures.draw(plot, figures.read())
    assert (figures.FOLDER / f"{plot.name}.svg").read_text() == drawn, "run make figures"


def test_the_tables_are_made_from_the_figures() -> None:
    assert figures.PAGE.read_text() == figures.page(), "run make figures"
