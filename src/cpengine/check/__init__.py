"""What is looked at before a step runs: CSVs, pipeline, images, where it runs."""
