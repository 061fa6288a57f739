"""The report on a run: one HTML file that opens offline, before and after publication.

facts.py gathers, charts.py draws, page.py puts it together by template.html.j2.
"""

from tasks.report.facts import ReportFacts, gather_facts
from tasks.report.page import write_report

__all__ = ["ReportFacts", "gather_facts", "write_report"]
