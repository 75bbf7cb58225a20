"""The command `batch`: archives of recordings to Parquet, on this machine or on a Ray cluster.

The recordings are divided into chunks. Every engine makes the same Parquet file of a chunk. Only the
command's own process puts it into the output folder and into the manifest, so a chunk that was started twice,
because a worker died, is stored once.
"""
