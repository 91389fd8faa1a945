"""A small data set that keeps to the structure of the Cell Painting Gallery."""

import csv
import gzip
import io
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

PROJECT, SOURCE, BATCH = "cpg0016-jump", "source_4", "2021_04_26_Batch1"
FULL = {"BR1": "BR1__2021-05-02T16_02_51-Measurement1", "BR10": "BR10"}
"""Plates by their short names; the first is the beginning of the second."""
CHANNELS, SITES = ("DNA", "ER"), (("A01", 1), ("A01", 2), ("B02", 1))
IMAGES, WORKSPACE = f"images/{BATCH}", "workspace"
TABLES, ANALYSIS = f"{WORKSPACE}/load_data_csv/{BATCH}", f"{WORKSPACE}/analysis/{BATCH}"
BACKEND, PROFILES = f"{WORKSPACE}/backend/{BATCH}", f"{WORKSPACE}/profiles/{BATCH}"
PLATEMAPS = f"{WORKSPACE}/metadata/platemaps/{BATCH}"
ADDRESS = f"s3://cellpainting-gallery/{PROJECT}/{SOURCE}/{IMAGES}"


def rows(plate: str, *, functions: bool) -> list[dict[str, str | int]]:
    """The image sets of a plate."""
    images, illum = f"{ADDRESS}/images/{FULL[plate]}", f"{ADDRESS}/illum/{plate}"
    made = {f"URL_Illum{c}": f"{illum}/{plate}_Illum{c}.npy" for c in CHANNELS}
    return [
        {f"URL_Orig{c}": f"{images}/{well}_{site}_{c}.tif" for c in CHANNELS}
        | (made if functions else {})
        | {"Metadata_Plate": plate, "Metadata_Well": well, "Metadata_Site": site}
        for well, site in SITES
    ]


def csv_text(records: list[dict[str, str | int]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def parquet_bytes(records: list[dict[str, str | int]]) -> bytes:
    data = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(records), data)
    return data.getvalue()


def files() -> Mapping[str, bytes]:
    """Its files by their keys below the source."""
    found: dict[str, bytes] = {}
    for plate, full in FULL.items():
        for channel in CHANNELS:
            found[f"{IMAGES}/illum/{plate}/{plate}_Illum{channel}.npy"] = b"function"
            for well, site in SITES:
                image = f"{IMAGES}/images/{full}/{well}_{site}_{channel}.tif"
                found[image] = b"image"
        for well, site in SITES:
            folder = f"{ANALYSIS}/{plate}/analysis/{plate}-{well}-{site}"
            for table in ("Image", "Cells", "Nuclei", "Experiment"):
                found[f"{folder}/{table}.csv"] = b"ImageNumber\n1\n"
            found[f"{folder}/outlines/{well}_cell_outlines.png"] = b"picture"
        found[f"{BACKEND}/{plate}/{plate}.sqlite"] = b"cells"
        found[f"{BACKEND}/{plate}/{plate}.csv"] = b"Metadata_Well\nA01\n"
        for part in ("", "_normalized"):
            found[f"{PROFILES}/{plate}/{plate}{part}.csv.gz"] = b"profile"
    plain, with_illum = (
        [rows(plate, functions=functions) for plate in FULL]
        for functions in (False, True)
    )
    first, second = (f"{TABLES}/{plate}" for plate in FULL)
    found[f"{first}/load_data.csv"] = csv_text(plain[0])
    found[f"{first}/load_data_with_illum.csv"] = csv_text(with_illum[0])
    found[f"{second}/load_data.csv.gz"] = gzip.compress(csv_text(plain[1]))
    found[f"{second}/load_data_with_illum.parquet"] = parquet_bytes(with_illum[1])
    found[f"{PLATEMAPS}/barcode_platemap.csv"] = (
        b"Assay_Plate_Barcode,Plate_Map_Name\nBR1,MAP.01\nBR10,MAP.01\n"
    )
    found[f"{PLATEMAPS}/platemap/MAP.01.txt"] = (
        b"plate_map_name\twell_position\tpert\nMAP.01\tA01\tx\nMAP.01\tB02\ty\n"
    )
    found[f"{WORKSPACE}/pipelines/{BATCH}/analysis.cppipe"] = b"CellProfiler Pipeline:"
    return found


def write(folder: Path) -> Path:
    """Write it below a folder; give the folder of its source."""
    source = folder / PROJECT / SOURCE
    for key, data in files().items():
        path = source / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return source
