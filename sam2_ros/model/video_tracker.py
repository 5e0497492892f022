# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track objects through a stream of images with SAM 2's memory."""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from onnxruntime import OrtValue

from sam2_ros.model.bundle import Bundle, Tracking
from sam2_ros.model.errors import BundleError, ImageError, PromptError
from sam2_ros.model.holes import fill_holes
from sam2_ros.model.mask_choice import choose
from sam2_ros.model.masks import Mask, upscale, upscale_apart
from sam2_ros.model.network import (
    Decoded,
    Embedding,
    FloatArray,
    Network,
    bounded,
    check_image,
    groups,
)
from sam2_ros.model.object_track import NO_CLICKS, Answer, Clicks, Frame, ObjectTrack
from sam2_ros.model.prompts import Prompt, pad
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.segmenter import ImageSegmenter
from sam2_ros.model.tracking_options import TrackingOptions

#: Logits of an object that is not there (``sam2.modeling.sam2_base.NO_OBJ_SCORE``).
_NO_OBJECT = np.float32(-1024)
#: Score of an object of which the mask is given (``SAM2Base._use_mask_as_output``).
_CERTAIN_SCORE = 10.0
#: Logits of a given mask are -10 beside the object; one of its pixels alone lifts them above this.
_LEAST_LOGIT = -9.9
#: Objects in a call of memory attention. Each takes 130 MB (at 1024 x 1024), and on a CPU one, two
#: or four at once take equally long for each.
_MOST_ATTENDING = 2
#: An image [H, W, 3] uint8 RGB, or what ``VideoTracker.segmenter.encode`` made of one.
Picture: TypeAlias = npt.NDArray[np.uint8] | Embedding

_DEFAULT_OPTIONS = ProviderOptions()
_DEFAULT_TRACKING = TrackingOptions()


class ObjectState(enum.Enum):
    """Whether an object is seen: its score is positive, not positive, or has long not been."""

    VISIBLE = 0
    OCCLUDED = 1
    LOST = 2


@dataclass(frozen=True)
class TrackedObject:
    """
    An object on a frame.

    ``frame``: the frame's index, from 0 (-1: an image older than frame 0); ``mask``: at the size of
    that frame's image, empty where the object is not visible, with predicted IoU and object score;
    ``logits`` [M, M] float32 within +-32: the mask before it was scaled, as ``Prompt.mask`` takes
    it.
    """

    object_id: int
    frame: int
    state: ObjectState
    mask: Mask
    logits: FloatArray


