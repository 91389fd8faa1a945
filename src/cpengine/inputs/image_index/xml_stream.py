"""XML of instruments, read piece by piece; nobody's entities are expanded.

Memory holds a piece of the file at a time, however large it is. What would make little
text into much, or read other files, is refused: entities that a file declares itself.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from xml.parsers import expat
from xml.parsers.expat import errors

from cpengine.errors import InputError

XmlEvent = tuple[str, Mapping[str, str] | None, str]
"""The name of an element without its prefix; where it begins its attributes; where it
ends None and its text."""

_MOST_DEPTH = 100
_MOST_NAMES = 1000
_MOST_TEXT = 2**22
"""Characters of one element, about."""
_MOST_MARKUP = 2**24
"""Bytes of one tag."""
_AGAIN = "copy it from the instrument again, or give --pattern"


def xml_events(
    pieces: Iterable[bytes],
    place: str,
    elements: Collection[str] = (),
    texts: Collection[str] = (),
    encoding: str | None = None,
) -> Iterator[XmlEvent]:
    """Give where elements begin and end, in the file's order.

    Parameters
    ----------
    pieces
        The file's bytes.
    place
        The file as messages name it.
    elements
        The elements that are wanted with their beginnings, by name without prefix.
    texts
        Those of which the end is wanted alone.
    encoding
        The file's encoding, whatever it says itself.

    Raises
    ------
    InputError
        It is no whole XML, or has what no instrument writes.
    """
    reader = _EventReader(place, frozenset(elements), frozenset(texts), encoding)
    for piece in pieces:
        yield from reader.read(piece)
    yield from reader.read(b"", is_last=True)


def without_prefixes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes by their names without prefix."""
    return {name.rpartition(":")[2]: value for name, value in attributes.items()}


class _EventReader:
    """Makes events of the bytes of one file."""

    def __init__(
        self,
        place: str,
        elements: frozenset[str],
        texts: frozenset[str],
        encoding: str | None,
    ) -> None:
        self._place = place
        self._elements = elements
        self._wanted = elements | texts
        self._events: list[XmlEvent] = []
        self._text: list[str] = []
        self._fed = 0
        self._parser = expat.ParserCreate(encoding)
        self._parser.buffer_text = True
        self._parser.EntityDeclHandler = self._refuse_entity
        self._parser.CharacterDataHandler = self._text.append
        start, end = self._handlers()
        self._parser.StartElementHandler = start
        self._parser.EndElementHandler = end

    def read(self, piece: bytes, *, is_last: bool = False) -> list[XmlEvent]:
        """What begins and ends in the next bytes."""
        try:
            self._parser.Parse(piece, is_last)
        except expat.ExpatError as error:
            if not self._is_only_bracket(error, piece):
                raise self._wrong(f"is no whole XML ({error})") from error
        except InputError:
            raise
        except (LookupError, ValueError) as error:  # an encoding that Python lacks
            raise self._wrong(f"cannot be decoded ({error})") from error
        self._fed += len(piece)
        self._check_sizes()
        events = self._events.copy()
        self._events.clear()
        return events

    def _check_sizes(self) -> None:
        """Refuse a tag or a text that would fill the memory."""
        if self._fed - self._parser.CurrentByteIndex > _MOST_MARKUP:
            raise self._wrong("has a tag without an end")
        if sum(map(len, self._text)) > _MOST_TEXT:
            raise self._wrong(f"has a text of more than {_MOST_TEXT} characters")

    def _is_only_bracket(self, error: expat.ExpatError, piece: bytes) -> bool:
        """Whether all that is wrong is a `>` at the end, which some CellVoyagers write.

        What has been read before is whole then.
        """
        rest = piece[self._parser.ErrorByteIndex - self._fed :]
        return error.code in _AFTER_THE_END and rest.strip() in (b">", b"")

    def _handlers(
        self,
    ) -> tuple[Callable[[str, dict[str, str]], None], Callable[[str], None]]:
        """What expat calls where an element begins and ends: millions of times.

        Names are local here, and names of elements are taken apart once.
        """
        add, text, depth = self._events.append, self._text, 0
        known: dict[str, str] = {}
        elements = self._elements

        def start(raw: str, attributes: dict[str, str]) -> None:
            nonlocal depth
            depth += 1
            if raw not in known:
                known[raw] = self._known(raw, len(known))
            if (name := known[raw]) in elements:
                add((name, attributes, ""))
            if depth > _MOST_DEPTH:
                raise self._wrong(f"has elements in more than {_MOST_DEPTH} others")

        def end(raw: str) -> None:
            nonlocal depth
            depth -= 1
            if name := known[raw]:
                add((name, None, "".join(text).strip()))
            text.clear()

        return start, end

    def _known(self, raw: str, names: int) -> str:
        """The name of an element without its prefix; empty if it is not wanted."""
        if names >= _MOST_NAMES:
            raise self._wrong(f"has more than {_MOST_NAMES} kinds of elements")
        name = raw.rpartition(":")[2]
        return name if name in self._wanted else ""

    def _refuse_entity(self, name: str, *rest: object) -> None:
        raise self._wrong(f"declares an entity ({name}), as no instrument does")

    def _wrong(self, cause: str) -> InputError:
        line = self._parser.CurrentLineNumber
        return InputError(f"{self._place}:{line}: {cause}: {_AGAIN}")


_AFTER_THE_END = (
    errors.codes[errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT],
    errors.codes[errors.XML_ERROR_FINISHED],
)
