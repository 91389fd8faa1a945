"""Messages as anybody could send them: broken, mutated, and as large as they may be."""

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cpengine.executors.aws.messages import MOST_BYTES, body
from cpengine.testing import jobs

PLAIN: Mapping[str, Any] = {
    "Metadata": "Metadata_Plate=A",
    "pipeline": "any.cppipe",
    "output": "out",
    "input": "rules",
    "data_file": "load_data.csv",
}
OURS: Mapping[str, Any] = json.loads(body(jobs("B")[0]))

_NOT_SENT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What SQS takes in no message."""


def nested(depth: int) -> str:
    """A JSON object in an object, and so on, each closed again."""
    return '{"Metadata":' * depth + "1" + "}" * depth


BROKEN: Mapping[str, str] = {
    "open brackets": "[" * 100_000,
    "open objects": '{"x":' * 40_000,
    "nested 15,000 deep": nested(15_000),
    "an array of arrays": "[" * 60_000 + "]" * 60_000,
    "no value": "nul",
    "a number alone": "1",
    "a text alone": '"Metadata"',
    "nothing but a blank": " ",
    "half of it": json.dumps(OURS)[:80],
    "a number of 100,000 digits": json.dumps(PLAIN)[:-1] + ', "x": ' + "9" * 100_000,
    "half a surrogate": json.dumps(PLAIN | {"Metadata": "Metadata_Plate=\ud800"}),
    "a large text": json.dumps(PLAIN | {"input": "x" * (MOST_BYTES - 2000)}),
    "a large group": json.dumps(PLAIN | {"Metadata": "M=" + "x" * 250_000}),
    "many pairs": json.dumps(PLAIN | {"Metadata": {f"M{n}": n for n in range(9999)}}),
    "many earlier markers": json.dumps(OURS | {"earlier": ["a~b~c.done"] * 9999}),
}
"""By what is wrong, messages that are no jobs."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 10**12, 10**40, -(10**40), 0.5, -0.0, 1e308),
    *(float("nan"), float("inf"), float("-inf")),
    *("", " ", ".", "..", "/", "a/b", "a/../b", "../../x", "/etc/passwd", "\\\\host"),
    *("s3://theirs/x", "file:///etc", "-rf", "~", "$(reboot)", "a\x00b", "\x1b[31m"),
    *("\u202e", "\u0085", "é", "x" * 300, "x" * 5000, "%s", "{}", "Metadata_Plate"),
    *([], ["a"], [1], [None], ["../x"], [[]], {}, {"a": 1}, {"": ""}, {"a": ["b"]}),
)
"""What a key may be given by somebody who knows none of its limits."""

KEYS = (*OURS, "plugins", "output_structure", "image_base", "mixed", "group", "host")


def mutated(seed: int) -> str:
    """One message of many, always the same for a number; SQS would take it."""
    chance = random.Random(seed)
    text = chance.choice(_MUTATIONS)(chance)
    return _NOT_SENT.sub("?", text)[: MOST_BYTES // 2] or "?"


def many(count: int) -> Iterator[str]:
    """The broken ones, and then so many others."""
    yield from BROKEN.values()
    yield from map(mutated, range(count))


def _changed(chance: random.Random) -> str:
    message = dict(chance.choice((PLAIN, OURS)))
    for _ in range(chance.randint(1, 3)):
        key = chance.choice(KEYS)
        if chance.random() < 0.2:
            message.pop(key, None)
        else:
            message[key] = chance.choice(VALUES)
    return json.dumps(message)


def _with_value_in_group(chance: random.Random) -> str:
    pairs = {"Metadata_Plate": chance.choice(VALUES), "Metadata_Well": "A01"}
    if chance.random() < 0.5:
        return json.dumps(PLAIN | {"Metadata": pairs})
    text = ",".join(f"{key}={value}" for key, value in pairs.items())
    return json.dumps(PLAIN | {"Metadata": text})


def _damaged(chance: random.Random) -> str:
    text = list(json.dumps(chance.choice((PLAIN, OURS))))
    for _ in range(chance.randint(1, 8)):
        where = chance.randrange(len(text))
        text[where] = chance.choice(['"', "{", "}", ",", "\\", "", "9", "\\ud83d", "x"])
    return "".join(text)


def _random(chance: random.Random) -> str:
    size = chance.randint(1, 200)
    return "".join(chr(chance.randrange(1, 0x3000)) for _ in range(size))


_MUTATIONS: tuple[Callable[[random.Random], str], ...] = (
    *(_changed, _changed, _changed),
    _with_value_in_group,
    _damaged,
    _random,
)
