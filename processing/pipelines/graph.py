"""Which step of a pipeline waits for which."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A step by name; `needs` None means the one that is written before it."""

    name: str
    needs: tuple[str, ...] | None


class Cycle(Exception):
    """Steps wait for each other; `names` goes once around, its first and last are the same."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(" -> ".join(names))
        self.names = names


@dataclass(frozen=True)
class Graph:
    """Steps by their positions, as they were written.

    `needs` are those that a step waits for directly. `chosen` tells whether its author named
    them, or whether they are only the one before. In `order`, each comes after all it needs;
    where that leaves a choice, in the order in which they were written.
    """

    needs: tuple[tuple[int, ...], ...]
    chosen: tuple[bool, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, nodes: Sequence[Node]) -> "Graph":
        """Return the graph of steps with different names, all of whose needs exist.

        Raises:
            Cycle
        """
        places = {node.name: place for place, node in enumerate(nodes)}
        needs = tuple(
            tuple(places[name] for name in node.needs)
            if node.needs is not None
            else (place - 1,) * (place > 0)
            for place, node in enumerate(nodes)
        )
        order = _sorted(needs)
        if len(order) < len(nodes):
            around = _around(needs, left=set(range(len(nodes))).difference(order))
            raise Cycle([nodes[place].name for place in around])
        return cls(needs, tuple(node.needs is not None for node in nodes), tuple(order))

    def before(self, place: int) -> frozenset[int]:
        """Return all steps that `place` waits for, directly or not."""
        return _reached(self.needs, place)

    def after(self, place: int) -> frozenset[int]:
        """Return all steps that wait for `place`, directly or not."""
        return frozenset(other for other in self.order if place in self.before(other))

    @property
    def layers(self) -> list[list[int]]:
        """Return the steps in columns: each as far left as what it needs allows."""
        columns: dict[int, int] = {}
        for place in self.order:
            columns[place] = max((columns[need] + 1 for need in self.needs[place]), default=0)
        layers: list[list[int]] = [[] for _ in range(max(columns.values(), default=-1) + 1)]
        for place in sorted(columns):
            layers[columns[place]].append(place)
        return layers


def _sorted(needs: Sequence[Sequence[int]]) -> list[int]:
    """Return what can be sorted: what is missing in it is in a cycle, or waits for one."""
    waits = [len(set(needed)) for needed in needs]
    ready = [place for place, count in enumerate(waits) if count == 0]
    order = []
    while ready:
        place = heapq.heappop(ready)
        order.append(place)
        for other, needed in enumerate(needs):
            if place in needed:
                waits[other] -= 1
                if waits[other] == 0:
                    heapq.heappush(ready, other)
    return order


def _around(needs: Sequence[Sequence[int]], left: set[int]) -> list[int]:
    """Return one cycle among the steps that are left, in the direction in which they run."""
    path = [min(left)]
    while True:
        place = min(need for need in needs[path[-1]] if need in left)
        if place in path:
            return [place, *reversed(path[path.index(place) :])]
        path.append(place)


def _reached(needs: Sequence[Sequence[int]], start: int) -> frozenset[int]:
    found: set[int] = set()
    ahead = list(needs[start])
    while ahead:
        place = ahead.pop()
        if place not in found:
            found.add(place)
            ahead.extend(needs[place])
    return frozenset(found)
