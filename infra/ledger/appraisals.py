"""What the ledger knows of reward engines: how each did on known pairs."""

from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.ledger.database import Database
from infra.ledger.models import Appraisal
from schemas.appraisal import AppraisalRecord


class Appraisals:
    """The part of the ledger that keeps appraisals."""

    _database: Database

    def record_appraisal(self, appraisal: AppraisalRecord) -> None:
        """Keep an appraisal, in place of an earlier one under its id."""

        def work(session: Session) -> None:
            session.merge(Appraisal(**asdict(appraisal)))

        self._database.write(work)

    def appraisals(self, model: str | None = None) -> list[AppraisalRecord]:
        """List appraisals, of one model or of all, the newest first."""
        query = select(Appraisal).order_by(Appraisal.appraised_at.desc(), Appraisal.appraisal_id)
        query = query if model is None else query.where(Appraisal.model == model)
        return self._database.read(lambda session: [row.record() for row in session.scalars(query)])
