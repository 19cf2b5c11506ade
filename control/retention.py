"""Savepoints, and checkpoints of jobs that have ended, that nothing needs any more: which they are, and their end."""

import shutil
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from conf.settings import Settings
from control.cluster import Cluster
from control.jobs import names, restore_path
from control.journal import Journal
from sinks.errors import NotReadyError


@dataclass(frozen=True)
class Kept:
    """A savepoint, or all checkpoints of a job that has ended: these share files with each other.

    Attributes:
        path: its folder.
        at: when something was last written to it, in Unix seconds.
        job: the name of the job that it is of; "" where nobody knows.
    """

    path: Path
    at: float
    job: str


def obsolete(kept: Iterable[Kept], needed: Collection[Path], *, now: float, days: float, keep: int) -> list[Kept]:
    """What may go: older than `days`, not among the newest `keep` of its job, and not needed."""
    by_job: dict[str, list[Kept]] = defaultdict(list)
    for each in kept:
        by_job[each.job].append(each)
    found = []
    for of_job in by_job.values():
        newest = sorted(of_job, key=lambda one: one.at, reverse=True)
        found += [one for one in newest[keep:] if now - one.at > days * 86_400 and not _is_needed(one.path, needed)]
    return sorted(found, key=lambda one: one.at)


def _is_needed(path: Path, needed: Collection[Path]) -> bool:
    return any(path == each or path in each.parents for each in needed)


def clean(settings: Settings, *, days: float, keep: int, dry_run: bool) -> list[Kept]:
    """Remove what is obsolete; return it.

    Raises:
        NotReadyError: the cluster does not answer, or keeps its state where this machine can't see it.
    """
    cluster = Cluster(settings.flink.url)
    checkpoints = _folder(cluster, "execution.checkpointing.dir")
    savepoints = _folder(cluster, "execution.checkpointing.savepoint-dir")
    jobs = cluster.jobs()
    named = {job.id: job.name for job in jobs}
    for name in names():
        named |= {run.job: name for run in Journal(settings, name).runs()}
    unfinished = {job.id for job in jobs if job.unfinished}
    kept = [
        Kept(folder, _last_written(folder), named.get(folder.name, ""))
        for folder in checkpoints.glob("*")
        if folder.is_dir() and folder.name not in unfinished
    ]
    # A savepoint's folder is named after the beginning of its job's id.
    short = {job[:6]: name for job, name in named.items()}
    kept += [
        Kept(folder, _last_written(folder), short.get(folder.name.split("-")[1], ""))
        for folder in savepoints.glob("savepoint-*-*")
    ]
    found = obsolete(kept, _needed(settings, cluster, unfinished), now=time.time(), days=days, keep=keep)
    for each in () if dry_run else found:
        shutil.rmtree(each.path)
    return found


def _needed(settings: Settings, cluster: Cluster, unfinished: Iterable[str]) -> list[Path]:
    """What running jobs go on from, now and until their first checkpoint, and what `resume` would take."""
    paths = []
    for job in unfinished:
        latest = cluster.checkpoints(job)["latest"]
        paths += [latest[kind]["external_path"] for kind in ("restored", "completed", "savepoint") if latest.get(kind)]
    for name in names():
        paths.append(restore_path(settings, name))
        paths += [run.restored for run in Journal(settings, name).runs()[-1:]]
    return [_local(path) for path in paths if path]


def _folder(cluster: Cluster, key: str) -> Path:
    url = cluster.configured(key) or ""
    if not url or urlsplit(url).scheme not in ("", "file") or not _local(url).is_dir():
        message = f"The cluster keeps {key} at {url or 'no place'}, which is no folder of this machine: clean it there."
        raise NotReadyError(message)
    return _local(url)


def _local(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _last_written(folder: Path) -> float:
    return max((path.stat().st_mtime for path in (folder, *folder.glob("chk-*"), *folder.glob("_metadata"))), default=0)
