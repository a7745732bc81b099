"""Draw the layers of the package and who imports whom: docs/images/architecture.png.

The layers are those of ``[tool.importlinter]`` in pyproject.toml, the arrows are read from the
imports. An arrow that others imply (a to c, where a to b and b to c are there) is left out.

    python docs/draw_architecture.py
"""

import argparse
import ast
import textwrap
from pathlib import Path

import grimp
import tomllib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Path_

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'mmmae_st'
PICTURE = ROOT / 'docs' / 'images' / 'architecture.png'
INK, FAINT, BOX, EDGE = '#1e1e1e', '#5a5a5a', '#eef3f9', '#5b7ea6'
WIDTH, HEIGHT, GAP = 9.0, 0.78, 0.12  # of a room, in inches
ARCS = 2.3  # room for arrows, right of the boxes
LAYER_GAP = 0.22


def read_layers() -> list[list[str]]:
    """Rooms of each layer, from the top down."""
    settings = tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool']['importlinter']
    [contract] = [c for c in settings['contracts'] if c['type'] == 'layers']
    return [[room.strip() for room in layer.split('|')] for layer in contract['layers']]


def read_arrows(rooms: set[str]) -> set[tuple[str, str]]:
    """(importer, imported) of all rooms, those that others imply left out."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)
    arrows = set()
    for module in graph.modules:
        for target in graph.find_modules_directly_imported_by(module):
            pair = tuple(f'{name}.'.split('.')[1] for name in (module, target))
            if pair[0] != pair[1] and set(pair) <= rooms:
                arrows.add(pair)
    below = {room: {b for a, b in arrows if a == room} for room in rooms}

    def reach(room: str) -> set[str]:
        return below[room].union(*(reach(b) for b in below[room]))

    return {(a, b) for a, b in arrows if not any(b in reach(c) for c in below[a] - {b})}


def describe(room: str) -> tuple[str, str]:
    """First sentence of a room's docstring, and its files."""
    folder = ROOT / PACKAGE / room
    file = folder / '__init__.py' if folder.is_dir() else folder.with_suffix('.py')
    text = ast.get_docstring(ast.parse(file.read_text())) or ''
    parts = [p.stem + '/' * p.is_dir() for p in sorted(folder.glob('*')) if p.stem[0] not in '_.']
    return text.splitlines()[0].rstrip('.').replace('`', ''), '  '.join(parts)


def draw_room(axes: Axes, bottom: float, room: str) -> None:
    """A box with the name of a room, what it is for, and its files."""
    axes.add_patch(
        FancyBboxPatch(
            (0, bottom),
            WIDTH,
            HEIGHT,
            boxstyle='round,pad=0,rounding_size=0.08',
            facecolor=BOX,
            edgecolor=EDGE,
        )
    )
    axes.text(0.15, bottom + HEIGHT - 0.24, room, weight='bold', size=12, color=INK)
    for i, text in enumerate(describe(room)):
        line = textwrap.shorten(text, int(WIDTH * 13), placeholder=' ...')
        axes.text(0.15, bottom + HEIGHT - 0.46 - 0.22 * i, line, size=9, color=FAINT)


def draw_arrow(axes: Axes, start: float, end: float, colour: str) -> None:
    """From one height at the right edge of the boxes down to another, the wider the longer."""
    bend = 0.55 + 0.2 * (start - end)
    path = Path_(
        [(WIDTH, start), (WIDTH + bend, start), (WIDTH + bend, end), (WIDTH, end)],
        [Path_.MOVETO, Path_.CURVE4, Path_.CURVE4, Path_.CURVE4],
    )
    axes.add_patch(
        FancyArrowPatch(path=path, arrowstyle='-|>', mutation_scale=12, color=colour, linewidth=1.4)
    )


def main(argv: list[str] | None = None) -> None:
    """Draw and save: a colour for the arrows of each importer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', default=str(PICTURE), help='file to write')
    args = parser.parse_args(argv)
    layers = read_layers()
    rooms = [room for layer in layers for room in layer]
    arrows = read_arrows(set(rooms))
    height = len(rooms) * (HEIGHT + GAP) + (len(layers) + 1) * LAYER_GAP
    figure = Figure(figsize=(WIDTH + ARCS, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-0.15, WIDTH + ARCS - 0.15)
    axes.set_ylim(0, height)
    axes.axis('off')
    bottom, bottoms = height, {}
    for layer in layers:
        bottom -= LAYER_GAP
        for room in layer:
            bottom -= HEIGHT + GAP
            bottoms[room] = bottom
            draw_room(axes, bottom, room)
    for number, room in enumerate(rooms):
        below = sorted((b for a, b in arrows if a == room), key=rooms.index)
        for b in below:  # arrows leave a box low and come in high
            draw_arrow(axes, bottoms[room] + 0.2, bottoms[b] + HEIGHT - 0.2, f'C{number % 10}')
    figure.savefig(args.out, dpi=90)
    print(f'{args.out}: {len(rooms)} rooms, {len(arrows)} arrows')


if __name__ == '__main__':
    main()
