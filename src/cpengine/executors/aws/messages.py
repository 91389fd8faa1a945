"""Jobs as queue messages, and messages of anybody's as jobs. Pure.

A message is Distributed-CellProfiler's; ours has more keys, which its worker ignores.
Messages are not trusted: whoever can write to the queue could write anything.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from cpengine.errors import InputError
from cpengine.group_names import UNFIT
from cpengine.model import Job
from cpengine.output_structure import dcp_place_of

MOST_BYTES = 262_144
"""What SQS takes at the most."""
_KEY = re.compile(r"[A-Za-z]\w*")
_BAD_PLACE = re.compile(r"^[/\\-]|://|[\x00-\x1f\x7f]|(^|/)\.\.(/|$)")
_PLACES = ("pipeline", "data_file", "input", "output", "ledger", "plugins")
_STRUCTURE = re.compile(r"[\w./ +=@-]*")
_NUMBERS: Mapping[str, type[int | float]] = {
    "image_sets": int,
    "share": int,
    "attempt": int,
    "timeout_s": float,
    "stall_s": float,
    "memory_gb": float,
}


def body(job: Job, attempt: int = 1, *, plain: bool = False) -> str:
    """A job as a message.

    Parameters
    ----------
    plain
        Only the keys that Distributed-CellProfiler's own client sends.

    Raises
    ------
    InputError
        It is larger than SQS takes, or our worker would not take it.
    """
    if plain:
        _check_plain(job)
    data = job.to_message() if plain else job.to_json() | {"attempt": attempt}
    text = json.dumps(data)
    if len(text.encode()) > MOST_BYTES:
        raise InputError(
            f"{job.step} {job.id[:40]}: its message has more than {MOST_BYTES} bytes, "
            "which SQS does not take: shorten the step's places or metadata values"
        )
    read(text)
    return text


def _check_plain(job: Job) -> None:
    """Refuse a job that DCP's own worker would not run as we do."""
    why = ""
    if " " in job.metadata:
        why = "has a blank, at which DCP's own worker breaks its command line"
    elif job.whole_table:
        why = "takes a whole table, and DCP's own worker knows groups alone"
    elif dcp_place_of(job.output_structure, job.group) != job.place:
        why = "has names or values in which DCP's own worker would find other names"
    if why:
        raise InputError(f"{job.step} {job.id}: {why}: use worker = 'cpengine'")


def read(text: str) -> tuple[Job, int]:
    """A message as a job, and the number of the attempt it asks for.

    Raises
    ------
    InputError
        It is not JSON, lacks a key, or names a place or a value that could lead
        elsewhere.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InputError(f"message is not JSON ({error}): send it again") from error
    if not isinstance(data, dict):
        raise InputError("message is no JSON object: send one as DCP does")
    _check_types(data)
    job = Job.from_json(data)
    _check_group(job)
    for name in _PLACES:
        place = getattr(job, name)
        if place and _BAD_PLACE.search(place):
            raise InputError(
                f"message with {name} {place[:80]!r}: name a place below the bucket"
            )
    structure = job.output_structure
    bad = _BAD_PLACE.search(structure) or not _STRUCTURE.fullmatch(structure)
    elsewhere = dcp_place_of(structure, job.group) != job.place and not job.ledger
    if bad or elsewhere or (structure and not job.place):
        raise InputError(f"message with output_structure {structure[:80]!r}: change it")
    return job, int(data.get("attempt", 1))


def _check_types(data: Mapping[str, Any]) -> None:
    texts = ("step", "output_structure", "fingerprint", "image_base", *_PLACES)
    for name in texts:
        value = data.get(name)
        if value is not None and not isinstance(value, str):
            raise InputError(f"message with {name} that is no text: send it as text")
    for name, kind in _NUMBERS.items():
        value = data.get(name)
        number = isinstance(value, int | kind) and not isinstance(value, bool)
        if value is not None and not (number and value >= 0):
            raise InputError(f"message with {name} that is no number: change it")
    for name in ("whole_table", "mixed", "shared"):
        if not isinstance(data.get(name, False), bool):
            raise InputError(f"message with {name} that is not true or false")
    earlier = data.get("earlier", [])
    known = isinstance(earlier, list) and all(
        isinstance(name, str) and "/" not in name for name in earlier
    )
    if not known:
        raise InputError("message with earlier that is no list of names: change it")
    if not isinstance(data.get("Metadata", ""), str | dict):
        raise InputError("message with Metadata of no known form: write it as K=V,K=V")
    pairs = data.get("group", [])
    if not (isinstance(pairs, list) and all(map(_is_pair, pairs))):
        raise InputError("message with group that is no list of pairs: send it again")


def _is_pair(pair: object) -> bool:
    """Whether something is a column's name and a value."""
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(text, str) for text in pair)
    )


def _check_group(job: Job) -> None:
    for key, value in job.group:
        if not _KEY.fullmatch(key) or UNFIT.search(value):
            raise InputError(
                f"message with Metadata {f'{key}={value}'[:80]!r}: a name has letters, "
                "digits and _; a value no comma, slash or equals sign"
            )
