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
# What stands for the bucket: a folder, relative to this file, or s3://bucket/folder.
root = "{root}"
# Where these are elsewhere: images are only read, outputs get results and ledger.
# images = "s3://cellpainting-gallery"
# workspace = "..."       # pipelines, CSVs, batch files, rules, plugins
# outputs = "..."
# "default": projects/<name>/..., "cpg": <name>/<source>/...
layout = "{layout}"
{source}
# cache_gb = 10.0         # kept of fetched files that many jobs share

# Beginnings of places in CSVs, and what stands for each. /home/ubuntu/bucket is known.
# [storage.map]
# "s3://cellpainting-gallery" = "/data/gallery"

# How S3 buckets are reached; [storage.buckets.NAME] has the same keys for one bucket.
[storage.s3]
# endpoint = "https://..."  # a server that is not Amazon's
# profile = "default"
# region = "us-east-1"
# anonymous = false         # true: without credentials, for public buckets
# requester_pays = false
# [storage.buckets.cellpainting-gallery]
# anonymous = true

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
# stall_min = 15                        # without log line and CPU; 0: never
# memory_gb = 8                         # more ends the job as out_of_memory
# plugins = "..."
# Results that Distributed-CellProfiler made count as done by its own rule:
# [steps.analysis.dcp_done]
# expected_number_files = 5
# min_file_size_bytes = 1
# necessary_string = ""

[run]
# max_failures = 100      # default: stop when the first ten have all failed

[cellprofiler]
# path = "..."            # default: the one that `cpengine cellprofiler show` names
# or image = "..."        # a container image, or the path of a .sif file
# runtime = "docker"      # or podman, apptainer, singularity; default: the first found
# mounts = ["/data"]      # folders outside the storage roots that it gets to read
# jobs_per_process = 200  # then a fresh process; 1: a process for each job
# process_memory_gb = 2.0 # one that holds more than this after a job is replaced

[executors.local]
# workers = 4             # default: from cores and memory
# memory_gb = 2.0         # what one job is expected to need until some have ended
# scratch = "..."         # default: the system's temporary folder

# --on slurm: workers are jobs of the cluster; each runs `cores` jobs at a time.
[executors.slurm]
# profile = "site.toml"   # a file with these keys, for all projects at a site
# partition = "short"
# account = "..."
# qos = "..."
# walltime = "04:00:00"   # of a worker; jobs go on in another one
# cores = 4
# memory_gb = 10.0        # of a worker
# job_memory_gb = 2.0     # what one job is expected to need until some have ended
# workers = 4             # at most
# min_workers = 0
# scratch = "$TMPDIR"     # on the node; default: SLURM_TMPDIR, TMPDIR or /tmp there
# prologue = ["module load java/17"]
# directives = ["--constraint=avx2"]
# skip_directives = ["--mem"]
# interface = "ib0"       # the network between driver and workers; or:
# host = "10.0.0.5"       # the driver's address
# python = "..."          # the workers' Python; default: this one
# folder = "..."          # for the workers' logs, seen by all nodes; default: .cpengine
# requeue = true          # SLURM may start workers again that it ended itself
# tls = true              # encrypted, with keys of the run
# driver = "job"          # what --detach starts; or "process", on this machine
# driver_partition = "long"
# driver_walltime = "1-00:00:00"

# Other schedulers have the same keys but qos, requeue and driver's:
# [executors.pbs]
# [executors.lsf]
# [executors.sge]
# [executors.htcondor]
# disk_gb = 20.0          # of a worker

# --on dask: a Dask scheduler that is there already.
[executors.dask]
# address = "tcp://10.0.0.5:8786"
"""


def project_file(
    *, name: str, batch: str, root: str, layout: str = "default", source: str = ""
) -> str:
    """The text of a new project file."""
    source_line = f'source = "{source}"' if source else '# source = "source_4"'
    return TEXT.format(
        name=name, batch=batch, root=root, layout=layout, source=source_line
    )