class VideoTracker:
    """
    SAM 2's video mode on ONNX Runtime: prompt an object once, then ask for it on every image.

    The answers are those of the official ``SAM2VideoPredictor`` on the same frames and prompts,
    with its post-processing (``build_sam2_video_predictor``). Images are resized as in image mode,
    where officially PIL does it while a video is read. Since a stream does not end, some things
    are causal here that look ahead, or wait for the end, there:

    - a frame attends to earlier frames alone, also where later ones were prompted already;
    - an image is tracked when it comes, so a prompt on it corrects an object that is tracked
      already, and begins one that is not (officially, what has not been propagated yet);
    - more prompts on the frame on which an object began still make it up without memories
      (officially only until the first propagation; what is said later is lost again);
    - a prompt on an earlier frame is carried forward at once through the frames that are still
      kept, and replaces what the object had there, except later prompts that began it or are
      remembered (officially that is another propagation, from the frame after).

    Memory does not grow with the stream. At 1024 x 1024 an object keeps 1 MB on the host for each
    frame that is or may still be attended to, which is copied to the provider's device for every
    frame, and each kept frame has 17 MB of features on that device.

    Not to be used by several threads at once. A call that is refused leaves everything as it was;
    of one that fails on the way (memory runs out), an image may have become the newest frame.

    :param provider: as of ``ImageSegmenter``.
    :raises ProviderError: the provider cannot be had.
    :raises BundleError: the bundle cannot track, or a graph is not what the manifest says.
    :raises OptionError: ``tracking`` asks for more than the model can do.
    """

    def __init__(
        self, bundle: Bundle, provider: str = 'auto', options: ProviderOptions = _DEFAULT_OPTIONS,
        tracking: TrackingOptions = _DEFAULT_TRACKING,
    ) -> None:
        if bundle.manifest.tracking is None:
            raise BundleError(f'{bundle.path}: the bundle can only segment images; export it '
                              'again without --image-only')
        self._model: Tracking = bundle.manifest.tracking
        self.tracking = tracking
        self._network = Network(bundle, provider, options, tracking=True)
        #: Segments single images with the same graphs.
        self.segmenter = ImageSegmenter.on(self._network)
        self._frames: dict[int, Frame] = {}
        self._objects: dict[int, ObjectTrack] = {}

    @property
    def tracking(self) -> TrackingOptions:
        """The options; new ones take effect with the next frame."""
        return self._options

    @tracking.setter
    def tracking(self, options: TrackingOptions) -> None:
        self._limits = options.limits(self._model)
        self._options = options

    def check(self, options: TrackingOptions) -> None:
        """:raises OptionError: they ask for more than the model can do."""
        options.limits(self._model)

    @property
    def provider(self) -> str:
        """The execution provider that is really used."""
        return self._network.provider

    @property
    def last_timings(self) -> dict[str, float]:
        """
        Seconds that each stage took when last run, for all objects of a frame together.

        resize, encode, memory_attention, decode, fill_holes, memory_encode, upscale.
        """
        return dict(self._network.stopwatch.seconds)

    @property
    def object_ids(self) -> list[int]:
        """Ids of the objects that are tracked, in the order in which they were first added."""
        return list(self._objects)

    @property
    def frame(self) -> int | None:
        """Index of the newest frame, None before the first."""
        return max(self._frames, default=None)

    @property
    def kept_frames(self) -> list[int]:
        """Indices of the frames that can be prompted, the newest last."""
        return list(self._frames)

    def warm_up(self) -> None:
        """Run everything once, so that the first real image does not pay for set-up work."""
        frames, objects = self._frames, self._objects
        self._frames, self._objects = {}, {}
        try:
            size = self._network.bundle.manifest.image_size
            image = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
            self.step(image)
            self.add(0, Prompt(points=[(size / 2, size / 2)]))
            self.step(image)
        finally:
            self._frames, self._objects = frames, objects
            self._network.stopwatch.seconds.clear()

    def reset(self) -> None:
        """Forget all objects and all frames; the next image is frame 0, of any stamp."""
        self._frames.clear()
        self._objects.clear()

    def remove(self, object_id: int) -> None:
        """Forget an object; :raises PromptError: it is not tracked."""
        self._known(object_id)
        del self._objects[object_id]

    def step(
        self, image: Picture, stamp: float | None = None,
    ) -> list[TrackedObject]:
        """
        Take the next image [H, W, 3] uint8 RGB, of any size, and find all objects on it.

        What ``segmenter.encode`` made of an image will do in its place, here as in the other calls.

        :param stamp: its time in seconds, of any clock; None: now, as ``time.monotonic()`` has it.
        :returns: an answer for each object, in the order of ``object_ids``.
        :raises ImageError: the array is not such an image, or its stamp lies before that of the
            newest frame.
        """
        stamp = self._checked_stamp(stamp)
        frame = Frame(stamp, self._encoded(image))
        index = self._next
        if self._objects:
            self._track(list(self._objects.values()), index, frame)
        self._frames[index] = frame
        self._forget_old()
        return self._tell([(object_id, index) for object_id in self._objects],
                          self._options.non_overlapping)

    def add(
        self, object_id: int, prompt: Prompt, *, frame: int | None = None,
        image: Picture | None = None, stamp: float | None = None,
        multimask: bool | None = None,
    ) -> list[TrackedObject]:
        """
        Begin an object, anew if it is tracked already, with a prompt in pixels of the image.

        :param frame: the kept frame that is meant, None: the newest.
        :param image: a picture of its own that is meant instead. Without a ``stamp``, or not older
            than the newest frame, it becomes the newest, as if :meth:`step` had been called. An
            older one stands, for this object, in the place of the newest kept frame that is not
            younger than it, or before all of them. Where several objects are prompted on it, give
            what ``segmenter.encode`` makes of it, so that it is encoded once.
        :param multimask: take the best of three masks (True), or the single mask (False); None: as
            ``SAM2Base._use_multimask`` decides, the best of three for up to one point.
        :returns: the object's answer on that frame and on each later kept frame, newest last.
            Other objects stay as they are.
        :raises PromptError: the prompt does not fit the image, or the frame is not kept.
        :raises ImageError: ``image`` cannot be used.
        """
        self.segmenter.check(prompt, self._size_of(frame, image, stamp))
        index, images = self._place(frame, image, stamp)
        tracked = ObjectTrack(images=images)
        self._prompt(tracked, index, prompt, multimask)
        return self._carry_forward(object_id, tracked, index)

    def add_mask(
        self, object_id: int, mask: npt.NDArray[np.uint8] | npt.NDArray[np.bool_], *,
        frame: int | None = None, image: Picture | None = None,
        stamp: float | None = None,
    ) -> list[TrackedObject]:
        """
        Begin an object, anew if it is tracked already, with its mask on an image.

        The mask itself is the answer there (``SAM2VideoPredictor.add_new_mask``).

        :param mask: [height, width] of that image, nonzero = object.
        Other parameters, returns and errors as of :meth:`add`.
        """
        logits, prompt = self._prepare_mask(mask, self._size_of(frame, image, stamp))
        index, images = self._place(frame, image, stamp)
        tracked = ObjectTrack(images=images)
        picture = self._frame(tracked, index)
        coords, labels = _padding(1)
        with self._network.stopwatch.measure('decode'):
            # The image's features as they are: the no-memory embedding is not added here either.
            [decoded] = self._network.decode(picture.embedding, coords, labels, prompt[None],
                                             picture.embedding.features['image_embed'])
        answer = Answer(logits, 1.0, _CERTAIN_SCORE, decoded.pointers[0])
        self._conclude([tracked], index, picture, [answer], prompted=True, conditioning=True)
        return self._carry_forward(object_id, tracked, index)

    def refine(
        self, object_id: int, prompt: Prompt, *, frame: int | None = None,
        image: Picture | None = None, stamp: float | None = None,
        multimask: bool | None = None,
    ) -> list[TrackedObject]:
        """
        Say more about an object: on the newest frame, on a kept one, or on an image of its own.

        All points given on that frame until now count again, together with the mask that was
        answered (``add_new_points_or_box`` with ``clear_old_points=False``). A correction of a
        frame on which the object was tracked is remembered as other tracked frames are, unless
        ``TrackingOptions.remember_corrections``. On an image of its own the object is looked for
        first, and what it was told on the frame in whose place it stands no longer counts.

        Parameters and returns as of :meth:`add`.

        :raises PromptError: the object is not tracked, the prompt does not fit the image, the
            frame is not kept, a box is given after points on this frame, or the image is older
            than the object or than all frames that are kept.
        :raises ImageError: ``image`` cannot be used.
        """
        if image is None:
            index = self._kept(frame)
            tracked = self._known(object_id)
            size = self._frame(tracked, index).embedding.image_size
            if prompt.box is not None and len(tracked.clicks.get(index, NO_CLICKS)[1]):
                raise PromptError(f'a box comes before points, and object {object_id} has some on '
                                  f'frame {index} already; begin it anew to give a box')
        else:
            self._known(object_id)
            size = self._size_of(frame, image, stamp)
        self.segmenter.check(prompt, size)
        index, images = self._place(frame, image, stamp)
        tracked = self._known(object_id).copy()
        if images:
            if index not in self._frames or index not in tracked.answers:
                raise PromptError(f'object {object_id} cannot be refined on that image: it is '
                                  'older than the object, or than all images that are kept; begin '
                                  'it anew there')
            self._find_on_its_own(tracked, index, images[index])
        self._prompt(tracked, index, prompt, multimask, after=bool(images))
        return self._carry_forward(object_id, tracked, index)

    # ---- frames ----

    @property
    def _next(self) -> int:
        return max(self._frames, default=-1) + 1

    def _checked_stamp(self, stamp: float | None) -> float:
        stamp = time.monotonic() if stamp is None else _time(stamp)
        if self._frames and stamp < (newest := self._frames[self._next - 1].stamp):
            raise ImageError(
                f'the stamp of the image, {stamp:.3f} s, lies before that of the newest frame, '
                f'{newest:.3f} s; reset the tracker where time begins anew')
        return stamp

    def _kept(self, frame: int | None) -> int:
        """Return the index of the frame that is meant."""
        if not self._frames:
            raise PromptError('there is no frame yet; give an image first')
        index = self._next - 1 if frame is None else frame
        if index not in self._frames:
            first, last = min(self._frames), max(self._frames)
            raise PromptError(f'frame {index} is not kept; frames {first} to {last} are')
        return index

    def _size_of(
        self, frame: int | None, image: Picture | None, stamp: float | None,
    ) -> tuple[int, int]:
        """Return the (height, width) of the picture that is meant, before anything is done."""
        if image is None:
            if stamp is not None:
                raise PromptError('a stamp belongs to an image; name a kept frame by its index')
            return self._frames[self._kept(frame)].embedding.image_size
        if frame is not None:
            raise PromptError('give either a kept frame or an image of its own, not both')
        if isinstance(image, Embedding):
            return image.image_size
        check_image(image)
        return image.shape[0], image.shape[1]

    def _encoded(self, image: Picture) -> Embedding:
        return image if isinstance(image, Embedding) else self._network.encode(image)

    def _place(
        self, frame: int | None, image: Picture | None, stamp: float | None,
    ) -> tuple[int, dict[int, Frame]]:
        """Return the index of the picture that is meant, and the picture if no frame has it."""
        if image is None:
            return self._kept(frame), {}
        if (stamp is None or not self._frames
                or _time(stamp) >= self._frames[self._next - 1].stamp):
            self.step(image, stamp)
            return self._next - 1, {}
        earlier = [index for index, kept in self._frames.items() if kept.stamp <= stamp]
        index = max(earlier, default=min(self._frames) - 1)
        return index, {index: Frame(stamp, self._encoded(image))}

    def _frame(self, tracked: ObjectTrack, index: int) -> Frame:
        """Return the frame that the object is looked for on."""
        return tracked.images.get(index) or self._frames[index]

    def _forget_old(self) -> None:
        """Forget the frames, and of each object the memories, that will not be needed again."""
        for index in list(self._frames)[:-self._options.kept_frames]:
            del self._frames[index]
        for tracked in self._objects.values():
            tracked.forget_before(min(self._frames), self._limits)

    # ---- objects ----

    def _known(self, object_id: int) -> ObjectTrack:
        if object_id not in self._objects:
            raise PromptError(f'object {object_id} is not tracked; begin it with add')
        return self._objects[object_id]

    def _track(self, objects: Sequence[ObjectTrack], index: int, frame: Frame) -> None:
        """Find objects on a frame that nobody prompted."""
        answers = self._find(objects, index, frame)
        self._conclude(objects, index, frame, answers, prompted=False, conditioning=False)

    def _find_on_its_own(self, tracked: ObjectTrack, index: int, image: Frame) -> None:
        """Find an object on an image that comes after a frame, and put it in the frame's place."""
        [answer] = self._find([tracked], index + 1, image)
        tracked.images[index] = image
        tracked.clicks.pop(index, None)
        tracked.answers[index] = replace(
            self._filled(answer), conditioning=tracked.answers[index].conditioning)

    def _find(self, objects: Sequence[ObjectTrack], index: int, frame: Frame) -> list[Answer]:
        """Answer for objects on a frame by what is remembered of the frames before ``index``."""
        recalls = [tracked.memories.recall(index, self._limits) for tracked in objects]
        together = list(groups(
            ((len(recall.memories), len(recall.pointers)) for recall in recalls), _MOST_ATTENDING))
        with self._network.stopwatch.measure('memory_attention'):
            conditioned = [self._network.attend(frame.embedding, [recalls[i] for i in group])
                           for group in together]
        multimask = self._use_multimask(conditioning=False, points=0)
        answers: list[Answer | None] = [None] * len(objects)
        with self._network.stopwatch.measure('decode'):
            for group, embed in zip(together, conditioned, strict=True):
                coords, labels = _padding(len(group))
                decoded = self._network.decode(
                    frame.embedding, coords, labels, conditioned=embed)
                for position, each in zip(group, decoded, strict=True):
                    answers[position] = self._choose(each, multimask)
        return cast('list[Answer]', answers)

    def _prompt(
        self, tracked: ObjectTrack, index: int, prompt: Prompt, multimask: bool | None,
        after: bool = False,
    ) -> None:
        """
        Answer a prompt for an object on a frame, as ``add_new_points_or_box`` does.

        :param after: on an image that comes after the frame and will stand in its place: what the
            frame itself left behind is remembered, too.
        """
        frame = self._frame(tracked, index)
        previous = tracked.answers.get(index)
        # A frame on which the object has not been tracked stands for itself, without memories.
        conditioning = previous is None or previous.conditioning
        coords, labels = tracked.add_clicks(index, prompt.scale(
            frame.embedding.image_size, self._network.bundle.manifest.image_size))
        if multimask is None:
            multimask = self._use_multimask(conditioning and not after, len(coords))
        mask = prompt.mask
        if mask is None and previous is not None:
            mask = bounded(previous.logits)
        embed: OrtValue | None = None
        if after or not conditioning:
            recall = tracked.memories.recall(index + after, self._limits)
            with self._network.stopwatch.measure('memory_attention'):
                embed = self._network.attend(frame.embedding, [recall])
        with self._network.stopwatch.measure('decode'):
            if not len(coords):  # a mask alone; the network has seen such with two paddings
                coords, labels = pad(coords, labels)
            coords, labels = pad(coords, labels)
            [decoded] = self._network.decode(
                frame.embedding, coords[None], labels[None],
                None if mask is None else mask[None], embed)
        answer = self._choose(decoded, multimask)
        self._conclude([tracked], index, frame, [answer], prompted=True, conditioning=conditioning)

    def _use_multimask(self, conditioning: bool, points: int) -> bool:
        """``SAM2Base._use_multimask``; a box counts as two points."""
        model = self._model
        return (model.multimask_output_in_sam
                and (conditioning or model.multimask_output_for_tracking)
                and model.multimask_min_points <= points <= model.multimask_max_points)

    def _choose(self, decoded: Decoded, multimask: bool) -> Answer:
        """Choose mask and object pointer as ``SAM2Base._forward_sam_heads`` does."""
        chosen = choose(decoded, multimask, self._network.bundle.manifest.constants)
        best = chosen.start + int(decoded.iou_predictions[chosen].argmax())
        of_candidate = multimask and self._model.use_multimask_token_for_pointer
        visible = decoded.object_score > 0
        # Copies: an answer that is kept must not keep those of all objects of the decoder's call.
        return Answer(
            decoded.masks[best].copy() if visible else np.full_like(decoded.masks[0], _NO_OBJECT),
            float(decoded.iou_predictions[best]), decoded.object_score,
            decoded.pointers[best if of_candidate else 0].copy())

    def _filled(self, answer: Answer) -> Answer:
        """Return an answer as it is shown and fed back: with its holes filled."""
        area = self._options.hole_area(self._model)
        return replace(answer, logits=fill_holes(answer.logits, area))

    def _conclude(
        self, objects: Sequence[ObjectTrack], index: int, frame: Frame, answers: list[Answer], *,
        prompted: bool, conditioning: bool,
    ) -> None:
        """
        Fill holes, encode memories, and only then note all of it.

        A prompted frame is remembered with its holes filled, a tracked one as it was decoded.
        """
        with self._network.stopwatch.measure('fill_holes'):
            filled = [replace(self._filled(answer), conditioning=conditioning)
                      for answer in answers]
        with self._network.stopwatch.measure('memory_encode'):
            features = self._remember(frame.embedding, filled if prompted else answers, prompted)
        as_prompted = conditioning or (prompted and self._options.remember_corrections)
        for tracked, answer, memory in zip(objects, filled, features, strict=True):
            tracked.note(index, frame.stamp, answer, memory, as_prompted)

    def _remember(
        self, embedding: Embedding, answers: Sequence[Answer], prompted: bool,
    ) -> list[FloatArray]:
        features: list[FloatArray] = []
        for group in groups([0] * len(answers)):
            encoded = self._network.remember(
                embedding, np.stack([answers[i].logits for i in group]),
                np.array([answers[i].object_score for i in group], np.float32), prompted)
            features += [each.copy() for each in encoded] if len(group) > 1 else [*encoded]
        return features

    def _carry_forward(
        self, object_id: int, tracked: ObjectTrack, index: int,
    ) -> list[TrackedObject]:
        """Track a prompted object through the later kept frames, then let it be known."""
        tracked.forget_after(index)
        later = [frame for frame in self._frames if frame > index]
        for frame in later:
            if frame not in tracked.memories.prompted:
                self._track([tracked], frame, self._frame(tracked, frame))
        self._objects[object_id] = tracked
        told = self._tell([(object_id, frame) for frame in (index, *later)])
        tracked.forget_before(min(self._frames), self._limits)
        return told

    def _prepare_mask(
        self, mask: npt.NDArray[np.uint8] | npt.NDArray[np.bool_], size: tuple[int, int],
    ) -> tuple[FloatArray, FloatArray]:
        if mask.dtype not in (np.uint8, np.bool_) or mask.shape != size:
            raise PromptError(f'a mask is an array [height, width] of the image, here '
                              f'{list(size)}, of uint8 or bool, got {list(mask.shape)} of '
                              f'{mask.dtype}')
        logits, prompt = self._network.prepare_mask(mask.view(np.uint8))
        if logits.max() < _LEAST_LOGIT:
            raise PromptError('the mask is empty at the size of the model; give one with an object')
        return logits, prompt

    def _tell(
        self, which: Iterable[tuple[int, int]], non_overlapping: bool = False,
    ) -> list[TrackedObject]:
        """Return what is known of objects on frames, given as pairs of id and index."""
        pairs = list(which)
        answers = [self._objects[object_id].answers[index] for object_id, index in pairs]
        frames = [self._frame(self._objects[object_id], index) for object_id, index in pairs]
        threshold = self._network.bundle.manifest.constants.mask_threshold
        with self._network.stopwatch.measure('upscale'):
            if non_overlapping and pairs:
                cut = upscale_apart([answer.logits for answer in answers],
                                    frames[0].embedding.image_size, threshold)
            else:
                cut = [upscale(answer.logits, frame.embedding.image_size, threshold)
                       for answer, frame in zip(answers, frames, strict=True)]
        return [
            TrackedObject(
                object_id, index, self._state(answer, frame.stamp),
                Mask(box, crop, frame.embedding.image_size, answer.iou_prediction,
                     answer.object_score),
                bounded(answer.logits))
            for (object_id, index), answer, frame, (box, crop) in zip(
                pairs, answers, frames, cut, strict=True)]

    def _state(self, answer: Answer, stamp: float) -> ObjectState:
        if answer.unseen_since is None:
            return ObjectState.VISIBLE
        lost = stamp - answer.unseen_since > self._options.lost_after
        return ObjectState.LOST if lost else ObjectState.OCCLUDED


def _time(stamp: float) -> float:
    if not math.isfinite(stamp):
        raise ImageError(f'the stamp of the image is {stamp}, not a time in seconds')
    return stamp


def _padding(objects: int) -> Clicks:
    """
    Return the coordinates [B, 2, 2] and labels [B, 2] of objects without points.

    One padding stands for the missing points (``SAM2Base._forward_sam_heads``), the other comes
    after any (``PromptEncoder._embed_points``).
    """
    coords, labels = pad(*pad(*NO_CLICKS))
    return np.tile(coords, (objects, 1, 1)), np.tile(labels, (objects, 1))
