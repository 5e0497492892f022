# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Assets of scenes: photographs, sprites and meshes of packages, found where they are installed.

Nothing of it ships with sam2_ros. ``SOURCES`` is the whole list, with licences, and says what is
for training and what is held out; docs/scenes.md has the same table and how to get the packages.
"""

from __future__ import annotations

import importlib.util
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sam2_ros.train.errors import TrainError

SPLITS = ('train', 'held_out')
# One in so many groups of sprites is held out.
_HELD_OUT_SHARE = 6


class Asset(NamedTuple):
    """A photograph, a sprite or a mesh: a file, or a glyph inside a font file."""

    file: Path
    # Name of the glyph; '' where the file is the asset.
    glyph: str
    # The same on every machine; what is decided about an asset is decided from it.
    key: str


@dataclass(frozen=True)
class Source:
    """A package with assets of one kind."""

    name: str
    kind: str
    # What to type to have it.
    package: str
    licence: str
    # Globs below the folder of assets, or below the Python module `module`.
    patterns: tuple[str, ...]
    # Says what of it is held out, in words, and which split an asset's path is in ('': in none).
    held_out: str
    split: Callable[[str], str]
    module: str = ''


def _all(split: str) -> Callable[[str], str]:
    return lambda path: split


def _by_folder(path: str) -> str:
    """Split by folder, so that the variants of a drawing, which lie side by side, stay together."""
    return _by_hash(str(Path(path).parent))


def _by_emoji(path: str) -> str:
    """Split by the first code point: all fonts and skin tones of an emoji are in one split."""
    code = re.match(r'u?(?:ni)?([0-9a-f]+)', Path(path).stem.lower())
    return _by_hash(f'{int(code[1], 16):x}' if code else path)


def _by_hash(group: str) -> str:
    return SPLITS[zlib.crc32(group.encode()) % _HELD_OUT_SHARE == 0]


def _by_title(path: str) -> str:
    """Split the photographs of a package that has some for both."""
    return SPLITS[not Path(path).name.startswith(('Bridge', 'Dragonfly', 'Wine'))]


def _by_number(path: str) -> str:
    """Split the thousand numbered meshes: 900 to 999 are held out; 168 has no numbers in it."""
    number = int(Path(path).stem)
    return '' if number == 168 else SPLITS[number >= 900]


_WALLPAPER = 'usr/share/wallpapers/*/contents/images'

SOURCES = (
    Source('gnome-backgrounds', 'photograph', 'Debian', 'CC-BY-SA-3.0',
           ('usr/share/backgrounds/gnome/*-?.webp',), 'none', _all('train')),
    Source('mate-backgrounds', 'photograph', 'Debian', 'GPL-2+, CC-BY-SA-4.0',
           ('usr/share/backgrounds/mate/nature/*.jpg', 'usr/share/backgrounds/mate/abstract/*.jpg'),
           'none', _all('train')),
    Source('plasma-workspace-wallpapers', 'photograph', 'Debian', 'GPL-2+',
           (f'{_WALLPAPER}/2560x1600.*', f'{_WALLPAPER}/3?40x2160.*', f'{_WALLPAPER}/5120x2880.*'),
           'none', _all('train')),
    Source('lomiri-wallpapers-20.04', 'photograph', 'Debian', 'CC-BY-4.0, CC-BY-SA-4.0',
           tuple(f'usr/share/backgrounds/{name}_*.jpg' for name in (
               'Fossa', 'Infinite-Sea', 'Kleiber', 'Painting-Colors')),
           'none', _all('train')),
    Source('lomiri-wallpapers-16.04', 'photograph', 'Debian', 'CC-BY-SA-3.0, CC-BY-4.0',
           tuple(f'usr/share/backgrounds/*_by_{name}*.jpg' for name in (
               'Aitzol', 'Bolly', 'Clements', 'Jakkub', 'Peter', 'Sander', 'freespace')),
           'all but Bridge, Dragonfly and Wine', _by_title),
    Source('fonts-noto-color-emoji', 'sprite', 'Debian', 'OFL-1.1',
           ('usr/share/fonts/truetype/noto/NotoColorEmoji.ttf',),
           'a sixth of the emoji', _by_emoji),
    Source('@lobehub/fluent-emoji-3d', 'sprite', 'npm', 'MIT',
           ('node_modules/@lobehub/fluent-emoji-3d/assets/*.webp',),
           'the same sixth of the emoji', _by_emoji),
    Source('openclipart-png', 'sprite', 'Debian', 'CC0-1.0 (public domain)',
           tuple(f'usr/share/openclipart/png/{topic}/**/*.png' for topic in (
               'animals', 'containers', 'electronics', 'food', 'plants', 'recreation', 'tools',
               'transportation')),
           'a sixth of its folders', _by_folder),
    Source('random_urdfs', 'mesh', 'pip: pybullet', 'Zlib (the package)',
           ('random_urdfs/[0-9]*/[0-9]*.obj',), '900 to 999', _by_number, 'pybullet_data'),
    Source('objects of pybullet_data', 'mesh', 'pip: pybullet', 'Zlib (the package)',
           ('objects/mug.obj', 'duck.obj', 'lego/lego.obj', 'teddy2_VHACD_CHs.obj'),
           'all', _all('held_out'), 'pybullet_data'),
)


@dataclass(frozen=True)
class Assets:
    """The assets of one split that are on this machine, sorted by key."""

    split: str
    photographs: tuple[Asset, ...]
    sprites: tuple[Asset, ...]
    meshes: tuple[Asset, ...]
    # The sources that nothing was found of, in words.
    missing: tuple[str, ...]

    @staticmethod
    def find(split: str, folder: Path = Path('/')) -> Assets:
        """
        Return the assets of ``split`` that are on this machine.

        :param folder: where the Debian packages and node_modules are: ``/`` where they are
            installed, or the folder that they were unpacked into.
        :raises TrainError: no such split, or no such folder.
        """
        if split not in SPLITS:
            raise TrainError(f'{split!r} is no split: {" or ".join(SPLITS)}')
        if not folder.is_dir():
            raise TrainError(f'{folder}: no such folder of assets')
        found: dict[str, list[Asset]] = {'photograph': [], 'sprite': [], 'mesh': []}
        missing = []
        for source in SOURCES:
            assets = sorted(_assets(source, folder), key=lambda asset: asset.key)
            if not assets:
                missing.append(f'{source.name} ({source.package})')
            found[source.kind] += [
                asset for asset in assets if source.split(asset.key.partition(':')[2]) == split]
        return Assets(split, tuple(found['photograph']), tuple(found['sprite']),
                      tuple(found['mesh']), tuple(missing))

    @staticmethod
    def none(split: str) -> Assets:
        """Return no assets: scenes are made of procedural shapes and textures alone."""
        return Assets(split, (), (), (), ())


def _assets(source: Source, folder: Path) -> Iterator[Asset]:
    if source.module:
        spec = importlib.util.find_spec(source.module)
        if spec is None or spec.origin is None:
            return
        folder = Path(spec.origin).parent
    for pattern in source.patterns:
        for file in folder.glob(pattern):
            if file.suffix == '.ttf':
                yield from _glyphs(source, file)
            else:
                yield Asset(file, '', f'{source.name}:{file.relative_to(folder)}')


def _glyphs(source: Source, font: Path) -> Iterator[Asset]:
    from fontTools.ttLib import TTFont

    with TTFont(font, lazy=True) as opened:
        names = {name: code for code, name in opened['cmap'].getBestCmap().items()}
        for name in opened['CBDT'].strikeData[0]:
            if name in names:
                yield Asset(font, name, f'{source.name}:u{names[name]:x}')
