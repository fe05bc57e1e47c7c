"""Which step waits for which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.pipelines.graph import Cycle, Graph, Node


def graph(**needs: str | None) -> Graph:
    """Return a graph of steps; what each needs is written with spaces, None is what is before."""
    return Graph.of([Node(n, None if w is None else tuple(w.split())) for n, w in needs.items()])


def test_without_needs_each_step_waits_for_the_one_before() -> None:
    line = graph(a=None, b=None, c=None)
    assert line.needs == ((), (0,), (1,))
    assert line.order == (0, 1, 2)
    assert line.chosen == (False, False, False)


def test_branches_fan_out_and_in_again() -> None:
    diamond = graph(join="left right", left="start", right="start", start="")
    assert diamond.order == (3, 1, 2, 0)
    assert diamond.before(0) == {1, 2, 3}
    assert diamond.after(3) == {0, 1, 2}
    assert diamond.after(0) == frozenset()
    assert diamond.layers == [[3], [1, 2], [0]]


@pytest.mark.parametrize(
    ("needs", "names"),
    [
        ({"a": "a"}, ["a", "a"]),
        ({"a": "b", "b": "a"}, ["a", "b", "a"]),
        ({"start": "", "a": "start c", "b": "a", "c": "b", "end": "c"}, ["a", "b", "c", "a"]),
        ({"waits": "a", "a": "b", "b": "a"}, ["a", "b", "a"]),
    ],
)
def test_a_cycle_is_named_once_around(needs: dict[str, str], names: list[str]) -> None:
    with pytest.raises(Cycle) as cycle:
        graph(**needs)
    assert cycle.value.names == names


@given(st.data())
def test_in_any_graph_each_step_comes_after_all_it_needs(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    nodes = []
    for place in range(count):
        earlier = st.lists(st.sampled_from(range(place)), unique=True) if place else st.just([])
        nodes.append(Node(str(place), tuple(map(str, data.draw(earlier)))))
    shuffled = data.draw(st.permutations(nodes))
    made = Graph.of(shuffled)
    assert sorted(made.order) == list(range(count))
    for place, needed in enumerate(made.needs):
        assert all(made.order.index(need) < made.order.index(place) for need in needed)
        assert made.before(place) >= set(needed)
