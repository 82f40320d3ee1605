"""One thin file per transport. A transport feeds a `Connection` and is its `Link`."""
