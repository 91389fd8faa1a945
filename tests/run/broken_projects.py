"""The demo broken in one way each, and what must be found then."""

from pathlib import Path

from cpengine.demo.images import CHANNELS
from tests.run.breaks import (
    BATCH,
    CSVS,
    IMAGES,
    Case,
    all_of,
    cell,
    column,
    copied,
    csv,
    dropped,
    halve,
    image,
    layout,
    pipe,
    project,
    remove,
    renamed,
    setting,
    text,
    touch,
    touched,
    with_illum,
)
from tests.run.broken_pipelines import PIPELINE_CASES

DOSE = "Metadata_Dose"
CASES = PIPELINE_CASES | {
    # CSVs
    "no CSV": Case(
        "csv-missing",
        remove(f"{CSVS}/DemoPlate1/load_data.csv"),
        "DemoPlate1/load_data.csv",
        "put the plate's CSV there",
    ),
    "no plate folders": Case(
        "csv-no-plates", remove(CSVS), f"load_data_csv/{BATCH}", "one folder"
    ),
    "a plate of the file is not there": Case(
        "csv-missing",
        setting('plates = "all"', 'plates = ["DemoPlate1", "DemoPlate2"]'),
        "DemoPlate2/load_data.csv",
        "put the plate's CSV there",
    ),
    "no rows": Case("csv-empty", csv(lambda r: r[:1]), "load_data.csv", "one row"),
    "nothing at all": Case(
        "csv-empty", text(lambda t: ""), "load_data.csv", "one row an image set"
    ),
    "byte order mark": Case(
        "csv-name-unread",
        text(lambda t: "\ufeff" + t),
        "load_data.csv:1:column 1",
        "without a byte order mark",
    ),
    "Latin-1": Case(
        "csv-encoding",
        text(lambda t: t.replace("A01", "A\udce401")),
        "load_data.csv",
        "save it as UTF-8",
    ),
    "a web page": Case(
        "csv-unreadable",
        text(lambda t: f"\n<!DOCTYPE html>\n<html>{t}</html>"),
        "load_data.csv",
        "download the file itself",
    ),
    "open quote": Case(
        "csv-quotes",
        text(lambda t: t.replace("A01", '"A01', 1) + "x" * 140_000),
        "load_data.csv:",
        "close the quotes",
    ),
    "semicolons": Case(
        "csv-separator",
        text(lambda t: t.replace(",", ";")),
        "load_data.csv:1",
        "commas between columns",
    ),
    "tabs": Case(
        "csv-separator",
        text(lambda t: t.replace(",", "\t")),
        "load_data.csv:1",
        "commas between columns",
    ),
    "a row too short": Case(
        "csv-row-length", csv(lambda r: r[2].pop()), "load_data.csv:3", "one value"
    ),
    "a row too long": Case(
        "csv-row-longer",
        csv(lambda r: r[1].append("x")),
        "load_data.csv:2",
        "needs quotes",
    ),
    "a row of commas": Case(
        "csv-blank-rows",
        csv(lambda r: r.append([""] * len(r[0]))),
        "load_data.csv:12",
        "remove it",
    ),
    "the index of pandas": Case(
        "csv-unnamed-column",
        csv(
            lambda r: (
                [row.insert(0, str(i) if i else "") for i, row in enumerate(r)] and r
            )
        ),
        "load_data.csv:1:column 1",
        "index=False",
    ),
    "two commas in the header": Case(
        "csv-unnamed-column",
        csv(lambda r: [row.insert(3, "") for row in r] and r),
        "load_data.csv:1:column 4",
        "remove it",
    ),
    "a blank in a name": Case(
        "group-column-missing",
        renamed("Metadata_Site", " Metadata_Site"),
        "load_data.csv:1",
        "write Metadata_Site, without blanks",
        steps=("analysis",),
    ),
    "a slash in a name": Case(
        "csv-column-unfit",
        csv(lambda r: [row.append("a/b") for row in r] and r),
        "load_data.csv:1:column 14",
        "rename it",
    ),
    "a column twice": Case(
        "csv-column-twice",
        csv(lambda r: [row.append(row[0]) for row in r] and r),
        "load_data.csv:1",
        "remove one",
    ),
    "a path without a file": Case(
        "csv-no-file-name",
        dropped("FileName_OrigER"),
        "load_data.csv:1",
        "add it",
    ),
    "a file without a path": Case(
        "csv-no-folder",
        all_of(
            dropped("PathName_OrigER"),
            *(
                pipe(
                    name,
                    "image location:None|",
                    "image location:Default Output Folder|",
                )
                for name in ("illum", "analysis")
            ),
        ),
        "load_data.csv:1:FileName_OrigER",
        "PathName_ columns",
    ),
    "an empty file name": Case(
        "csv-empty-cell",
        cell(2, "FileName_OrigDNA", ""),
        "load_data.csv:3:FileName_OrigDNA",
        "name the image",
    ),
    "a group in two tables": Case(
        "group-names-clash",
        copied(f"{CSVS}/DemoPlate1", f"{CSVS}/DemoPlate2"),
        "DemoPlate2/load_data.csv",
        "in one table",
        steps=("illum",),
    ),
    "a CSV beside the folders of plates": Case(
        "csv-beside-plates",
        touched(f"{CSVS}/load_data.csv"),
        f"{BATCH}/load_data.csv",
        "folder of its own",
    ),
    "another case of the plate": Case(
        "csv-other-plate",
        column("Metadata_Plate", "demoplate1"),
        "load_data.csv:2:Metadata_Plate",
        "give the folder the plate's name",
    ),
    "a site twice": Case(
        "csv-site-twice",
        cell(2, "Metadata_Site", "1"),
        "load_data.csv:3",
        "one row a site",
        steps=("illum",),
    ),
    "functions under another name": Case(
        "illum-name",
        touched(f"projects/demo/{BATCH}/illum/DemoPlate1/0042_IllumDNA.npy"),
        "illum/DemoPlate1/0042_IllumDNA.npy",
        "rename it to DemoPlate1_IllumDNA.npy",
        steps=("analysis",),
    ),
    "planes without numbers": Case(
        "csv-planes",
        csv(
            lambda r: [row.__delitem__(-1) for row in r] and r, "load_data_unprojected"
        ),
        "load_data_unprojected.csv:1",
        "Metadata_PlaneID",
        steps=("qc",),
        planes=True,
    ),
    "a plane that is no number": Case(
        "csv-planes",
        cell(2, "Metadata_PlaneID", "two", "load_data_unprojected"),
        "load_data_unprojected.csv:3:Metadata_PlaneID",
        "number the planes",
        steps=("qc",),
        planes=True,
    ),
    "the same file for two channels": Case(
        "csv-same-file",
        lambda root: csv(
            lambda r: (
                [
                    row.__setitem__(
                        r[0].index("FileName_OrigER"),
                        row[r[0].index("FileName_OrigDNA")],
                    )
                    for row in r[1:]
                ]
                and r
            )
        )(root),
        "load_data.csv:2",
        "column that was copied",
    ),
    "the same files for two sites": Case(
        "csv-file-again",
        csv(lambda r: [*r[:2], [*r[1][:-1], "2"], *r[3:]]),
        "load_data.csv:3",
        "row that was copied",
    ),
    "no channels at all": Case(
        "csv-no-images",
        dropped(*(f"{k}_Orig{c}" for k in ("FileName", "PathName") for c in CHANNELS)),
        "load_data.csv:1",
        "FileName_ and PathName_",
        steps=("illum",),
    ),
    "functions for other sites than the images": Case(
        "csv-other-sites",
        all_of(with_illum("DemoPlate1"), csv(lambda rows: rows[:-2])),
        "load_data_with_illum.csv",
        "made again",
    ),
    "metadata that were corrected beside the functions": Case(
        "csv-other-values",
        all_of(
            csv(lambda rows: [[*rows[0], DOSE], *([*row, "1"] for row in rows[1:])]),
            with_illum("DemoPlate1"),
            cell(1, DOSE, "2"),
        ),
        "load_data_with_illum.csv",
        "made again",
    ),
    "functions of another plate": Case(
        "csv-illum-of-other-plate",
        with_illum("DemoPlate7"),
        "load_data_with_illum.csv:2:FileName_IllumDNA",
        "made again",
    ),
    # Groups
    "no column for wells": Case(
        "group-column-missing",
        renamed("Metadata_Well", "Metadata_Position"),
        "load_data.csv:1",
        "add it",
        steps=("qc",),
    ),
    "a grouping column in another case": Case(
        "group-column-missing",
        renamed("Metadata_Site", "Metadata_site"),
        "load_data.csv:1",
        "add it",
    ),
    "an empty well": Case(
        "group-value-empty",
        cell(1, "Metadata_Well", ""),
        "load_data.csv:2:Metadata_Well",
        "fill it in",
        steps=("qc",),
    ),
    "a comma's stand-in in a well": Case(
        "group-value-unfit",
        cell(1, "Metadata_Well", "A=01"),
        "load_data.csv:2:Metadata_Well",
        "no comma, equals sign",
        steps=("qc",),
    ),
    "a slash in a well": Case(
        "group-value-unfit",
        cell(1, "Metadata_Well", "A/01"),
        "load_data.csv:2:Metadata_Well",
        "slash",
        steps=("qc",),
    ),
    "a site with and without zeros": Case(
        "group-values-read-as-one",
        csv(lambda r: r[1].__setitem__(-1, "02")),
        "load_data.csv:3:Metadata_Site",
        "write both the same",
        steps=("analysis",),
    ),
    "two groups of one name": Case(
        "group-names-clash",
        all_of(
            cell(1, "Metadata_Well", "A-01"),
            cell(1, "Metadata_Site", "x"),
            cell(2, "Metadata_Well", "A"),
            cell(2, "Metadata_Site", "01-x"),
        ),
        "groups",
        "without '-'",
    ),
    "a name longer than folders take": Case(
        "group-name-long",
        cell(1, "Metadata_Well", "A" * 160),
        "group",
        "shorten",
        steps=("qc",),
    ),
    "A1 in the layout, A01 in the CSV": Case(
        "layout-matches-nothing",
        layout('["A1", "A2"]'),
        "load_data.csv",
        "change [plate]",
        steps=("qc",),
    ),
    "wells of the layout without rows": Case(
        "layout-groups-absent",
        layout('["A01", "P24"]'),
        "plate DemoPlate1",
        "exclude their wells",
        steps=("qc",),
    ),
    "wells of the CSV that the layout lacks": Case(
        "layout-leaves-out",
        layout('["A01", "A02"]'),
        "load_data.csv",
        "correct [plate]",
        steps=("qc",),
    ),
    "a well with a site less": Case(
        "sites-missing",
        csv(lambda r: r[:-1]),
        "load_data.csv",
        "microscope has finished",
    ),
    "a site with a plane less": Case(
        "planes-missing",
        csv(lambda r: r[:-1], "load_data_unprojected"),
        "load_data_unprojected.csv",
        "microscope has finished",
        steps=("zproj",),
        planes=True,
    ),
    "no batch file": Case(
        "input",
        project("steps.illum", 'groups = "batch"'),
        "Batch_data_illum.h5",
        "",
        steps=("illum",),
    ),
    # Images
    "an image that is gone": Case(
        "image-missing",
        image("A01_s1_DNA.tiff", Path.unlink),
        "load_data.csv:2:FileName_OrigDNA",
        "put it there or drop the row",
    ),
    "all images gone": Case(
        "image-missing",
        remove(IMAGES),
        "load_data.csv:2:FileName_OrigDNA",
        "put it there or drop the row",
    ),
    "an extension in another case": Case(
        "image-missing",
        csv(lambda r: [[v.replace(".tiff", ".TIFF") for v in row] for row in r]),
        "load_data.csv:2:FileName_OrigDNA",
        "write the names as the files have them",
    ),
    "images on a drive of Windows": Case(
        "image-missing",
        column("PathName_OrigDNA", r"D:\screen\DemoPlate1"),
        "load_data.csv:2:FileName_OrigDNA",
        r'write "D:\\screen" = "/path/to/screen" below [storage.map]',
    ),
    "an empty image": Case(
        "image-empty",
        image("A01_s2_ER.tiff", touch),
        "load_data.csv:3:FileName_OrigER",
        "copy it again, or drop its row",
    ),
    "half an image": Case(
        "image-cut",
        image("A03_s2_ER.tiff", halve),
        ":FileName_OrigER",
        "copy it again, or drop its row",
    ),
    "a text in place of an image": Case(
        "image-small",
        image("A03_s2_ER.tiff", lambda path: path.write_text("no image\n")),
        ":FileName_OrigER",
        "copy it again, or drop its row",
    ),
    "analysis before illum": Case(
        "image-missing",
        lambda root: None,
        "load_data.csv:2:FileName_IllumDNA",
        "run the illum step first",
        steps=("analysis",),
    ),
    # Settings
    "an output structure that leads out": Case(
        "output-structure",
        project("steps.illum", 'output_structure = "../Metadata_Plate"'),
        "steps.illum.output_structure",
        "Metadata_Plate",
    ),
    "an output structure of another column": Case(
        "output-structure",
        project("steps.illum", 'output_structure = "Metadata_Dose"'),
        "steps.illum.output_structure",
        "name only Metadata_Plate",
    ),
    "wells of a plate in one folder, and tables of one name": Case(
        "file-names-clash",
        project("steps.qc", 'output_structure = "Metadata_Plate"'),
        "steps.qc.output_structure",
        "name Metadata_Well there, or in the pipeline's file names",
        steps=("qc",),
    ),
    "no plugins": Case(
        "plugins-missing",
        project("steps.analysis", 'plugins = "software/plugins"'),
        "software/plugins",
        "put the plugins there",
    ),
    "an output that is a file": Case(
        "storage",
        lambda root: (root / f"projects/demo/{BATCH}/illum").write_text(""),
        "illum",
        "",
        steps=("illum",),
    ),
    "a step that nobody knows": Case(
        "setting", lambda root: None, "analysys", "", steps=("analysys",)
    ),
}
