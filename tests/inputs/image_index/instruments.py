"""Writes what the other instruments write: folders, names and index files.

Structure: Bio-Formats' readers of each, the examples of faim-ipa (CV8000, ImageXpress)
and of the ScanR converter of Fractal.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.inputs.image_index import harmony_writer
from tests.inputs.image_index.acquisition import (
    Acquisition,
    Shot,
    position,
    write_text,
)


def write_opera_names(folder: Path, acquired: Acquisition) -> None:
    """Harmony's files without an index."""
    for shot in acquired:
        acquired.write(folder / "Images" / harmony_writer.file_name(shot), shot)


def write_imagexpress(
    folder: Path, acquired: Acquisition, *, exported: bool = True
) -> None:
    """Write an `.HTD` with images, as the microscope or as an export has them."""
    index = "\r\n".join(_htd(acquired))
    write_text(folder / f"{acquired.plate}.HTD", index, "latin-1")
    for shot in acquired:
        step = folder / f"TimePoint_{shot.timepoint}"
        if acquired.planes > 1:
            step /= f"ZStep_{shot.plane}"
        if exported:
            write_text(step / f"{acquired.plate}.HTD", index, "latin-1")
        name = f"{acquired.plate}_{shot.well}_s{shot.site}_w{shot.channel}"
        if exported:
            acquired.write(step / f"{name}.TIF", shot)
        else:
            acquired.write(step / f"{name}{_guid(name)}.tif", shot)
            acquired.write(step / f"{name}_thumb{_guid(name[::-1])}.tif", shot)


def _guid(text: str) -> str:
    digits = hashlib.md5(text.encode()).hexdigest().upper()
    lengths, start, parts = (8, 4, 4, 4, 12), 0, []
    for length in lengths:
        parts.append(digits[start : start + length])
        start += length
    return "-".join(parts)


def _htd(acquired: Acquisition) -> Iterator[str]:
    yield '"HTSInfoFile", Version 1.0'
    yield '"Description", "two wells\x85DAPI: 3z"'
    yield f'"TimePoints", {acquired.timepoints}'
    yield f'"ZSeries", {str(acquired.planes > 1).upper()}'
    yield f'"ZSteps", {acquired.planes}'
    yield '"XWells", 12\r\n"YWells", 8'
    for row, letter in enumerate("ABCDEFGH", 1):
        wells = (f"{letter}{column:02}" in acquired.wells for column in range(1, 13))
        values = ", ".join(str(well).upper() for well in wells)
        yield f'"WellsSelection{row}", {values}'
    yield f'"Sites", TRUE\r\n"XSites", {acquired.sites}\r\n"YSites", 1'
    yield f'"Waves", TRUE\r\n"NWavelengths", {len(acquired.channels)}'
    for number, name in enumerate(acquired.channels, 1):
        yield f'"WaveName{number}", "{name}"'
    yield '"EndFile"'


def write_imagexpress_names(folder: Path, acquired: Acquisition) -> None:
    """Write `A01_s1_w1.tif` without an index."""
    for shot in acquired:
        plane = f"_z{shot.plane}" if acquired.planes > 1 else ""
        name = f"{shot.well}_s{shot.site}_w{shot.channel}{plane}.tif"
        acquired.write(folder / name, shot)


_BTS = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'


def write_cellvoyager(
    folder: Path, acquired: Acquisition, *, model: str = "CV8000"
) -> None:
    """Write a measurement with settings, details and shading corrections."""
    records = []
    for shot in acquired:
        name = _cellvoyager_name(acquired.plate, shot)
        acquired.write(folder / name, shot)
        records.append(_record(shot, name))
    end = "</bts:MeasurementData>" + (">" if model == "CV7000" else "")
    write_text(
        folder / "MeasurementData.mlf",
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<bts:MeasurementData bts:Version="1.0" {_BTS}>\n'
        + "\n".join([*records, end]),
    )
    channels = range(1, len(acquired.channels) + 1)
    shading = [f"SC_BP{number}_20x_CH0{number}.tif" for number in channels]
    for name in (*shading, "DC_DCAM#1_CAM3.tif"):
        (folder / name).write_bytes(b"a shading correction")
    _write_settings(folder, acquired, model, shading)


