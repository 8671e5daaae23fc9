"""Traffic on a local site with a fault every few seconds, and a count of what got lost.

`make soak` runs it for ten minutes against a local cloud of its own, `tests/cloud/test_soak.py` for
a short time against that of the tests. Each file has one job: `traffic` visits, `faults` breaks,
`stored` reads what exists, `verdict` compares, `report` prints, `run` does all of it.
"""
