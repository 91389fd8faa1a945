"""The commented project file that `cpengine init` writes."""

TEXT = """\
# cpengine project file. Every key: docs/reference/project-file.md
# Lines that begin with # show defaults; remove the # to change one.

[project]
name = "{name}"
batch = "{batch}"
plates = "all"            # or ["SQ00015167", "SQ00015168"]
# app_name = "{name}"     # a shorter name for queues and clusters

[storage]
root = "{root}"           # the folder that stands for the bucket
layout = "{layout}"       # "default": projects/<name>/..., "cpg": <name>/<source>/...
{source}

[plate]                   # only for steps with groups = "layout"
# format = 384            # or 96; or rows and columns:
# rows = ["A", "B"]
# columns = [1, 2, 3]
# wells = ["B03", "C07"]  # instead of rows and columns
# excluded_wells = ["A01"]
# sites = 9               # or a list of site numbers
# pad_wells = true        # A01; false: A1

# Steps: zproj, qc, qc_persite, illum, assaydev, assaydev_persite, analysis.
# Each works without a section; this is what a section can change.
[steps.analysis]
# pipeline = "analysis.cppipe"          # or analysis_without_batchfile.cppipe if there
# pipeline_path = "..."                 # places: below the root, or absolute
# data_file = "load_data_with_illum.csv"
# data_path = "..."
# groups = "csv"                        # or "layout" or "batch" (Batch_data.h5)
# batch_file = "Batch_data_analysis.h5"
# batch_path = "..."
# input = "..."
# output = "..."
# output_structure = "Metadata_Plate/Metadata_Well-Metadata_Site"
# group = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]
# timeout_min = 120
# plugins = "..."

[cellprofiler]
# path = "..."            # default: the one that `cpengine cellprofiler show` names

[executors.local]
# workers = 4             # default: from cores and memory
# memory_gb = 2.0         # what one job is expected to need, for that default
# scratch = "..."         # default: the system's temporary folder
"""


def project_file(
    *, name: str, batch: str, root: str, layout: str = "default", source: str = ""
) -> str:
    """The text of a new project file."""
    source_line = f'source = "{source}"' if source else '# source = "source_4"'
    return TEXT.format(
        name=name, batch=batch, root=root, layout=layout, source=source_line
    )
