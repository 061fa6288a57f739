"""What the ledger knows of releases: their versions, given out once, and what was published."""

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from infra.ledger import leases
from infra.ledger.database import Database
from infra.ledger.finding import near, now, run_row
from infra.ledger.models import Release, Version
from schemas.errors import LedgerError, NotFoundError
from schemas.run import ReleaseRecord


class Releases:
    """The part of the ledger that keeps releases."""

    _database: Database
    _tokens: dict[str, str]

    def next_version(self, name: str, *, run_id: str | None = None) -> str:
        """Reserve the next version of a release name (v1, v2, …); with a run, the one that it was given before, if any."""

        def work(session: Session) -> str:
            if run_id:
                leases.guard(session, run_id, self._tokens.get(run_id))
            held = session.scalar(select(Version.number).where(Version.name == name, Version.run_id == run_id)) if run_id else None
            if held is None:
                held = (session.scalar(select(func.max(Version.number)).where(Version.name == name)) or 0) + 1
                session.add(Version(name=name, number=held, run_id=run_id))
            return f"v{held}"

        return self._database.write(work)

    def record_release(self, release: ReleaseRecord) -> None:
        """Record a release that is in place, and its run as finished. Recording the same one again changes nothing; another one is refused."""

        def work(session: Session) -> None:
            leases.guard(session, release.run_id, self._tokens.get(release.run_id))
            run = run_row(session, release.run_id)
            held = session.get(Release, (release.name, release.version))
            if held is None:
                session.add(_release_row(release))
            elif (held.run_id, held.manifest_sha256) != (release.run_id, release.manifest_sha256):
                raise LedgerError(f"{release.name}/{release.version} was published by run {held.run_id}: a release never changes; publish a new version")
            run.status, run.error, run.release = "finished", None, f"{release.name}/{release.version}"
            run.finished_at = run.finished_at or now()

        self._database.write(work)

    def releases(self, name: str | None = None) -> list[ReleaseRecord]:
        """List releases by name, the newest version first."""
        return self._database.read(lambda session: [row.record() for row in session.scalars(_releases(name))])

    def release(self, name: str, version: str | None = None) -> ReleaseRecord:
        """Find a release; without a version, the newest. Raises NotFoundError."""

        def work(session: Session) -> ReleaseRecord:
            rows = session.scalars(_releases(name)).all()
            for row in rows:
                if version in (None, row.version):
                    return row.record()
            if rows:
                raise NotFoundError(f"{name} has no version {version}; there {_are([row.version for row in rows])}")
            raise NotFoundError(f"no release named {name!r}{near(name, session.scalars(select(Release.name).distinct()).all())}")

        return self._database.read(work)


def _are(names: list[str]) -> str:
    return f"is {names[0]}" if len(names) == 1 else f"are {', '.join(names)}"


def _releases(name: str | None) -> Select[tuple[Release]]:
    query = select(Release).order_by(Release.name, Release.number.desc(), Release.published_at.desc())
    return query if name is None else query.where(Release.name == name)


def _release_row(release: ReleaseRecord) -> Release:
    number = release.version.removeprefix("v")
    return Release(
        name=release.name,
        version=release.version,
        number=int(number) if number.isdecimal() else 0,
        run_id=release.run_id,
        path=release.path,
        rows=release.rows,
        manifest_sha256=release.manifest_sha256,
        published_at=release.published_at,
    )