def _cellvoyager_name(plate: str, shot: Shot) -> str:
    well, site, timepoint, plane, channel = shot
    step = f"T{timepoint:04}F{site:03}L01A0{channel}Z{plane:02}C{channel:02}"
    return f"{plate}_{well}_{step}.tif"


def _record(shot: Shot, name: str) -> str:
    x, y = position(shot.site)
    return (
        '<bts:MeasurementRecord bts:Type="IMG" bts:Time="2023-09-18T13:58:4'
        f'{shot.channel}.438+02:00" bts:Column="{shot.column}" bts:Row="{shot.row}" '
        f'bts:TimePoint="{shot.timepoint}" bts:FieldIndex="{shot.site}" '
        f'bts:ZIndex="{shot.plane}" bts:TimelineIndex="1" bts:ActionIndex="1" '
        f'bts:Action="3D" bts:X="{x}" bts:Y="{y}" bts:Z="{3.0 * shot.plane}" '
        f'bts:Ch="{shot.channel}">{name}</bts:MeasurementRecord>'
    )


def _write_settings(
    folder: Path, acquired: Acquisition, model: str, shading: list[str]
) -> None:
    details = "\n".join(
        f'  <bts:MeasurementChannel bts:Ch="{number}" bts:HorizontalPixels="2000" '
        f'bts:ShadingCorrectionSource="{name}" />'
        for number, name in enumerate(shading, 1)
    )
    write_text(
        folder / "MeasurementDetail.mrf",
        '\ufeff<?xml version="1.0" encoding="utf-8"?>\n'
        f'<bts:MeasurementDetail bts:Title="{acquired.plate}" '
        'bts:MeasurementSettingFileName="run.mes" '
        f'bts:TargetSystem="{model}" {_BTS}>\n  <bts:MeasurementSamplePlate bts:Name='
        f'"{acquired.plate}" />\n{details}\n</bts:MeasurementDetail>',
    )
    channels = "\n".join(
        f'    <bts:Channel bts:Ch="{number}" bts:Target="{400 + number}" '
        f'bts:Fluorophore="{name}"><bts:LightSourceName>l</bts:LightSourceName>'
        "</bts:Channel>"
        for number, name in enumerate(acquired.channels, 1)
    )
    write_text(
        folder / "run.mes",
        '\ufeff<?xml version="1.0" encoding="utf-8"?>\n'
        f"<bts:MeasurementSetting {_BTS}>\n"
        "  <bts:Timelapse><bts:ActionAcquire3D><bts:Ch>1</bts:Ch></bts:ActionAcquire3D>"
        f"</bts:Timelapse>\n  <bts:ChannelList>\n{channels}\n  </bts:ChannelList>\n"
        "</bts:MeasurementSetting>",
    )


def write_scanr(folder: Path, acquired: Acquisition, *, labels: bool = True) -> None:
    """Write a descriptor, and `data` with images; names say wells, or numbers alone."""
    for shot in acquired:
        acquired.write(folder / "data" / _scanr_name(acquired, shot, labels), shot)
    wells = "".join(
        f"<Array><Name>well selection table + cDNA</Name><Dimsize>2</Dimsize>"
        f"<String><Name>well selection table + cDNA</Name><Val>{number}</Val></String>"
        f"<String><Name>well selection table + cDNA</Name><Val>{well}</Val></String>"
        "</Array>"
        for well, number in _well_numbers(acquired).items()
    )
    write_text(
        folder / "experiment_descriptor.xml",
        "<Cluster><Name>scanR</Name><String><Name>plate name</Name>"
        f"<Val>{acquired.plate}</Val></String><String><Name>conversion \xb5m/pixel"
        "</Name><Val>\xb5</Val>"
        f"</String>{wells}</Cluster>",
        "latin-1",
    )


