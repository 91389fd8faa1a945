"""Writes what Harmony writes, at several versions.

Structure: the examples of pe2loaddata (V1, V5, V7), and OperettaReader of Bio-Formats
(V6).
"""

from collections.abc import Iterator
from pathlib import Path

from tests.inputs.image_index.acquisition import Acquisition, Shot, position

VERSIONS = ("V1", "V5", "V6", "V7")
_NAMESPACES = {
    "V1": "http://www.perkinelmer.com/PEHH/HarmonyV5",
    "V5": "http://www.perkinelmer.com/PEHH/HarmonyV5",
    "V6": "43B2A954-E3C3-47E1-B392-6635266B0DD3/HarmonyV6",
    "V7": "43B2A954-E3C3-47E1-B392-6635266B0DD3/HarmonyV7",
}
_FILES = {"V1": "Index.idx.xml", "V5": "Index.idx.xml", "V6": "Index.xml"}
_SHARED = (
    ("ImageType", "Signal", None),
    ("AcquisitionType", "NonConfocal", None),
    ("ImageResolutionX", "5.979760809567617E-07", "m"),
    ("ImageResolutionY", "5.979760809567617E-07", "m"),
    ("ImageSizeX", "1080", None),
    ("ImageSizeY", "1080", None),
    ("BinningX", "2", None),
    ("BinningY", "2", None),
    ("MaxIntensity", "65535", None),
)
_OPTICS = (("ObjectiveMagnification", "20", ""), ("ObjectiveNA", "1", ""))


def write_harmony(folder: Path, acquired: Acquisition, version: str = "V1") -> None:
    """Write a measurement: `Images` with an index and a file an image."""
    images = folder / "Images"
    for shot in acquired:
        acquired.write(images / file_name(shot), shot)
    index = images / _FILES.get(version, "Index.xml")
    mark = "" if version == "V1" else "\ufeff"
    text = "\r\n".join(index_lines(acquired, version))
    index.write_bytes(f"{mark}{text}\r\n".encode())


def file_name(shot: Shot) -> str:
    _, site, timepoint, plane, channel = shot
    where = f"r{shot.row:02}c{shot.column:02}f{site:02}p{plane:02}"
    return f"{where}-ch{channel}sk{timepoint}fk1fl1.tiff"


def index_lines(acquired: Acquisition, version: str) -> Iterator[str]:
    in_entries = version in ("V6", "V7")
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield (
        '<EvaluationInputData xmlns:xsd="http://www.w3.org/2001/XMLSchema" Version='
        f'"{2 if in_entries else 1}" xmlns="{_NAMESPACES[version]}">'
    )
    yield "  <User>tester</User>\r\n  <InstrumentType>Phenix</InstrumentType>"
    yield from _plate(acquired)
    yield "  <Wells>"
    for well in acquired.wells:
        shots = [shot for shot in acquired if shot.well == well]
        yield f"    <Well>\r\n      <id>{_well_id(shots[0])}</id>"
        yield f"      <Row>{shots[0].row}</Row>\r\n      <Col>{shots[0].column}</Col>"
        yield from (f'      <Image id="{_id(shot)}" />' for shot in shots)
        yield "    </Well>"
    yield "  </Wells>\r\n  <Maps>"
    yield from _maps(acquired, in_entries)
    yield "  </Maps>\r\n  <Images>"
    for shot in acquired:
        yield from _image(acquired, shot, version)
    yield "  </Images>\r\n</EvaluationInputData>"


def _plate(acquired: Acquisition) -> Iterator[str]:
    yield "  <Plates>\r\n    <Plate>"
    yield f"      <PlateID>{acquired.plate}</PlateID>"
    yield f"      <Name>{acquired.plate}</Name>"
    yield "      <PlateRows>16</PlateRows>\r\n      <PlateColumns>24</PlateColumns>"
    for well in acquired.wells:
        yield f'      <Well id="{_well_id(Shot(well, 1, 1, 1, 1))}" />'
    yield "    </Plate>\r\n  </Plates>"


def _maps(acquired: Acquisition, in_entries: bool) -> Iterator[str]:
    profile = "{Background: {Character: Flat, Mean: 1}}"
    yield "    <Map>"
    for number in range(1, len(acquired.channels) + 1):
        yield f'      <Entry ChannelID="{number}">'
        yield f"        <FlatfieldProfile>{profile}</FlatfieldProfile>"
        yield "      </Entry>"
    yield "    </Map>"
    if in_entries:
        yield "    <Map>"
        for number in range(1, len(acquired.channels) + 1):
            yield f'      <Entry ChannelID="{number}">'
            yield from _of_channel(acquired, number, "        ")
            yield "      </Entry>"
        yield "    </Map>"


def _of_channel(acquired: Acquisition, number: int, indent: str) -> Iterator[str]:
    """What all images of a channel share."""
    name = acquired.channels[number - 1]
    light = (
        ("MainExcitationWavelength", f"{400 + 50 * number}", "nm"),
        ("MainEmissionWavelength", f"{450 + 50 * number}", "nm"),
    )
    time = (("ExposureTime", f"0.0{number}", "s"),)
    yield f"{indent}<ChannelName>{name}</ChannelName>"
    for tag, value, unit in (*_SHARED, *light, *_OPTICS, *time):
        attribute = "" if unit is None else f' Unit="{unit}"'
        yield f"{indent}<{tag}{attribute}>{value}</{tag}>"


def _image(acquired: Acquisition, shot: Shot, version: str) -> Iterator[str]:
    first = 0 if version in ("V1", "V5") else 1
    x, y = position(shot.site)
    yield '    <Image Version="1">'
    for tag, value in (
        ("id", _id(shot)),
        ("State", "Ok"),
        ("URL", file_name(shot)),
        ("Row", shot.row),
        ("Col", shot.column),
        ("FieldID", shot.site),
        ("PlaneID", shot.plane),
        ("TimepointID", shot.timepoint - 1 + first),
        ("ChannelID", shot.channel),
        ("FlimID", 1),
    ):
        yield f"      <{tag}>{value}</{tag}>"
    if version in ("V1", "V5"):
        yield from _of_channel(acquired, shot.channel, "      ")
    yield f'      <PositionX Unit="m">{x * 1e-6:.7f}</PositionX>'
    yield f'      <PositionY Unit="m">{y * 1e-6:.7f}</PositionY>'
    yield f'      <PositionZ Unit="m">{shot.plane}E-06</PositionZ>'
    yield '      <AbsPositionZ Unit="m">0.134611905</AbsPositionZ>'
    time = f"2021-03-29T16:55:{10 + shot.channel}.987-04:00"
    yield f"      <AbsTime>{time}</AbsTime>\r\n    </Image>"


def _well_id(shot: Shot) -> str:
    return f"{shot.row:02}{shot.column:02}"


def _id(shot: Shot) -> str:
    _, site, timepoint, plane, channel = shot
    return f"{_well_id(shot)}K{timepoint}F{site}P{plane}R{channel}"
