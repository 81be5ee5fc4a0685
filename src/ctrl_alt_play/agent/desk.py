"""Serves one request after the other: accepts or refuses actions, and answers questions beside them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from ctrl_alt_play.agent import examination
from ctrl_alt_play.agent.figures.sampler import Sampler
from ctrl_alt_play.agent.images import Images
from ctrl_alt_play.agent.journal import PATIENCE_S
from ctrl_alt_play.agent.metrics import Metrics
from ctrl_alt_play.agent.outbox import Outbox
from ctrl_alt_play.agent.servers import files, status
from ctrl_alt_play.agent.servers.fleet import Fleet, operation_of
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.system import system_info
from ctrl_alt_play.protocol.agent_session import AgentSession, Request
from ctrl_alt_play.protocol.contents import (
    OF_IMAGES,
    OF_NODE,
    QUESTIONS,
    Action,
    CancelPayload,
    FileContent,
    FileRead,
    FileWrite,
    LegacyRequest,
    LinePayload,
    wire,
)
from ctrl_alt_play.protocol.doctor import Examination
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.images import ImagePayload, PrunePayload, RegistryLogins
from ctrl_alt_play.protocol.live import AttachPayload, HistoryPayload, SearchPayload, WatchPayload
from ctrl_alt_play.protocol.messages import MAX_FRAME_BYTES, News

MOST_AT_ONCE = 256
FILE_TIMEOUT_S = 10.0
Work = Callable[[Request, AgentSession], Coroutine[Any, Any, None]]
"""Not begun yet: who is cancelled before their turn has begun nothing."""
log = structlog.get_logger(__name__)


class Desk:
    """The one code path of all requests, in whichever shape they came. Actions are taken in order; questions are answered beside them."""

    def __init__(
        self, node: Node, fleet: Fleet, images: Images, outbox: Outbox, metrics: Metrics, sampler: Sampler
    ) -> None:
        self._node = node
        self._fleet = fleet
        self._images = images
        self._sampler = sampler
        self._outbox = outbox
        self._metrics = metrics
        self._room = asyncio.Semaphore(MOST_AT_ONCE)
        self._accepting: set[asyncio.Task[None]] = set()
        of_console = QUESTIONS - OF_NODE
        self._beside: dict[Action | LegacyRequest, Work] = {
            Action.GET_STATUS: self._answer_status,
            Action.SEND_COMMAND: self._send_line,
            Action.CANCEL: self._cancel,
            Action.WATCH_FIGURES: self._watch,
            Action.EXAMINE_NODE: self._examine,
            Action.KEEP_REGISTRIES: self._keep_registries,
            **dict.fromkeys(OF_IMAGES, self._answer_about_images),
            **dict.fromkeys(of_console, self._answer_about_console),
            LegacyRequest.FILE_READ: self._answer_file,
            LegacyRequest.FILE_WRITE: self._answer_file,
            LegacyRequest.SYSTEM_INFO: self._answer_system_info,
        }

    async def serve(self, request: Request, session: AgentSession, tasks: asyncio.TaskGroup) -> None:
        """Serves a request. Returns when it is accepted, refused, or on its way in a task of its own."""
        work = self._beside.get(request.verb)
        if work is None:
            await self._carry_through(request, session, self._accept)
            return
        await self._room.acquire()
        serve = self._carry_through if request.verb is Action.SEND_COMMAND else self._guarded
        task = tasks.create_task(serve(request, session, work), name=f"{request.verb} {request.server_id}")
        task.add_done_callback(lambda _: self._room.release())

    async def _carry_through(self, request: Request, session: AgentSession, work: Work) -> None:
        """What is journaled is taken whole, also when the connection ends meanwhile: an action into the inbox, a line to its game."""
        accepting = asyncio.create_task(self._guarded(request, session, work), name="accepting")
        self._accepting.add(accepting)
        accepting.add_done_callback(self._accepting.discard)
        await asyncio.shield(accepting)

    async def _guarded(self, request: Request, session: AgentSession, work: Work) -> None:
        began = self._node.clock.monotonic()
        code = "OK"
        try:
            await work(request, session)
        except Fault as fault:
            code = fault.code
            log.info("request_refused", action=request.verb, code=code)
            self._refuse(request, session, fault)
        except Exception as error:
            code = ErrorCode.INTERNAL
            log.exception("request_broke", action=request.verb, server_id=request.server_id)
            self._refuse(
                request, session, Fault(ErrorCode.INTERNAL, f"The agent could not do it: {error!r}. Its log says more.")
            )
        finally:
            self._metrics.requests.labels(request.verb, code).inc()
            self._metrics.answer_s.observe(self._node.clock.monotonic() - began)

    def _refuse(self, request: Request, session: AgentSession, fault: Fault) -> None:
        if request.is_legacy:
            self._outbox.answer(session.error(fault, request.message_id))
        else:
            self._outbox.answer(session.refuse(request, fault))

    async def _accept(self, request: Request, session: AgentSession) -> None:
        action = Action(request.verb)
        known = await self._fleet.accept(
            operation_of(action, request.server_id, request.content, request.id, request.message_id)
        )
        log.info("accepted" if known is None else "accepted_before", action=action)
        if not request.is_legacy:
            self._outbox.answer(session.accept(request, known.accepted_at if known else None))

    async def _answer_status(self, request: Request, session: AgentSession) -> None:
        server = self._fleet.servers.get(request.server_id)
        if server is None:
            raise Fault(ErrorCode.CONTAINER_NOT_FOUND, f"Server {request.server_id} has no container on this node.")
        report = await status.report(server, self._node.clock, self._sampler.players(server.id))
        self._outbox.answer(session.respond(request, "get_status command received", wire(report)))
        self._outbox.answer(session.event("server_status", report))

    async def _send_line(self, request: Request, session: AgentSession) -> None:
        if not isinstance(request.content, LinePayload):
            raise Fault(ErrorCode.INVALID_PAYLOAD, "A command needs a line.")
        operation = operation_of(
            Action.SEND_COMMAND, request.server_id, request.content, request.id, request.message_id
        )
        accepted_at = await self._fleet.send_line(operation, request.content)
        if not request.is_legacy:
            self._outbox.answer(session.accept(request, accepted_at))

    async def _cancel(self, request: Request, session: AgentSession) -> None:
        if not isinstance(request.content, CancelPayload):
            raise Fault(ErrorCode.INVALID_PAYLOAD, "A cancellation names a command.")
        await asyncio.wait({self._fleet.cancel(request.server_id, request.content.command_id)}, timeout=PATIENCE_S)
        log.info("cancelled", server_id=request.server_id, command_id=request.content.command_id)
        self._outbox.answer(session.accept(request))

    async def _watch(self, request: Request, session: AgentSession) -> None:
        if not isinstance(request.content, WatchPayload):
            raise Fault(ErrorCode.INVALID_PAYLOAD, "Name the servers that are watched.")
        self._sampler.watch(request.content)
        self._outbox.answer(session.respond(request, f"{Action.WATCH_FIGURES} command received", {}))

    async def _examine(self, request: Request, session: AgentSession) -> None:
        found = Examination(findings=tuple(await examination.of_node(self._node)))
        self._outbox.answer(session.respond(request, f"{Action.EXAMINE_NODE} command received", wire(found)))

    async def _keep_registries(self, request: Request, session: AgentSession) -> None:
        if not isinstance(request.content, RegistryLogins):
            raise Fault(ErrorCode.INVALID_PAYLOAD, "Name the registries.")
        await self._images.registries.keep(request.content)
        self._outbox.answer(session.respond(request, f"{Action.KEEP_REGISTRIES} command received", {}))

    async def _answer_about_images(self, request: Request, session: AgentSession) -> None:
        answer: News
        match request.verb, request.content:
            case Action.PULL_IMAGE, ImagePayload(image=image):
                answer = self._images.pull(image)
            case _, ImagePayload(image=image):
                answer = await self._images.remove(image)
            case _, PrunePayload(everything=everything):
                answer = await self._images.prune(everything=everything)
            case _:
                answer = await self._images.list()
        self._outbox.answer(session.respond(request, f"{request.verb} command received", wire(answer)))

    async def _answer_about_console(self, request: Request, session: AgentSession) -> None:
        server_id, consoles = self._fleet.find(request.server_id).id, self._node.consoles
        match request.content:
            case AttachPayload() as payload:
                data = wire(await consoles.attach(server_id, payload))
                del data["parts"]
            case HistoryPayload() as payload:
                data = wire(await consoles.history(server_id, payload))
            case SearchPayload() as payload:
                data = wire(await consoles.search(server_id, payload))
            case _:
                consoles.feed.detach(server_id)
                data = {}
        self._outbox.answer(session.respond(request, f"{request.verb} command received", data))

    async def _answer_file(self, request: Request, session: AgentSession) -> None:
        server = self._fleet.find(request.server_id)
        async with asyncio.timeout(FILE_TIMEOUT_S), server.file_turns():
            match request.content:
                case FileWrite(path=path, content=content):
                    uid = server.record.uid
                    size = await asyncio.to_thread(
                        files.write_text, server.game.folder, path, content, uid, self._node.gid_of(uid)
                    )
                    server.book.keep_written(path)
                    answer = FileContent(server_id=server.id, path=path, size=size)
                case FileRead(path=path):
                    content = await asyncio.to_thread(files.read_text, server.game.folder, path)
                    answer = FileContent(server_id=server.id, path=path, content=content)
                case _:
                    raise Fault(ErrorCode.INVALID_PAYLOAD, "A file needs a path.")
        frame = session.legacy("file_content", answer, request.message_id)
        if len(frame.encode()) > MAX_FRAME_BYTES:
            raise Fault(
                ErrorCode.INVALID_PAYLOAD, f"{answer.path} is too large to be sent: much of it is escaped in JSON."
            )
        self._outbox.answer(frame)

    async def _answer_system_info(self, request: Request, session: AgentSession) -> None:
        info = await system_info(self._node)
        self._outbox.answer(session.legacy("system_info", info, request.message_id))
