"""From a project file to a step's jobs: groups, fingerprints, order."""
