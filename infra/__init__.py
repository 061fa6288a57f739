"""Connections and deployment: engines, ledger, journal, storage, Dask, settings, the embedded Triton."""
