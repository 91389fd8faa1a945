"""The commented project file that `cpengine init` writes."""

import json
import re
from collections.abc import Mapping
from typing import Any

TEXT = """\
# cpengine project file: which images, where they are, what differs from the defaults.
# Lines that begin with # are examples of what can be set; remove the # to set it.

[project]
name = "my_project"
batch = "2026_01_01_Batch1"
# Those with a folder of LoadData CSVs, or ["SQ00015167", "SQ00015168"].
plates = "all"
# A shorter name for queues and clusters.
# app_name = "my_project"

[storage]
# What stands for the bucket: a folder, relative to this file, or s3://bucket/folder.
root = "."
# Where these are elsewhere: images are only read, outputs get results and ledger.
# images = "s3://cellpainting-gallery"
# workspace = "..."       # pipelines, CSVs, batch files, rules, plugins
# outputs = "..."
# "default": projects/<name>/..., "cpg": <name>/<source>/...
layout = "default"
# source = "source_4"
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
# upload_flags = "--acl bucket-owner-full-control"  # as `aws s3 cp` takes them
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
# data_file = "load_data_with_illum.csv"  # or a list of files, .txt
# data_path = "..."
# groups = "csv"                        # or "layout" or "batch" (Batch_data.h5)
# batch_file = "Batch_data_analysis.h5"
# batch_path = "..."
# input = "..."
# output = "..."
# output_structure = "Metadata_Plate/Metadata_Well-Metadata_Site"
# group = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]
# job_file = "exampleJob.json"          # of DCP: its groups alone, of one CSV
# timeout_min = 120
# stall_min = 15                        # without log line and CPU; 0: never
# memory_gb = 8                         # more ends the job as out_of_memory
# plugins = "..."
# Results that Distributed-CellProfiler made count as done by its own rule:
# [steps.analysis.dcp_done]
# expected_number_files = 5
# min_file_size_bytes = 1
# necessary_string = ""

# Rules of `cpengine check` that only warn ("warn") or are left out ("off").
[check]
# image-small = "off"
# sites-missing = "off"

[run]
# max_failures = 100      # default: stop when the first ten have all failed
# notify = "https://..."  # a webhook; better in CPENGINE_NOTIFY, for it is a secret

# What `cpengine qc` takes for bad images.
[qc]
# measures = ["ImageQuality_*", "Count_*"]
# controls = { negcon = ["A01", "A02"] }
# plate_sites = 20        # plates with fewer sites are compared with the whole batch
# score_sites = 8         # those with fewer are not scored: fixed limits alone hold
# [qc.thresholds."ImageQuality_PowerLogLogSlope_*"]
# low_mad = 4.0           # robust deviations below the median: blurred
# least_deviation = 0.05  # what such a deviation is taken for at the least
# high_mad = 8.0
# [qc.thresholds."ImageQuality_PercentMaximal_*"]
# min = 0.0
# max = 0.25              # percent of saturated pixels

[cellprofiler]
# path = "..."            # default: the one that `cpengine cellprofiler show` names
# or image = "..."        # a container image, or the path of a .sif file
# runtime = "docker"      # or podman, apptainer, singularity; default: the first found
# mounts = ["/data"]      # folders outside the storage roots that it gets to read
# jobs_per_process = 200  # then a fresh process; 1: a process for each job
# exact = true            # false: modules as CellProfiler has them, the same bytes
# blas_kernel = "Haswell" # the same on every machine; default: by the processor
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

# --on aws: containers on EC2 spot machines that empty a queue.
[executors.aws]
# worker = "cpengine"     # or "dcp": Distributed-CellProfiler's own
# image = "..."           # the containers'; default for dcp: its 2.2.1_4.2.8
# region = "us-east-1"    # default: storage.s3's, or the profile's
# profile = "default"     # default: storage.s3's
# cluster = "default"     # of ECS; default: one of the step's own
# machines = 4            # at most; these and the next: default by step
# machine_types = ["c5.xlarge"]
# machine_price = 0.2     # the most for a machine's hour, in USD
# tasks_per_machine = 1   # containers on a machine
# cores = 4               # jobs that a container runs at a time
# cpu_shares = 4096       # of a container; default: 1024 a core
# memory_mb = 7500        # of a container
# ebs_gb = 30             # a machine's disk for containers
# visibility_s = 120      # of messages; for dcp longer than a job
# job_retries = 10        # then a message goes to the dead letter queue
# seconds_to_start = 60   # between the processes of a dcp container
# fleet = "fleet.json"    # a spot fleet file; default: made from these keys:
# instance_profile = "ecsInstanceRole"
# task_role = "..."       # of containers; default: the machines'
# subnets = ["subnet-..."]
# security_groups = ["sg-..."]
# key_name = "..."        # for SSH; default: no SSH
# ami = "..."             # default: Amazon's newest for ECS
# public_ip = true
# dead_letter_queue = "my_DeadMessages"
# log_group = "..."
# log_days = 60
# keep_logs = true        # when all else is taken down
# export_logs = false     # copy them to the outputs' bucket
# time_limit_h = 48.0     # then AWS itself ends the machines
# budget_usd = 100.0      # shortens time_limit_h; default: no limit
# cheapest = false        # after 15 minutes replace no lost machine but one
# idle_s = 60.0           # an empty queue for so long ends our workers
# poll_s = 15.0
# dashboard = true
# alarms = true           # end machines after 15 idle minutes
# tags = {}               # such as {lab = "..."}

# Machines and limits of one step; they go before the ones above.
# [executors.aws.steps.analysis]
# machines = 100

# For worker "dcp" only:
# [executors.aws.dcp]
# download_files = false  # copy images instead of mounting the bucket
# upload_flags = ""
# always_continue = false # hides failures
# use_plugins = false
# update_plugins = false
# plugins_commit = "..."
# install_requirements = false
# requirements = ""
"""
_HEADER = re.compile(r"(?:# )?\[([\w.-]+)\]")


