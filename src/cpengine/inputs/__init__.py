"""What users bring: LoadData CSVs, pipelines, batch files, plugins; their checks."""
