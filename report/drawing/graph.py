"""The lineage graph, in layers from top to bottom: what was read above what read it."""

from dataclasses import dataclass

from corpusmill.report.drawing.picture import Box, Path, Picture, Words, fitting
from corpusmill.report.sections.lineage import Node

LAYER, TALL = 66, 38
GAP = 8.0
THIN = 0.12  # of a node's width: room for an edge that passes a layer


@dataclass
class _Spot:
    """A node, or a place where an edge passes a layer. x: its middle."""

    key: str
    depth: int
    node: Node | None
    above: list[str]
    x: float = 0.0


def graph(nodes: list[Node], width: int) -> Picture:
    """The graph of nodes. A node's depth is its longest way from a raw file."""
    spots = _with_passages(nodes)
    layers: dict[int, list[_Spot]] = {}
    for spot in spots.values():
        layers.setdefault(spot.depth, []).append(spot)
    most = 150.0 if width > 600 else 104.0
    picture = Picture(width, LAYER * len(layers) - LAYER + TALL + 4, "What was made from what")
    sizes: dict[str, float] = {}
    for depth in sorted(layers):
        layer = sorted(layers[depth], key=lambda spot: _wish(spot, spots))
        units = sum(1.0 if spot.node else THIN for spot in layer)
        unit = min(most, (width - GAP * (len(layer) + 1)) / units)
        x = (width - unit * units - GAP * (len(layer) - 1)) / 2
        for spot in layer:
            sizes[spot.key] = unit * (1.0 if spot.node else THIN)
            spot.x = x + sizes[spot.key] / 2
            x += sizes[spot.key] + GAP
    for spot in spots.values():
        for key in spot.above:
            picture.shapes.append(_edge(spots[key], spot))
    for spot in spots.values():
        if spot.node:
            _node(picture, spot, spot.node, sizes[spot.key])
    return picture


def _with_passages(nodes: list[Node]) -> dict[str, _Spot]:
    """The nodes, and a place in each layer through which an edge only passes."""
    depth_of = {node.key: node.depth for node in nodes}
    least = min(depth_of.values(), default=0)
    spots: dict[str, _Spot] = {}
    for node in nodes:
        above = []
        for key in node.reads:
            last = key
            for depth in range(depth_of[key] + 1, node.depth):
                passage = f"{key} to {node.key} at {depth}"
                spots[passage] = _Spot(passage, depth - least, None, [last])
                last = passage
            above.append(last)
        spots[node.key] = _Spot(node.key, node.depth - least, node, above)
    return spots


def _wish(spot: _Spot, spots: dict[str, _Spot]) -> float:
    """The mean x of the nodes above. Nodes in this order have few crossing edges."""
    above = [spots[key].x for key in spot.above]
    return sum(above) / len(above) if above else 0.0


def _edge(above: _Spot, below: _Spot) -> Path:
    top = above.depth * LAYER + (TALL if above.node else TALL / 2)
    end = below.depth * LAYER + (0 if below.node else TALL / 2)
    middle = (top + end) / 2
    d = f"M{above.x:.1f} {top:.1f}C{above.x:.1f} {middle:.1f} {below.x:.1f} {middle:.1f}"
    return Path(f"{d} {below.x:.1f} {end:.1f}", "line edge")


def _node(picture: Picture, spot: _Spot, node: Node, size: float) -> None:
    y = spot.depth * LAYER
    look = "node raw" if node.raw else "node"
    title = f"{node.key} ({node.note})"
    picture.shapes.append(Box(spot.x - size / 2, y, size, TALL, look, title, radius=6))
    picture.words.append(Words(spot.x, y + 16, fitting(node.name, size - 6, 7), "strong", "middle"))
    picture.words.append(Words(spot.x, y + 31, fitting(node.note, size - 6, 6), "small", "middle"))
