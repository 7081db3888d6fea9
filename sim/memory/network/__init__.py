"""On-chip networks: who is joined to whom, flits that contend for channels, and the bounds."""
