# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's services, which wait for the worker without holding anybody up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future
from std_srvs.srv import Trigger

from sam2_ros.model.errors import PromptError, Sam2RosError, reason_of
from sam2_ros.msg import MaskArray
from sam2_ros.node.messages import mask_array, object_status
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import request_from_message
from sam2_ros.node.session import Session
from sam2_ros.srv import ListObjects, RemoveObject, Segment

#: Requests come in bursts, and none may be lost; rclpy's default depth is 10.
REQUEST_DEPTH = 100
NOT_CONFIGURED = 'the node is not active: it is not configured yet; configure and activate it first'


class Services:
    """
    `~/segment`, `~/reset`, `~/remove_object` and `~/list_objects`.

    All but the last wait for the worker: each is a coroutine that awaits a future, which the
    worker sets. rclpy's executor (Jazzy, `Executor._wait_for_ready_callbacks`) keeps a coroutine
    that yields in its list of tasks, resumes it once each time it wakes up, and sleeps in between:
    no busy loop, and other callbacks are served. But setting a future that nobody added a callback
    to does not wake the executor, so the worker does that as well. The callback group is
    reentrant, since a mutually exclusive one would be held until the answer.

    They live as long as the node, whatever its state: a coroutine that awaits its future when the
    model goes must still be able to respond.
    """

    def __init__(
        self, node: Node, session: Callable[[], Session | None], *,
        settings: Callable[[], Settings], is_active: Callable[[], bool],
        forget_prompts: Callable[[], None], complain: Callable[[str], None],
    ) -> None:
        self._node = node
        self._session = session
        self._settings = settings
        self._is_active = is_active
        self._forget_prompts = forget_prompts
        self._complain = complain
        group = ReentrantCallbackGroup()
        services: list[tuple[Any, str, Callable[..., Any]]] = [
            (Segment, '~/segment', self._segment), (Trigger, '~/reset', self._reset),
            (RemoveObject, '~/remove_object', self._remove_object),
            (ListObjects, '~/list_objects', self._list_objects)]
        for kind, name, callback in services:
            node.create_service(kind, name, callback, qos_profile=QoSProfile(depth=REQUEST_DEPTH),
                                callback_group=group)

    async def _segment(
        self, request: Segment.Request, response: Segment.Response,
    ) -> Segment.Response:
        def work(session: Session) -> MaskArray:
            prompts = [request_from_message(prompt, self._settings(), f'prompts[{index}]')
                       for index, prompt in enumerate(request.prompts)]
            objects = session.segment_once(request.image, prompts)
            return mask_array(
                objects, (request.image.height, request.image.width), request.image.header,
                with_logits=request.return_logits)

        try:
            response.masks = await self._in_worker(work)
            response.success = True
        except Sam2RosError as error:
            response.success, response.message = False, str(error)
            self._complain(f'~/segment: {error}')
        return response

    async def _reset(
        self, request: Trigger.Request, response: Trigger.Response,
    ) -> Trigger.Response:
        self._forget_prompts()
        try:
            count = await self._in_worker(Session.reset)
            response.success, response.message = True, f'{count} objects forgotten'
        except Sam2RosError as error:
            response.success, response.message = False, str(error)
        return response

    async def _remove_object(
        self, request: RemoveObject.Request, response: RemoveObject.Response,
    ) -> RemoveObject.Response:
        try:
            await self._in_worker(lambda session: session.remove(request.object_id))
            response.success = True
        except Sam2RosError as error:
            response.success, response.message = False, str(error)
            self._complain(f'~/remove_object: {error}')
        return response

    def _list_objects(
        self, request: ListObjects.Request, response: ListObjects.Response,
    ) -> ListObjects.Response:
        session = self._session()
        if session is None:
            response.message = NOT_CONFIGURED
            return response
        response.success = True
        response.objects = [object_status(known) for known in session.objects]
        return response

    async def _in_worker(self, work: Callable[[Session], Any]) -> Any:
        """Return what `work` returns in the worker's thread; raises Sam2RosError as it does."""
        executor, session = self._node.executor, self._session()
        if session is None:
            raise PromptError(NOT_CONFIGURED)
        if executor is None or not self._is_active():
            raise PromptError('the node is not active; activate it first')
        future = Future()

        def job() -> None:
            try:
                future.set_result((work(session), None))
            except Exception as error:  # whatever it is, the client must get an answer
                future.set_result((None, Sam2RosError(reason_of(error))))
            executor.wake()

        def cancel() -> None:
            future.set_result((None, PromptError(
                'the node was cleaned up or shut down before it came to this request')))
            executor.wake()

        session.submit(job, cancel)
        result, error = await future
        if error is not None:
            raise error
        return result
