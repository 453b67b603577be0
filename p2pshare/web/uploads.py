"""Uploads: a form with one file in it (RFC 7578), taken apart while it arrives; no file is ever whole in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from attrs import define, field, frozen
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from p2pshare.errors import DiskFull, RequestRefused, StorageError
from p2pshare.web.bodies import Page, Unwanted
from p2pshare.web.limits import WebLimits
from p2pshare.web.replies import Refused

_FORM = "multipart/form-data"


class Sink(Protocol):
    """Where the bytes of an uploaded file go; a :class:`~p2pshare.web.staging.StagedFile` is one."""

    def write(self, data: bytes) -> Deferred[None]:
        """Take the next bytes; fires when there is room for more."""

    async def close(self) -> None:
        """Make sure of all that was written."""

    def discard(self) -> Deferred[None]:
        """Drop it, unless it was kept."""


@frozen
class FilePart:
    """What a form says of its file. The name is a stranger's: see :func:`p2pshare.paths.safe_component`."""

    filename: str
    content_type: str


@frozen
class UploadForm:
    """What a route takes: ``open`` begins a file, or refuses it, when its name is known and no byte has come."""

    open: Callable[[FilePart], Sink]
    name: str = "file"  # of the field
    limit: int | None = None  # bytes of the whole form; None: the site's upload_bytes


@frozen
class Upload:
    """A file that has arrived. It is dropped after the answer, unless its sink was told to keep it."""

    part: FilePart
    sink: Sink
    size: int
    fields: Mapping[str, str]  # the rest of the form


@define(eq=False)
class FormIntake:
    """Takes the body of one upload. Knows no HTTP but the content type."""

    _form: UploadForm
    _limits: WebLimits
    _page: Callable[[RequestRefused], Page]  # words a refusal
    _pause: Callable[[], None]
    _resume: Callable[[], None]
    _parser: PushMultipartParser
    _fields: dict[str, str] = field(init=False, factory=dict)
    _segment: MultipartSegment | None = field(init=False, default=None)
    _text: bytearray = field(init=False, factory=bytearray)  # of a field, at most form_field_bytes
    _part: FilePart | None = field(init=False, default=None)
    _sink: Sink | None = field(init=False, default=None)
    _size: int = field(init=False, default=0)
    _unwritten: int = field(init=False, default=0)
    _is_paused: bool = field(init=False, default=False)
    _failure: Refused | None = field(init=False, default=None)

    @classmethod
    def of(
        cls,
        content_type: str,
        form: UploadForm,
        limits: WebLimits,
        page: Callable[[RequestRefused], Page],
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> FormIntake:
        """
        Prepare for a body of this type.

        :raise Refused: it is no form.
        """
        kind, options = parse_options_header(content_type)
        if kind != _FORM or not options.get("boundary"):
            raise Refused(415, f"content type {kind[:80] or 'missing'}: expected {_FORM} with a boundary")
        try:
            parser = PushMultipartParser(options["boundary"], max_segment_count=limits.form_parts)
        except MultipartError as error:
            raise Refused(400, f"the form cannot be read: {error}") from None
        return cls(form, limits, page, pause, resume, parser)

    def write(self, data: bytes) -> None:
        """Take the next bytes of the body. :raise Unwanted: they are no use."""
        try:
            if self._failure is not None:
                raise self._failure
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    self._begin(event)
                elif event is None:
                    self._end()
                else:
                    self._take(event)
        except ParserLimitReached as error:
            raise Unwanted(self._page(Refused(413, f"the form is too large: {error}")), "form_parts") from None
        except MultipartError as error:
            raise Unwanted(self._page(_unreadable(error))) from None
        except RequestRefused as refusal:
            raise Unwanted(self._page(refusal), getattr(refusal, "hit", None)) from None

    def abandon(self) -> None:
        """Drop the file: the rest of it will not come."""
        if self._sink is not None:
            self._sink.discard()

    async def done(self) -> Upload:
        """
        Give what has arrived, once the body is complete and the sink has it all.

        :raise RequestRefused: there was no file, it had no name, or it could not be stored.
        """
        try:
            self._parser.close()
        except MultipartError as error:
            raise _unreadable(error) from None
        if self._sink is None or self._part is None:
            raise RequestRefused(f"{self._form.name}: missing, expected a file")
        try:
            await self._sink.close()
        except StorageError as error:
            raise _not_stored(error) from None
        return Upload(self._part, self._sink, self._size, self._fields)

    def _begin(self, segment: MultipartSegment) -> None:
        self._segment = segment
        self._text.clear()
        if segment.name != self._form.name or segment.filename is None:
            if segment.filename is not None:
                raise RequestRefused(f"{segment.name[:80]}: unexpected file, expected one called {self._form.name}")
            return
        if self._part is not None:
            raise RequestRefused(f"{self._form.name}: more than one file, expected one")
        if not segment.filename:
            raise Refused(400, "the file has no name")
        self._part = FilePart(segment.filename, segment.content_type or "application/octet-stream")
        self._sink = self._form.open(self._part)

    def _take(self, data: bytes) -> None:
        assert self._segment is not None, "a part begins with its header"
        if self._segment.filename is None:
            self._text += data
            if len(self._text) > self._limits.form_field_bytes:
                limit = self._limits.form_field_bytes
                raise Refused(413, f"{self._segment.name[:80]}: more than {limit} bytes", hit="form_field_bytes")
            return
        assert self._sink is not None, "opened when the file began"
        self._size += len(data)
        self._unwritten += len(data)
        self._sink.write(data).addCallbacks(self._written, self._failed, callbackArgs=(len(data),))
        if self._unwritten > self._limits.upload_unwritten and not self._is_paused:
            self._is_paused = True
            self._pause()

    def _end(self) -> None:
        assert self._segment is not None, "a part begins with its header"
        if self._segment.filename is None:
            try:
                self._fields[self._segment.name] = self._text.decode()
            except UnicodeDecodeError:
                raise RequestRefused(f"{self._segment.name[:80]}: not UTF-8") from None

    def _written(self, _: object, amount: int) -> None:
        self._unwritten -= amount
        if self._is_paused and self._unwritten <= self._limits.upload_unwritten // 2:
            self._is_paused = False
            self._resume()

    def _failed(self, failure: Failure) -> None:
        failure.trap(StorageError)
        self._failure = _not_stored(failure.value)
        if self._is_paused:  # so that the next bytes come, and are refused
            self._is_paused = False
            self._resume()


def _unreadable(error: MultipartError) -> Refused:
    return Refused(400, f"the form cannot be read: {error}")


def _not_stored(error: BaseException | None) -> Refused:
    return Refused(507 if isinstance(error, DiskFull) else 500, str(error))
