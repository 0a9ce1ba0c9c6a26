"""Cloud Sync's library: back up a cloud media library, every original byte for byte.

It knows nothing of Lambda. `core.sync.local.LocalSync` runs a whole backup; see the README for an example.
"""
