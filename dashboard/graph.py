"""The picture of a pipeline: where each step stands, and the lines between them.

Steps stand in rows, from the top: each below all that it needs. Lengths are units of the picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.titles import titles_of
from processing.pipelines import PipelineDefinition

WIDTH, HEIGHT = 176, 52  # of a step
GAP_X, GAP_Y = 20, 36
MARGIN = 4
MAX_LETTERS = 20


@dataclass(frozen=True)
class Box:
    """One step. `needs` are titles; `follows` tells that its author named none of them.

    `label` is the title as far as there is room. `state` is empty where the picture is of no run.
    """

    name: str
    step: str
    title: str
    label: str
    needs: Sequence[str]
    follows: bool
    when: str
    state: str
    x: float
    y: float

    @property
    def middle(self) -> float:
        """Return where text and lines go, from the left."""
        return self.x + WIDTH / 2


@dataclass(frozen=True)
class Line:
    """From the lower edge of a step to the upper edge of one that needs it."""

    path: str
    state: str


@dataclass(frozen=True)
class Picture:
    """All of it; `boxes` are in the order in which the steps run."""

    width: float
    height: float
    boxes: Sequence[Box]
    lines: Sequence[Line]
    has_states: bool

    box_width = WIDTH
    box_height = HEIGHT


def picture_of(definition: PipelineDefinition, states: Mapping[str, str] | None = None) -> Picture:
    """Return the picture of a pipeline, or of a run, whose steps are in `states` by name."""
    graph = definition.graph
    rows = graph.layers
    columns = max(map(len, rows))
    width = columns * (WIDTH + GAP_X) - GAP_X + 2 * MARGIN
    places: dict[int, tuple[float, float]] = {}
    for row, members in enumerate(rows):
        left = (width - (len(members) * (WIDTH + GAP_X) - GAP_X)) / 2
        for column, place in enumerate(members):
            places[place] = (left + column * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y))
    boxes: dict[int, Box] = {}
    titles = titles_of(definition)
    for place in graph.order:
        use = definition.steps[place]
        x, y = places[place]
        boxes[place] = Box(
            name=use.name,
            step=use.step,
            title=titles[use.name],
            label=_short(titles[use.name]),
            needs=[titles[definition.steps[need].name] for need in graph.needs[place]],
            follows=not graph.chosen[place],
            when=use.when,
            state=(states or {}).get(use.name, "") if states is not None else "",
            x=x,
            y=y,
        )
    lines = [_line(boxes[need], box) for place, box in boxes.items() for need in graph.needs[place]]
    height = len(rows) * (HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN
    return Picture(width, height, list(boxes.values()), lines, states is not None)


def _line(upper: Box, lower: Box) -> Line:
    begin, end = upper.y + HEIGHT, lower.y
    bend = (end - begin) / 2 if end - begin <= GAP_Y else GAP_Y
    path = (
        f"M{upper.middle:g} {begin:g}C{upper.middle:g} {begin + bend:g} "
        f"{lower.middle:g} {end - bend:g} {lower.middle:g} {end:g}"
    )
    return Line(path, lower.state)


def _short(name: str) -> str:
    return name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
