"""Where jobs run: one module an executor, all behind `base.Executor`."""
