"""run_batch_general.py as it was before DCP 2.2.0: variables, code, and the calls."""

_VARIABLES = """\
import json, boto3, string, os, posixpath


class JobQueue():
    def __init__(self, name=None):
        self.queue = boto3.resource("sqs").get_queue_by_name(QueueName=name)


topdirname='2015_Screen' # as the folder
appname='screen'
batchsuffix='B1'
rows=list(string.ascii_uppercase)[0:16]
columns=range(1,25)
sites=range(1,10)
well_digit_pad = True
platelist=['P1', 'P2']
zprojpipename='Zproj.cppipe'
illumpipename='illum.cppipe'
qcpipename='qc.cppipe'
assaydevpipename='assaydev.cppipe'
analysispipename='analysis.cppipe'
batchpipenameanalysis='Batch_data_analysis.h5'

startpath=posixpath.join('projects',topdirname)
pipelinepath=posixpath.join(startpath,os.path.join('workspace/pipelines',batchsuffix))
zprojoutpath=posixpath.join(startpath,os.path.join(batchsuffix,'images'))
zprojoutputstructure="Metadata_Plate/Images"
analysisoutpath=posixpath.join(startpath,'workspace/analysis',batchsuffix)
illumoutpath=posixpath.join(startpath,batchsuffix,'illum')
QCoutpath=posixpath.join(startpath,'workspace/qc',batchsuffix,'results')
assaydevoutpath=posixpath.join(startpath,'workspace/assaydev',batchsuffix)
inputpath=posixpath.join(startpath,'workspace/qc',batchsuffix,'rules')
datafilepath=posixpath.join(startpath,'workspace/load_data_csv',batchsuffix)
anlysisoutputstructure="Metadata_Plate/analysis/Metadata_Plate-Metadata_Well-Metadata_Site"
batchpath=posixpath.join(startpath,'workspace/batchfiles',batchsuffix)
csvname = 'load_data.csv'
csv_with_illumname = 'load_data_with_illum.csv'
csv_unprojected_name = 'load_data_unprojected.csv'
if well_digit_pad:
    well_format = '%02d'
else:
    well_format = '%01d'

"""
_STRUCTURES = {"zproj": "zprojoutputstructure", "analysis": "anlysisoutputstructure"}
_STEMS = {"qc": "QC"}
_LOOPS = {
    "Plate": ["plate in platelist"],
    "Well": ["row in rows", "column in columns"],
    "Site": ["site in sites"],
}
_TEXTS = {
    "Plate": "'Metadata_Plate='+plate",
    "Well": "',Metadata_Well='+row+well_format % column",
    "Site": "',Metadata_Site='+str(site)",
}


def plate_csv(name: str) -> str:
    """The expression of a CSV in a plate's folder."""
    return f"posixpath.join(datafilepath,plate,{name})"


def function(
    name: str,
    step: str,
    by: str,
    *branches: tuple[str, str],
    parameter: str = "batch=False",
) -> str:
    """A function that sends a message for each group.

    Parameters
    ----------
    by
        What makes the groups: `Plate Well`.
    branches
        A condition and the table, in order; a batch file is the pipeline, too.
    """
    loops = [loop for each in by.split() for loop in _LOOPS[each]]
    lines = [f"def {name}({parameter}):", f"    queue = JobQueue(appname+'_{step}')"]
    for depth, loop in enumerate(loops):
        lines.append(f"{'    ' * (depth + 1)}for {loop}:")
    inner = "    " * (len(loops) + 1)
    for condition, table in branches:
        lines += [f"{inner}{condition}:", f"{inner}    message = {{"]
        lines += [f"{inner}        {line}," for line in _message(step, by, table)]
        lines.append(f"{inner}    }}")
    lines += [f"{inner}queue.scheduleBatch(message)", "", ""]
    return "\n".join(lines)


def _message(step: str, by: str, table: str) -> list[str]:
    named = f"posixpath.join(pipelinepath,{step}pipename)"
    lines = [
        f"'Metadata': {'+'.join(_TEXTS[each] for each in by.split())}",
        f"'pipeline': {table if 'batchpath' in table else named}",
        f"'output': {_STEMS.get(step, step)}outpath",
        "'input': inputpath",
        f"'data_file': {table}",
    ]
    if step in _STRUCTURES:
        lines.append(f"'output_structure': {_STRUCTURES[step]}")
    return lines


def _usual(name: str, step: str, by: str, csv: str) -> str:
    batch = f"posixpath.join(batchpath,batchpipename{step})"
    return function(name, step, by, ("if not batch", plate_csv(csv)), ("else", batch))


OLD_SCRIPT = "\n".join(
    [
        _VARIABLES,
        _usual("MakeZprojJobs", "zproj", "Plate Well Site", "csv_unprojected_name"),
        _usual("MakeIllumJobs", "illum", "Plate", "csvname"),
        _usual("MakeQCJobs", "qc", "Plate Well", "csvname"),
        _usual("MakeQCJobs_persite", "qc", "Plate Well Site", "csvname"),
        _usual("MakeAssayDevJobs", "assaydev", "Plate Well", "csv_with_illumname"),
        _usual("MakeAnalysisJobs", "analysis", "Plate Well Site", "csv_with_illumname"),
        "#MakeIllumJobs(batch=False)\nMakeAnalysisJobs(batch=False)\n",
    ]
)
"""The last of them."""


def other(*functions: str, variables: str = "", calls: str) -> str:
    """A script with other functions and calls."""
    return "\n".join([_VARIABLES, variables, *functions, calls, ""])
