"""`python -m ser_core batch`: archives of recordings to Parquet, on this machine or on a Ray cluster.

The recordings are divided into chunks. Whichever engine works on a chunk makes the same Parquet file of it,
and the command's own process alone puts it into the output folder and into the manifest. So a chunk that was
begun twice, because a worker died, is there once.
"""