def project_file(
    *,
    name: str,
    batch: str,
    root: str,
    layout: str = "default",
    source: str = "",
    more: Mapping[str, Any] | None = None,
) -> str:
    """The text of a new project file.

    Parameters
    ----------
    more
        Other settings, by dotted key.
    """
    settings = {
        "project.name": name,
        "project.batch": batch,
        "storage.root": root,
        "storage.layout": layout,
        **({"storage.source": source} if source else {}),
    }
    lines = TEXT.splitlines()
    for key, value in (settings | dict(more or {})).items():
        section, _, last = key.rpartition(".")
        _put(lines, section, last, toml(value))
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """A text, number, yes or no, or a list of them, as TOML."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _put(lines: list[str], section: str, key: str, value: str) -> None:
    """Set a key where the lines show it, else at its section's end."""
    start = _section(lines, section)
    lines[start] = f"[{section}]"
    end = _end(lines, start)
    shown = re.compile(rf"(?:# )?(?:or )?{key} = .*?(?P<remark>\s+# .*)?")
    for number in range(start + 1, end):
        if found := shown.fullmatch(lines[number]):
            lines[number] = f"{key} = {value}{found['remark'] or ''}"
            return
    lines.insert(end, f"{key} = {value}")


def _section(lines: list[str], section: str) -> int:
    """The line of a section's header, which is added if it is missing."""
    headers = {
        found[1]: number
        for number, line in enumerate(lines)
        if (found := _HEADER.fullmatch(line))
    }
    if section in headers:
        return headers[section]
    beside: list[int] = []
    above = section
    while not beside and above:
        above = above.rpartition(".")[0]
        beside = [number for name, number in headers.items() if _is_in(name, above)]
    at = _end(lines, beside[-1]) if beside else len(lines)
    lines[at:at] = ["", f"[{section}]"]
    return at + 1


def _is_in(name: str, section: str) -> bool:
    return name == section or name.startswith(f"{section}.")


def _end(lines: list[str], start: int) -> int:
    """The line after a section's last one."""
    for number in range(start + 1, len(lines)):
        if not lines[number] or _HEADER.fullmatch(lines[number]):
            return number
    return len(lines)