def _well_numbers(acquired: Acquisition) -> dict[str, int]:
    shots = (Shot(well, 1, 1, 1, 1) for well in acquired.wells)
    return {shot.well: 12 * (shot.row - 1) + shot.column for shot in shots}


def _scanr_name(acquired: Acquisition, shot: Shot, labels: bool) -> str:
    well = f"{shot.well[0]}{shot.column}" if labels else ""
    number = _well_numbers(acquired)[shot.well]
    step = f"Z{shot.plane - 1:05}--T{shot.timepoint - 1:05}"
    channel = acquired.channels[shot.channel - 1]
    return f"{well}--W{number:05}--P{shot.site:05}--{step}--{channel}.tif"


def write_scanr_ome(folder: Path, acquired: Acquisition) -> None:
    """Write what newer ScanRs write: an OME file without a plate, and images."""
    for shot in acquired:
        acquired.write(folder / "data" / _scanr_name(acquired, shot, True), shot)
    images = []
    for well, number in _well_numbers(acquired).items():
        for site in range(1, acquired.sites + 1):
            shots = [s for s in acquired if s.well == well and s.site == site]
            name = f"W{number}P{site}"
            title = f"Well {number}, Position {site} ({well})"
            files = [(s, _scanr_name(acquired, s, True), 0) for s in shots]
            images.append(_ome_image(acquired, name, title, files))
    write_text(folder / "data" / "metadata.ome.xml", _ome("2013-06", "", images))


def write_ome(folder: Path, acquired: Acquisition, *, stacks: bool = False) -> None:
    """Write a companion file of a plate; each plane a file, or each channel a stack."""
    images, wells, number = [], [], 0
    for well in acquired.wells:
        samples = []
        for site in range(1, acquired.sites + 1):
            shots = [s for s in acquired if s.well == well and s.site == site]
            files = [_ome_file(acquired, s, stacks) for s in shots]
            for shot, name, page in files:
                if not page:
                    acquired.write(folder / name, shot)
            images.append(_ome_image(acquired, str(number), f"{well}-{site}", files))
            samples.append(
                f'<WellSample ID="WellSample:{number}" Index="{number}">'
                f'<ImageRef ID="Image:{number}"/></WellSample>'
            )
            number += 1
        first = Shot(well, 1, 1, 1, 1)
        wells.append(
            f'<Well ID="Well:{well}" Row="{first.row - 1}" Column='
            f'"{first.column - 1}">{"".join(samples)}</Well>'
        )
    plate = f'<Plate ID="Plate:0" Name="{acquired.plate}">{"".join(wells)}</Plate>'
    path = folder / f"{acquired.plate}.companion.ome"
    write_text(path, _ome("2016-06", plate, images))


def _ome_file(acquired: Acquisition, shot: Shot, stacks: bool) -> tuple[Shot, str, int]:
    """The file of an image, and the page there."""
    well, site, timepoint, plane, channel = shot
    name = f"{acquired.plate}_{well}_{site}_c{channel}"
    if stacks:
        page = (timepoint - 1) * acquired.planes + plane - 1
        return shot, f"{name}.ome.tif", page
    return shot, f"{name}_z{plane}_t{timepoint}.ome.tif", 0


def _ome(schema: str, plate: str, images: list[str]) -> str:
    namespace = f"http://www.openmicroscopy.org/Schemas/OME/{schema}"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<OME xmlns="{namespace}" UUID="urn:uuid:1">\n{plate}\n' + "\n".join(images)
    ) + "\n</OME>"


