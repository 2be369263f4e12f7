"""The pictures in docs/plots show the figures beside them."""

import sys

import pytest

from servers import ROOT

sys.path.insert(0, str(ROOT / "benches"))

import plots  # noqa: E402


@pytest.mark.parametrize("plot", plots.PLOTS, ids=lambda plot: plot.name)
def test_a_plot_is_drawn_from_the_figures(plot: plots.Plot) -> None:
    drawn = plots.draw(plot, plots.read())
    assert (plots.FOLDER / f"{plot.name}.svg").read_text() == drawn, "run make plots"
