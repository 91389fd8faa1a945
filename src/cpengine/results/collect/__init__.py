"""The CSVs that a step's jobs published, as Parquet, a plate at a time.

`step` finds the jobs and their CSVs (`names`), `plate` makes a plate's files: the CSVs
are read (`csvs`), kept on the scratch disk (`spill`), joined (`join`) and written
(`tables`), with what they were made from (`record`). Needs pyarrow.
"""
