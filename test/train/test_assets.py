# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Assets: found where they are, apart in the two splits, and listed with their licences."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_ros.train.assets import SOURCES, SPLITS, Asset, Assets

DOCUMENT = Path(__file__).parents[2] / 'docs' / 'scenes.md'


def everything(assets: Assets) -> set[Asset]:
    return {*assets.photographs, *assets.sprites, *assets.meshes}


def group(asset: Asset) -> str:
    """Return what variants of an asset have in common: a number, an emoji, a folder, a file."""
    source, _, path = asset.key.partition(':')
    if 'emoji' in source:
        return Path(path).stem.lower().removeprefix('u').partition('-')[0]
    if source == 'openclipart-png':
        return str(Path(path).parent)
    return asset.key


@pytest.mark.parametrize('folder', [None, Path('/')], ids=['our own', 'installed'])
def test_the_splits_share_nothing(scene_assets: Path, folder: Path | None) -> None:
    found = [everything(Assets.find(split, folder or scene_assets)) for split in SPLITS]
    if folder is None:
        assert all(found)
    files = [{asset.file for asset in assets if not asset.glyph} for assets in found]
    assert not files[0] & files[1]
    assert not {group(asset) for asset in found[0]} & {group(asset) for asset in found[1]}


def test_an_emoji_is_in_one_split_whatever_its_font_and_skin() -> None:
    fonts = {source.name: source for source in SOURCES if 'emoji' in source.name}
    splits = {
        code: {
            fonts['fonts-noto-color-emoji'].split(f'u{code:x}'),
            fonts['@lobehub/fluent-emoji-3d'].split(f'a/b/{code:x}.webp'),
            fonts['@lobehub/fluent-emoji-3d'].split(f'a/b/{code:x}-1f3fd-200d-2642.webp')}
        for code in range(0x1f400, 0x1f6ff)}
    assert all(len(split) == 1 for split in splits.values())
    assert {split for each in splits.values() for split in each} == set(SPLITS)


def test_numbered_meshes_split_at_900_and_the_broken_one_is_left_out() -> None:
    source = next(source for source in SOURCES if source.name == 'random_urdfs')
    assert source.split('random_urdfs/899/899.obj') == 'train'
    assert source.split('random_urdfs/900/900.obj') == 'held_out'
    assert source.split('random_urdfs/168/168.obj') == ''


def test_what_is_not_here_is_listed(tmp_path: Path) -> None:
    missing = Assets.find('train', tmp_path).missing
    assert {f'{source.name} ({source.package})' for source in SOURCES if not source.module} <= (
        set(missing))


def test_the_document_lists_every_source_with_its_licence() -> None:
    if not DOCUMENT.exists():
        pytest.skip('the tests run without the checkout around them')
    rows = [[cell.strip() for cell in line.strip('| \n').split('|')]
            for line in DOCUMENT.read_text(encoding='utf-8').splitlines() if line.startswith('|')]
    for source in SOURCES:
        expected = [f'`{source.name}`', source.kind, source.package, source.licence,
                    source.held_out]
        assert expected in [row[:5] for row in rows], f'{source.name} is not in {DOCUMENT.name}'
