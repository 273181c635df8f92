"""Ours and its peers over HTTP, in turns: ``python -m benchmarks.peers``.

sharp, thumbor and pyvips are installed at the versions of ``sharp/package-lock.json`` and
``python/requirements.txt`` into a folder that is thrown away. Each gets the same photos and lays the same
overlay over them. What cannot be installed is named, with the reason.
"""
