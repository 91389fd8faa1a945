"""Jobs as queue messages, and messages of anybody's as jobs. Pure.

A message is Distributed-CellProfiler's; ours has more keys, which its worker ignores.
Messages are not trusted: whoever can write to the queue could write anything. So what
comes from one is read here, and nowhere else, by one schema.
"""

import json
import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from cpengine.errors import InputError
from cpengine.group_names import LONGEST_ID, NAME, UNFIT
from cpengine.inputs.table_formats import is_csv
from cpengine.ledger.ledger import MOST_RUN
from cpengine.marker import Marker
from cpengine.model import Job
from cpengine.output_structure import dcp_place_of

MOST_BYTES = 262_144
"""What SQS takes at the most."""
_LONGEST = 1024
"""Bytes of a key on S3."""
_MOST_S, _MOST_GB, _MOST = 1e9, 1e6, 1_000_000
_ATTRIBUTES = 4096
_SHOWN = 80
_KEY = re.compile(r"[A-Za-z]\w*")
_BAD_PLACE = re.compile(r"^[/\\-]|://|[\x00-\x1f\x7f]|(^|/)\.\.(/|$)")
_STRUCTURE = re.compile(r"[\w./ +=@-]*")


def _below_the_bucket(place: str) -> str:
    if _BAD_PLACE.search(place):
        raise PydanticCustomError("place", "name a place below the bucket")
    return place


def _structure(structure: str) -> str:
    if not _STRUCTURE.fullmatch(_below_the_bucket(structure)):
        raise PydanticCustomError("structure", "use letters, digits and ./ +=@_-")
    return structure


_Text = Annotated[str, Field(max_length=_LONGEST)]
_Place = Annotated[_Text, AfterValidator(_below_the_bucket)]
_Named = Annotated[_Place, Field(min_length=1)]
_Name = Annotated[str, Field(max_length=LONGEST_ID, pattern=r"^[^/\\~\x00-\x1f\x7f]*$")]
_Marker = Annotated[str, Field(max_length=255, pattern=r"^[^/\x00-\x1f]*$")]
_Seconds = Annotated[float, Field(ge=0, le=_MOST_S)]
_SOME = Field(min_length=1, max_length=50)
_Count = Annotated[int, Field(ge=1, le=_MOST)]


class _JobMessage(BaseModel):
    """The keys of a message; others are left out, and what is null is not there."""

    model_config = ConfigDict(
        strict=True, extra="ignore", frozen=True, allow_inf_nan=False
    )

    Metadata: (
        Annotated[str, Field(max_length=4 * _LONGEST)]
        | Annotated[dict[str, str | int | float], _SOME]
    )
    pipeline: _Named
    output: _Named
    input: _Place
    data_file: _Named
    output_structure: Annotated[_Text, AfterValidator(_structure)] | None = None
    step: Annotated[str, Field(max_length=LONGEST_ID, pattern=f"^$|{NAME}")] = ""
    ledger: _Place | None = None
    fingerprint: _Name | None = None
    fingerprint_v1: _Name | None = None
    inputs: _Name | None = None
    input_contents: _Name | None = None
    image_sets: Annotated[int, Field(ge=0, le=10**9)] | None = None
    timeout_s: _Seconds | None = None
    stall_s: _Seconds | None = None
    memory_gb: Annotated[float, Field(ge=0, le=_MOST_GB)] | None = None
    share: _Count | None = None
    lost: Annotated[int, Field(ge=0, le=_MOST)] | None = None
    plugins: _Place | None = None
    whole_table: bool | None = None
    mixed: bool | None = None
    shared: bool | None = None
    older_records: bool = True  # where a version before has sent it, or DCP's client
    run: Annotated[int, Field(ge=0, lt=MOST_RUN)] | None = None
    exact_check: Annotated[str, Field(max_length=20)] | None = None
    image_base: Annotated[str, Field(max_length=_LONGEST)] | None = None
    earlier: Annotated[tuple[_Marker, ...], Field(max_length=1000)] | None = None
    group: Annotated[tuple[tuple[str, str], ...], _SOME] | None = None
    attempt: _Count = 1


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
    elif not is_csv(job.data_file):
        why = f"has {job.data_file}, and DCP's own worker reads CSVs alone"
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
        It is no JSON object, lacks a key, or has a value that is of another kind, that
        no machine could do anything with, or that could lead elsewhere.
    """
    try:
        message = _JobMessage.model_validate_json(text)
    except ValidationError as error:
        raise InputError(_refusal(error)) from error
    job = Job.from_json(message.model_dump(exclude_none=True))
    _check_group(job)
    _check_place(job)
    _check_earlier(job)
    return job, message.attempt


def cut(text: str) -> str:
    """A message as SQS takes it with attributes, which it counts, too."""
    return text.encode()[: MOST_BYTES - _ATTRIBUTES].decode(errors="ignore")


def _refusal(error: ValidationError) -> str:
    """What is wrong with a message, in one line."""
    wrong = error.errors(include_url=False)
    first, *_ = wrong
    text = first["msg"]
    if first["type"] in ("json_invalid", "string_unicode"):
        return f"message is not JSON ({text}): send it again"
    if not first["loc"]:
        return "message is no JSON object: send one as DCP does"
    keys = [item for item in wrong if len(item["loc"]) == 1]
    missing = [str(item["loc"][0]) for item in keys if item["type"] == "missing"]
    if missing:
        return f"message without {', '.join(missing)}: add the key"
    value = repr(first["input"])[:_SHOWN]
    return f"message with {first['loc'][0]} {value}: {text[0].lower()}{text[1:]}"


def _check_group(job: Job) -> None:
    for key, value in job.group:
        if not _KEY.fullmatch(key) or UNFIT.search(value):
            raise InputError(
                f"message with Metadata {f'{key}={value}'[:_SHOWN]!r}: a name has "
                "letters, digits and _; a value no comma, slash or equals sign"
            )
    if len(dict(job.group)) < len(job.group) or len(job.id.encode()) > LONGEST_ID:
        raise InputError(
            f"message with Metadata {job.metadata[:_SHOWN]!r}: name each column once, "
            f"and let the values have at most {LONGEST_ID} bytes"
        )


def _check_earlier(job: Job) -> None:
    """Refuse markers of other jobs, which this one would take away when it is done."""
    for name in job.earlier:
        marker = Marker.parse(name)
        if marker is not None and marker.job_id != job.id:
            raise InputError(
                f"message with earlier {name[:_SHOWN]!r}: name markers of "
                f"{job.id[:_SHOWN]} alone"
            )


def _check_place(job: Job) -> None:
    """Refuse a structure that gives no folder, or another than DCP's worker would."""
    structure = job.output_structure
    elsewhere = dcp_place_of(structure, job.group) != job.place and not job.ledger
    if elsewhere or (structure and not job.place):
        raise InputError(
            f"message with output_structure {structure[:_SHOWN]!r}: change it"
        )
