"""The commented project file that `cpengine init` writes."""

TEXT = """\
# cpengine project file: which images, where they are, what differs from the defaults.
# Lines that begin with # are examples of what can be set; remove the # to set it.

[project]
name = "{name}"
batch = "{batch}"
# Those with a folder of LoadData CSVs, or ["SQ00015167", "SQ00015168"].
plates = "all"
# A shorter name for queues and clusters.
# app_name = "{name}"

[storage]
# The folder that stands for the bucket, relative to this file.
root = "{root}"
# "default": projects/<name>/..., "cpg": <name>/<source>/...
layout = "{layout}"
{source}

# Only for steps with groups = "layout".
[plate]
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
