"""How is the objective told by a colour? The better, the darker."""

from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from ugro.analysis.pictures import ticks
from ugro.analysis.pictures.window import Window


@dataclass(frozen=True)
class Shading:
    """Colours over the part of an objective that is shown."""

    window: Window
    colours: Colormap
    scale: Normalize


def shading_of(window: Window, minimised: bool) -> Shading:
    """The colours of an objective."""
    scale = (LogNorm if window.log else Normalize)(window.low, window.high, clip=True)
    return Shading(window, shades(minimised), scale)


def shades(minimised: bool) -> Colormap:
    """Viridis without its palest end, which paper does not show; the best value is the darkest."""
    colours = matplotlib.colormaps["viridis"]([at / 100 for at in range(91)])
    ordered = colours if minimised else colours[::-1]
    return LinearSegmentedColormap.from_list("objective", list(ordered))


def colour_bar(figure: Figure, axes: Axes, shading: Shading, text: str) -> None:
    """What the colours mean, right of a panel."""
    bar = figure.colorbar(ScalarMappable(shading.scale, shading.colours), ax=axes, pad=0.02)
    marks = shading.window.ticks()
    bar.set_ticks(marks, labels=[ticks.short(one, shading.window.log) for one in marks])
    bar.minorticks_off()
    bar.set_label(text)
    bar.outline.set_visible(False)