def _ome_image(
    acquired: Acquisition, name: str, title: str, files: list[tuple[Shot, str, int]]
) -> str:
    sizes = (
        f'SizeZ="{acquired.planes}" SizeC="{len(acquired.channels)}" '
        f'SizeT="{acquired.timepoints}"'
    )
    channels = "".join(
        f'<Channel ID="Channel:{name}:{number}" Name="{channel}"/>'
        for number, channel in enumerate(acquired.channels)
    )
    pages, planes = "", ""
    for shot, file, page in files:
        x, y = position(shot.site)
        z, c, t = shot.plane - 1, shot.channel - 1, shot.timepoint - 1
        described = f' IFD="{page}" PlaneCount="1"' if page else ""
        pages += (
            f'<TiffData FirstZ="{z}" FirstC="{c}" FirstT="{t}"{described}>'
            f'<UUID FileName="{file}">urn:uuid:1</UUID></TiffData>'
        )
        planes += (
            f'<Plane TheZ="{z}" TheC="{c}" TheT="{t}" PositionX="{x}" PositionY="{y}" '
            f'ExposureTime="0.{c + 1}"/>'
        )
    return (
        f'<Image ID="Image:{name}" Name="{title}"><Pixels ID="Pixels:{name}" '
        f'DimensionOrder="XYZCT" Type="uint16" SizeX="64" SizeY="64" {sizes}>'
        f"{channels}{pages}{planes}</Pixels></Image>"
    )


def write_incell(folder: Path, acquired: Acquisition) -> None:
    """Write an `.xdce` with images and thumbnails."""
    entries = []
    for shot in acquired:
        channel = acquired.channels[shot.channel - 1]
        step = f" z {shot.plane}" if acquired.planes > 1 else ""
        step += f" time {shot.timepoint} - 0ms" if acquired.timepoints > 1 else ""
        well = f"{shot.well[0]} - {shot.column}"
        name = f"{well}(fld {shot.site} wv Ex{shot.channel} - {channel}{step}).tif"
        acquired.write(folder / name, shot)
        thumbnail = f"thumbs/{name[:-4]}.jpg"
        acquired.write(folder / thumbnail, shot)
        entries.append(_incell_image(shot, name, thumbnail))
    write_text(folder / f"{acquired.plate}.xdce", _xdce(acquired, entries), "latin-1")


def _incell_image(shot: Shot, name: str, thumbnail: str) -> str:
    return (
        f'<Image acquisition_time_ms="1" filename="{name}" thumbnail="{thumbnail}">'
        f'<Well label="x"><Row number="{shot.row}"/><Column number="{shot.column}"/>'
        f'</Well><Identifier field_index="{shot.site - 1}" time_index='
        f'"{shot.timepoint - 1}" wave_index="{shot.channel - 1}" z_index='
        f'"{shot.plane - 1}"/><MinMaxMean max="1" mean="1" min="1"/>'
        f'<FocusPosition z="{shot.plane}.5"/><Exposure time="{100 * shot.channel}"/>'
        "</Image>"
    )


def _xdce(acquired: Acquisition, entries: list[str]) -> str:
    waves = "".join(
        f'<Wavelength fusion_wave="false" index="{n}" imaging_mode="2-D">'
        f'<ExcitationFilter name="Ex{n + 1}" wavelength="350"/>'
        f'<EmissionFilter name="{name}" wavelength="455"/></Wavelength>'
        for n, name in enumerate(acquired.channels)
    )
    offsets = "".join(
        '<offset_point x="{}" y="{}"/>'.format(*position(site))
        for site in range(1, acquired.sites + 1)
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1" standalone="no"?>\n<ImageStack>'
        '<Application name="IN Cell Analyzer 2000"/><AutoLeadAcquisitionProtocol '
        f'name="\xb5m">{"<Wavelengths>"}{waves}</Wavelengths><Plate columns="12" '
        f'rows="8"/><FieldOffsets>{offsets}</FieldOffsets></AutoLeadAcquisitionProtocol>'
        f'<Images number="{len(entries)}">{"".join(entries)}</Images></ImageStack>'
    )
