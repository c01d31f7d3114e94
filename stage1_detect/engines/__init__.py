"""Where units are detected: processes of this machine, or actors of a Ray cluster.

An engine has `run`, which takes a `UnitWork` and hands out each result when its shard is on the
disk, in any order; if anything raises, ctrl-C and SIGTERM included, units that are not begun are
dropped and those in work leave nothing, while shards that are written stay. Its `driver_device` is
where this process detects (None: it leaves that to others), its `device_type` is `cpu` or `cuda`
(None: not known yet). A block in `joined()` has what the engine needs, or fails for want of it.
"""
