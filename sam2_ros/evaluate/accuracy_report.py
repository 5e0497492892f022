# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation as tables for people, in Markdown."""

from __future__ import annotations

from sam2_ros.evaluate.accuracy import SIZES
from sam2_ros.evaluate.figures import SAME, ImageFigures, Problems, VideoFigures
from sam2_ros.evaluate.markdown import markdown_table

NOTHING = '-'


def tables(figures: ImageFigures | VideoFigures, reference: str) -> str:
    """
    Return the sections of a report.

    :param reference: name of the contender that the others were compared with.
    """
    if isinstance(figures, ImageFigures):
        return _image_tables(figures, reference)
    return _video_tables(figures, reference)


def _image_tables(figures: ImageFigures, reference: str) -> str:
    counts = ', '.join(f'{figures.objects[size]} {size}' for size in SIZES)
    return '\n\n'.join(filter(None, [
        f'{figures.images} pictures, {figures.objects.total()} objects ({counts}).',
        _iou_table(figures), _size_table(figures), _agreement_table(figures, reference),
        _problem_table(figures.problems)]))


def _video_tables(figures: VideoFigures, reference: str) -> str:
    return '\n\n'.join(filter(None, [
        f'{figures.clips} clips.',
        _track_table(figures), _clip_table(figures), _track_agreement_table(figures, reference),
        _problem_table(figures.problems)]))


def _iou_table(figures: ImageFigures) -> str:
    if not figures.ious:
        return ''
    rows = []
    for prompt, contenders in figures.values.items():
        for who, values in contenders.items():
            rows.append([
                prompt, who, str(len(values)), _number(values.mean), _number(values.median),
                _number(values.share_from(0.75)), _number(values.share_from(0.9))])
    return '## IoU with the truth\n\n' + markdown_table(
        ['prompt', '', 'objects', 'mean', 'median', 'share >= .75', 'share >= .9'], rows, left=2)


def _size_table(figures: ImageFigures) -> str:
    sizes = [size for size in SIZES if figures.objects[size]]
    if not figures.ious or len(sizes) < 2:
        return ''
    rows = [
        [prompt, who, *(
            _number(figures.by_size[prompt, who, size].mean)
            if (prompt, who, size) in figures.by_size else NOTHING for size in sizes)]
        for prompt, contenders in figures.values.items() for who in contenders]
    return ("## Mean IoU by COCO's size\n\nSmall: below 32 x 32 pixels; medium: below 96 x 96.\n\n"
            + markdown_table(['prompt', '', *sizes], rows, left=2))


def _agreement_table(figures: ImageFigures, reference: str) -> str:
    rows = []
    for (who, prompt), each in figures.agreement.items():
        largest = each.largest_difference
        rows.append([
            who, prompt, f'{each.ious.mean:.5f}', f'{each.ious.least:.4f}',
            _number(each.ious.share_from(SAME)), str(each.flips),
            NOTHING if largest is None else f'{largest:.2g}'])
    if not rows:
        return ''
    return (f'## Agreement with {reference}\n\nThe same prompts; selection flips: another one of '
            "the decoder's masks was chosen; logits within +-32.\n\n" + markdown_table(
                ['', 'prompt', 'mean IoU', 'least IoU', f'share >= {SAME}', 'selection flips',
                 'largest logit difference'], rows, left=2))


def _track_table(figures: VideoFigures) -> str:
    rows = []
    for prompt in figures.prompts:
        for who in figures.contenders:
            each = figures.tracks[prompt, who]
            rows.append([
                prompt, who, str(len(each.both)), _number(each.both.mean), _number(each.j.mean),
                _number(each.f.mean), _share(each.said_absent, each.absent),
                _share(each.said_absent_wrongly, each.present)])
    if not rows:
        return ''
    return '## J&F\n\n' + markdown_table(
        ['prompt', '', 'objects', 'J&F', 'J', 'F', 'absent frames said absent',
         'others said absent'], rows, left=2)


def _clip_table(figures: VideoFigures) -> str:
    clips = list(dict.fromkeys(clip for _, _, clip in figures.by_clip))
    columns = list(figures.tracks)
    if not columns:
        return ''
    rows = [
        [clip, *(
            _number(figures.by_clip[prompt, who, clip].both.mean)
            if (prompt, who, clip) in figures.by_clip else NOTHING for prompt, who in columns)]
        for clip in sorted(clips)]
    return '## J&F by clip\n\n' + markdown_table(
        ['clip', *(f'{who}, {prompt}' for prompt, who in columns)], rows)


def _track_agreement_table(figures: VideoFigures, reference: str) -> str:
    rows = [
        [who, prompt, str(len(ious)), f'{ious.mean:.5f}', f'{ious.least:.4f}',
         _number(ious.share_from(SAME))]
        for (who, prompt), ious in figures.agreement.items()]
    if not rows:
        return ''
    return (f'## Agreement with {reference}\n\nFrame by frame, after the same prompts.\n\n'
            + markdown_table(
                ['', 'prompt', 'frames', 'mean IoU', 'least IoU', f'share >= {SAME}'], rows,
                left=2))


def _problem_table(problems: Problems) -> str:
    if not problems.counts:
        return '## Left out\n\nNothing.'
    return '## Left out\n\n' + '\n'.join(
        f'- {kind}: {count}, such as {"; ".join(problems.examples[kind])}'
        for kind, count in problems.counts.most_common())


def _number(value: float) -> str:
    return f'{value:.3f}'


def _share(part: int, whole: int) -> str:
    return f'{part / whole:.3f} of {whole}' if whole else NOTHING
