# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of sam2_ros: each message is one line that says what is wrong, where, and what to do."""


class Sam2RosError(Exception):
    """Base of every error that sam2_ros raises on purpose."""


class BundleError(Sam2RosError):
    """A bundle is missing, incomplete or damaged."""


class ProviderError(Sam2RosError):
    """An execution provider is unknown, not installed, or was not taken by ONNX Runtime."""


class PromptError(Sam2RosError):
    """A prompt makes no sense, by itself or on its image."""


class ImageError(Sam2RosError):
    """An image cannot be used as it is."""


class OptionError(Sam2RosError):
    """An option is out of range, or more than the model can do."""


def reason_of(error: Exception) -> str:
    """Return an error in one line: its text, after the name of its class if it is not of ours."""
    kind = '' if isinstance(error, Sam2RosError) else f'{type(error).__name__}: '
    return kind + ' '.join(str(error).split())


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; the name of its class where it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
